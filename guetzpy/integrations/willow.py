"""An optimizer for Willow, and so for Wagtail: renditions that are JPEG become smaller.

In a Django project, once apps are ready (and in a script, before images are saved)::

    WILLOW_OPTIMIZERS = ["guetzpy"]         # settings.py; or the environment's WILLOW_OPTIMIZERS=guetzpy


    class MediaConfig(AppConfig):           # apps.py
        def ready(self):
            from guetzpy.integrations import willow

            willow.register()
"""

from __future__ import annotations

from typing import Any, ClassVar

from guetzpy.integrations import _uploads

__all__ = ["Guetzpy", "register"]


def register() -> None:
    """Register :class:`Guetzpy`; Willow takes it if ``WILLOW_OPTIMIZERS`` names guetzpy, or is True."""
    from willow.registry import registry

    registry.register_optimizer(Guetzpy)


class Guetzpy:
    """An optimizer as Willow expects it (``willow.optimizers.base.OptimizerBase``), within the process.

    For other options, make a subclass with others, and register that instead.
    """

    library_name: ClassVar[str] = "guetzpy"
    image_format: ClassVar[str] = "jpeg"

    #: Of :func:`guetzpy.optimize`. The default effort is the least, since a page waits for the rendition.
    options: ClassVar[dict[str, Any]] = {"effort": "fast"}

    @classmethod
    def applies_to(cls, image_format: str) -> bool:
        """Return whether this is for files of a format: JPEG only."""
        return image_format.lower() == cls.image_format

    @classmethod
    def check_library(cls) -> bool:
        """Return True: the library is this one."""
        return True

    @classmethod
    def process(cls, file_path: str) -> None:
        """Make a JPEG smaller, in place; one that is broken stays, with a warning in the log."""
        _uploads.shrink_file(file_path, **cls.options)
