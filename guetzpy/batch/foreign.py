"""Protection of files that guetzpy did not make, where outputs lie beside their inputs."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from guetzpy.batch import storage
from guetzpy.errors import GuetzpyError
from guetzpy.jpeg.gray import coefficients_as_gray
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.table_mark import marked_distance
from guetzpy.jpeg.transcode import same_coefficients
from guetzpy.options import OptimizeOptions, TranscodeOptions

__all__ = ["refuse_foreign"]

_REFUSED = (
    "exists, and guetzpy did not make it from this picture; rename it, give another --suffix, "
    "or give -o to replace it"
)


def refuse_foreign(
    place: str,
    source: bytes,
    made: bytes,
    options: OptimizeOptions | TranscodeOptions,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Raise FileExistsError if an output would replace a file that guetzpy did not make.

    The name of an output beside its input follows from the name of the input, so the user did not choose to
    replace that file.

    Parameters
    ----------
    place : str
        Path or URL of the output.
    source, made : bytes
        The input and its output.
    options : OptimizeOptions or TranscodeOptions
        The limits for reading the file that exists.
    storage_options : mapping, optional
        Options for fsspec.
    """
    if not storage.exists(place, storage_options):
        return
    limits = Limits(options.max_pixels, options.max_scans, options.max_metadata, options.max_directories)
    try:
        existing = storage.read(place, storage_options, max_input=options.max_input)[0]
        own = existing in (source, made) or _is_own(existing, source, limits)
    except (GuetzpyError, OSError):  # it is too large, or no JPEG
        own = False
    if not own:
        raise FileExistsError(errno.EEXIST, _REFUSED, place)


def _is_own(existing: bytes, source: bytes, limits: Limits) -> bool:
    """Return whether a JPEG has guetzpy's mark, or the coefficients of its source, as after a repack."""
    image = read(existing, limits=limits)
    if marked_distance(image) is not None:
        return True
    original = read(source, limits=limits)
    gray = coefficients_as_gray(original)
    return same_coefficients(original, image) or (gray is not None and same_coefficients(gray, image))
