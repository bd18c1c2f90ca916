"""The contents of a release, and that it works without the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import guetzpy

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).resolve().parents[2]

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
    assert sorted(path.name for path in folder.iterdir()) == [
        f"guetzpy-{guetzpy.__version__}-py3-none-any.whl",
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
    package = {name for name in names if name.startswith("guetzpy/")}
    assert package == {name for name in tracked() if name.startswith("guetzpy/") and (ROOT / name).exists()}
    assert "guetzpy/py.typed" in package
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
