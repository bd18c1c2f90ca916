"""An optimizer for Thumbor.

In ``thumbor.conf``::

    OPTIMIZERS = ["guetzpy.integrations.thumbor"]
    GUETZPY_OPTIONS = {"distance": 2.0, "effort": "fast"}  # optional: as for guetzpy.optimize

Thumbor encodes with ``QUALITY`` first: give it a high one, 95 say, so that there is something to choose.
"""

from __future__ import annotations

from typing import Any

from guetzpy.integrations import _uploads

__all__ = ["Optimizer"]


class Optimizer:
    """The optimizer, one for each request (the protocol of ``thumbor.optimizers.BaseOptimizer``).

    Parameters
    ----------
    context : thumbor.context.Context
        Of the request; its ``config`` may hold ``GUETZPY_OPTIONS``.
    """

    def __init__(self, context: Any) -> None:
        self.context = context
        wanted = getattr(context.config, "GUETZPY_OPTIONS", None)
        self.options: dict[str, Any] = {"effort": "fast", **(wanted or {})}

    def should_run(self, image_extension: str, image_buffer: bytes) -> bool:
        """Return whether this is a JPEG."""
        return _uploads.is_jpeg(image_buffer[:3])

    def run_optimizer(self, image_extension: str, buffer: bytes) -> bytes:
        """Return a JPEG in fewer bytes; anything else, and one that is broken, as it is."""
        return _uploads.smaller(bytes(buffer), image_extension, **self.options)
