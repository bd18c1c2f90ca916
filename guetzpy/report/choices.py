"""The coding parameters of a JPEG file (tables, subsampling, scans), read from its headers only."""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy.errors import GuetzpyError
from guetzpy.jpeg import markers
from guetzpy.jpeg.anatomy import Anatomy, survey
from guetzpy.jpeg.header import colorspace, is_jpeg
from guetzpy.jpeg.quantization import estimate_quality
from guetzpy.jpeg.structure import Component, JpegImage

__all__ = ["choices"]

_NAMES = {
    "gray": ("Y",),
    "ycbcr": ("Y", "Cb", "Cr"),
    "rgb": ("R", "G", "B"),
    "cmyk": ("C", "M", "Y", "K"),
    "ycck": ("Y", "Cb", "Cr", "K"),
}
_NO_BLOCKS = np.empty((0, 0, 64), np.int16)


def choices(data: bytes) -> dict[str, Any] | None:
    """Describe how a JPEG is coded.

    Returns
    -------
    dict or None
        A record that JSON can hold: ``mode``, ``subsampling``, ``quality`` (the libjpeg quality of the
        nearest tables), ``quality_exact`` (whether the tables are equal), ``tables`` (for each the names of
        its ``components``, and ``steps``, 8 rows of 8), ``scans`` (for each the names of its ``components``,
        ``band`` (Ss, Se), ``bits`` (Ah, Al) and ``bytes``), ``table_bytes``, ``metadata_bytes``. None if the
        data is not a JPEG or is damaged.
    """
    if not is_jpeg(data):
        return None
    try:
        parts = survey(data)
        return _choices(parts)
    except (GuetzpyError, KeyError):  # KeyError: a component refers to a table that the file does not define
        return None


def _choices(parts: Anatomy) -> dict[str, Any] | None:
    frame = parts.frame
    if frame is None:
        return None
    known = _NAMES.get(colorspace(frame, parts.segments), ())
    numbered = tuple(f"component {i + 1}" for i in range(len(frame.components)))
    names = dict(
        zip(
            (c.identifier for c in frame.components),
            known if len(known) == len(numbered) else numbered,
            strict=True,
        )
    )
    qtables = [parts.qtables[c.tq] for c in frame.components]
    quality = estimate_quality(qtables)
    components = [
        Component(c.identifier, c.h, c.v, t, _NO_BLOCKS)
        for c, t in zip(frame.components, qtables, strict=True)
    ]
    users: dict[int, list[str]] = {}
    for component in frame.components:
        users.setdefault(component.tq, []).append(names[component.identifier])
    return {
        "mode": "progressive" if frame.sof == markers.SOF2 else "sequential",
        "subsampling": JpegImage(frame.width, frame.height, components, "").subsampling,
        "quality": quality.quality,
        "quality_exact": quality.exact,
        "tables": [
            {"components": users[slot], "steps": parts.qtables[slot].reshape(8, 8).tolist()} for slot in users
        ],
        "scans": [
            {
                "components": [names.get(c.identifier, "?") for c in scan.header.components],
                "band": [scan.header.ss, scan.header.se],
                "bits": [scan.header.ah, scan.header.al],
                "bytes": scan.size,
            }
            for scan in parts.scans
        ],
        "table_bytes": parts.quantisation + parts.huffman,
        "metadata_bytes": parts.metadata + parts.trailing,
    }
