"""A result as Jupyter shows it: the pictures before and after, and their figures."""

from __future__ import annotations

import base64
import io
import os
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guetzpy.result import Result

__all__ = ["html"]

# Longest side of a picture in pixels, and its largest number of bytes before base64.
_SIDE = 480
_MOST_BYTES = 70_000


def html(result: Result, source: object = None) -> str:
    """Return a result as HTML.

    Parameters
    ----------
    result : Result
        The result.
    source : object, optional
        The array, image, bytes or ``io.BytesIO`` that it was made of. Default: the file ``result.input``, if
        it is there and has the size of the result's input.

    Returns
    -------
    str
        Two pictures of at most 480 pixels a side, each at most 70 kB before base64, and a line of figures.
    """
    before = _small(source) if source is not None else _small_file(result.input, result.bytes_before)
    after = _small(result.data) if result.data else _small_file(result.output, result.bytes_after)
    cells = [
        f'<figure style="margin:0 12px 8px 0;display:inline-block"><img alt="{name}" src="{url}">'
        f"<figcaption>{name}{f', {size:,} bytes' if size else ''}</figcaption></figure>"
        for name, url, size in (
            ("before", before, result.bytes_before),
            ("after", after, result.bytes_after),
        )
        if url is not None
    ]
    return f"<div>{''.join(cells)}<p>{escape(_figures(result))}</p></div>"


def _figures(result: Result) -> str:
    saving = result.saving
    parts = [
        result.input or "",
        result.status,
        result.error or result.reason or "",
        f"{result.width} × {result.height}" if result.width else "",
        f"{result.bytes_after:,} bytes" if result.bytes_after is not None else "",
        f"{100 * saving:.1f} % saved" if saving is not None else "",
        f"distance {result.distance:.2f}" if result.distance is not None else "",
        f"SSIMULACRA 2 {result.ssimulacra2:.1f}" if result.ssimulacra2 is not None else "",
        f"Butteraugli {result.butteraugli_3norm:.3f}" if result.butteraugli_3norm is not None else "",
        *(f"warning: {warning}" for warning in result.warnings[:5]),
    ]
    return "; ".join(part[:300] for part in parts if part)


def _small_file(path: str | None, size: int | None) -> str | None:
    try:
        if path is None or os.path.getsize(path) != size:
            return None
        with open(path, "rb") as stream:
            return _small(stream.read())
    except (OSError, ValueError):
        return None


def _small(picture: Any) -> str | None:
    """Return a data URL of a small copy of a file's data, an array or an image; None if there is none."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if hasattr(picture, "getvalue"):
                picture = picture.getvalue()
            if isinstance(picture, bytes):
                picture = Image.open(io.BytesIO(picture))
                picture.draft("RGB", (2 * _SIDE, 2 * _SIDE))
            elif not hasattr(picture, "getbands"):
                picture = Image.fromarray(_bytes_of(picture))
            shown = ImageOps.exif_transpose(picture).convert("RGB")
            shown.thumbnail((_SIDE, _SIDE))
            for quality in (85, 60, 30, 10):
                stream = io.BytesIO()
                shown.info.clear()  # otherwise Pillow copies the source's comment
                shown.save(stream, "JPEG", quality=quality)
                if stream.tell() <= _MOST_BYTES:
                    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
    except Exception:  # Pillow raises many kinds of errors; the figures are shown without the picture
        return None
    return None


def _bytes_of(array: Any) -> Any:
    import numpy as np

    array = np.asarray(array)
    if array.dtype == np.uint16:
        array = array // 257
    elif array.dtype.kind in "fb":
        array = np.rint(255.0 * np.clip(array, 0, 1))
    array = array.astype(np.uint8)
    return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
