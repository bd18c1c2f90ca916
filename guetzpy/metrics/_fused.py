"""The fused multiply-add of IEEE 754 for kernels: one rounding, and the same digits on all processors.

libjxl's kernels use it, and its rounding changes their scores. On processors without the instruction,
libm's ``fmaf`` is called, which is slower and returns the same, correctly rounded, result.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

__all__ = ["fma"]


if numba.config.DISABLE_JIT:

    def fma(a: Any, b: Any, c: Any) -> Any:
        """Return ``a * b + c`` of float32 values, rounded once, or twice if the float64 sum is inexact."""
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))

else:

    @intrinsic  # type: ignore[untyped-decorator]
    def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
        """Return ``a * b + c`` of float32 values, rounded once."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.fma(*arguments)

        return types.float32(types.float32, types.float32, types.float32), generate
