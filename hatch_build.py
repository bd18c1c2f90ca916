"""The build backend: hatchling, with compiled kernels in the wheel.

On x86-64, a wheel gets the folder ``guetzpy/_kernels`` with all kernels, compiled by numba for x86-64-v3, so
that the first run compiles none (``guetzpy/_runtime/packaged.py`` finds them). An editable installation gets
none, because its sources change. If numba cannot be imported or a kernel cannot be compiled, the wheel is a
pure one, and the build says why. ``HATCH_BUILD_NO_HOOKS=true`` makes a pure wheel.
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


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Return what the build of a wheel needs; numba in the same versions as at run time.

    It is no static requirement, because numba and LLVM are 0.2 GB, which editable installations do not need.
    """
    needed: list[str] = _hatchling.get_requires_for_build_wheel(config_settings)
    if not _X86_64 or os.environ.get("HATCH_BUILD_NO_HOOKS") in ("1", "true"):
        return needed
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    return needed + [one for one in project["dependencies"] if one.startswith("numba")]


class KernelHook(BuildHookInterface):
    """Compiles the kernels before a wheel is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the compiled kernels and the platform's tag to a wheel."""
        if version != "standard":
            return
        if not _X86_64:
            self.app.display_info(
                f"The wheel has no compiled kernels: they are made on x86-64, not {platform.machine()}"
            )
            return
        self._folder = tempfile.mkdtemp(prefix="guetzpy-kernels-")
        done = _compile(self._folder)
        if done.returncode != 0:
            reason = done.stderr.strip().rpartition("\n")[2]
            self.app.display_warning(f"No compiled kernels in the wheel: {reason}")
            return
        name, count = done.stdout.split()
        self.app.display_info(f"{count} compiled kernels in the wheel")
        build_data["force_include"][str(Path(self._folder, "guetzpy"))] = f"guetzpy/_kernels/{name}"
        build_data["pure_python"] = False
        build_data["tag"] = _tag()

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


def _compile(folder: str) -> subprocess.CompletedProcess[str]:
    """Compile all kernels of this source tree into a folder, in a new process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {
        "NUMBA_CACHE_DIR": folder,
        "NUMBA_CPU_NAME": _LEVEL,
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING": "1",
        "NUMBA_DISABLE_INTEL_SVML": "1",  # a library that other machines may lack
    }
    command = [sys.executable, "-W", "ignore", __file__, folder]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def _main(folder: str) -> None:
    """Compile the kernels; print the name of their folder in the package, and their number."""
    # Python has put the folder of this script, the source tree, at the head of its path.
    from guetzpy._runtime import kernel, warmup
    from guetzpy._runtime.packaged import folder_of_kernels

    for _ in warmup.warm_in_processes(min(4, os.cpu_count() or 1)):
        pass
    count = len(list(kernel.warm()))  # compiles what a process failed to compile, or raises the error
    files = sum(1 for path in Path(folder).rglob("*.bin"))
    dispatcher, _ = next(iter(kernel.kernels().values()))
    place = folder_of_kernels(dispatcher.targetctx.codegen())
    if files != count or place is None:
        raise SystemExit(f"{files} of {count} kernels were kept")
    print(place.name, count)


if __name__ == "__main__":
    try:
        _main(sys.argv[1])
    except Exception as error:  # in one line, for the build's message
        raise SystemExit(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
