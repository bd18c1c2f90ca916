"""How a gain map is applied is read from ISO 21496-1, Ultra HDR's XMP and Apple's metadata."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from reference import jpeg_files

from guetzpy.errors import UnsupportedError
from guetzpy.gainmap.metadata import STEPS, Application, apple_headroom, read_application
from guetzpy.jpeg.structure import Segment

ISO = b"urn:iso:std:iso:ts:21496:-1\0"
NUMBERS = (-0.5, 3.0, 1.25, 0.0625, -0.125)  # minimum, maximum, gamma, offsets of base and alternate
APPLE = 'xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="65536"'


def iso(*channels: tuple[float, ...], flags: int = 0, headrooms: tuple[float, float] = (0.0, 3.0)) -> bytes:
    """Return the payload of the segment, with one or three channels of five numbers."""
    flags |= 0x80 if len(channels) == 3 else 0
    values = [*headrooms, *(number for channel in channels for number in channel)]
    if flags & 0x08:
        body = struct.pack(">I", 1000) + b"".join(struct.pack(">i", round(1000 * v)) for v in values)
    else:
        parts = [Fraction(v).limit_denominator(1 << 20) for v in values]
        body = b"".join(struct.pack(">iI", part.numerator, part.denominator) for part in parts)
    return ISO + bytes(4) + bytes([flags]) + body


def read(*payloads: bytes, base: bytes = b"") -> Application:
    segments = [Segment(0xE1 if p.startswith(b"http") else 0xE2, p) for p in payloads]
    return read_application([Segment(0xE1, base)] if base else [], segments)


def hdrgm(attributes: str, content: str = "") -> bytes:
    return jpeg_files.XMP + jpeg_files.xmp(f"{jpeg_files.HDRGM} {attributes}", content)


def apple(headroom: str = "") -> bytes:
    return jpeg_files.XMP + jpeg_files.xmp(f"{APPLE} {headroom}")


@pytest.mark.parametrize("flags", [0, 0x08, 0x40])
@pytest.mark.parametrize("count", [1, 3])
def test_iso(flags: int, count: int) -> None:
    channels = [NUMBERS, (-1.0, 2.0, 1.0, 0.5, 0.25), (0.0, 1.0, 2.0, 0.0, 0.0)][:count]
    found = read(iso(*channels, flags=flags))
    for got, wanted in zip(
        (found.low, found.high, found.gamma, found.base_offset, found.alternate_offset),
        zip(*channels, strict=True),
        strict=True,
    ):
        assert got == pytest.approx(wanted, abs=1e-3)
    assert found.of_alternate == (not flags & 0x40)
    assert found.channels == count


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (ISO + bytes(4), "version"),  # the base's segment has the version only
        (ISO + b"\0\1" + iso(NUMBERS)[30:], "version"),
        (iso(NUMBERS)[:-1], "cannot be read"),
        (iso(NUMBERS, flags=0x08)[:-1], "cannot be read"),
        (iso(NUMBERS, flags=0x01), "cannot be read"),
        (ISO + bytes(5 + 56), "cannot be read"),  # denominators of 0
        (iso(NUMBERS, headrooms=(3.0, 0.0)), "base is the HDR rendition"),
        (iso((-40.0, 3.0, 1.0, 0.0, 0.0)), "out of range"),
        (iso((0.0, 3.0, 0.0, 0.0, 0.0)), "gamma"),
        (hdrgm('hdrgm:GainMapMax="3"'), "hdrgm"),
        (hdrgm('hdrgm:GainMapMax="3,2" hdrgm:HDRCapacityMax="3"'), "out of range"),
        (hdrgm('hdrgm:GainMapMax="nan" hdrgm:HDRCapacityMax="3"'), "out of range"),
        (hdrgm('hdrgm:GainMapMax="3" hdrgm:HDRCapacityMax="0"'), "HDR rendition"),
        (
            hdrgm('hdrgm:GainMapMax="3" hdrgm:HDRCapacityMax="3" hdrgm:BaseRenditionIsHDR="True"'),
            "HDR rendition",
        ),
        (apple('HDRGainMap:HDRGainMapHeadroom="0.5"'), "headroom"),
        (apple('HDRGainMap:HDRGainMapHeadroom="x"'), "headroom"),
        (apple(), "maker note"),
        (b"nothing", "no metadata"),
        (jpeg_files.XMP + b"<broken", "no metadata"),
    ],
)
def test_what_cannot_be_applied(payload: bytes, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        read(payload)


def test_ultra_hdr() -> None:
    found = read(hdrgm('hdrgm:GainMapMax="2.5" hdrgm:HDRCapacityMax="2"'))
    assert found == Application((0.0,), (2.5,), (1.0,), (1 / 64,), (1 / 64,))
    rows = "".join(f"<rdf:li>{n}</rdf:li>" for n in (1, 2.5, 3))
    found = read(
        hdrgm(
            'hdrgm:HDRCapacityMax="2" hdrgm:Gamma="2" hdrgm:OffsetSDR="0"',
            f"<hdrgm:GainMapMax><rdf:Seq>{rows}</rdf:Seq></hdrgm:GainMapMax>"
            "<hdrgm:GainMapMin>-1</hdrgm:GainMapMin>",
        )
    )
    assert found == Application((-1.0,), (1.0, 2.5, 3.0), (2.0,), (0.0,), (1 / 64,))


def test_iso_has_precedence() -> None:
    assert read(hdrgm('hdrgm:GainMapMax="9" hdrgm:HDRCapacityMax="9"'), iso(NUMBERS)).high == (3.0,)


@pytest.mark.parametrize(
    ("maker33", "maker48", "stops"),
    [(0.5, 0.0, 1.8), (0.5, 1.0, 1.5), (1.5, 0.01, 2.3), (1.5, 1.0, 2.0), (0.5, 100.0, 0.0)],
)
def test_headroom_of_apple(maker33: float, maker48: float, stops: float) -> None:
    assert apple_headroom(maker33, maker48) == pytest.approx(2.0**stops)
    note = b"Apple iOS\0\0\1MM" + struct.pack(">H", 2)
    note += struct.pack(">HHII", 33, 10, 1, 40) + struct.pack(">HHII", 48, 10, 1, 48)
    note += struct.pack(">iiii", round(1000 * maker33), 1000, round(1000 * maker48), 1000)
    exif_at = 8 + len(jpeg_files.directory(">", 8, [(0x8769, 4, 1, bytes(4))]))
    tiff = b"MM\0*\0\0\0\x08" + jpeg_files.directory(">", 8, [(0x8769, 4, 1, struct.pack(">I", exif_at))])
    tiff += jpeg_files.directory(">", exif_at, [(0x927C, 7, len(note), note)])
    found = read(apple(), base=b"Exif\0\0" + tiff)
    assert found.headroom == pytest.approx(2.0**stops)
    for end in (10, 15, 30, 45):  # a note that is cut off
        with pytest.raises(UnsupportedError):
            read(apple(), base=b"Exif\0\0" + tiff.replace(note, note[:end].ljust(len(note), b"\0")))
    short = tiff.replace(note[14:16], struct.pack(">H", 9), 1)  # a directory that goes on beyond the note
    assert read(apple(), base=b"Exif\0\0" + short).headroom == pytest.approx(2.0**stops)
    assert read(apple('HDRGainMap:HDRGainMapHeadroom="4"'), base=b"Exif\0\0" + tiff).headroom == 4.0


def test_gains() -> None:
    table = Application((-1.0,), (3.0,), (2.0,)).gains()
    recovery = np.arange(255 * STEPS + 1) / (255 * STEPS)
    np.testing.assert_allclose(table, 2.0 ** (-1.0 + 4.0 * recovery**0.5), rtol=1e-6)
    apple = Application(headroom=4.0).gains()
    curve = np.where(recovery < 0.081, recovery / 4.5, ((recovery + 0.099) / 1.099) ** (1 / 0.45))
    np.testing.assert_allclose(apple, 1.0 + 3.0 * curve, rtol=1e-6)
