"""The report of a run, as an HTML page or as JSON.

The page is a single file that loads nothing from the network. :class:`Collection` takes the results of the
run and writes the report.
"""

from __future__ import annotations

from guetzpy.report.beside import Earlier
from guetzpy.report.collection import Collection
from guetzpy.report.pictures import Bounds
from guetzpy.report.preview import preview

__all__ = ["Bounds", "Collection", "Earlier", "preview"]
