"""The examples of the documentation pass ``mypy --strict``."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("mypy")

_BLOCK = re.compile(r"^(?P<indent> *)```python[^\n]*\n(?P<code>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    return [textwrap.dedent(found["code"]) for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def check(folder: Path, repository: Path) -> subprocess.CompletedProcess[str]:
    """Run mypy over all files of a folder, as for a user who has installed guetzpy.

    The options after ``strict`` excuse only what other packages lack: Dask, Django, fsspec, scikit-image and
    Willow have no types, or not for all functions.
    """
    config = folder / "mypy.ini"
    config.write_text(
        "[mypy]\nstrict = True\nignore_missing_imports = True\n"
        "untyped_calls_exclude = distributed, skimage\n"
        "disallow_subclassing_any = False\n"  # Django has no types
        "[mypy-guetzpy.*]\nfollow_imports = silent\n"
        "[mypy-numba.*,llvmlite.*]\nfollow_imports = skip\n"
    )
    return subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", str(config)),
            *("--cache-dir", str(folder / "cache"), *map(str, sorted(folder.glob("*.py")))),
        ],
        cwd=repository,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "MYPYPATH": str(repository)},
    )


def test_examples_have_no_type_errors(repository: Path, tmp_path: Path) -> None:
    """Each block is checked as a program of its own, since it is run, and copied, without the others."""
    count = 0
    for page in [*sorted(repository.glob("*.md")), *sorted((repository / "docs").rglob("*.md"))]:
        for number, block in enumerate(blocks(page), 1):
            count += 1
            name = "_".join([*page.relative_to(repository).with_suffix("").parts, str(number)])
            (tmp_path / f"page_{name.replace('-', '_').replace('.', '_')}.py").write_text(
                block, encoding="utf-8"
            )
    assert count > 25
    done = check(tmp_path, repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"in {count} source files" in done.stdout


def test_an_error_would_be_found(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text('import guetzpy\n\nguetzpy.optimize("a.jpg", distance="far")\n')
    done = check(tmp_path, repository)
    assert done.returncode == 1
    assert "arg-type" in done.stdout
