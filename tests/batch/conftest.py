"""Fixtures of the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from reference.batch_runs import JPEG, PNG, Engine, Go, put

from guetzpy import api, batch
from guetzpy.result import Result


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(api, "run", engine)
    return engine


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    put(tmp_path / "in/a.jpg", JPEG, 300)
    put(tmp_path / "in/sub/b.JPG", JPEG, 200)
    put(tmp_path / "in/sub/c.png", PNG, 400)
    return tmp_path / "in"


@pytest.fixture
def go(engine: Engine, threads: Executor) -> Go:
    def run(*arguments: Any, **options: Any) -> list[Result]:
        return list(batch.run(*arguments, executor=threads, **options))

    return run


@pytest.fixture
def memory() -> Iterator[Any]:
    """Return fsspec's file system in memory, which is empty."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
