"""Open untrusted files with Pillow, by the plugin of their format only.

The first bytes determine the format, which must be on a list of allowed ones. Only Pillow's plugin of that
format then reads the file. ``PIL.Image.open`` would try all plugins, some of which start other programs, open
a file within the file, or decode before any limit can be checked. All exceptions of Pillow become errors of
guetzpy.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.forks import not_forked
from guetzpy._runtime.threads import check_time
from guetzpy.errors import FormatError, GuetzpyError, LimitError, UnsupportedError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = [
    "CheckSize",
    "check_decoded_size",
    "format_of",
    "guarded",
    "jpeg_samples",
    "opened",
    "opened_jpeg",
    "opened_single",
    "size_of",
]

#: Called with width and height before memory for pixels is allocated; raises LimitError.
CheckSize = Callable[[int, int], None]

#: Module and class of Pillow's plugin for each allowed format.
_PLUGINS = {
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "JPEG2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "PPM": ("PpmImagePlugin", "PpmImageFile"),
    "TGA": ("TgaImagePlugin", "TgaImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
}

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    *((head, "TIFF") for head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)

#: First bytes of formats that are not supported, so that a message can name them.
_OTHERS = (
    *((b"\0\0\1\0", "ICO"), (b"\0\0\2\0", "CUR"), (b"icns", "ICNS"), (b"\x1c", "IPTC"), (b"%!PS", "EPS")),
    *((b"\xc5\xd0\xd3\xc6", "EPS"), (b"8BPS", "PSD"), (b"SIMPLE", "FITS"), (b"\xd7\xcd\xc6\x9a", "WMF")),
    *((b"\1\0\0\0", "EMF"), (b"%PDF", "PDF"), (b"qoif", "QOI"), (b"DDS ", "DDS"), (b"BLP", "BLP")),
    *((b"BUFR", "BUFR"), (b"GRIB", "GRIB"), (b"\x89HDF", "HDF5"), (b"\xd0\xcf\x11\xe0", "FPX or MIC")),
    *((b"\1\xda", "SGI"), (b"\x59\xa6\x6a\x95", "SUN"), (b"\0\0\1\xb3", "MPEG"), (b"\x0a", "PCX")),
    *((b"\xb1\x68\xde\x3a", "DCX"), (b"FTEX", "FTEX"), (b"DanM", "MSP"), (b"LinS", "MSP")),
    *((b"\x80\xe8\0\0", "PIXAR"), (b"/* XPM */", "XPM"), (b"P7 332", "XV thumbnail"), (b"Image type:", "IM")),
    *((b"\0\0\0\0\0\0\0\4", "MCIDAS"), (b"#define", "XBM"), (b"\x8aMNG", "MNG"), (b"#?RADIANCE", "HDR")),
    *((b"v/1\1", "OpenEXR"), (b"II\xbc", "JPEG XR"), (b"gimp xcf", "XCF"), (b"<svg", "SVG")),
    *((bytes((size, 0, 0, 0)), "DIB") for size in (12, 40, 52, 56, 64, 108, 124)),
)
_PHOTO_CD = slice(2048, 2051)

#: Second and third bytes of PBM, PGM, PPM and PFM files.
_NETPBM = frozenset({b"1", b"2", b"3", b"4", b"5", b"6", b"f"})
_BLANKS = frozenset({b" ", b"\t", b"\n", b"\v", b"\f", b"\r", b"#"})


def format_of(data: bytes) -> str | None:
    """Return the allowed format of a file by its first bytes, with Pillow's name; None for others."""
    for head, name in _SIGNATURES:
        if data.startswith(head):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:1] == b"P" and data[1:2] in _NETPBM and data[2:3] in _BLANKS:
        return "PPM"
    return "TGA" if _is_targa(data) else None


def _is_targa(data: bytes) -> bool:
    """Return whether a file begins with a TGA header; TGA has no signature (Truevision TGA 2.0)."""
    if len(data) < 18:
        return False
    with_map, kind, map_depth, depth, flags = data[1], data[2], data[7], data[16], data[17]
    depths = {1: (8,), 2: (16, 24, 32), 3: (1, 8, 16)}.get(kind & ~8, ())
    if depth not in depths or flags & 0xC0 or not any(data[12:14]) or not any(data[14:16]):
        return False
    if with_map:
        return with_map == 1 and map_depth in (15, 16, 24, 32)
    return kind & ~8 != 1 and not any(data[3:8])


