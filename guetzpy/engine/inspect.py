"""A description of a JPEG file: its coding parameters, and the bytes of each of its parts."""

from __future__ import annotations

from typing import Any

from guetzpy._runtime.text import printable
from guetzpy.engine.loading import load
from guetzpy.engine.source import Readable, Source
from guetzpy.errors import UnsupportedError
from guetzpy.jpeg.anatomy import Anatomy, survey
from guetzpy.jpeg.component_bytes import scan_shares
from guetzpy.jpeg.header import is_jpeg
from guetzpy.jpeg.metadata import policy as metadata
from guetzpy.jpeg.metadata import preservation
from guetzpy.jpeg.quantization import estimate_quality
from guetzpy.jpeg.reader import Limits
from guetzpy.jpeg.structure import JpegImage
from guetzpy.jpeg.table_mark import marked_distance
from guetzpy.jpeg.transcode import transcode_bytes
from guetzpy.options import MAX_PIXELS
from guetzpy.picture.reading import contents
from guetzpy.search.source_quality import estimate, obstacle

__all__ = ["inspect", "table_text"]

_MODES = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    0xC9: "extended, arithmetic coding",
    0xCA: "progressive, arithmetic coding",
    0xCB: "lossless, arithmetic coding",
    0xF7: "JPEG-LS",
}
_CHANNELS = {
    "gray": ("Y",),
    "ycbcr": ("Y", "Cb", "Cr"),
    "rgb": ("R", "G", "B"),
    "cmyk": ("C", "M", "Y", "K"),
    "ycck": ("Y", "Cb", "Cr", "K"),
}
# Kinds of data within other parts (EXIF, IPTC, data after EOI). ``bytes_by_part`` counts them in those parts.
_WITHIN = frozenset({"gps", "thumbnail", "motion_photo"})


def inspect(source: Readable, *, max_pixels: int = MAX_PIXELS) -> dict[str, Any]:
    """Describe a JPEG file.

    Parameters
    ----------
    source : bytes, path or binary file
        A JPEG file.
    max_pixels : int
        LimitError is raised for a picture with more pixels.

    Returns
    -------
    dict
        A record that JSON can hold, with these keys:

        - ``input`` (name or None), ``bytes`` (file size), ``width``, ``height`` (pixels, as stored),
          ``mode`` (such as "progressive"), ``colorspace``, ``subsampling``, ``restart_interval`` (in MCUs),
          ``orientation`` (EXIF's value, 1 to 8);
        - ``components``: for each its ``name``, ``id``, ``sampling`` factors and ``qtable`` (8 rows of 8);
        - ``quality``: the libjpeg quality of the nearest tables; ``quality_exact``: whether they are equal;
          ``distance``: the distance at which the file was probably encoded;
        - ``scans``: for each its ``components`` (names), ``band`` (Ss, Se), ``bits`` (Ah, Al), ``bytes`` and
          ``bytes_by_component``;
        - ``bytes_by_part``: bytes of each kind of metadata, of tables, headers and scans, and of invalid
          segments ("unreadable"); their sum is ``bytes``. ``bytes_within``: bytes of GPS data, thumbnails and
          the video of a motion photo, which ``bytes_by_part`` counts in the part that holds them.
          ``bytes_by_component``: bytes of the scans;
        - ``icc``, ``gain_map``, ``motion_photo``: whether the file has one; ``mark``: the distance that
          guetzpy's mark names, or None;
        - ``reencodable``, and ``reason`` if it is False; ``lossless_saving`` (bytes that a repack saves) and
          ``lossless_reason`` (a note about that repack, or None); ``warnings``.

        If guetzpy cannot read the coefficients, the record has only those of these keys that the headers
        determine, and ``precision`` (bits per sample). It always has ``bytes_by_part``.

    Raises
    ------
    UnsupportedError
        The file is not a JPEG.
    FormatError, LimitError, OSError
        For the same reasons as in :func:`guetzpy.optimize`.
    """
    content, name = contents(source)
    if content and not is_jpeg(content):
        error = UnsupportedError("not a JPEG; inspect describes JPEG files only")
        error.name = name
        raise error
    picture = load(content, max_pixels=max_pixels, name=name)
    assert picture.data is not None
    record: dict[str, Any] = {"input": picture.name, "bytes": len(picture.data)}
    if picture.image is None:
        return record | _headers(picture)
    data, warnings = picture.data, picture.image.warnings
    record |= {"width": picture.width, "height": picture.height}
    record |= _describe(data, picture.image)
    del picture  # the repack decodes the coefficients again; release the first copy before
    return record | _repack(data, max_pixels) | {"warnings": warnings}


