"""An optimizer for Willow, which Wagtail uses; it makes JPEG renditions smaller.

In a Django project it is registered when the apps are ready; in a script, before images are saved::

    WILLOW_OPTIMIZERS = ["guetzpy"]         # settings.py; or set the environment variable to guetzpy


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
    """Register :class:`Guetzpy`. Willow uses it if ``WILLOW_OPTIMIZERS`` contains "guetzpy" or is True."""
    from willow.registry import registry

    registry.register_optimizer(Guetzpy)


class Guetzpy:
    """An optimizer with the interface of ``willow.optimizers.base.OptimizerBase``; it runs in this process.

    To change the options, register a subclass with another ``options``.
    """

    library_name: ClassVar[str] = "guetzpy"
    image_format: ClassVar[str] = "jpeg"

    #: Options of :func:`guetzpy.optimize`. The default effort is the lowest, since a page waits for the
    #: rendition.
    options: ClassVar[dict[str, Any]] = {"effort": "fast"}

    @classmethod
    def applies_to(cls, image_format: str) -> bool:
        """Return whether the optimizer applies to a format; True only for JPEG."""
        return image_format.lower() == cls.image_format

    @classmethod
    def check_library(cls) -> bool:
        """Return True, since the library is guetzpy itself."""
        return True

    @classmethod
    def process(cls, file_path: str) -> None:
        """Optimise a JPEG file in place. A damaged file is not changed; a warning is logged."""
        _uploads.shrink_file(file_path, **cls.options)