def _refused(data: bytes) -> GuetzpyError:
    name = next((name for head, name in _OTHERS if data.startswith(head)), None)
    if data[_PHOTO_CD] == b"PCD":
        name = "PCD"
    if name is not None:
        return UnsupportedError(f"{name} files are not supported")
    return FormatError("not an image of a known format")


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """Convert every exception of a decoder to an error of guetzpy.

    Parameters
    ----------
    what : str
        Start of the message, such as "PNG cannot be decoded".

    Raises
    ------
    LimitError
        If memory runs out, or Pillow's own limit on pixels is exceeded.
    FormatError
        For any other exception that is not an error of guetzpy.
    """
    try:
        yield
    except GuetzpyError:
        raise
    except MemoryError:
        raise LimitError(f"{what}: out of memory") from None
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, KeyError):  # its text is a number that a table of Pillow lacks
            words = f"{words} is a value that Pillow does not know"
        if type(error).__name__ in ("DecompressionBombError", "DecompressionBombWarning"):
            raise LimitError(f"{words}; PIL.Image.MAX_IMAGE_PIXELS sets that limit") from None
        raise FormatError(f"{what}: {words}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # raised by decoders in Rust
            raise
        raise FormatError(f"{what}: {error}") from None


def opened(data: bytes, check_size: CheckSize) -> ImageFile:
    """Open a file of an allowed format without decoding it.

    Parameters
    ----------
    data : bytes
        The file.
    check_size : callable
        Called with the width and height in the header.

    Returns
    -------
    PIL.ImageFile.ImageFile
        The open image. Callers must use :func:`guarded` when they use the image.

    Raises
    ------
    UnsupportedError
        If the format is not allowed.
    FormatError
        If the file is broken.
    LimitError
        If ``check_size`` raises it, or memory runs out.
    """
    name = format_of(data)
    if name is None:
        raise _refused(data)
    if name == "WEBP":  # libwebp allocates the canvas when Pillow opens the file
        size = _webp_size(data)
        if size is not None:
            check_size(*size)
    with guarded(f"{name} cannot be read"):
        try:
            image = _plugin(name)(io.BytesIO(data), "")
        except Exception:
            if name == "TIFF":
                _refuse_layouts(data)
            raise
        check_size(image.width, image.height)
        if name == "TIFF":
            _check_tiles(image, check_size)
    return image


def _refuse_layouts(data: bytes) -> None:
    """Raise UnsupportedError for a TIFF that Pillow cannot open, although it is valid."""
    from PIL import TiffImagePlugin

    if data.startswith(b"MM\0+"):
        raise UnsupportedError("big-endian BigTIFF files are not supported")
    samples, compression = 1, 1
    with contextlib.suppress(Exception):  # Pillow reports a broken directory later
        directory = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if data[2] == 43 else 8])
        stream = io.BytesIO(data)
        stream.seek(directory.next)
        directory.load(stream)
        samples = int(directory.get(TiffImagePlugin.SAMPLESPERPIXEL, 1))
        compression = int(directory.get(TiffImagePlugin.COMPRESSION, 1))
    if compression not in TiffImagePlugin.COMPRESSION_INFO:
        raise UnsupportedError(f"TIFF with compression {compression} is not supported")
    if samples > 4:
        raise UnsupportedError(f"TIFF with {samples} samples per pixel is not supported")


def opened_jpeg(data: bytes) -> ImageFile:
    """Open a JPEG with Pillow's libjpeg-turbo. Callers must guard its exceptions."""
    return _plugin("JPEG")(io.BytesIO(data), "")


