"""A mixin for Django's storage classes that optimises uploaded JPEG files.

In a Django project::

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

# For the copy of a stream that cannot seek: bytes per read, and the size above which the copy is a file on
# the disk.
_CHUNK = 1 << 16
_IN_MEMORY = 1 << 22


class OptimizeMixin:
    """A mixin that optimises JPEG files before a storage saves them. Name it before the storage class.

    The first bytes of a file determine whether it is a JPEG, not its name. A damaged JPEG is stored
    unchanged, with a warning in the log. The content type and charset of the upload are kept. A stream that
    cannot seek is read to its end first.

    Attributes
    ----------
    guetzpy_options : dict
        Options of :func:`guetzpy.optimize`. The default effort is the lowest, since the user waits for the
        upload.
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
    """Return a file at its start. A stream that cannot seek is copied to a temporary file."""
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
    # The temporary file is removed when it is closed, at the latest when its object is deleted.
    spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)
    while chunk:
        spool.write(chunk)
        chunk = content.read(_CHUNK)
    spool.seek(0)
    return _like(content, File(spool, name=content.name))


def _like(content: Any, replacement: Any) -> Any:
    """Copy the attributes of an upload, which storages may use, to the file that replaces it."""
    for name in ("content_type", "content_type_extra", "charset", "field_name"):
        if hasattr(content, name):
            setattr(replacement, name, getattr(content, name))
    return replacement
