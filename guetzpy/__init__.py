"""Perceptually optimised JPEG re-encoding.

``guetzpy.optimize`` makes a picture a smaller JPEG at a wanted quality, ``guetzpy.transcode`` repacks a
JPEG without loss, ``guetzpy.metrics`` holds the two measures of what an eye would see.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guetzpy import batch, metrics
    from guetzpy.api import optimize, transcode, warmup
    from guetzpy.engine.compare import compare
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
    "metrics",
    "optimize",
    "transcode",
    "warmup",
]

#: When this process began to read the package: ``_runtime.kernel`` keeps no code of files that are younger.
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
    "optimize": "api",
    "transcode": "api",
    "warmup": "api",
}


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> Any:
        # Numba alone takes 0.3 s to import: only who works with pictures pays for it.
        if name in ("batch", "metrics"):
            return importlib.import_module(f"guetzpy.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'guetzpy' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"guetzpy.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
