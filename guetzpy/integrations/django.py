"""A mixin for storages of Django that optimises uploaded JPEG files.

In the project::

    from django.core.files.storage import FileSystemStorage
    from guetzpy.integrations.django import OptimizeMixin


    class MediaStorage(OptimizeMixin, FileSystemStorage):  # or S3Storage, or any other
        guetzpy_options = {"distance": 1.4, "effort": "fast"}


    STORAGES = {"default": {"BACKEND": "shop.storage.MediaStorage"}, ...}  # settings.py
"""

from __future__ import annotations

import tempfile
from typing import Any, ClassVar

from guetzpy.integrations import _uploads

__all__ = ["OptimizeMixin"]

# Bytes of a stream that cannot seek: read at a time, and kept in memory rather than in a file.
_CHUNK = 1 << 16
_IN_MEMORY = 1 << 22


class OptimizeMixin:
    """Put before a class of storage: what is saved there is optimised first if it is a JPEG.

    Its contents decide, not its name. A broken JPEG is stored as it came, with a warning in the log. The
    content type and charset of the upload stay. A stream that cannot seek is read to its end first.

    Attributes
    ----------
    guetzpy_options : dict
        Of :func:`guetzpy.optimize`. A visitor is waiting, so the effort is the least by default.
    """

    guetzpy_options: ClassVar[dict[str, Any]] = {"effort": "fast"}

    def _save(self, name: str, content: Any) -> Any:
        from django.core.files.base import ContentFile

        content = _rewound(content)
        head = content.read(3)
        content.seek(0)
        if isinstance(head, bytes) and _uploads.is_jpeg(head):
            data = content.read()
            less = _uploads.smaller(data, name, **self.guetzpy_options)
            content.seek(0)
            if less != data:
                content = _like(content, ContentFile(less, name=content.name))
        return super()._save(name, content)  # type: ignore[misc]


def _rewound(content: Any) -> Any:
    """Return contents at their start; those of a stream that cannot seek are copied to a temporary file."""
    from django.core.files.base import ContentFile, File

    try:
        content.seek(0)
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
        pass
    else:
        return content
    chunk = content.read(_CHUNK)
    if isinstance(chunk, str):
        return _like(content, ContentFile(chunk + content.read(), name=content.name))
    # Closed, and with that removed, when nothing refers to it any more.
    spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)
    while chunk:
        spool.write(chunk)
        chunk = content.read(_CHUNK)
    spool.seek(0)
    return _like(content, File(spool, name=content.name))


def _like(content: Any, replacement: Any) -> Any:
    """Copy the attributes of an upload, which storages may send on, to a file that replaces it."""
    for name in ("content_type", "content_type_extra", "charset", "field_name"):
        if hasattr(content, name):
            setattr(replacement, name, getattr(content, name))
    return replacement
