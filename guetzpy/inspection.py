"""What a JPEG file is made of, and where its bytes are."""

from __future__ import annotations

from typing import Any

from guetzpy.errors import UnsupportedError
from guetzpy.jpeg import metadata, preservation
from guetzpy.jpeg.quantization import estimate_quality
from guetzpy.jpeg.structure import JpegImage
from guetzpy.source import Readable, load, subsampling_of

__all__ = ["inspect", "table_text"]

_MODES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}


def inspect(source: Readable, *, max_pixels: int = 268_435_456) -> dict[str, Any]:
    """Describe a JPEG file.

    Parameters
    ----------
    source : bytes, path or binary file
        A JPEG file.
    max_pixels : int
        Refused above.

    Returns
    -------
    dict
        For JSON: ``input``, ``bytes``, ``width``, ``height``, ``mode``, ``colorspace``, ``subsampling``,
        ``restart_interval``, ``orientation``, ``components`` (id, sampling, quantiser steps in rows),
        ``quality`` (of libjpeg, ``exact`` or nearest), ``scans`` (components, band, bits, bytes),
        ``bytes_by_part`` (metadata by kind, scans, tables and headers), ``icc``, ``gain_map``,
        ``motion_photo``, ``mark``, ``reencodable``, ``reason`` (why not), ``warnings``.

    Raises
    ------
    UnsupportedError
        No JPEG. (A JPEG that cannot be read is described as far as its headers go.)
    FormatError, LimitError, OSError
        As :func:`guetzpy.optimize`.
    """
    picture = load(source, max_pixels=max_pixels)
    if picture.kind != "jpeg" or picture.data is None:
        error = UnsupportedError("not a JPEG; inspect describes JPEG files only")
        error.name = picture.name
        raise error
    record: dict[str, Any] = {
        "input": picture.name,
        "bytes": len(picture.data),
        "width": picture.width,
        "height": picture.height,
    }
    if picture.image is None:
        return record | {"reencodable": False, "reason": picture.obstacle}
    return record | _describe(picture.data, picture.image)


def _describe(data: bytes, image: JpegImage) -> dict[str, Any]:
    parts = preservation.describe(data, image)
    # Parts of EXIF and of the trailing data are named too, but counted once.
    inside = {"gps", "thumbnail", "motion_photo"}
    scans = sum(image.scan_bytes)
    whole = scans + sum(size for kind, size in parts.items() if kind not in inside)
    quality = estimate_quality([component.qtable for component in image.components])
    reason = _reason(image)
    return {
        "mode": _MODES.get(image.sof, "other"),
        "colorspace": image.colorspace,
        "subsampling": subsampling_of(image),
        "restart_interval": image.restart_interval,
        "orientation": metadata.orientation(image),
        "components": [
            {"id": c.identifier, "sampling": [c.h, c.v], "qtable": c.qtable.reshape(8, 8).tolist()}
            for c in image.components
        ],
        "quality": quality.quality,
        "quality_exact": quality.exact,
        "scans": [
            {"components": list(s.components), "band": [s.ss, s.se], "bits": [s.ah, s.al], "bytes": size}
            for s, size in zip(image.scans, image.scan_bytes, strict=True)
        ],
        "bytes_by_part": {**parts, "scans": scans, "tables and headers": len(data) - whole},
        "icc": metadata.icc_profile(image) is not None,
        "gain_map": "gainmap" in parts,
        "motion_photo": "motion_photo" in parts,
        "mark": metadata.read_mark(image.segments),
        "reencodable": reason is None,
        "reason": reason,
        "warnings": image.warnings,
    }


def _reason(image: JpegImage) -> str | None:
    """Return why only the same coefficients can be written, if so."""
    if image.colorspace in ("cmyk", "ycck"):
        return f"{image.colorspace.upper()}: lossless only"
    if not image.complete:
        return "unusual scans or tables: kept as it is"
    return None


def table_text(record: dict[str, Any]) -> str:
    """Lay a record of :func:`inspect` out for reading."""
    lines = [f"{record['input'] or 'JPEG'}: {record['bytes']} bytes, {record['width']} x {record['height']}"]
    if "mode" not in record:
        return "\n".join([*lines, f"cannot be read: {record['reason']}"])
    scans = len(record["scans"])
    lines += [
        f"{record['mode']}, {record['colorspace']}, {record['subsampling']}, "
        f"{scans} scan{'s' if scans > 1 else ''}, orientation {record['orientation']}",
        f"quality {'' if record['quality_exact'] else 'about '}{record['quality']} in libjpeg's terms",
        "",
        "bytes",
    ]
    lines += [f"{size:10d}  {part}" for part, size in record["bytes_by_part"].items()]
    lines += ["", "scans"]
    lines += [
        f"{scan['bytes']:10d}  components {','.join(map(str, scan['components']))}, "
        f"coefficients {scan['band'][0]}..{scan['band'][1]}, bits {scan['bits'][0]} to {scan['bits'][1]}"
        for scan in record["scans"]
    ]
    shown: list[Any] = []
    for component in record["components"]:
        if component["qtable"] not in shown:
            shown.append(component["qtable"])
            lines += ["", f"quantiser steps from component {component['id']}"]
            lines += [" ".join(f"{step:4d}" for step in row) for row in component["qtable"]]
    held = {"icc": "ICC profile", "gain_map": "gain map", "motion_photo": "motion photo"}
    notes = [name for key, name in held.items() if record[key]]
    if record["mark"] is not None:
        notes.append(f"encoded by guetzpy at distance {record['mark']:g}")
    if notes:
        lines += ["", "holds " + ", ".join(notes)]
    if record["reason"]:
        lines += ["", f"cannot be re-encoded: {record['reason']}"]
    lines += [f"warning: {warning}" for warning in record["warnings"]]
    return "\n".join(lines)