def _headers(picture: Source) -> dict[str, Any]:
    """Describe a file from its headers, where the coefficients cannot be read."""
    assert picture.data is not None
    record: dict[str, Any] = {}
    parts = survey(picture.data, tolerant=True)
    frame = parts.frame or parts.frame_ls
    width, height = picture.width, picture.height
    if frame is not None:
        width, height = width or frame.width, height or frame.height
        record["mode"] = _MODES.get(frame.sof, "other")
        record["precision"] = frame.precision
        record["components"] = [{"id": c.identifier, "sampling": [c.h, c.v]} for c in frame.components]
    record |= {side: count for side, count in (("width", width), ("height", height)) if count}
    record |= {"reencodable": False, "reason": picture.obstacle}
    kinds: dict[str, int] = {}
    for segment in parts.segments:
        kind = metadata.kind_of(segment)
        kinds[kind] = kinds.get(kind, 0) + 4 + len(segment.payload)
    if parts.trailing:
        kinds["trailing"] = kinds.get("trailing", 0) + parts.trailing
    return record | {"bytes_by_part": _by_part(parts, kinds, len(picture.data))}


def _describe(data: bytes, image: JpegImage) -> dict[str, Any]:
    # The reader decides where the picture ends; survey the bytes before its trailing data only.
    parts = survey(data[: len(data) - len(image.trailing)], tolerant=True)
    kinds = preservation.describe(data, image, parts.segments)
    quality = estimate_quality([component.qtable for component in image.components])
    reason = obstacle(image)
    names = list(_CHANNELS[image.colorspace])
    scans = _scans(image, parts, names)
    by_component = dict.fromkeys(names, 0)
    for scan in scans:
        for name, size in scan["bytes_by_component"].items():
            by_component[name] += size
    return {
        "mode": _MODES.get(image.sof, "other"),
        "colorspace": image.colorspace,
        "subsampling": image.subsampling,
        "restart_interval": image.restart_interval,
        "orientation": metadata.orientation(image),
        "components": [
            {"name": n, "id": c.identifier, "sampling": [c.h, c.v], "qtable": c.qtable.reshape(8, 8).tolist()}
            for n, c in zip(names, image.components, strict=True)
        ],
        "quality": quality.quality,
        "quality_exact": quality.exact,
        "distance": round(estimate(image), 2),
        "scans": scans,
        "bytes_by_part": _by_part(parts, kinds, len(data)),
        "bytes_within": {kind: size for kind, size in kinds.items() if kind in _WITHIN},
        "bytes_by_component": by_component,
        "icc": metadata.icc_profile(image) is not None,
        "gain_map": "gainmap" in kinds,
        "motion_photo": "motion_photo" in kinds,
        "mark": marked_distance(image),
        "reencodable": reason is None,
        "reason": reason,
    }


def _scans(image: JpegImage, parts: Anatomy, names: list[str]) -> list[dict[str, Any]]:
    known = len(parts.scans) == len(image.scans)  # a damaged file may have fewer decoded scans
    scans = []
    for number, (header, size) in enumerate(zip(image.scans, image.scan_bytes, strict=True)):
        if known:
            shares = scan_shares(image, number, parts.scans[number], image.restart_interval)
        else:
            shares = [size] + [0] * (len(header.components) - 1)
        scans.append(
            {
                "components": [names[i] for i in header.components],
                "band": [header.ss, header.se],
                "bits": [header.ah, header.al],
                "bytes": sum(shares),
                "bytes_by_component": {
                    names[i]: share for i, share in zip(header.components, shares, strict=True)
                },
            }
        )
    return scans


