"""Compiled kernels in the package: when they are used, and that nothing is written to them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target

from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import kernel_cache as _cache
from guetzpy._runtime import packaged as _packaged
from guetzpy.picture import transform

pytestmark = [
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels"),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="levels of x86-64"),
]

V3 = (
    "64bit avx avx2 bmi bmi2 cmov crc32 cx16 cx8 f16c fma fxsr lzcnt mmx movbe popcnt sahf sse sse2 sse3 "
    "sse4.1 sse4.2 ssse3 xsave"
).split()
TRIPLE = "x86_64-unknown-linux-gnu"

#: Compiles the kernels of some modules as hatch_build.py does, and prints the name of the package's folder.
COMPILE = """
import importlib, sys
from pathlib import Path
from numba.core.registry import cpu_target
from guetzpy._runtime import kernel, packaged
packaged._FOLDER = Path("no kernels, so that they are compiled")
for module in sys.argv[1:]:
    importlib.import_module(module)
list(kernel.warm([name for name in kernel.kernels() if name.startswith(tuple(sys.argv[1:]))]))
print(packaged.folder_of_kernels(cpu_target.target_context.codegen()).name)
"""

#: Calls a kernel that calls inner kernels; prints its result, its loads from files, and those of its callee.
CALL = """
import sys
from pathlib import Path
from guetzpy._runtime import kernel, packaged
packaged._FOLDER = Path(sys.argv[1])
import numpy as np
from guetzpy.metrics import blur
taps, plane = blur.half_kernel(1.2), np.random.default_rng(1).random((20, 30), np.float32)
gains, out = (blur.edge_gain(20, 1.2), blur.edge_gain(30, 1.2)), np.empty_like(plane)
blur.blur_rows(plane, 0, 20, taps, *gains, blur.scratch_rows(30, taps), out)
print(out.tobytes().hex())
print(sum(blur.blur_rows.stats.cache_hits.values()), sum(blur._add_pairs.stats.cache_hits.values()))
print(*kernel.missing())
"""


class Codegen:
    """Takes the place of numba's code generator on some processor."""

    def __init__(self, triple: str, *processor: str) -> None:
        self._target = triple, *processor

    def magic_tuple(self) -> tuple[str, ...]:
        return self._target


def fits(features: str, name: str = "any", triple: str = TRIPLE) -> bool:
    return _packaged.PackagedCodegen(Codegen(triple, name, features)).fits()


def on(names: list[str]) -> str:
    return ",".join(f"+{name}" for name in names)