def jpeg_samples(data: bytes) -> npt.NDArray[np.uint8]:
    """Return the samples that libjpeg-turbo decodes a file to, uint8 of shape (1|3|4, H, W)."""
    with guarded("libjpeg-turbo"), opened_jpeg(data) as picture:
        samples = np.asarray(picture)
        if picture.mode == "CMYK":  # Pillow has inverted these samples
            samples = np.uint8(255) - samples
    return np.ascontiguousarray(samples[None] if samples.ndim == 2 else samples.transpose(2, 0, 1))


def size_of(stream: Any) -> tuple[int, int]:
    """Return width and height from the header of an open file, without decoding it.

    Parameters
    ----------
    stream : binary file
        A seekable file at its start.

    Raises
    ------
    FormatError, UnsupportedError
        If the file is broken, or its format is not allowed.
    """
    head = stream.read(_PHOTO_CD.stop)
    name = format_of(head)
    if name is None:
        raise _refused(head)
    if name == "JPEG":
        return _jpeg_size(stream)
    size = _webp_size(head) if name == "WEBP" else None
    if size is not None:
        return size
    stream.seek(0)
    with guarded(f"{name} cannot be read"):
        image = _plugin(name)(stream, "")
        return image.width, image.height


def _plugin(name: str) -> Callable[[Any, str], ImageFile]:
    module, cls = _PLUGINS[name]
    with not_forked():
        plugin: Callable[[Any, str], ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), cls)
    return plugin


def _jpeg_size(stream: Any) -> tuple[int, int]:
    """Return the size in a JPEG's first frame header (T.81 B.2.2)."""
    stream.seek(2)
    while len(head := stream.read(4)) == 4 and head[0] == 0xFF:
        if head[1] == 0xFF:  # a fill byte
            stream.seek(-3, io.SEEK_CUR)
        elif 0xC0 <= head[1] <= 0xCF and head[1] not in (0xC4, 0xC8, 0xCC):
            frame = stream.read(5)
            return int.from_bytes(frame[3:], "big"), int.from_bytes(frame[1:3], "big")
        else:
            stream.seek(max(0, int.from_bytes(head[2:], "big") - 2), io.SEEK_CUR)
    raise FormatError("JPEG without a frame header")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the size of the canvas in the first chunk (RFC 9649); None if the chunk has no size."""
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8 " and len(data) >= 30:
        sides = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
        return sides[0] & 0x3FFF, sides[1] & 0x3FFF
    if chunk == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _check_tiles(image: Any, check_size: CheckSize) -> None:
    """Check the size of the tiles of a TIFF against the limits, because each tile is decoded as a whole."""
    width, height = image.tag_v2.get(322), image.tag_v2.get(323)
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        check_size(width, height)


#: Largest number of pages of a TIFF that are counted. Finding a page takes a pass over all pages before it.
_MOST_PAGES = 1000


def opened_single(data: bytes, check_size: CheckSize) -> ImageFile:
    """Open a file as :func:`opened` does; raise UnsupportedError if it has several frames or pages.

    If the second frame is broken, the result is the first one as far as Pillow decodes it.
    """
    image = opened(data, check_size)
    try:
        with guarded("a frame cannot be read"):
            count = _pages(image) if image.format == "TIFF" else getattr(image, "n_frames", 1)
    except FormatError:
        count = 2 if _has_second(opened(data, check_size)) else 1
        image = opened(data, check_size)
    if count > 1:
        raise UnsupportedError(f"{image.format} with {count} frames or pages; a JPEG holds one")
    return image


def _pages(image: ImageFile) -> int:
    count = 1
    with contextlib.suppress(EOFError):
        while count < _MOST_PAGES:
            check_time()
            image.seek(count)
            count += 1
    image.seek(0)
    return count


def _has_second(image: ImageFile) -> bool:
    try:
        with guarded("a frame cannot be read"):
            image.seek(1)
    except FormatError:
        return False
    return True


def check_decoded_size(declared: tuple[int, int], decoded: tuple[int, int], *, turned: bool = False) -> None:
    """Raise FormatError if decoded and declared size differ; ``turned`` allows swapped sides."""
    if decoded != declared and not (turned and decoded == declared[::-1]):
        sizes = f"{decoded[0]} x {decoded[1]} pixels decoded, {declared[0]} x {declared[1]} declared"
        raise FormatError(f"the header is wrong: {sizes}")
