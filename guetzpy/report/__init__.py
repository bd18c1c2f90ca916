"""The report of a run: one page that opens from disk and asks nobody for anything, or the same as JSON.

:class:`Collection` takes the results as they come and writes either.
"""

from __future__ import annotations

from guetzpy.report.collection import Collection
from guetzpy.report.pictures import Bounds

__all__ = ["Bounds", "Collection"]
