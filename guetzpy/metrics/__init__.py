"""Perceptual metrics. They take arrays, return scores and maps of errors, and do not depend on JPEG.

The names are imported at their first use, so that ``import guetzpy`` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guetzpy.metrics._butteraugli.comparator import ButteraugliComparator
    from guetzpy.metrics._cvvdp.comparator import CVVDPComparator
    from guetzpy.metrics._functions import butteraugli, cvvdp, iwssim, ssimulacra2
    from guetzpy.metrics._iwssim._comparator import IWSSIMComparator
    from guetzpy.metrics._ssimulacra2.comparator import SSIMULACRA2Comparator

__all__ = [
    "ButteraugliComparator",
    "CVVDPComparator",
    "IWSSIMComparator",
    "SSIMULACRA2Comparator",
    "butteraugli",
    "cvvdp",
    "iwssim",
    "ssimulacra2",
]

_MODULES = {
    "ButteraugliComparator": "guetzpy.metrics._butteraugli.comparator",
    "CVVDPComparator": "guetzpy.metrics._cvvdp.comparator",
    "IWSSIMComparator": "guetzpy.metrics._iwssim._comparator",
    "SSIMULACRA2Comparator": "guetzpy.metrics._ssimulacra2.comparator",
    "butteraugli": "guetzpy.metrics._functions",
    "cvvdp": "guetzpy.metrics._functions",
    "iwssim": "guetzpy.metrics._functions",
    "ssimulacra2": "guetzpy.metrics._functions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
