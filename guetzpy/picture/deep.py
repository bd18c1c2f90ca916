"""Read samples that Pillow truncates or reads wrongly: 16-bit colours of PNG and TIFF, some layouts of TIFF.

It also marks the pixels that a PNG declares transparent by their colour (tRNS), where Pillow compares samples
of one depth with a colour of another.

Pillow's decoding of TIFF files was compared with tifffile's, over photometric interpretation, planar
configuration, depth, sample format, byte order, compression, strips and tiles. This module handles the
combinations in which the two differ. It raises UnsupportedError for those that cannot be read correctly.
"""

from __future__ import annotations

import io
import struct
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from guetzpy.errors import UnsupportedError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["own_samples", "unmultiplied"]

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# Tags of TIFF 6.0 and its supplements.
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _ORIENTATION, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANAR = 273, 274, 277, 278, 279, 284
_PREDICTOR, _TILE_WIDTH, _TILE_LENGTH, _TILES, _TILE_BYTES = 317, 322, 323, 324, 325
_COLOUR_MAP, _EXTRA, _FORMAT, _JPEG_TABLES = 320, 338, 339, 347

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_ASSOCIATED = 1  # value of ExtraSamples: the colours are multiplied by the alpha


def own_samples(image: Image.Image) -> Samples | None:
    """Return the samples of an image if Pillow alone would not read them in full.

    Parameters
    ----------
    image : PIL image
        An open file whose pixels are not loaded yet. For any other image the result is None.

    Returns
    -------
    ndarray of uint8 or uint16, shape (H, W) or (H, W, 2, 3 or 4), or None
        Gray, gray and alpha, RGB or RGBA, with alpha not multiplied in; None if Pillow's own pixels are
        correct.

    Raises
    ------
    UnsupportedError
        For a TIFF whose samples are signed, or are in separate planes and already loaded, or are of a
        kind that is not supported. For a JPEG 2000 in colour with more than 8 bits.
    """
    tags = getattr(image, "tag_v2", None)
    if tags is not None and image.format in ("TIFF", "MPO", None):
        own = _of_tiff(image, tags)
        if own is not None:
            return own
    if image.format == "JPEG2000":
        _refuse_deep_jpeg2000(image)
    if image.mode == "L" or image.mode.startswith("I;16"):
        return _of_gray_png(image)
    return _deep_colours(image)


def _refuse_deep_jpeg2000(image: Image.Image) -> None:
    """Raise UnsupportedError for JPEG 2000 whose samples Pillow rounds to 256, which it stores as 0.

    The number of components and their depths are in the SIZ segment (ISO/IEC 15444-1, A.5.1).
    """
    data = _contents(image) or b""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return
    count = int.from_bytes(data[start + 40 : start + 42], "big")
    depths = [(depth & 0x7F) + 1 for depth in data[start + 42 : start + 42 + 3 * count : 3]]
    if count > 1 and max(depths, default=0) > 8:
        raise UnsupportedError(
            f"JPEG 2000 in colour or with alpha and {max(depths)} bits per sample is not supported; "
            "convert it to PNG or TIFF"
        )


