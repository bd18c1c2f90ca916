"""Imports go in one direction and load little, and the kernel cache finds all of them."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

import guetzpy
from guetzpy._runtime import kernel_cache

PACKAGE = Path(guetzpy.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
BENCH = sorted((PACKAGE.parent / "bench").rglob("*.py"))

#: Packages and modules in layers. Each imports only from itself and from earlier layers.
ROWS = [
    {"_option", "errors"},
    {"_common_options"},
    {"_runtime", "notebook", "output"},
    {"model"},
    {"options"},
    {"progress", "result"},
    {"picture"},
    {"jpeg", "metrics"},
    {"search"},
    {"gainmap"},
    {"engine"},
    {"api"},
    {"batch", "report", "integrations"},
    {"train"},
    {"cli"},
    {"__main__"},
]
ROW_OF = {name: i for i, row in enumerate(ROWS) for name in row}
#: Pairs of the same layer of which the first may import the second.
FRIENDS = {("integrations", "batch"), ("report", "batch")}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names of the modules that an import statement loads."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative import"
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            yield full if is_module(full) else str(node.module)


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def run_time_imports(tree: ast.AST) -> Iterator[str]:
    """Yield all imports, also those inside functions, without those for type checkers."""
    for child in ast.iter_child_nodes(tree):
        if not for_types_only(child):
            yield from imported(child)
            yield from run_time_imports(child)


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    for child in tree.body:
        yield from imported(child)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_one_way(path: Path) -> None:
    module = module_of(path)
    own = [*module.split("."), ""][1]
    for name in run_time_imports(ast.parse(path.read_text())):
        if not name.startswith("guetzpy."):
            continue
        other = name.split(".")[1]
        assert other in ROW_OF, f"{module} imports {name}, which is not in ROWS: add it to a layer"
        if own in ("", other) or (own, other) in FRIENDS:
            continue
        assert ROW_OF[other] < ROW_OF[own], f"{module} must not import {name}"


def test_imports_of_the_bench_go_one_way() -> None:
    """No modules of the bench import each other in a cycle, also not by imports within functions."""
    graph = {
        module_of(path): {
            name for name in run_time_imports(ast.parse(path.read_text())) if name.startswith("bench.")
        }
        for path in BENCH
    }
    assert "bench.peers" in graph["bench.rate_distortion"]
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the cycle


@pytest.mark.parametrize("path", BENCH, ids=module_of)
def test_what_the_bench_imports_is_there(path: Path) -> None:
    """Imports within functions would otherwise fail late, in parts that take minutes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "guetzpy":
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name) or is_module(f"{node.module}.{alias.name}"), alias.name


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_the_package_does_not_know_the_bench(path: Path) -> None:
    assert not [n for n in run_time_imports(ast.parse(path.read_text())) if n.split(".")[0] == "bench"]


def test_no_circle() -> None:
    """No modules import each other in a cycle, within packages too, and by imports within functions too."""
    graph = {}
    for path in FILES:
        module = module_of(path)
        names = run_time_imports(ast.parse(path.read_text()))
        own = {name for name in names if name.startswith("guetzpy.") and is_module(name)}
        graph[module] = own - {module}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_packages_have_at_most_20_files() -> None:
    for folder in {path.parent for path in FILES}:
        count = sum(path.parent == folder and path.name != "__init__.py" for path in FILES)
        assert count <= 20, f"{folder.name}: {count} files"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_heavy_packages_stay_in_their_place(path: Path) -> None:
    module = module_of(path)
    tree = ast.parse(path.read_text())
    for name in run_time_imports(tree):
        package = name.split(".")[0]
        if package in ("typer", "rich", "click"):
            assert module.startswith("guetzpy.cli"), f"{module} imports {name}"
        if package in ("numba", "llvmlite"):
            allowed = (
                "guetzpy._runtime.kernel",
                "guetzpy._runtime.kernel_cache",
                "guetzpy._runtime.packaged",
                "guetzpy._runtime.compiler",
                "guetzpy.metrics._fused",
            )
            assert module in allowed, f"{module} imports {name}"
        assert package not in ("scipy", "skimage"), f"{module} imports {name}, which is not installed with it"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_kernel_cache_sees_every_import(path: Path) -> None:
    """The regular expression of the kernel cache finds all imports that Python's parser finds."""
    source = path.read_text()
    wanted = {name for name in top_level_imports(ast.parse(source)) if name.split(".")[0] == "guetzpy"}
    assert wanted <= set(kernel_cache.imports(source))


def test_fingerprint_regex_on_awkward_layouts() -> None:
    source = (
        "from guetzpy.a import x\nfrom guetzpy.b import y\nimport guetzpy.c\n"
        "from guetzpy.d import (\n    e,  # why, really\n    f as g,\n)\nfrom guetzpy import h, i\n"
    )
    assert {
        "guetzpy.a", "guetzpy.b", "guetzpy.c", "guetzpy.d", "guetzpy.d.e", "guetzpy.d.f",
        "guetzpy.h", "guetzpy.i",
    } <= set(kernel_cache.imports(source))  # fmt: skip


def loaded_after(code: str) -> set[str]:
    """Return the top-level packages that a new interpreter has loaded after some code."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


#: Packages of the extras, each imported by the one module that needs it.
OF_EXTRAS = {"fsspec", "pillow_heif", "pillow_jxl", "rawpy"}


def test_what_is_imported_is_installed_with_the_package() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    installed = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}  # type: ignore[index]
    imported = {
        name.split(".")[0]
        for path in FILES
        if path.parent.name != "integrations"  # these import packages that their users have
        for name in run_time_imports(ast.parse(path.read_text()))
    }
    others = imported - set(sys.stdlib_module_names) - {"guetzpy"}
    names = {{"PIL": "pillow", "llvmlite": "numba"}.get(name, name) for name in others}
    assert names - OF_EXTRAS == installed


def test_import_is_light() -> None:
    heavy = {"numba", "numpy", "scipy", "skimage", "PIL", "typer", "rich", "asyncio"}
    assert not loaded_after("import guetzpy") & heavy


@pytest.mark.parametrize("arguments", [["--help"], ["optimize", "--help"], ["--version"]])
def test_help_is_light(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom guetzpy.cli import main\n"
        f"sys.argv = ['guetzpy', *{arguments}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code"
    )
    heavy = {"numba", "numpy", "scipy", "skimage", "PIL", "rich", "asyncio", "multiprocessing", "sqlite3"}
    assert not loaded_after(code) & heavy


def test_a_warm_start_is_light(tmp_path: Path) -> None:
    """Loading kernels does not import numba's modules for compilation, nor those that only folders need."""
    if numba.config.DISABLE_JIT:
        pytest.skip("needs compiled kernels")
    photo = PACKAGE.parent / "tests" / "data" / "coffee.jpg"
    script = (
        "import sys\nfrom guetzpy.cli import main\n"
        f"sys.argv = ['guetzpy', 'transcode', {str(photo)!r}, '-o', {str(tmp_path / 'a.jpg')!r}, '--quiet']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print(*sys.modules)"
    )
    for _ in range(2):  # the first run may compile kernels
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "guetzpy._runtime.kernel" in loaded
    assert not loaded & {
        "numba.np.arraymath", "numba.np.arrayobj", "numba.cpython.unicode", "scipy.linalg", "skimage",
        "multiprocessing", "asyncio", "rich", "sqlite3", "jinja2", "guetzpy._runtime.processes",
    }  # fmt: skip
