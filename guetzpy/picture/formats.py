"""Decode files that need an optional package: HEIC, AVIF, JPEG XL and camera RAW.

A package is imported when such a file is read. No package is registered with Pillow, so that a program's own
use of Pillow does not change. If a decoder applies the Orientation, it is removed from the Exif, so that no
later program applies it again.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from guetzpy.errors import FormatError, UnsupportedError
from guetzpy.picture.cicp import code_points, profile_of
from guetzpy.picture.deep import unmultiplied
from guetzpy.picture.metadata import DESCRIPTIVE, Metadata, metadata_of
from guetzpy.picture.pillow import CheckSize, check_decoded_size, guarded, opened_jpeg

if TYPE_CHECKING:
    from types import ModuleType

    from PIL import Image

__all__ = ["Kind", "decode", "kind_of"]

Kind = Literal["HEIC", "AVIF", "JPEG XL", "RAW"]

_Decoder = Callable[[bytes, CheckSize], "tuple[npt.NDArray[Any] | Image.Image, Metadata]"]

_EXTRAS = {"HEIC": "heic", "AVIF": "avif", "JPEG XL": "jxl", "RAW": "raw"}

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_JXL_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_SIZE_HEADER = 14  # largest number of bytes of the signature and sizes
_RAW_HEADS = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM")

_TIFF_DIRECTORIES = 64  # largest number of directories that are read
_SUB_IFDS, _PHOTOMETRIC, _COMPRESSION, _DNG_VERSION = 0x014A, 0x0106, 0x0103, 0xC612
_COLOUR_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
_RAW_COMPRESSIONS = {32767, 34713, 65535}  # compressions of Sony, Nikon and Pentax

_ORIENTATION, _EXIF_IFD, _MAKER_NOTE, _XMP = 0x0112, 0x8769, 0x927C, 0x02BC


def kind_of(data: bytes) -> Kind | None:
    """Return which of these kinds a file is, by its contents; None for any other file."""
    if data[4:8] == b"ftyp":
        size = min(int.from_bytes(data[:4], "big"), 4096)
        brands = {data[8:12], *(data[i : i + 4] for i in range(16, size - 3, 4))}
        if data[8:12] == b"crx ":
            return "RAW"
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        return "HEIC" if brands & _HEIC_BRANDS else None
    if data.startswith((b"\xff\x0a", _JXL_CONTAINER)):
        return "JPEG XL"
    if data.startswith(_RAW_HEADS) or data[6:14] == b"HEAPCCDR":
        return "RAW"
    if data[:4] in (b"II*\0", b"MM\0*") and (data[8:10] == b"CR" or _holds_raw(data)):
        return "RAW"
    return None


def _holds_raw(data: bytes) -> bool:
    """Return whether a TIFF structure has sensor data: DNG, NEF, ARW, PEF and similar formats."""
    for entries in _directories(data):
        if _DNG_VERSION in entries:
            return True
        if entries.get(_PHOTOMETRIC) in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW):
            return True
        if entries.get(_COMPRESSION) in _RAW_COMPRESSIONS:
            return True
    return False


def _directories(data: bytes) -> Iterator[dict[int, int]]:
    """Yield the directories of a TIFF, including sub-directories, as a map of tags to their first values."""
    order = "<" if data[:2] == b"II" else ">"
    waiting = [struct.unpack_from(order + "I", data, 4)[0]] if len(data) >= 8 else []
    seen: set[int] = set()
    while waiting and len(seen) < _TIFF_DIRECTORIES:
        start = waiting.pop(0)
        if start in seen or not 8 <= start <= len(data) - 2:
            continue
        seen.add(start)
        (count,) = struct.unpack_from(order + "H", data, start)
        end = start + 2 + 12 * count
        if end > len(data):
            continue
        entries: dict[int, int] = {}
        for place in range(start + 2, end, 12):
            tag, kind, number, value = struct.unpack_from(order + "HHII", data, place)
            if kind == 3 and number:
                (value,) = struct.unpack_from(order + "H", data, place + 8)
            entries[tag] = value
            if tag == _SUB_IFDS and number == 1:
                waiting.append(value)
            elif tag == _SUB_IFDS and number <= _TIFF_DIRECTORIES and value + 4 * number <= len(data):
                waiting += struct.unpack_from(f"{order}{number}I", data, value)
        yield entries
        if end + 4 <= len(data):
            waiting.append(struct.unpack_from(order + "I", data, end)[0])


def decode(data: bytes, kind: Kind, check_size: CheckSize) -> tuple[npt.NDArray[Any] | Image.Image, Metadata]:
    """Return the pixels and the metadata of a file of one of these kinds.

    Parameters
    ----------
    data : bytes
        The file.
    kind : {"HEIC", "AVIF", "JPEG XL", "RAW"}
        The kind that :func:`kind_of` returns for the file.
    check_size : callable
        Called with width and height before memory for pixels is allocated.

    Returns
    -------
    pixels : ndarray or PIL image
        Pixels as :func:`guetzpy.picture.planes.planes_of` takes them.
    metadata : Metadata
        The ICC profile is that of the pixels. The Orientation is 1 or missing if it was applied.

    Raises
    ------
    UnsupportedError
        If the package is missing (the message names the extra), or the file has contents that JPEG does
        not support, such as several pictures.
    FormatError
        If the file is broken.
    """
    declared: list[tuple[int, int]] = []

    def check(width: int, height: int) -> None:
        check_size(width, height)
        declared.append((width, height))

    with guarded(f"{kind} cannot be decoded"):
        pixels, metadata = _DECODERS[kind](data, check)
        size = pixels.shape[1::-1] if isinstance(pixels, np.ndarray) else pixels.size
        if kind != "RAW":  # sensors with oblong pixels or a rotated grid give another size
            check_decoded_size(declared[0], (size[0], size[1]), turned=True)
    return pixels, metadata


def _missing(kind: Kind, detail: str = "") -> UnsupportedError:
    error = UnsupportedError(f'{kind} files need an extra{detail}: pip install "guetzpy[{_EXTRAS[kind]}]"')
    error.extra = _EXTRAS[kind]
    return error


def _package(name: str, kind: Kind) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise _missing(kind) from None


def _heic(data: bytes, check_size: CheckSize) -> tuple[npt.NDArray[Any], Metadata]:
    heif = _package("pillow_heif", "HEIC")
    file = heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    if len(file) > 1:
        raise UnsupportedError(f"HEIC with {len(file)} pictures; a JPEG holds one")
    check_size(*file.size)
    info = file.info
    profile = info.get("icc_profile") or _profile(data)
    pixels = np.asarray(file)
    pixels = pixels[:, : file.size[0]]  # remove the padding of rows
    if file.mode.partition(";")[0].endswith("a"):
        pixels = unmultiplied(pixels)
    heif.set_orientation(info)  # libheif has applied the orientation; remove it from the Exif
    return pixels, Metadata(exif=_tiff(info.get("exif")), icc=profile, xmp=info.get("xmp") or None)


def _profile(data: bytes) -> bytes | None:
    points = code_points(data)
    return None if points is None else profile_of(*points)


def _tiff(block: Any) -> bytes | None:
    return block.removeprefix(b"Exif\0\0") if isinstance(block, bytes) and block else None


def _avif(data: bytes, check_size: CheckSize) -> tuple[Image.Image, Metadata]:
    from PIL import features

    if not features.check("avif"):
        raise _missing("AVIF", " (Pillow 11.3 or later with AVIF)")
    from PIL.AvifImagePlugin import AvifImageFile

    image = AvifImageFile(io.BytesIO(data))
    if image.n_frames > 1:
        raise UnsupportedError(f"AVIF with {image.n_frames} frames or pages; a JPEG holds one")
    check_size(image.width, image.height)
    profile = image.info.get("icc_profile") or _profile(data)
    image.load()
    image.info["icc_profile"] = profile  # Pillow moves the file's rotation to the Exif and does not apply it
    return image, replace(metadata_of(image), icc=profile)


def _jpeg_xl(data: bytes, check_size: CheckSize) -> tuple[Image.Image, Metadata]:
    plugin = _package("pillow_jxl.JpegXLImagePlugin", "JPEG XL")
    check_size(*_jxl_size(data))  # Pillow's plugin decodes the file when it opens it
    image = plugin.JXLImageFile(io.BytesIO(data))
    check_size(image.width, image.height)
    image.load()
    metadata = metadata_of(image)
    if not image.jpeg:  # the decoder has applied the orientation, except to a JPEG in the file
        metadata = replace(metadata, exif=_upright(metadata.exif))
    return image, metadata


def _upright(exif: bytes | None) -> bytes | None:
    """Return Exif with Orientation 1, if it has an Orientation."""
    from PIL import Image

    if not exif:
        return None
    parsed = Image.Exif()
    parsed.load(exif)
    if parsed.get(_ORIENTATION, 1) == 1:
        return exif
    parsed[_ORIENTATION] = 1
    return parsed.tobytes().removeprefix(b"Exif\0\0")


def _codestream(data: bytes) -> bytes:
    """Return the first bytes of a JPEG XL codestream, which may be in boxes (ISO/IEC 18181-2)."""
    if not data.startswith(_JXL_CONTAINER):
        return data[:_SIZE_HEADER]
    found, place = b"", 0
    while place + 8 <= len(data) and len(found) < _SIZE_HEADER:
        size, kind, begin = (
            int.from_bytes(data[place : place + 4], "big"),
            data[place + 4 : place + 8],
            place + 8,
        )
        if size == 1:  # a size of 64 bits follows
            size, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
        end = place + size if size else len(data)
        if end < begin:
            break
        if kind == b"jxlp":
            begin += 4  # skip the number of the part
        if kind in (b"jxlc", b"jxlp"):
            found += data[begin : min(end, begin + _SIZE_HEADER)]
        place = end
    return found


def _jxl_size(data: bytes) -> tuple[int, int]:
    """Return the width and height in a JPEG XL codestream (SizeHeader, ISO/IEC 18181-1)."""
    begin = _codestream(data)
    if not begin.startswith(b"\xff\x0a"):
        raise FormatError("JPEG XL without a codestream")
    bits = int.from_bytes(begin[2:], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    over, under = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * over // under, height


def _raw(data: bytes, check_size: CheckSize) -> tuple[npt.NDArray[Any], Metadata]:
    rawpy = _package("rawpy", "RAW")
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            check_size(raw.sizes.width, raw.sizes.height)
            # The camera's white balance, 16 bits, and sRGB's curve (rawpy's default is BT.709's).
            pixels = raw.postprocess(
                use_camera_wb=True, output_bps=16, output_color=rawpy.ColorSpace.sRGB, gamma=(2.4, 12.92)
            )
            preview = _preview(raw, rawpy)
    except rawpy.LibRawFileUnsupportedError:
        raise UnsupportedError("LibRaw does not support this camera or kind of RAW file") from None
    return pixels, _raw_metadata(data, preview)


def _preview(raw: Any, rawpy: ModuleType) -> bytes:
    try:
        thumbnail = raw.extract_thumb()
    except rawpy.LibRawError:
        return b""
    return bytes(thumbnail.data) if thumbnail.format == rawpy.ThumbFormat.JPEG else b""


def _raw_metadata(data: bytes, preview: bytes) -> Metadata:
    """Return the Exif and XMP of a RAW file, or of its preview, with Orientation 1.

    The maker note is removed: it often exceeds a JPEG segment, and its offsets refer to the RAW file.
    """
    from PIL import Image

    for find in (lambda: data, lambda: opened_jpeg(preview).info["exif"]):
        exif = Image.Exif()
        try:
            block = find()
            if block[:4] not in (b"II*\0", b"MM\0*") and block is data:
                continue
            exif.load(block)
            xmp = exif.get(_XMP)
            for tag in [tag for tag in exif if tag not in DESCRIPTIVE]:
                del exif[tag]
            exif.get_ifd(_EXIF_IFD).pop(_MAKER_NOTE, None)
            if _ORIENTATION in exif:
                exif[_ORIENTATION] = 1
            block = exif.tobytes().removeprefix(b"Exif\0\0") if len(exif) else b""
        except Exception:  # a picture without metadata is better than an error
            continue
        if 0 < len(block) <= _MAX_EXIF:
            return Metadata(exif=block, xmp=xmp if isinstance(xmp, bytes) else None)
    return Metadata()


_MAX_EXIF = 65527  # bytes of a segment's payload without the header of 6 bytes

_DECODERS: dict[Kind, _Decoder] = {"HEIC": _heic, "AVIF": _avif, "JPEG XL": _jpeg_xl, "RAW": _raw}
