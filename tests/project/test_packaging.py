"""The contents of a release, and that it works without the repository."""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

import guetzpy
from guetzpy._runtime import kernel

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).resolve().parents[2]

#: Whether wheels that are built here contain compiled kernels.
KERNELS = sys.platform == "linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"
needs_kernels = pytest.mark.skipif(not KERNELS, reason="kernels are compiled on x86-64")

#: Folder of the installed packages that guetzpy needs.
PACKAGES = Path(pytest.__file__).parents[1]


def call(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def tracked() -> Iterator[str]:
    """Yield the files of the repository, also new ones that are not committed."""
    if (ROOT / ".git").exists():
        listing = ("ls-files", "--cached", "--others", "--exclude-standard")
        yield from call("git", "-C", ROOT, *listing).splitlines()
    else:  # an unpacked sdist has no other files
        yield from (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist, and the wheel that was built from it."""
    for package in ("build", "hatchling"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "-o", folder, ROOT)
    tag = "py3-none-any"
    if KERNELS:
        python = "cp{}{}".format(*sys.version_info)
        tag = f"{python}-{python}-manylinux_2_17_x86_64"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"guetzpy-{guetzpy.__version__}-{tag}.whl",
        f"guetzpy-{guetzpy.__version__}.tar.gz",
    ]
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with the wheel, which also sees the packages installed here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    (wheel,) = dist.glob("*.whl")
    call(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    (place,) = call(
        python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    ).split()  # this folder comes before that of the packages installed here
    Path(place, "borrowed.pth").write_text(f"{PACKAGES}\n")
    return python


def test_metadata_is_fit_for_the_index(dist: Path) -> None:
    pytest.importorskip("twine")
    printed = call(sys.executable, "-m", "twine", "check", "--strict", *sorted(dist.iterdir()))
    assert printed.count("PASSED") == 2


def test_wheel_holds_the_package_and_the_manual(dist: Path) -> None:
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        info = f"guetzpy-{guetzpy.__version__}"
        metadata = wheel.read(f"{info}.dist-info/METADATA").decode()
    kernels = {name for name in names if name.startswith("guetzpy/_kernels/")}
    package = {name for name in names - kernels if name.startswith("guetzpy/")}
    assert package == {name for name in tracked() if name.startswith("guetzpy/") and (ROOT / name).exists()}
    assert "guetzpy/py.typed" in package
    names -= kernels
    assert names - package >= {
        f"{info}.data/data/share/man/man1/guetzpy.1",
        f"{info}.dist-info/entry_points.txt",
        f"{info}.dist-info/licenses/LICENSE",
        f"{info}.dist-info/licenses/NOTICE",
    }
    assert {name.split("/")[0] for name in names - package} == {f"{info}.data", f"{info}.dist-info"}
    assert "License-Expression: Apache-2.0\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata


def test_sdist_holds_what_the_tests_need(dist: Path, tmp_path: Path) -> None:
    """The sdist has all tracked files except settings of tools, and tests that read files pass in it."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    held = {name.relative_to(root).as_posix() for name in root.rglob("*") if name.is_file()}
    missing = {name for name in tracked() if (ROOT / name).exists()} - held
    assert missing <= {".gitignore", ".pre-commit-config.yaml"}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {"PYTHONPATH": str(root)}
    assert "error" not in call(*run, "--collect-only", "tests", cwd=root, **environment).lower().split()
    call(
        *run, "tests/project/test_imports.py", "tests/cli/test_options.py", "tests/project/test_docs.py",
        "-k", "not test_block and not transcript", cwd=root, **environment,
    )  # fmt: skip


def test_installed_wheel_works(installed: Path, tmp_path: Path) -> None:
    program = installed.with_name("guetzpy")
    assert call(program, "--version", cwd=tmp_path) == f"guetzpy {guetzpy.__version__}\n"
    assert call(installed, "-m", "guetzpy", "--version", cwd=tmp_path) == f"guetzpy {guetzpy.__version__}\n"
    where = call(installed, "-c", "import guetzpy; print(guetzpy.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parents[1]), "not the wheel's"
    photo = ROOT / "tests" / "data" / "coffee.jpg"
    call(program, "transcode", photo, "-o", "smaller.jpg", "--quiet", cwd=tmp_path)
    assert 0 < (tmp_path / "smaller.jpg").stat().st_size < photo.stat().st_size
    assert (installed.parents[1] / "share" / "man" / "man1" / "guetzpy.1").stat().st_size > 1000


@needs_kernels
def test_wheel_holds_all_kernels_for_processors_with_avx2(dist: Path, tmp_path: Path) -> None:
    """The files are intact, and no instruction uses a register that only AVX-512 has."""
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        files = [wheel.read(name) for name in wheel.namelist() if name.startswith("guetzpy/_kernels/")]
    kernel.import_kernels()
    assert len(files) == len(kernel.kernels()) > 100
    if shutil.which("objdump") is None:
        pytest.skip("no objdump")
    listing = ""
    for content in files:
        assert hashlib.sha256(content[32:]).digest() == content[:32]
        _, code, *_ = pickle.loads(content[32:])[0]
        if code:  # kernels that only kernels call have none
            (tmp_path / "kernel.o").write_bytes(code)
            listing += call("objdump", "-d", "--no-show-raw-insn", tmp_path / "kernel.o")
    assert len(re.findall("%ymm", listing)) > 1000
    assert not re.findall(r"%zmm|%k[0-7]|%[xy]mm(?:1[6-9]|2\d|3[01])", listing)


@needs_kernels
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")
def test_first_run_of_the_wheel_compiles_nothing(installed: Path, tmp_path: Path) -> None:
    """With an empty cache, and the bytes are those of code for this processor."""
    program = installed.with_name("guetzpy")
    photo = ROOT / "tests" / "data" / "coffee.jpg"
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for effort in ("fast", "balanced"):
        said = call(
            program, "optimize", photo, "-o", f"{effort}.jpg", "--effort", effort, cwd=tmp_path, **environment
        )
        assert "compiling" not in said
        assert (tmp_path / f"{effort}.jpg").read_bytes() == guetzpy.optimize(photo, effort=effort).data
    assert "none was compiled" in call(program, "warmup", cwd=tmp_path, **environment)
    assert not list(tmp_path.rglob("*.bin"))
    said = call(program, "transcode", photo, "-o", "a.jpg", cwd=tmp_path, NUMBA_OPT="1", **environment)
    assert "compiling" in said


def source_in(source: Path) -> Path:
    """Copy what a build needs."""
    for name in tracked():
        if name.startswith(("guetzpy/", "docs/guetzpy.1")) or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    return source


@needs_kernels
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")
def test_editable_installation_has_the_kernels_of_its_sources(tmp_path: Path) -> None:
    """They are compiled in the first installation, and again in the next one after a change."""
    pytest.importorskip("hatchling")
    pytest.importorskip("editables")  # which hatchling needs for editable installations
    source = source_in(tmp_path / "source")
    build = f"import hatch_build; hatch_build.build_editable({str(tmp_path)!r})"

    def kernels() -> dict[str, int]:
        call(sys.executable, "-c", build, cwd=source)
        found = (source / "guetzpy" / "_kernels").rglob("*.bin")
        return {path.parent.name + path.name: path.stat().st_mtime_ns for path in found}

    first = kernels()
    assert len(first) > 100
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(source)}
    photo = ROOT / "tests" / "data" / "coffee.jpg"
    optimise = (sys.executable, "-m", "guetzpy", "optimize", photo, "-o", "a.jpg", "--effort", "fast")
    assert "compiling" not in call(*optimise, cwd=source, **environment)
    assert kernels() == first
    with open(source / "guetzpy" / "metrics" / "blur.py", "a") as stream:
        stream.write("# a change\n")
    assert "compiling" in call(*optimise, cwd=source, **environment)
    assert len(kernels()) == len(first)
    assert not set(kernels().values()) & set(first.values())
    environment["NUMBA_CACHE_DIR"] = str(tmp_path / "another")
    assert "compiling" not in call(*optimise, cwd=source, **environment)


@pytest.mark.parametrize("way", ["no numba", "no hooks"])
def test_wheel_without_kernels(way: str, tmp_path: Path) -> None:
    """If kernels cannot be compiled, the wheel is the pure one, and the build says why."""
    pytest.importorskip("build")
    source = source_in(tmp_path / "source")
    environment, reason = {}, ""
    if way == "no numba":
        (tmp_path / "numba.py").write_text("raise ImportError('no numba here')")
        environment, reason = {"PYTHONPATH": str(tmp_path)}, "no numba here"
    else:
        environment = {"HATCH_BUILD_NO_HOOKS": "true"}
    said = call(
        sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", tmp_path, source, **environment
    )
    assert reason in said
    assert ("No compiled kernels" in said) == (way != "no hooks" and KERNELS)
    assert [path.name for path in tmp_path.glob("*.whl")] == [
        f"guetzpy-{guetzpy.__version__}-py3-none-any.whl"
    ]


def test_type_checkers_see_the_types(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(
        "import guetzpy\n\n\ndef small(path: str) -> int:\n"
        "    result: guetzpy.Result = guetzpy.optimize(path, distance=1.4, effort='fast')\n"
        "    return len(result.data)\n\n\n"
        "guetzpy.optimize('a.jpg', effort='slow')  # type: ignore[arg-type]\n"
    )
    printed = call(
        sys.executable, "-m", "mypy", "--strict", "--python-executable", installed, "user.py", cwd=tmp_path
    )
    assert "Success" in printed