def python(script: str, *arguments: str | Path, cache: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the kernels of two modules for the packages' level of processors."""
    if not fits(cpu_target.target_context.codegen().magic_tuple()[2]):
        pytest.skip("this processor has no AVX2")
    folder = tmp_path_factory.mktemp("kernels")
    name = python(
        COMPILE, transform.__name__, "guetzpy.metrics.blur", cache=folder,
        NUMBA_CPU_NAME=_packaged.LEVEL, NUMBA_CPU_FEATURES="",
    ).strip()  # fmt: skip
    return (folder / "guetzpy").rename(folder / name).parent


@pytest.fixture
def package(compiled: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package have the compiled kernels; return their folder. The user's cache is empty."""
    folder = tmp_path / "package" / "_kernels"
    shutil.copytree(compiled, folder)
    monkeypatch.setattr(_packaged, "_FOLDER", folder)
    return folder


def fresh() -> Any:
    """Return the kernel that looks up codes in a table, not yet compiled or loaded, as in a new process."""
    original, signature = _jit.kernels()["guetzpy.picture.transform._lookup8"]
    return _jit.kernel(signature)(original.py_func)


def was_loaded(dispatcher: Any) -> bool:
    codes, table = np.arange(256, dtype=np.uint8), np.linspace(0, 1, 256, dtype=np.float32)
    out = np.zeros(256, np.float32)
    dispatcher(codes, table, out)
    assert np.array_equal(out, table)
    return sum(dispatcher.stats.cache_hits.values()) == 1


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def kept(cache: Path) -> int:
    return len(list(cache.rglob("*.bin")))


def test_a_processor_needs_every_feature_of_the_level() -> None:
    assert fits(on([*V3, "avx512f"]) + ",-amx-tile")
    for name in V3:
        assert not fits(on([each for each in V3 if each != name]) + f",-{name}"), name
    assert not fits(on(V3), triple="aarch64-unknown-linux-gnu")
    assert not fits("")


@pytest.mark.parametrize(
    ("name", "features", "used"),
    [
        ("x86-64-v3", "", True),
        ("x86-64-v3", "+avx512f", False),
        ("x86-64-v2", "", False),
        ("generic", "", False),
        ("znver4", on(V3), False),
    ],
)
def test_the_processor_that_the_user_names(
    name: str, features: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CPU_NAME", name)
    monkeypatch.setattr(numba.config, "CPU_FEATURES", features)
    assert fits(features, name) == used


@pytest.mark.parametrize("setting", ["BOUNDSCHECK", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE"])
def test_other_settings_have_another_folder(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codegen = Codegen(TRIPLE, "any", on(V3))
    usual = _packaged.folder_of_kernels(codegen)
    monkeypatch.setattr(numba.config, setting, 2)
    assert usual != _packaged.folder_of_kernels(codegen)


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        ("numba", "__version__", "0.99.0"),
        ("llvmlite", "__version__", "0.99.0"),
        ("sys", "version_info", (3, 99, 0)),
    ],
)
def test_other_versions_have_another_folder(
    owner: str, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    codegen = Codegen(TRIPLE, "any", on(V3))
    usual = _packaged.folder_of_kernels(codegen)
    monkeypatch.setattr(getattr(_packaged, owner), name, value)
    assert usual != _packaged.folder_of_kernels(codegen)


def test_the_packages_kernels_are_loaded_and_nothing_is_written(package: Path, cache: Path) -> None:
    before = state(package)
    assert _jit.packaged() is not None
    assert was_loaded(fresh())
    assert state(package) == before
    assert kept(cache) == 0


def test_the_users_cache_comes_first(package: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(_packaged, "_FOLDER", package / "none")
        assert not was_loaded(fresh())
    assert kept(cache) == 1
    shutil.rmtree(package)
    assert was_loaded(fresh())


def test_without_a_cache_folder(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "cache_directory", lambda: None)
    assert was_loaded(fresh())
    shutil.rmtree(package)
    assert not was_loaded(fresh())
    assert not _jit.missing()


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "fault",
    [
        spoil,
        lambda path: path.write_bytes(b""),
        Path.unlink,
        lambda path: path.chmod(0o666),
        lambda path: path.parent.chmod(0o777),
    ],
    ids=["damaged", "empty", "absent", "file of all", "folder of all"],
)
def test_a_file_that_cannot_be_used_is_compiled(
    package: Path, cache: Path, fault: Callable[[Path], Any]
) -> None:
    (path,) = package.rglob("_lookup8-*.bin")
    fault(path)
    before = state(package)
    assert not was_loaded(fresh())
    assert state(package) == before
    assert kept(cache) == 1
    assert was_loaded(fresh())


@pytest.mark.skipif(bool(numba.config.BOUNDSCHECK), reason="all code is checked in this run")
def test_code_with_bounds_checks_is_compiled(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    assert _jit.packaged() is None
    assert not was_loaded(fresh())


def test_another_source_is_compiled(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "fingerprint", lambda module: "0" * 64)
    assert not was_loaded(fresh())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes")
def test_who_may_write_to_the_package_may_write_its_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A umask of 002 lets the group write to all that pip installs."""
    monkeypatch.setattr(_cache, "PACKAGE", tmp_path)
    mine, group = os.getuid(), tmp_path.stat().st_gid

    def trusted(mode: int, owner: int = mine, its_group: int = group) -> bool:
        state = os.stat_result((mode, 0, 0, 1, owner, its_group, 0, 0, 0, 0))
        return _cache._objection_to_packaged(state) is None

    tmp_path.chmod(0o755)
    assert trusted(0o100644)
    assert not trusted(0o100664)
    assert not trusted(0o100646)
    assert not trusted(0o100644, owner=mine + 1)
    tmp_path.chmod(0o775)
    assert trusted(0o100664)
    assert not trusted(0o100664, its_group=group + 1)
    assert not trusted(0o100666)


def test_callers_are_compiled_with_the_packages_callees(package: Path, cache: Path) -> None:
    """A kernel that the package lacks contains copies of those that were loaded from it."""
    pixels, loads, missing = python(CALL, package, cache=cache).splitlines()
    assert loads == "1 0"
    assert missing
    assert not set(missing.split()) & {"guetzpy.metrics.blur", transform.__name__}
    (caller,) = package.rglob("blur_rows-*.bin")
    caller.unlink()
    again, loads, _ = python(CALL, package, cache=cache).splitlines()
    assert (again, loads) == (pixels, "0 1")
    assert python(CALL, package, cache=cache).splitlines()[:2] == [pixels, "1 0"]


def test_keys_are_those_of_the_build(package: Path) -> None:
    """Numba's key contains the processor as ``magic_tuple()`` gives it, and nothing else of the generator."""
    codegen = cpu_target.target_context.codegen()
    packaged = _packaged.PackagedCodegen(codegen)
    cache = fresh()._cache
    assert codegen.magic_tuple() in cache._index_key((), codegen)
    assert packaged.magic_tuple() in cache._index_key((), packaged)
    assert packaged.magic_tuple()[1:] == ("x86-64-v3", "")
