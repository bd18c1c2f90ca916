"""Opening files with Pillow: allowed formats only, no other programs, no nested files, errors of guetzpy."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from reference.jpeg_files import picture

import guetzpy
from guetzpy.batch import memory
from guetzpy.batch.discover import Task
from guetzpy.engine.loading import load
from guetzpy.errors import FormatError, LimitError, UnsupportedError
from guetzpy.jpeg import markers
from guetzpy.picture import pillow as _pillow
from guetzpy.report import pictures


def encoded(kind: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


ALLOWED = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "TGA", "JPEG2000")
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


def iptc(inner: bytes, width: int = 16, height: int = 16) -> bytes:
    """Return an IPTC/NAA file of one gray band whose picture data is another file."""

    def record(number: tuple[int, int], content: bytes) -> bytes:
        return bytes((0x1C, *number)) + struct.pack(">H", len(content)) + content

    head = record((3, 60), b"\1\0") + record((3, 20), struct.pack(">H", width))
    head += record((3, 30), struct.pack(">H", height)) + record((3, 120), b"\1")
    return head + record((8, 10), inner)


def others() -> dict[str, bytes]:
    """Return files of formats that Pillow reads and guetzpy does not, by name of the format."""
    found = {"IPTC": iptc(EPS), "EPS": EPS, "FITS": b"SIMPLE  =                    T" + bytes(2880)}
    for kind, mode in (("ICO", "RGBA"), ("ICNS", "RGBA"), ("PCX", "RGB"), ("SGI", "RGB"), ("DDS", "RGBA")):
        found[kind] = encoded(kind, (32, 32), mode)
    found["XBM"] = encoded("XBM", mode="1")
    found["DIB"] = encoded("DIB")
    found["IM"] = b"Image type: RGB image\r\nName: x\r\n"
    found["QOI"] = b"qoif" + struct.pack(">II", 2, 2) + b"\3\0" + bytes(20)
    found["CUR"] = b"\0\0\2\0\1\0" + encoded("ICO", (32, 32), "RGBA")[6:]
    found["PSD"] = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(200)
    found["WMF"] = b"\xd7\xcd\xc6\x9a\0\0" + bytes(60)
    found["PCD"] = bytes(2048) + b"PCD_" + bytes(100)
    return found


@pytest.mark.parametrize("kind", ALLOWED)
def test_the_first_bytes_tell_the_format(kind: str) -> None:
    data = encoded(kind)
    assert _pillow.format_of(data) == kind
    assert (load(data).width, load(data).height) == (40, 30)


@pytest.mark.parametrize(
    ("mode", "rle"), [("L", False), ("RGB", True), ("RGBA", False), ("P", False), ("1", False)]
)
def test_targa_has_no_signature(mode: str, rle: bool) -> None:
    data = encoded("TGA", mode=mode, compression="tga_rle" if rle else None)
    assert _pillow.format_of(data) == "TGA"
    assert load(data, background="white").width == 40


@pytest.mark.parametrize("name", sorted(others()))
def test_other_formats_are_refused_unopened(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "__init__", lambda *_: pytest.fail("Pillow saw it"))
    with pytest.raises(UnsupportedError, match=f"{name} files are not supported"):
        guetzpy.optimize(others()[name])


def test_noise_is_no_picture() -> None:
    for number in range(300):
        with pytest.raises((FormatError, UnsupportedError)):
            load(random.Random(number).randbytes(50))


TRAPPED = """
import sys
from pathlib import Path
import guetzpy
from guetzpy.engine import inspect as inspection
from guetzpy.report.pictures import showable, thumbnail
for path in sorted(Path(sys.argv[1]).iterdir()):
    data = path.read_bytes()
    for do in (guetzpy.optimize, inspection.inspect, lambda d: guetzpy.compare(d, d), thumbnail, showable):
        try:
            do(data)
        except guetzpy.GuetzpyError:
            pass
