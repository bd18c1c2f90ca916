"""The kernel cache: the faults of numba's cache that it avoids, and damaged or missing files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import kernel_cache as _cache
from guetzpy.picture import transform as picture

RUNTIME = Path(_jit.__file__).parent

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")

SIGNATURE = "int64(uint8[::1], float32[::1], float32[::1])"


def fresh() -> Any:
    """Return the kernel that looks up codes in a table, not yet compiled or loaded, as in a new process."""
    original = _jit.kernels()["guetzpy.picture.transform._lookup8"][0]
    return _jit.kernel(SIGNATURE)(original.py_func)


def works(dispatcher: Any) -> bool:
    codes = np.arange(256, dtype=np.uint8)
    table = np.linspace(0, 1, 256, dtype=np.float32)
    out = np.zeros(256, np.float32)
    dispatcher(codes, table, out)
    return np.array_equal(out, table)


def was_loaded(dispatcher: Any) -> bool:
    assert works(dispatcher)
    assert len(dispatcher.signatures) == 1
    return sum(dispatcher.stats.cache_hits.values()) == 1


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


@contextlib.contextmanager
def small_files_only() -> Iterator[None]:
    """Make writes fail after 1000 bytes, as on a full disk. Not a fixture, since pytest also writes files."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_second_process_loads(cache: Path) -> None:
    assert not was_loaded(fresh())
    assert len(files(cache)) == 1
    assert was_loaded(fresh())


def test_cache_is_for_its_owner_only(cache: Path) -> None:
    fresh().compile(numba.core.sigutils.normalize_signature(SIGNATURE)[0])
    assert files(cache)[0].parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "foreign"])
def test_damaged_file_is_compiled_again_and_mended(cache: Path, damage: str) -> None:
    works(fresh())
    (path,) = files(cache)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-100] ^= 1
    foreign = b"cos\nsystem\n(S'touch pwned'\ntR."
    path.write_bytes(
        {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "bit": bytes(flipped),
            "foreign": hashlib.sha256(foreign[::-1]).digest() + foreign,
        }[damage]
    )
    assert not was_loaded(fresh())
    assert path.read_bytes() != b""
    assert was_loaded(fresh())
    assert not Path("pwned").exists()


def test_disk_full(cache: Path) -> None:
    with small_files_only():
        assert works(fresh())
        assert files(cache) == []
        assert works(fresh())


def test_nowhere_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert not was_loaded(fresh())
    _jit.prune_cache()


@pytest.mark.parametrize(
    ("platform", "below"), [("win32", "local"), ("darwin", "Library/Caches"), ("linux", ".cache")]
)
def test_folders_of_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, below: str
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os.path, "expanduser", lambda path: str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert _cache.cache_directory() == tmp_path / below / "guetzpy"


