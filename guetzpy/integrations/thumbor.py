"""An optimizer for Thumbor that makes its JPEG files smaller.

In ``thumbor.conf``::

    OPTIMIZERS = ["guetzpy.integrations.thumbor"]
    GUETZPY_OPTIONS = {"distance": 2.0, "effort": "fast"}  # optional; options of guetzpy.optimize

Thumbor encodes the picture with its ``QUALITY`` first. Set this to a high value such as 95, so that the loss
of that encode is small.
"""

from __future__ import annotations

from typing import Any

from guetzpy.integrations import _uploads

__all__ = ["Optimizer"]


class Optimizer:
    """An optimizer with the interface of ``thumbor.optimizers.BaseOptimizer``. Thumbor makes one per request.

    Parameters
    ----------
    context : thumbor.context.Context
        Context of the request. ``GUETZPY_OPTIONS`` of its ``config`` is used if it is set.
    """

    def __init__(self, context: Any) -> None:
        self.context = context
        wanted = getattr(context.config, "GUETZPY_OPTIONS", None)
        self.options: dict[str, Any] = {"effort": "fast", **(wanted or {})}

    def should_run(self, image_extension: str, image_buffer: bytes) -> bool:
        """Return whether the data is a JPEG."""
        return _uploads.is_jpeg(image_buffer[:3])

    def run_optimizer(self, image_extension: str, buffer: bytes) -> bytes:
        """Return the picture as a smaller JPEG. Damaged JPEG files and other data are returned unchanged."""
        return _uploads.smaller(bytes(buffer), image_extension, **self.options)