def _by_part(parts: Anatomy, kinds: dict[str, int], whole: int) -> dict[str, int]:
    """Return the bytes of each part of a file of ``whole`` bytes; none is negative, their sum is ``whole``.

    Headers take the remainder, which includes stray and fill bytes between segments.
    """
    sizes = {kind: size for kind, size in kinds.items() if kind not in _WITHIN}
    named = {
        "quantisation tables": parts.quantisation,
        "Huffman tables": parts.huffman,
        "scans": parts.coded,
        "unreadable": parts.unreadable,
    }
    sizes |= {name: size for name, size in named.items() if size}
    return sizes | {"headers": whole - sum(sizes.values())}


def _repack(data: bytes, max_pixels: int) -> dict[str, Any]:
    done = transcode_bytes(data, limits=Limits(max_pixels=max_pixels))
    return {"lossless_saving": len(data) - len(done.data), "lossless_reason": done.reason or None}


def table_text(record: dict[str, Any]) -> str:
    """Return a record of :func:`inspect` as lines of text for a terminal."""
    whole = record["bytes"]
    name = printable(record["input"] or "JPEG")
    lines = [f"{name}: {_thousands(whole)} bytes, {_sides(record)}"]
    if "scans" not in record:
        if "mode" in record:
            lines.append(f"{record['mode']}, {record['precision']} bits a sample")
        lines += ["", *_shares("bytes", record["bytes_by_part"], whole)]
        return "\n".join([*lines, "", f"cannot be re-encoded: {record['reason']}"])
    scans = len(record["scans"])
    about = "" if record["quality_exact"] else "about "
    estimated = record["mark"] is None
    lines += [
        f"{record['mode']}, {record['colorspace']}, {record['subsampling']}, "
        f"{scans} scan{'s' if scans > 1 else ''}, orientation {record['orientation']}",
        f"quality {about}{record['quality']} in libjpeg's terms"
        + (f", about distance {record['distance']:g}" if estimated else ""),
        "",
        *_shares("bytes", record["bytes_by_part"], whole),
    ]
    if record["bytes_within"]:
        lines += ["", *_shares("of these", record["bytes_within"], whole)]
    lines += ["", *_shares("scans by component", record["bytes_by_component"], whole), "", "scans"]
    lines += [
        f"{_thousands(scan['bytes']):>12}  {' '.join(scan['components'])}, "
        f"coefficients {scan['band'][0]}..{scan['band'][1]}, bits {scan['bits'][0]} to {scan['bits'][1]}"
        for scan in record["scans"]
    ]
    lines += [*_tables(record["components"]), ""]
    held = {"icc": "ICC profile", "gain_map": "gain map", "motion_photo": "motion photo"}
    notes = [name for key, name in held.items() if record[key]]
    if notes:
        lines.append("holds " + ", ".join(notes))
    if record["mark"] is not None:
        lines.append(f"encoded by guetzpy at distance {record['mark']:g}")
    saving, why = record["lossless_saving"], record["lossless_reason"]
    text = f"saves {_thousands(saving)} bytes ({100 * saving / whole:.1f} %)" if saving else "saves nothing"
    lines.append(f"a lossless repack {text}" + (f": {why}" if why else ""))
    lines.append(f"cannot be re-encoded: {record['reason']}" if record["reason"] else "can be re-encoded")
    lines += [f"warning: {printable(warning)}" for warning in record["warnings"]]
    return "\n".join(lines)


def _sides(record: dict[str, Any]) -> str:
    if "width" not in record and "height" not in record:
        return "of unknown width and height"
    return f"{record.get('width', '?')} x {record.get('height', '?')}"


def _shares(title: str, sizes: dict[str, int], whole: int) -> list[str]:
    return [title] + [
        f"{_thousands(size):>12}  {100 * size / whole:5.1f} %  {part}" for part, size in sizes.items()
    ]


def _tables(components: list[dict[str, Any]]) -> list[str]:
    users: list[tuple[list[str], list[list[int]]]] = []
    for component in components:
        for names, table in users:
            if table == component["qtable"]:
                names.append(component["name"])
                break
        else:
            users.append(([component["name"]], component["qtable"]))
    lines = []
    for names, table in users:
        lines += ["", f"quantiser steps of {' '.join(names)}"]
        lines += [" ".join(f"{step:4d}" for step in row) for row in table]
    return lines


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", " ")