def _of_tiff(image: Image.Image, tags: Any) -> Samples | None:
    formats, bits = _tuple(tags.get(_FORMAT, 1)), _tuple(tags.get(_BITS, 1))
    photometric, planar = tags.get(_PHOTOMETRIC, 0), tags.get(_PLANAR, 1)
    if 2 in formats:
        raise UnsupportedError("TIFF with signed samples has no fixed black; convert it to unsigned samples")
    if max(bits) == 32 and 3 not in formats:
        raise UnsupportedError("TIFF with samples of 32 bits is not supported; convert it to 16 bits")
    if planar == 2 and photometric == _SEPARATED and max(bits) == 16:  # Pillow reads each byte as a sample
        raise UnsupportedError(
            "TIFF of CMYK with 16 bits in separate planes is not supported; store its samples by pixel"
        )
    if planar == 2 and tags.get(_SAMPLES, len(bits)) > 1 and photometric in (_RGB, _BLACK_IS_ZERO):
        return _of_planes(image, tags, photometric, max(bits))
    if photometric == _YCBCR and tags.get(_COMPRESSION, 1) == 1 and max(bits) == 8 and len(bits) == 3:
        # Pillow would read the samples as RGB, or report a file that is too short if chroma is subsampled.
        raise UnsupportedError("TIFF of uncompressed YCbCr is not supported; convert it to RGB")
    if photometric == _PALETTE and image.mode == "P":
        return _of_short_map(image, tags)
    if image.mode.startswith("I;16"):
        gray: npt.NDArray[np.uint16] = np.asarray(image).astype(np.uint16)
        if max(bits) < 16:  # 12 bits, which Pillow leaves in 0..4095
            top = (1 << max(bits)) - 1
            gray = ((gray.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
        return ~gray if photometric == _WHITE_IS_ZERO else gray
    return None


def _tuple(value: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in value) if isinstance(value, tuple) else (int(value),)


def _contents(image: Image.Image) -> bytes | None:
    """Return the bytes of an open file whose pixels are not loaded yet; None for any other image."""
    stream = getattr(image, "fp", None)
    if not getattr(image, "tile", None) or stream is None:
        return None
    place = stream.tell()
    stream.seek(0)
    data: bytes = stream.read()
    stream.seek(place)
    return data


def _needed(image: Image.Image) -> bytes:
    data = _contents(image)
    if data is None:
        raise UnsupportedError(
            "TIFF of this layout has to be read from its file: pass its path or bytes, not loaded pixels"
        )
    return data


def _of_short_map(image: Image.Image, tags: Any) -> Samples | None:
    """Return the RGB of a palette whose entries are 0..255, as old programs wrote them; None for others.

    The standard has 0..65535 (TIFF 6.0, section 5), of which Pillow takes the upper byte. libtiff
    (``checkcmap`` of tif_getimage.c) tells the two forms apart by the largest entry.
    """
    entries = np.array(_tuple(tags.get(_COLOUR_MAP, ())), np.int64)
    if not entries.size or entries.size % 3 or not 0 < entries.max() <= 255:
        return None
    colours = entries.reshape(3, -1).T.astype(np.uint8)
    codes = np.asarray(image)
    if codes.max() >= len(colours):
        raise UnsupportedError("TIFF with a palette that is too short for its pixels")
    pixels: Samples = colours[codes]
    return pixels


# Separate planes


def _of_planes(image: Image.Image, tags: Any, photometric: int, depth: int) -> Samples:
    """Return samples that are stored in separate planes; each plane is read as a gray picture.

    Pillow opens separate planes of 8 or 16 bits only. CMYK does not come here.
    """
    extra = _tuple(tags.get(_EXTRA, ())) if tags.get(_EXTRA) is not None else ()
    colours = 3 if photometric == _RGB else 1
    samples = tags.get(_SAMPLES, colours + len(extra))
    alpha = colours < samples and (not extra or extra[0] != 0)
    data = _needed(image)
    planes = [_plane(data, tags, number, samples, depth) for number in range(colours + alpha)]
    if len(planes) == 1:
        return planes[0]
    pixels: Samples = np.stack(planes, axis=-1)
    return unmultiplied(pixels) if alpha and extra[:1] == (_ASSOCIATED,) else pixels


def _plane(data: bytes, tags: Any, number: int, samples: int, depth: int) -> npt.NDArray[Any]:
    from PIL.TiffImagePlugin import TiffImageFile

    with TiffImageFile(io.BytesIO(_plane_file(data, tags, number, samples, depth))) as gray:
        codes = np.asarray(gray)
    return codes.astype(np.uint8 if depth == 8 else np.uint16)


def _plane_file(data: bytes, tags: Any, number: int, samples: int, depth: int) -> bytes:
    """Return the file with an added directory that describes one of its planes as a gray picture."""
    kept = (
        _WIDTH, _LENGTH, _COMPRESSION, _FILL_ORDER, _ORIENTATION, _STRIP_ROWS, _PREDICTOR, _TILE_WIDTH,
        _TILE_LENGTH,
    )  # fmt: skip
    fields: dict[int, tuple[int, ...]] = {tag: (int(tags[tag]),) for tag in kept if tag in tags}
    fields |= {_BITS: (depth,), _PHOTOMETRIC: (_BLACK_IS_ZERO,), _SAMPLES: (1,), _PLANAR: (1,)}
    for tag in (_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES):
        if tag in tags:
            values = _tuple(tags[tag])
            each = len(values) // samples
            fields[tag] = values[number * each : (number + 1) * each]
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    # Field type 4 is LONG, 16 is LONG8 (BigTIFF).
    kind, code, width = (16, "Q", 8) if big else (4, "I", 4)
    start = len(data) + len(data) % 2
    counts, entry = ("Q", 20) if big else ("H", 12)
    tables = tags.get(_JPEG_TABLES)
    total = len(fields) + (tables is not None)
    after = start + struct.calcsize(order + counts) + entry * total + width
    directory, values_after = struct.pack(order + counts, total), b""

    def add(tag: int, kind: int, count: int, packed: bytes) -> None:
        nonlocal directory, values_after
        if len(packed) > width:
            place = after + len(values_after)
            values_after += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(order + code, place)
        directory += struct.pack(order + "HH" + code, tag, kind, count) + packed.ljust(width, b"\0")

    for tag, values in sorted(fields.items()):
        if tag in (_BITS, _PHOTOMETRIC, _COMPRESSION):  # SHORT by the standard
            add(tag, 3, 1, struct.pack(order + "H", values[0]))
        else:
            add(tag, kind, len(values), struct.pack(f"{order}{len(values)}{code}", *values))
    if tables is not None:
        add(_JPEG_TABLES, 7, len(tables), bytes(tables))
    head = data[:8] + struct.pack(order + "Q", start) if big else data[:4] + struct.pack(order + "I", start)
    return b"".join(
        (head, data[len(head) :], b"\0" * (len(data) % 2), directory, b"\0" * width, values_after)
    )


def unmultiplied(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Divide colours by their alpha, the last channel; fully transparent pixels become black."""
    top = np.iinfo(pixels.dtype).max
    colour, alpha = pixels[..., :-1].astype(np.float64), pixels[..., -1:]
    divided = np.clip(np.rint(colour * top / np.maximum(alpha, 1)), 0, top).astype(pixels.dtype)
    return np.concatenate([divided, alpha], axis=-1)


# PNG


def _of_gray_png(image: Image.Image) -> Samples | None:
    """Return gray and alpha of a gray PNG with a transparent code; None for others.

    The code has the depth of the file (PNG specification, 11.3.2.1). Pillow scales samples of 2 and 4 bits,
    but not the code, and ignores the code at 16 bits.
    """
    code = image.info.get("transparency")
    if not isinstance(code, int):
        return None
    if image.mode == "L":
        tiles = getattr(image, "tile", None)
        tops = {"L;2": 3, "L;4": 15}
        top = tops.get(tiles[0].args) if tiles and isinstance(tiles[0].args, str) else None
        if top is None:
            return None
        code = (code & top) * (255 // top)
    gray: npt.NDArray[Any] = np.asarray(image).astype(np.uint8 if image.mode == "L" else np.uint16)
    alpha = np.where(gray == code, 0, np.iinfo(gray.dtype).max).astype(gray.dtype)
    return np.stack([gray, alpha], axis=-1)


# 16-bit colours


def _deep_colours(image: Image.Image) -> npt.NDArray[np.uint16] | None:
    """Return the 16-bit samples of a colour PNG or TIFF, or None if Pillow reads them in full.

    Pillow keeps the upper byte of a 16-bit sample. If the byte order in the tile's mode is changed, it keeps
    the lower byte instead. So two decodes give both bytes.
    """
    tiles = getattr(image, "tile", None)
    if not tiles or image.mode not in ("RGB", "RGBA"):
        return None
    if all(tile.args == "LA;16B" for tile in tiles):
        return _deep_gray_and_alpha(image)
    if any(_deep_mode(tile) is None for tile in tiles):
        return None
    data = _needed(image)
    associated = any(_deep_mode(tile) == "RGBa;16" for tile in tiles)
    # The image itself is loaded in any case, because that reads the metadata after the pixels.
    high = np.asarray(_reading_again(image, data, swapped=False)) if associated else np.asarray(image)
    image.load()
    deep: npt.NDArray[np.uint16] = high.astype(np.uint16) << np.uint16(8)
    deep |= np.asarray(_reading_again(image, data, swapped=True))
    colour = image.info.get("transparency")
    if isinstance(colour, tuple) and image.mode == "RGB":  # of a PNG; Pillow would compare the upper bytes
        alpha = np.where((deep == colour).all(axis=-1, keepdims=True), 0, 65535).astype(np.uint16)
        return np.concatenate([deep, alpha], axis=-1)
    return unmultiplied(deep) if associated else deep


def _deep_gray_and_alpha(image: Image.Image) -> npt.NDArray[np.uint16]:
    """Return gray and alpha of a PNG that has 16 bits of each, of which Pillow keeps the upper bytes.

    A pixel has four bytes, which Pillow returns unchanged if the tile's mode says RGBA.
    """
    data = _needed(image)
    image.load()  # reads the metadata after the pixels
    factory: Any = type(image)
    again: Image.Image = factory(io.BytesIO(data))
    again.tile = [tile._replace(args="RGBA") for tile in again.tile]  # type: ignore[attr-defined]
    samples: npt.NDArray[np.uint16] = np.asarray(again).view(">u2").astype(np.uint16)
    return samples


def _reading_again(image: Image.Image, data: bytes, *, swapped: bool) -> Image.Image:
    """Return the file opened again with modified tiles, see :func:`_reading`."""
    factory: Any = type(image)
    again: Image.Image = factory(io.BytesIO(data))
    again.tile = [_reading(tile, swapped) for tile in again.tile]  # type: ignore[attr-defined]
    return again


def _deep_mode(tile: Any) -> str | None:
    """Return a tile's raw mode without its byte order if it is 16-bit; None otherwise."""
    arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    mode = arguments[0]
    if not isinstance(mode, str) or mode[:-1] not in ("RGB;16", "RGBA;16", "RGBX;16", "RGBa;16"):
        return None
    return mode[:-1]


def _reading(tile: Any, swapped: bool) -> Any:
    """Return a tile with which Pillow reads one byte of 16-bit samples and does not divide by alpha."""
    arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    mode = arguments[0].replace("RGBa", "RGBA")
    native = "L" if sys.byteorder == "little" else "B"
    order = native if mode[-1] == "N" else mode[-1]
    if swapped:
        mode = mode[:-1] + ("B" if order == "L" else "L")
    arguments = (mode, *arguments[1:])
    return tile._replace(args=arguments if isinstance(tile.args, tuple) else arguments[0])
