"""Perceptually optimised JPEG re-encoding.

``guetzpy.optimize`` encodes a picture as a JPEG of a requested quality in few bytes, ``guetzpy.transcode``
repacks a JPEG without loss, ``guetzpy.compare`` scores two pictures, ``guetzpy.inspect`` describes a JPEG,
``guetzpy.batch`` processes many pictures, and ``guetzpy.metrics`` has the perceptual metrics.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from guetzpy._runtime.forks import not_forked

if TYPE_CHECKING:
    from guetzpy import batch, metrics
    from guetzpy.api import optimize, transcode, warmup
    from guetzpy.engine.compare import compare
    from guetzpy.engine.inspect import inspect
    from guetzpy.errors import (
        CancelledError,
        FormatError,
        GuetzpyError,
        LimitError,
        TargetError,
        UnsupportedError,
    )
    from guetzpy.options import OptimizeOptions, TranscodeOptions
    from guetzpy.progress import Progress
    from guetzpy.result import Result

__version__ = "0.1.0"

__all__ = [
    "CancelledError",
    "FormatError",
    "GuetzpyError",
    "LimitError",
    "OptimizeOptions",
    "Progress",
    "Result",
    "TargetError",
    "TranscodeOptions",
    "UnsupportedError",
    "__version__",
    "batch",
    "compare",
    "inspect",
    "metrics",
    "optimize",
    "transcode",
    "warmup",
]

#: When this process began to import the package. Kernels of source files that are newer are not cached.
_BEGAN = time.time()

_HOMES = {
    "CancelledError": "errors",
    "FormatError": "errors",
    "GuetzpyError": "errors",
    "LimitError": "errors",
    "OptimizeOptions": "options",
    "Progress": "progress",
    "Result": "result",
    "TargetError": "errors",
    "TranscodeOptions": "options",
    "UnsupportedError": "errors",
    "compare": "engine.compare",
    "inspect": "engine.inspect",
    "optimize": "api",
    "transcode": "api",
    "warmup": "api",
}


if not TYPE_CHECKING:  # a type checker would accept any name of a module that has __getattr__

    def __getattr__(name: str) -> Any:
        # Modules are imported at the first use of a name, because the import of numba alone takes 0.3 s.
        home = name if name in ("batch", "metrics") else _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'guetzpy' has no attribute {name!r}")
        with not_forked():  # a forked child would wait for the lock of a half-imported module
            module = importlib.import_module(f"guetzpy.{home}")
        if name == home:
            return module
        value = getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
