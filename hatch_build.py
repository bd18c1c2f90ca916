"""The build backend: hatchling, with compiled kernels for x86-64.

The kernels are compiled by numba for x86-64-v3, so that the first run compiles none. A wheel gets them as the
folder ``guetzpy/_kernels``, where ``guetzpy/_runtime/packaged.py`` finds them. An editable installation gets
them in the source tree, if those that are there are not of the present sources. If numba cannot be imported
or a kernel cannot be compiled, there are none, and the build says why. ``HATCH_BUILD_NO_HOOKS=true`` makes
none.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hatchling import build as _hatchling
from hatchling.build import *  # noqa: F403 - the functions that a build backend has
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_LEVEL = "x86-64-v3"
_X86_64 = platform.machine() in ("x86_64", "AMD64")


def _with_numba(needed: list[str]) -> list[str]:
    """Add numba, in the versions of the run time, to what a build needs.

    It is no static requirement, because numba and LLVM are 0.2 GB, which source archives do not need.
    """
    if not _X86_64 or os.environ.get("HATCH_BUILD_NO_HOOKS") in ("1", "true"):
        return needed
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    return needed + [one for one in project["dependencies"] if one.startswith("numba")]


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return what the build of a wheel needs."""
    return _with_numba(_hatchling.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_editable(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return what an editable installation needs."""
    return _with_numba(_hatchling.get_requires_for_build_editable(config_settings))


class KernelHook(BuildHookInterface):
    """Compiles the kernels before a wheel or an editable installation is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the compiled kernels and the platform's tag to a wheel, or the kernels to the source tree."""
        if not _X86_64:
            self.app.display_info(f"No compiled kernels: they are made on x86-64, not {platform.machine()}")
            return
        self._folder = tempfile.mkdtemp(prefix="guetzpy-kernels-")
        present = Path(self.root, "guetzpy", "_kernels")
        done = _compile(self._folder, present if version == "editable" else None)
        if done.returncode != 0:
            reason = done.stderr.strip().rpartition("\n")[2]
            self.app.display_warning(f"No compiled kernels: {reason}")
            return
        name, count = done.stdout.split()
        made = Path(self._folder, "cache", "guetzpy")
        if version != "editable":
            self.app.display_info(f"{count} compiled kernels in the wheel")
            build_data["force_include"][str(made)] = f"guetzpy/_kernels/{name}"
            build_data["pure_python"] = False
            build_data["tag"] = _tag()
        elif made.is_dir():
            self.app.display_info(f"{count} compiled kernels in {present}")
            shutil.rmtree(present / name, ignore_errors=True)
            shutil.copytree(made, present / name)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the temporary folder."""
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder, ignore_errors=True)


def _tag() -> str:
    """Return the tag of a wheel with kernels: for this Python version and system.

    The files call Python, numba's run time and memset, which numba finds when it loads them. They name no
    version of the C library, so the oldest manylinux with tags of this form fits.
    """
    from packaging.tags import sys_tags

    tags = list(sys_tags())  # from the most to the least particular
    best = tags[0]
    wanted = "manylinux_2_17_x86_64"
    place = wanted if any(tag.platform == wanted for tag in tags) else best.platform
    return f"{best.interpreter}-{best.abi}-{place}"


def _compile(folder: str, present: Path | None) -> subprocess.CompletedProcess[str]:
    """Compile all kernels of this source tree into a folder, in a new process.

    Nothing is compiled if ``present`` has a file for each kernel of the present sources.
    """
    # Kernels that are in the source tree would be loaded instead of compiled, so a copy without them is used.
    root = Path(__file__).resolve().parent
    shutil.copytree(
        root / "guetzpy", Path(folder, "guetzpy"), ignore=shutil.ignore_patterns("_kernels", "__pycache__")
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {
        "NUMBA_CACHE_DIR": str(Path(folder, "cache")),
        "NUMBA_CPU_NAME": _LEVEL,
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING": "1",
        "NUMBA_DISABLE_INTEL_SVML": "1",  # a library that other machines may lack
    }
    command = [sys.executable, "-W", "ignore", __file__, folder, str(present or "")]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*.bin")}


def _main(folder: str, present: str) -> None:
    """Compile the kernels; print the name of their folder in the package, and their number."""
    sys.path.insert(0, folder)
    from guetzpy._runtime import kernel, warmup
    from guetzpy._runtime.packaged import folder_of_kernels

    kernel.import_kernels()
    dispatchers = [dispatcher for dispatcher, _ in kernel.kernels().values()]
    place = folder_of_kernels(dispatchers[0].targetctx.codegen())
    if place is None:
        raise SystemExit("numba compiles for another processor")
    count = len(dispatchers)
    modules = {Path(dispatcher._cache.cache_path).name for dispatcher in dispatchers}
    files = _files(Path(present, place.name)) if present else set()
    if len(files) == count and {path.parts[0] for path in files} == modules:
        print(place.name, count)
        return
    for _ in warmup.warm_in_processes(min(4, os.cpu_count() or 1)):
        pass
    list(kernel.warm())  # compiles what a process failed to compile, or raises the error
    made = len(_files(Path(folder, "cache")))
    if made != count:
        raise SystemExit(f"{made} of {count} kernels were kept")
    print(place.name, count)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except Exception as error:  # in one line, for the build's message
        raise SystemExit(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
