"""The compiled kernels in the package: which processors they fit, and where they are.

A wheel that was built on x86-64 contains all kernels, compiled for x86-64-v3, the level of the x86-64 psABI
with AVX2, FMA and BMI2.

The machine code also depends on the versions of numba and Python, and on numba's settings. A hash of all of
them names the folder, so that code for others is not found, and kernels are compiled as without it.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path
from typing import Any

import llvmlite
import numba

__all__ = ["LEVEL", "PackagedCodegen", "digest", "folder_of_kernels"]

#: Name of the processor, as LLVM calls it, for which the package's kernels are compiled.
LEVEL = "x86-64-v3"

#: The features of this level, as LLVM calls them (X86.td, ``X86_64V3Features``).
_FEATURES = frozenset(
    "64bit avx avx2 bmi bmi2 cmov crc32 cx16 cx8 f16c fma fxsr lzcnt mmx movbe popcnt sahf sse sse2 sse3 "
    "sse4.1 sse4.2 ssse3 xsave".split()
)
_FOLDER = Path(__file__).resolve().parents[1] / "_kernels"


def digest(key: Any) -> str:
    """Return a hash of a key, of the versions, and of numba's settings that change machine code."""
    config = numba.config
    flags = (config.BOUNDSCHECK, config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE)
    all_of_it = (sys.version_info[:2], numba.__version__, llvmlite.__version__, flags, key)
    return hashlib.sha256(repr(all_of_it).encode()).hexdigest()


class PackagedCodegen:
    """Takes the place of numba's code generator in the keys of the package's kernels.

    Parameters
    ----------
    codegen : numba.core.codegen.JITCPUCodegen
        The generator for the processor at hand.
    """

    def __init__(self, codegen: Any) -> None:
        self._triple, *self._processor = codegen.magic_tuple()

    def fits(self) -> bool:
        """Return whether the package's kernels fit the processor at hand, or the one that the user named."""
        if not self._triple.startswith("x86_64"):
            return False
        if numba.config.CPU_NAME is None and numba.config.CPU_FEATURES is None:
            return _has_level(self._processor[1])
        named: bool = self._processor == [LEVEL, ""]
        return named

    def magic_tuple(self) -> tuple[str, str, str]:
        """Return the processor's triple, name and features, as numba's code generator does."""
        return self._triple, LEVEL, ""


@functools.cache
def _has_level(features: str) -> bool:
    """Return whether a list such as ``"+avx,-avx512f"`` has all features of the level."""
    return {name[1:] for name in features.split(",") if name[:1] == "+"} >= _FEATURES


def folder_of_kernels(codegen: Any) -> Path | None:
    """Return the folder of the package's kernels if they fit; None if not. It need not exist."""
    packaged = PackagedCodegen(codegen)
    return _FOLDER / digest(packaged.magic_tuple())[:16] if packaged.fits() else None
