"""Limits on the size of files, functions and packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("guetzpy", "bench", "tests") for path in (ROOT / folder).rglob("*.py"))

LINES_OF_A_FILE = 400
#: Without the signature and the docstring, since those of public functions with many options are long.
LINES_OF_A_FUNCTION = 80
FILES_OF_A_PACKAGE = 20


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function's statements, from the first one that is no docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def long_functions(tree: ast.AST) -> Iterator[str]:
    """Yield the long functions without kernels. (Each function that a kernel calls takes time to compile.)"""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {ast.unparse(each).partition("(")[0] for each in node.decorator_list}
            if length(node) > LINES_OF_A_FUNCTION and "kernel" not in decorators:
                yield f"{node.name}: {length(node)} lines"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path: Path) -> None:
    source = path.read_text()
    count = len(source.splitlines())
    assert count <= LINES_OF_A_FILE, f"{count} lines: split the file at a natural seam"
    assert not list(long_functions(ast.parse(source)))


def test_long_functions_are_found() -> None:
    body = "    x = 1\n" * (LINES_OF_A_FUNCTION + 1)
    assert list(long_functions(ast.parse(f"def f():\n    '''Doc.'''\n{body}"))) == ["f: 81 lines"]
    assert not list(long_functions(ast.parse(f"@kernel('int64()')\ndef f():\n{body}")))
    assert not list(long_functions(ast.parse(f"def f():\n    '''{body}'''\n    return 1\n")))


def test_packages_have_few_files() -> None:
    for folder in {path.parent for path in FILES if not name_of(path).startswith("tests")}:
        count = sum(path.parent == folder and path.name != "__init__.py" for path in FILES)
        assert count <= FILES_OF_A_PACKAGE, f"{name_of(folder)}: {count} files"
