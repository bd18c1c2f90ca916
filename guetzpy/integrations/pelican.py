"""A plugin for Pelican that optimises the JPEG files of a site.

In ``pelicanconf.py``::

    PLUGINS = ["guetzpy.integrations.pelican"]
    GUETZPY_OPTIONS = {"distance": 1.4}  # optional; options of guetzpy.OptimizeOptions
"""

from __future__ import annotations

from typing import Any

from guetzpy import batch
from guetzpy.options import OptimizeOptions
from guetzpy.progress import logger

__all__ = ["register"]


def register() -> None:
    """Register the optimisation of all JPEG files of the built site, in place and on all processors."""
    from pelican import signals

    signals.finalized.connect(_optimize)


def _optimize(pelican: Any) -> None:
    options = OptimizeOptions(**pelican.settings.get("GUETZPY_OPTIONS", {}))
    with batch.run(pelican.settings["OUTPUT_PATH"], None, options, in_place=True) as run:
        for result in run:
            if result.status == "failed":
                logger.warning("%s: left as it is: %s", result.input, result.error)
