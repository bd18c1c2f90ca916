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
    """Run mypy over all files of a folder, as for a user who has installed guetzpy."""
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
    """All blocks of a page are checked as one program, as in the test that runs them."""
    count = 0
    for page in [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]:
        found = blocks(page)
        count += len(found)
        if found:
            name = "_".join(page.relative_to(repository).with_suffix("").parts).replace("-", "_")
            (tmp_path / f"page_{name}.py").write_text("\n".join(found), encoding="utf-8")
    assert count > 20
    done = check(tmp_path, repository)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_error_would_be_found(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text('import guetzpy\n\nguetzpy.optimize("a.jpg", distance="far")\n')
    done = check(tmp_path, repository)
    assert done.returncode == 1
    assert "arg-type" in done.stdout