print("all opened")
"""


@pytest.mark.skipif(os.name == "nt", reason="scripts as programs")
def test_no_program_is_started(tmp_path: Path) -> None:
    traps, files = tmp_path / "bin", tmp_path / "files"
    traps.mkdir()
    files.mkdir()
    for name in ("gs", "gswin32c", "gswin64c", "dcraw", "ffmpeg", "convert", "magick", "djpeg", "xv"):
        (traps / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/started-{name}\n")
        (traps / name).chmod(0o755)
    for name, data in (others() | {kind: encoded(kind) for kind in ALLOWED}).items():
        (files / name).write_bytes(data)
    (files / "eps in tiff").write_bytes(b"II*\0\x08\0\0\0\0\0\0\0\0\0" + EPS)
    environment = os.environ | {"PATH": f"{traps}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-W", "ignore", "-c", TRAPPED, str(files)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "all opened\n"
    assert not list(tmp_path.glob("started-*"))


# Limits are checked before decoding


def oversized(kind: str) -> bytes:
    """Return a small file whose header declares 20,000 x 20,000 pixels."""
    data = bytearray(encoded(kind, **({"lossless": True} if kind == "WEBP" else {})))
    big = 20_000
    if kind == "PNG":
        import zlib

        data[16:24] = struct.pack(">II", big, big)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", big, big)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", big, big)
    elif kind == "TGA":
        data[12:16] = struct.pack("<HH", big, big)
    elif kind == "PPM":
        data = bytearray(bytes(data).replace(b"40 30", b"20000 20000"))
    elif kind == "WEBP":
        bits = int.from_bytes(data[21:25], "little") & ~0xFFFFFFF | 16383 | 16383 << 14
        data[21:25] = bits.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TGA", "PPM", "WEBP"])
def test_limits_before_anything_is_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = oversized(kind)
    for decoder in ("PIL.ImageFile.ImageFile.load", "PIL.WebPImagePlugin.WebPImageFile.load"):
        monkeypatch.setattr(decoder, lambda self: pytest.fail("decoded"))
    if kind == "WEBP":  # its canvas is allocated when the decoder is created
        monkeypatch.setattr("PIL._webp.WebPAnimDecoder", lambda *_: pytest.fail("decoder made"))
    for sources, do in (([data], guetzpy.optimize), ([data, data], guetzpy.compare)):
        with pytest.raises(LimitError, match="pixels are more than the limit of 1000000"):
            do(*sources, max_pixels=1_000_000)
    assert pictures.thumbnail(data) is None
    assert pictures.showable(data) is None
    path = tmp_path / "picture"
    path.write_bytes(data)
    task = Task(str(path), "picture", "picture", len(data), "")
    assert memory.pixels(task) >= 16383**2


def test_areas_by_headers(tmp_path: Path) -> None:
    for kind in ALLOWED:
        path = tmp_path / kind
        path.write_bytes(encoded(kind))
        task = Task(str(path), kind, "picture", path.stat().st_size, "")
        assert memory.pixels(task) == 1200, kind
    path.write_bytes(others()["ICO"])
    assert memory.pixels(task) == 20 * task.size  # an estimate, because the file is not opened


def test_tiles_of_a_tiff_are_held_to_the_limits() -> None:
    tifffile = pytest.importorskip("tifffile")
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((16, 16), np.uint8), tile=(4096, 4096), compression="zlib")
    assert len(stream.getvalue()) < 50_000
    assert load(stream.getvalue()).width == 16
    with pytest.raises(LimitError, match="4096 x 4096"):
        load(stream.getvalue(), max_pixels=1_000_000)


def test_a_header_that_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_other(self: Any) -> Any:
        self._size = (50, 60)
        self._im = Image.core.fill("RGB", (50, 60), (1, 2, 3))
        self.tile = []

    monkeypatch.setattr("PIL.BmpImagePlugin.BmpImageFile.load", load_other)
    with pytest.raises(FormatError, match="50 x 60 pixels decoded, 40 x 30 declared"):
        load(encoded("BMP"))


def jxl_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def test_the_size_of_jpeg_xl_is_that_of_its_codestream() -> None:
    """A box before the codestream may contain any bytes, including the name of another box."""
    from guetzpy.picture.formats import _jxl_size

    huge = b"\xff\x0a" + (0b1 << 32 | (19999 << 5 | 0b11 << 3 | 0) << 0).to_bytes(12, "little")
    small = b"\xff\x0a" + b"\x01" + bytes(11)
    container = b"\0\0\0\x0cJXL \r\n\x87\n" + jxl_box(b"ftyp", b"jxl \0\0\0\0jxl ")
    decoy = jxl_box(b"Exif", b"jxlc" + small)
    whole = _jxl_size(huge)
    assert _jxl_size(container + decoy + jxl_box(b"jxlc", huge)) == whole
    parts = jxl_box(b"jxlp", bytes(4) + huge[:3]) + jxl_box(b"jxlp", b"\x80\0\0\1" + huge[3:])
    assert _jxl_size(container + decoy + parts) == whole
    short = b"\0\0\0\1jxlc" + (4).to_bytes(8, "big") + small  # ends before its contents
    for nothing in (container, container + decoy, container + b"\0\0\0\1Exif" + bytes(8), container + short):
        with pytest.raises(FormatError, match="without a codestream"):
            _jxl_size(nothing)


# Errors


class Surprise(BaseException):
    pass


Surprise.__name__ = "PanicException"


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        *(
            (error, FormatError)
            for error in (IndexError("x"), struct.error("x"), TypeError("x"), KeyError(1))
        ),
        *(
            (error, FormatError)
            for error in (SyntaxError("x"), RecursionError("x"), ZeroDivisionError(), EOFError())
        ),
        *(
            (error, FormatError)
            for error in (OverflowError(), UserWarning("x"), AssertionError(), Surprise("x"))
        ),
        (MemoryError(), LimitError),
        (Image.DecompressionBombError("x"), LimitError),
        (Image.DecompressionBombWarning("x"), LimitError),
    ],
    ids=repr,
)
@pytest.mark.parametrize("where", ["_open", "load", "n_frames", "info"])
def test_whatever_pillow_raises(
    error: BaseException, wanted: type, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    kind, plugin = "PNG", "PIL.PngImagePlugin.PngImageFile"
    if where == "n_frames":
        kind, plugin = "GIF", "PIL.GifImagePlugin.GifImageFile"
    data = encoded(kind)
    opened = Image.open(io.BytesIO(data))
    if where == "info":
        monkeypatch.setattr(f"{plugin}.getexif", fail)
    elif where == "n_frames":
        monkeypatch.setattr(f"{plugin}.n_frames", property(fail))
        if wanted is FormatError:
            assert load(data).width == 40  # a broken second frame is ignored
            return
    else:
        monkeypatch.setattr(f"{plugin}.{where}", fail)
    sources = [data, opened] if where == "load" else [data]
    for source in sources:
        with pytest.raises(wanted) as caught:
            guetzpy.optimize(source)
        assert isinstance(caught.value, guetzpy.GuetzpyError)


def test_a_background_that_is_none_is_told_as_such() -> None:
    with pytest.raises(ValueError, match="expected a colour name"):
        load(encoded("PNG"), background="no colour")


def test_broken_second_frames_do_not_count() -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue", "green")]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    whole = stream.getvalue()
    outcomes = set()
    for end in range(60, len(whole)):
        try:
            outcomes.add(load(whole[:end]).width)
        except UnsupportedError as error:
            outcomes.add(error.reason.split(";")[0])
        except FormatError:
            outcomes.add("broken")
    assert outcomes >= {20, "GIF with 2 frames or pages", "GIF with 3 frames or pages"}


def test_a_tiff_whose_second_page_is_broken() -> None:
    data = bytearray(encoded("TIFF", mode="L"))
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, start + 2 + 12 * count, len(data))
    data += struct.pack("<HHHII", 1, 259, 3, 1, 1) + bytes(4)  # a directory without width and height
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load(bytes(data)).width == 40


# JPEG segments that libjpeg ignores


@pytest.mark.parametrize(
    "segment",
    [
        markers.segment(0xE0, b"JFIF\0"),
        markers.segment(0xE0, b"JFIF\0\1"),
        markers.segment(0xEE, b"Adobe"),
        markers.segment(0xEE, b"Adobe\0d"),
        markers.segment(0xE2, b"ICC_PROFILE\0"),
        markers.segment(0xE2, b"ICC_PROFILE\0\1"),
        markers.segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x1a\0\5\0\0\0\1\xff\xff\xff\xff"),
    ],
    ids=lambda segment: repr(segment[4:16]),
)
@pytest.mark.parametrize("without_jfif", [False, True])
def test_short_segments_of_a_jpeg(segment: bytes, without_jfif: bool) -> None:
    plain = picture(48, 40)
    body = plain[2:]
    if without_jfif:
        body = body[2 + int.from_bytes(body[2:4], "big") :]
    data = plain[:2] + segment + body
    shown = np.asarray(Image.open(io.BytesIO(plain)))
    for do in (guetzpy.optimize, guetzpy.transcode):
        result = do(data)
        assert result.status in ("optimized", "lossless"), result.reason
        if do is guetzpy.transcode:
            assert np.array_equal(shown, load(result.data).planes().transpose(1, 2, 0))
    assert guetzpy.compare(data, plain)["psnr"] is None
