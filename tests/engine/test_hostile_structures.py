"""Files whose metadata or blocks are made to take time or memory."""

from __future__ import annotations

import csv
import gc
import io
import itertools
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.hostile_files import SEEDS, memory, shown
from reference.jpeg_files import picture

import guetzpy
from guetzpy.engine import inspect as inspection
from guetzpy.errors import FormatError, GuetzpyError, LimitError
from guetzpy.jpeg import markers
from guetzpy.jpeg.reader import read

CORPUS = Path(__file__).parents[3] / "shared" / "images" / "jpeg-corrupt"


# Structures that refer to themselves


def ifd(next_at: int, *entries: tuple[int, int]) -> bytes:
    body = len(entries).to_bytes(2, "little")
    for tag, value in entries:
        body += tag.to_bytes(2, "little") + b"\x04\0\x01\0\0\0" + value.to_bytes(4, "little")
    return body + next_at.to_bytes(4, "little")


LOOPS = {
    "next directory is itself": ifd(8, (0x0112, 6)),
    "exif directory is the first": ifd(0, (0x8769, 8), (0x8825, 8), (0xA005, 8)),
    "thumbnail is everywhere": ifd(8, (0x0201, 0), (0x0202, 0xFFFFFFFF), (0x014A, 8)),
    "offsets beyond the end": ifd(0xFFFFFFF0, (0x8769, 0xFFFFFFFF), (0x8825, 0x7FFFFFFF)),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("strip", ["", "gps", "thumbnail", "exif", "all"])
def test_directories_that_loop(name: str, strip: str) -> None:
    tiff = b"II*\0\x08\0\0\0" + LOOPS[name]
    exif = markers.segment(0xE1, b"Exif\0\0" + tiff)
    mpf = markers.segment(0xE2, b"MPF\0" + tiff)
    plain = picture()
    data = plain[:2] + exif + mpf + plain[2:]
    result = guetzpy.transcode(data, strip=strip)
    assert result.bytes_after <= len(data)
    assert np.array_equal(shown(result.data), shown(data))
    assert inspection.inspect(data)["bytes"] == len(data)


def chain(length: int) -> bytes:
    """Return EXIF whose directories form a chain by EXIF, GPS and sub-directory pointers in turn."""
    tags = (0x8769, 0x8825, 0x014A)
    size = len(ifd(0, (0, 0)))
    body = b"".join(ifd(0, (tags[i % 3], 8 + size * (i + 1))) for i in range(length - 1)) + ifd(
        0, (0x0112, 6)
    )
    return markers.segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + body)


def index(pictures: int) -> bytes:
    """Return an MPF index of the given number of pictures."""
    body = (1).to_bytes(2, "little") + b"\x02\xb0\7\0" + (16 * pictures).to_bytes(4, "little")
    body += (26).to_bytes(4, "little") + bytes(4)
    return markers.segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + body + bytes(16 * pictures))


@pytest.mark.parametrize("structure", [chain, index])
def test_depth(structure: Any) -> None:
    plain = picture()
    data = plain[:2] + structure(40) + plain[2:]
    for function in (guetzpy.optimize, guetzpy.transcode):
        assert len(function(data, max_directories=40).data) <= len(data)
        with pytest.raises(LimitError, match=r"more than 39 .*--max-directories \(max_directories\)"):
            function(data, max_directories=39)
    with pytest.raises(LimitError, match="more than 256 "):
        inspection.inspect(plain[:2] + structure(300) + plain[2:])
    assert guetzpy.transcode(plain[:2] + structure(256) + plain[2:]).status in ("lossless", "kept")
    with pytest.raises(ValueError, match="max_directories"):
        guetzpy.transcode(plain, max_directories=0)


def test_directories_that_overlap() -> None:
    """There are thousands of entries, each with pointers to eight of the directories."""
    count = 4600
    body = count.to_bytes(2, "little")
    for i in range(count):
        body += b"\x69\x87\4\0\x08\0\0\0" + (8 + 12 * (i * 37 % count)).to_bytes(4, "little")
    data = picture()
    data = data[:2] + markers.segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + body + bytes(4)) + data[2:]
    for do in FUNCTIONS.values():
        began = time.process_time()
        with suppress(LimitError):
            do(data)
        assert time.process_time() - began < 10


def test_limits_name_their_options() -> None:
    data = picture(progressive=True)
    with pytest.raises(LimitError, match=r"--max-pixels \(max_pixels\)"):
        guetzpy.transcode(data, max_pixels=10)
    with pytest.raises(LimitError, match=r"--max-scans \(max_scans\)"):
        guetzpy.transcode(data, max_scans=1)
    with pytest.raises(LimitError, match=r"--max-memory \(max_memory\)"):
        guetzpy.transcode(data, max_memory=10)
    with pytest.raises(LimitError, match=r"--max-pixels \(max_pixels\)"):
        guetzpy.optimize(np.zeros((20, 20), np.uint8), max_pixels=10)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "PPM"])