def test_a_cache_that_cannot_be_written(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        _cache._KernelFiles(cache / "guetzpy" / "module" / "kernel").save("key", b"code")
    assert list((cache / "guetzpy" / "module").iterdir()) == []
    monkeypatch.setattr(_cache.tempfile, "TemporaryFile", refuse)
    assert not _cache.can_keep()


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert _cache.cache_directory() is None
    assert works(fresh())
    _jit.prune_cache()


def test_read_only_cache_is_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works(fresh())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert was_loaded(fresh())
    files(cache)[0].unlink()
    assert not was_loaded(fresh())


@pytest.mark.skipif(bool(numba.config.BOUNDSCHECK), reason="all code is checked in this run")
def test_bounds_checked_code_is_another(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works(fresh())
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    checked = fresh()
    assert not was_loaded(checked)
    with pytest.raises(IndexError):
        checked(np.full(3, 9, np.uint8), np.zeros(4, np.float32), np.zeros(3, np.float32))
    assert len(files(cache)) == 2


def test_notice_only_when_compiling(cache: Path) -> None:
    calls: list[int] = []
    with _jit.compilations(lambda: calls.append(1)):
        works(fresh())
        assert calls == [1]
        works(fresh())
        numba.njit(lambda x: x + 1)(1)  # functions of other programs are not reported
    assert calls == [1]


def test_pruning_keeps_what_is_current(cache: Path) -> None:
    works(fresh())
    old = cache / "guetzpy" / "guetzpy.picture.transform-0123456789abcdef"
    old.mkdir()
    (old / "x.bin").touch()
    (cache / "guetzpy" / "mine").mkdir()
    _jit.prune_cache()
    assert not old.exists()
    assert (cache / "guetzpy" / "mine").exists()
    assert was_loaded(fresh())


def test_every_kernel_compiles_as_declared() -> None:
    _jit.import_kernels()
    assert "guetzpy.picture.transform._lookup8" in _jit.kernels()
    for name, _ in _jit.warm():
        dispatcher, signature = _jit.kernels()[name]
        arguments, returns = numba.core.sigutils.normalize_signature(signature)
        assert dispatcher.signatures == [arguments], name
        returned = dispatcher.overloads[arguments].signature.return_type
        assert numba.types.unliteral(returned) == returns, name


def test_no_kernel_is_left_out_of_the_warm_up() -> None:
    """import_kernels() finds modules by a search in their source. No module with kernels may be missed."""
    _jit.import_kernels()
    modules = {name.rpartition(".")[0] for name in _jit.kernels()}
    for name in list(sys.modules):
        own = name.startswith("guetzpy.") and name != "guetzpy._runtime.kernel"
        if own and callable(getattr(sys.modules[name], "kernel", None)):
            assert name in modules, name


def test_without_jit() -> None:
    script = (
        "import numpy as np\nfrom guetzpy._runtime import kernel as _jit\n"
        "from guetzpy.picture import transform as picture\n"
        "codes, table, out = np.arange(4, dtype=np.uint8), np.ones(4, np.float32), np.zeros(4, np.float32)\n"
        "picture._lookup8(codes, table, out)\nassert out.sum() == 4\nassert not _jit.kernels()\n"
        "assert list(_jit.warm()) == []"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def build_wheel(folder: Path, version: str, inner: str) -> Path:
    """Make a wheel of a small guetzpy: the real _runtime, a kernel in inner.py, its caller in outer.py."""
    info = f"guetzpy-{version}.dist-info"
    contents = {
        "guetzpy/__init__.py": "_BEGAN = float('inf')\n",
        "guetzpy/errors.py": (RUNTIME.parent / "errors.py").read_text(),
        **{f"guetzpy/_runtime/{path.name}": path.read_text() for path in RUNTIME.glob("*.py")},
        "guetzpy/inner.py": "from guetzpy._runtime.kernel import kernel\n\n"
        f'@kernel("int64(int64)")\ndef inner(x):\n    return {inner}\n',
        "guetzpy/outer.py": "from guetzpy._runtime.kernel import kernel\nfrom guetzpy.inner import inner\n\n"
        '@kernel("int64(int64)")\ndef outer(x):\n    return inner(x) * 10\n',
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: guetzpy\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    contents[record] = "".join(f"{name},,\n" for name in [*contents, record])
    path = folder / f"guetzpy-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in contents.items():
            wheel.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text)
    return path


def test_upgrade_by_wheels(tmp_path: Path) -> None:
    """Version 2 changes the callee's file only; the caller must not keep version 1's code (numba#1833).

    No file is written to site-packages (numba#9312).
    """
    site, home = tmp_path / "site", tmp_path / "home"
    environment = {
        **os.environ, "PYTHONPATH": str(site), "NUMBA_CACHE_DIR": str(home), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    script = (
        "from guetzpy.outer import inner, outer\n"
        "print(inner(1), outer(1), sum(outer.stats.cache_hits.values()))"
    )

    def install_and_run(version: str, formula: str) -> str:
        wheel = build_wheel(tmp_path, version, formula)
        options = "--quiet --no-deps --no-index --no-compile --disable-pip-version-check --upgrade".split()
        command = [sys.executable, "-m", "pip", "install", *options, "--target", str(site), str(wheel)]
        subprocess.run(command, check=True)
        return run()

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert install_and_run("1.0", "x + 1") == "2 20 0"
    assert run() == "2 20 1"  # from the cache
    (caller,) = home.rglob("outer-*.bin")
    caller.unlink()
    assert run() == "2 20 0"  # compiled again, with a callee from the cache
    assert run() == "2 20 1"
    assert install_and_run("2.0", "x + 100") == "101 1010 0"
    assert {path.name for path in (site / "guetzpy").iterdir()} == {
        "__init__.py", "_runtime", "errors.py", "inner.py", "outer.py",
    }  # fmt: skip
    assert files(home)


def test_source_that_cannot_be_found_is_not_cached(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(_cache, "fingerprint", lambda module: None)
    assert not was_loaded(fresh())
    assert files(cache) == []


def test_outsiders_have_no_fingerprint() -> None:
    assert _cache.fingerprint("numpy") is None
    assert _cache.fingerprint("guetzpy.no_such_module") is None
    assert _cache.fingerprint(picture.__name__) is not None


def test_file_that_changes_while_it_is_imported_is_not_kept(tmp_path: Path) -> None:
    """If a process runs during an upgrade, its old code must not be stored with the new source's stamp."""
    package = tmp_path / "site" / "guetzpy"
    package.mkdir(parents=True)
    shutil.copytree(RUNTIME, package / "_runtime")
    for name in ("__init__.py", "errors.py"):
        shutil.copy(RUNTIME.parent / name, package)
    source = "from guetzpy._runtime.kernel import kernel\nimport upgrade\n\n"
    source += '@kernel("int64(int64)")\ndef f(x):\n    return x + 1\n'
    (package / "inner.py").write_text(source)
    (tmp_path / "site" / "upgrade.py").write_text(
        "import sys, time\nif sys.argv[1:]:\n    time.sleep(0.05)\n"
        f"    open({str(package / 'inner.py')!r}, 'w').write({source.replace('+ 1', '+ 2')!r})\n"
    )
    environment = {
        **os.environ, "PYTHONPATH": str(tmp_path / "site"), "NUMBA_CACHE_DIR": str(tmp_path / "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", "from guetzpy.inner import f\nprint(f(1))", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run("upgrade now") == "2"
    assert run() == "3"
    assert files(tmp_path / "home")  # this kernel is kept


def test_warm_up_by_processes(tmp_path: Path) -> None:
    """Worker processes compile all kernels. The script needs no ``if __name__ == "__main__":``."""
    script = (
        "import numpy as np\n"
        "from guetzpy._runtime import kernel as _jit, warmup as _warmup\n"
        "from guetzpy.picture import transform\n"
        "_jit.import_kernels = lambda: None\n"
        "print(*sorted(name for name, _ in _warmup.warm_in_processes(2)))\n"
        "print(*sorted(_jit.kernels()))\n"
        "list(_jit.warm())\n"
        "print([sum(kernel.stats.cache_hits.values()) for kernel, _ in _jit.kernels().values()])\n"
    )
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        # The package has no compiled kernels for the processor "generic".
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_CPU_NAME": "generic"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    compiled, registered, hits = done.stdout.splitlines()
    assert compiled == registered != ""
    assert set(hits) <= set("[1, ]")
