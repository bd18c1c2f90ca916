"""Uploads that are JPEG become smaller on their way into any storage of Django.

In the project::

    from django.core.files.storage import FileSystemStorage
    from guetzpy.integrations.django import OptimizeMixin


    class MediaStorage(OptimizeMixin, FileSystemStorage):  # or S3Storage, or any other
        guetzpy_options = {"distance": 1.4, "effort": "fast"}


    STORAGES = {"default": {"BACKEND": "shop.storage.MediaStorage"}, ...}  # settings.py
"""

from __future__ import annotations

from typing import Any, ClassVar

from guetzpy.integrations import _uploads

__all__ = ["OptimizeMixin"]


class OptimizeMixin:
    """Put before a class of storage: what is saved there is optimised first if it is a JPEG.

    Its contents decide, not its name. A broken JPEG is stored as it came, with a warning in the log.

    Attributes
    ----------
    guetzpy_options : dict
        Of :func:`guetzpy.optimize`. A visitor is waiting, so the effort is the least by default.
    """

    guetzpy_options: ClassVar[dict[str, Any]] = {"effort": "fast"}

    def _save(self, name: str, content: Any) -> Any:
        from django.core.files.base import ContentFile

        content.seek(0)
        head = content.read(3)
        content.seek(0)
        if isinstance(head, bytes) and _uploads.is_jpeg(head):
            data = content.read()
            less = _uploads.smaller(data, name, **self.guetzpy_options)
            content.seek(0)
            if less != data:
                content = ContentFile(less, name=content.name)
        return super()._save(name, content)  # type: ignore[misc]