def test_the_limit_of_pillow_is_not_used(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's limit applies only to what a program opens with Pillow itself."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 99).save(buffer, kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert guetzpy.optimize(buffer.getvalue(), effort="fast").width == 64
    with pytest.raises(LimitError, match="--max-pixels"):
        guetzpy.optimize(buffer.getvalue(), max_pixels=4095)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_decoders_that_ask_for_the_limit_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """These decoders check Pillow's limit, which is global to the process; the error names it."""
    words: list[str] = []
    for kind in ("WEBP", "TIFF"):
        buffer = io.BytesIO()
        Image.new("L", (64, 64), 99).save(buffer, kind)
        with monkeypatch.context() as patch:
            patch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
            try:
                guetzpy.optimize(buffer.getvalue(), effort="fast")
            except LimitError as error:  # some versions of Pillow do not check it
                words.append(str(error))
    assert all("PIL.Image.MAX_IMAGE_PIXELS" in message for message in words)


def test_a_multi_picture_file_of_itself() -> None:
    """The second picture of the MPF index is the whole file, trailing data included."""
    data = SEEDS[-1]
    for nested in itertools.accumulate([data] * 6, lambda a, b: a + b):
        assert guetzpy.transcode(nested).bytes_after <= len(nested)


# Files below half a megabyte whose decoding takes much time or memory


def bits(count: int) -> bytes:
    """Return entropy-coded data of zero bits."""
    return bytes(-(-count // 8))


ONE_CODE = b"\1" + bytes(15)  # counts of a Huffman table whose only code is a zero bit
STEPS = markers.segment(0xDB, b"\0" + bytes([8] * 64))


def blank(side: int, *, ac_scans: int = 1, scan: bool = True) -> bytes:
    """Return a progressive gray picture with one bit per DC, and 15 bits per 32767 blocks of AC."""
    blocks = (-(-side // 8)) ** 2
    frame = markers.segment(0xC2, b"\x08" + side.to_bytes(2, "big") * 2 + b"\1\1\x11\0")
    data = b"\xff\xd8" + STEPS + frame + markers.segment(0xC4, b"\0" + ONE_CODE + b"\0")
    data += markers.segment(0xDA, b"\1\1\0\0\0\0") + bits(blocks if scan else 0)
    runs = "".join("0" + "1" * 14 for _ in range(-(-blocks // 32767)))
    runs += "1" * (-len(runs) % 8)
    run = int(runs, 2).to_bytes(len(runs) // 8, "big").replace(b"\xff", b"\xff\0")
    data += markers.segment(0xC4, b"\x10" + ONE_CODE + b"\xe0")
    data += markers.segment(0xDA, b"\1\1\0\1\x3f\1") + run
    data += (markers.segment(0xDA, b"\1\1\0\1\x3f\x10") + run) * (ac_scans - 1)
    return data + b"\xff\xd9"


def beside(*segments: bytes) -> bytes:
    """Return a small picture with the given segments before it."""
    data = picture(40, 30)
    return data[:2] + b"".join(segments) + data[2:]


def xmp(text: bytes) -> bytes:
    return markers.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text)


def mpf(entries: int) -> bytes:
    body = ifd(0, (0xB001, entries), (0xB002, 50))
    return markers.segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + body + bytes(60_000))


BOMBS: dict[str, Any] = {
    "65500 x 65500": lambda: blank(65500, scan=False) + bytes(400_000),
    "256 megapixels without data": lambda: blank(16000, scan=False),
    "a megapixel, 120 scans": lambda: blank(1000, ac_scans=120),
    "16 megapixels, 2000 scans": lambda: blank(4090, ac_scans=2000),
    "Huffman tables": lambda: beside(*[markers.segment(0xC4, b"\x10" + ONE_CODE + b"\0")] * 20_000),
    "quantisation tables": lambda: beside(*[STEPS] * 6900),
    "comments": lambda: beside(*[markers.segment(0xFE, b"")] * 30_000),
    "pieces of ICC": lambda: beside(*[markers.segment(0xE2, b"ICC_PROFILE\0\1\xff")] * 10_000),
    "pieces of XMP": lambda: beside(
        *[markers.segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + b"\xff" * 8)] * 6000
    ),
    "scans without data": lambda: picture()[:-2] + markers.segment(0xDA, b"\1\1\0\0\x3f\0") * 40_000,
    "restart markers": lambda: picture()[:-2] + b"\xff\xd0" * 240_000 + b"\xff\xd9",
    "fill bytes": lambda: picture()[:2] + b"\xff" * 480_000 + picture()[2:],
    "markers behind the end": lambda: picture() + b"\xff\xd8\xff" * 150_000,
    "pictures behind the end": lambda: picture(8, 8) * 400,
    "angles in XMP": lambda: beside(*[xmp(b"<" * 65_000)] * 7),
    "elements in XMP": lambda: beside(xmp(b"<a>" * 21_000)),
    "quotes in XMP": lambda: beside(*[xmp(b"='" * 32_000)] * 7),
    "entities in XMP": lambda: beside(
        xmp(
            b'<!DOCTYPE x [<!ENTITY a0 "aaaaaaaa">'
            + b"".join(b'<!ENTITY a%d "%s">' % (i + 1, b"&a%d;" % i * 9) for i in range(12))
            + b"]><x>&a12;</x>"
        )
    ),
    "Photoshop resources": lambda: beside(
        *[markers.segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4" + bytes(6) * 1 + b"8BIM" * 15_000)] * 7
    ),
    "three million pictures": lambda: beside(mpf(3_000_000)),
    "five thousand directories": lambda: beside(
        markers.segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + ifd(8, *[(0x8769, 8), (0x014A, 8)] * 2500))
    ),
}
#: Each of these takes at least a second.
HEAVY: dict[str, Any] = {
    "253 megapixels": lambda: blank(15_900),
    "225 megapixels": lambda: blank(15_000),
    "16 megapixels, 100 scans": lambda: blank(4090, ac_scans=100),
    "a hundred thousand comments": lambda: beside(*[markers.segment(0xFE, b"")] * 120_000),
}


def within_bounds(do: Any, data: bytes) -> None:
    """Check a call's outcome, time (at most 10 s) and memory (at most 500 MB)."""
    assert len(data) < 500_000
    began, before = time.process_time(), memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak of memory
    with suppress(GuetzpyError):
        result = do(data)
        if isinstance(result, guetzpy.Result):
            assert len(result.data) <= len(data)
    assert time.process_time() - began < 10
    assert memory("VmHWM") - before < 500e6


FUNCTIONS = {
    "optimize": guetzpy.optimize,
    "transcode": guetzpy.transcode,
    "inspect": inspection.inspect,
    "strip": lambda data: guetzpy.transcode(data, strip="all"),
}
bounded = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory as Linux tells it")


@bounded
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    for do in FUNCTIONS.values():
        within_bounds(do, BOMBS[name]())


@bounded
@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_heavy_bombs(name: str) -> None:
    for do in FUNCTIONS.values():
        within_bounds(do, HEAVY[name]())


def test_nothing_keeps_what_was_read() -> None:
    """Coefficients are freed with their last reference, without waiting for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        image = read(picture(progressive=True))
        coefficients = image.components[0].coefficients
        kept = weakref.ref(coefficients if coefficients.base is None else coefficients.base)
        del image, coefficients
        assert kept() is None
    finally:
        gc.enable()


# A collection of corrupt files


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the shared pictures")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", ["optimize", "transcode", "inspect", "repair"])
def test_corpus(what: str) -> None:
    """Every file takes at most 30 s of a processor and 500 MB; valid files are not refused."""
    with open(CORPUS / "TABLE.tsv", newline="", errors="replace") as table:
        good = {row["file"] for row in csv.DictReader(table, delimiter="\t") if row["pillow"] == "ok"}
    do: Any = {
        "optimize": lambda data: guetzpy.optimize(data, effort="fast"),
        "transcode": guetzpy.transcode,
        "inspect": inspection.inspect,
        "repair": lambda data: guetzpy.optimize(data, effort="fast", repair=True),
    }[what]
    do(picture())
    refused = {}
    for path in sorted(CORPUS.glob("*.bin")):
        data = path.read_bytes()
        began, before = time.process_time(), memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak of memory
        try:
            result = do(data)
        except GuetzpyError as error:
            if path.name in good and not isinstance(error, guetzpy.UnsupportedError):
                refused[path.name] = str(error)
        else:
            if isinstance(result, guetzpy.Result) and path.name in good and result.status != "optimized":
                after, before_it = shown(result.data), shown(data)
                if after.ndim < before_it.ndim:  # R = G = B everywhere is written as gray
                    after = np.repeat(after[..., np.newaxis], 3, axis=2)
                assert np.array_equal(after, before_it), path.name
        assert time.process_time() - began < 30, path.name
        assert memory("VmHWM") - before < 500e6, path.name
    # These end without EOI in the first of two MCU rows. Pillow opens them, but they are truncated.
    expected = {"afl-jpeg-full__0059.bin", "afl-jpeg-full__0175.bin", "zune-fuzz__0295.bin"}
    assert set(refused) == (set() if what == "repair" else expected)
    assert all(message.startswith("truncated: 0 of 2") for message in refused.values())


def test_truncated_files() -> None:
    """A file whose data ends early gives an error without EOI; with EOI the file is kept."""
    data = picture(64, 64)
    cut = data[: len(data) * 2 // 3]
    for function in (guetzpy.optimize, guetzpy.transcode):
        with pytest.raises(FormatError, match=r"truncated: \d of 4 MCU rows"):
            function(cut)
        kept = function(cut + b"\xff\xd9")
        assert kept.status == "kept"
        assert kept.data == cut + b"\xff\xd9"
        assert str(kept.reason).startswith("truncated: ")
        mended = function(cut + b"\xff\xd9", repair=True)
        assert mended.status != "kept"
        same = np.array_equal(shown(mended.data), shown(cut + b"\xff\xd9"))
        assert same == (mended.status == "lossless")
