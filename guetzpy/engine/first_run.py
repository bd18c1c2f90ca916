"""The kernels that a search needs, so that the first run compiles no others.

Of 24 s of processor time for all kernels, those of effort ``balanced`` take 18 s, those of ``fast`` 9 s (AMD
EPYC, Python 3.11). The others are compiled when they are first called, or by ``guetzpy warmup``. A search by
``fast`` that misses the limits twice continues as ``balanced``, and compiles what it needs then.
"""

from __future__ import annotations

__all__ = ["unused"]

# IW-SSIM takes part in no search.
_NO_SEARCH = ("guetzpy.metrics._iwssim.", "guetzpy.jpeg.quantization.")
# The open loop takes no gradients.
_NO_GRADIENT = (
    *_NO_SEARCH,
    "guetzpy.metrics._butteraugli.gradient.",
    "guetzpy.metrics._butteraugli.line_slopes.",
    "guetzpy.metrics._cvvdp.",
    "guetzpy.metrics._ssimulacra2.passes.",
    "guetzpy.metrics._tiles.",
    "guetzpy.search.quality.sensitivity.",
)


def unused(effort: str) -> tuple[str, ...]:
    """Return the first parts of the full names of the kernels that this effort does not call."""
    return _NO_GRADIENT if effort == "fast" else _NO_SEARCH
