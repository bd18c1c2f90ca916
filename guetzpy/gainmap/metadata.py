"""Read from a file how its gain map is applied: ISO 21496-1, Ultra HDR (hdrgm in XMP) and Apple's.

A gain map is a picture of recoveries r, 0 to 1 for the codes 0 to 255. It turns the base picture, in linear
light with 1.0 for diffuse white, into the HDR rendition, on a display whose boost is at least the one that
the metadata names:

- ISO 21496-1 (clause 5, and C.2 for the binary form) and Ultra HDR Image Format 1.1: for each channel
  ``hdr = (base + base_offset) * 2 ** (min + (max - min) * r ** (1 / gamma)) - alternate_offset``.
- Apple ("Applying Apple HDR effect to your photos", AppKit's documentation):
  ``hdr = base * (1 + (headroom - 1) * linear(r))`` with the inverse of Rec. 709's transfer function as
  ``linear``. The headroom is in XMP, or follows from two numbers of the maker note.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp2, power
from guetzpy.errors import UnsupportedError
from guetzpy.jpeg.metadata import xmp
from guetzpy.jpeg.metadata.appended import ISO_GAIN_MAP
from guetzpy.jpeg.metadata.declared import exif_of
from guetzpy.jpeg.metadata.exif import maker_note
from guetzpy.jpeg.structure import Segment

__all__ = ["STEPS", "Application", "apple_headroom", "read_application"]

_HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
_APPLE = "http://ns.apple.com/HDRGainMap/1.0/"

#: Number of entries per code of the map in the table of gains.
STEPS = 64

#: Largest logarithm, to the base of 2, of a gain or a headroom. PQ's 10 000 cd/m2 are 2**5.6 times a white of
#: 203 cd/m2 (ITU-R BT.2408); maps of scenes with the sun reach 2**8.
_LARGEST = 16.0

# Ultra HDR 1.1: the properties with their defaults; None for those that a file must have.
_PROPERTIES: dict[str, float | None] = {
    "GainMapMin": 0.0,
    "GainMapMax": None,
    "Gamma": 1.0,
    "OffsetSDR": 1 / 64,
    "OffsetHDR": 1 / 64,
    "HDRCapacityMin": 0.0,
    "HDRCapacityMax": None,
}


@dataclass(frozen=True)
class Application:
    """How a gain map is applied, with one value for all channels or one for each.

    Attributes
    ----------
    low, high : tuple of float
        Logarithm, to the base of 2, of the gain at the codes 0 and 255.
    gamma : tuple of float
        Exponent of the recoveries, above 0.
    base_offset, alternate_offset : tuple of float
        Light that is added before the gain, and subtracted after it. 1.0 is diffuse white.
    of_alternate : bool
        Whether the gains are for light with the primaries of the HDR rendition, not of the base.
    headroom : float or None
        Apple's headroom. Then the other numbers are not used.
    """

    low: tuple[float, ...] = (0.0,)
    high: tuple[float, ...] = (0.0,)
    gamma: tuple[float, ...] = (1.0,)
    base_offset: tuple[float, ...] = (0.0,)
    alternate_offset: tuple[float, ...] = (0.0,)
    of_alternate: bool = False
    headroom: float | None = None

    def __post_init__(self) -> None:
        numbers = (*self.low, *self.high, *self.base_offset, *self.alternate_offset)
        if not all(math.isfinite(n) and abs(n) <= _LARGEST for n in numbers):
            raise UnsupportedError("numbers of its metadata are out of range")
        if not all(1e-3 <= n <= 1e3 for n in self.gamma):
            raise UnsupportedError("the gamma of its metadata is out of range")
        if self.headroom is not None and not 1.0 <= self.headroom <= 2.0**_LARGEST:
            raise UnsupportedError("the headroom of its metadata is out of range")

    def gain(self, recovery: float, channel: int = 0) -> float:
        """Return the factor of the light for a recovery, 0 to 1."""
        if self.headroom is not None:
            return 1.0 + (self.headroom - 1.0) * _inverse_rec709(recovery)
        low, high, gamma = (_of(values, channel) for values in (self.low, self.high, self.gamma))
        shaped = power(recovery, 1.0 / gamma) if recovery > 0.0 and gamma != 1.0 else recovery
        return exp2(low + (high - low) * shaped)

    def gains(self, channel: int = 0) -> npt.NDArray[np.float32]:
        """Return the gains of a channel for codes 0, 1/64, 2/64, up to 255: float32, shape (16321,)."""
        last = 255 * STEPS
        return np.array([self.gain(i / last, channel) for i in range(last + 1)], np.float32)

    def offsets(self, channel: int) -> tuple[float, float]:
        """Return the offsets before and after the gain of a channel."""
        return _of(self.base_offset, channel), _of(self.alternate_offset, channel)

    @property
    def channels(self) -> int:
        """Number of channels that differ: 1 or 3."""
        return max(map(len, (self.low, self.high, self.gamma, self.base_offset, self.alternate_offset)))


def _of(values: Sequence[float], channel: int) -> float:
    return values[channel if len(values) > 1 else 0]


def _inverse_rec709(code: float) -> float:
    """Return the linear value of a code, 0 to 1 (ITU-R BT.709-6, 1.2)."""
    return code / 4.5 if code < 0.081 else power((code + 0.099) / 1.099, 1.0 / 0.45)


def read_application(base: Sequence[Segment], gain_map: Sequence[Segment]) -> Application:
    """Return how a gain map is applied.

    Parameters
    ----------
    base, gain_map : sequence of Segment
        The segments of the first picture, and those of the gain map.

    Raises
    ------
    UnsupportedError
        The metadata is missing or broken, or the gain map makes an SDR rendition from an HDR base.
    """
    for segment in gain_map:
        if segment.payload.startswith(ISO_GAIN_MAP):
            return _iso(segment.payload[len(ISO_GAIN_MAP) :])
    for segment in gain_map:
        if segment.payload.startswith(xmp.HEADER):
            packet = xmp.read_packet(segment.payload[len(xmp.HEADER) :])
            if packet is not None and packet.has(lambda space, _: space == _HDRGM):
                return _ultra_hdr(packet)
            if packet is not None and packet.has(lambda space, _: space == _APPLE):
                return _apple(packet, base)
    raise UnsupportedError("no metadata tells how it is applied")


def _iso(data: bytes) -> Application:
    """Read the binary form of ISO 21496-1, C.2.

    Earlier files of libultrahdr set bit 3 of the flags, which the standard reserves: then one denominator,
    before the numerators, is that of all numbers (its ``gainmapmetadata.cpp``).
    """
    if len(data) < 5 or data[:2] != b"\0\0":
        raise UnsupportedError("its metadata has another version of ISO 21496-1")
    flags, rest = data[4], data[5:]
    channels = 3 if flags & 0x80 else 1
    count = 2 + 5 * channels
    common = bool(flags & 0x08)
    if flags & 0x37 or len(rest) < (4 + 4 * count if common else 8 * count):
        raise UnsupportedError("its ISO 21496-1 metadata cannot be read")
    if common:
        denominators: tuple[int, ...] = struct.unpack(">I", rest[:4]) * count
        numerators = [rest[4 + 4 * i : 8 + 4 * i] for i in range(count)]
    else:
        denominators = struct.unpack(f">{2 * count}I", rest[: 8 * count])[1::2]
        numerators = [rest[8 * i : 8 * i + 4] for i in range(count)]
    if 0 in denominators:
        raise UnsupportedError("its ISO 21496-1 metadata cannot be read")
    # The headrooms and the gamma are unsigned, the other three numbers of a channel are signed.
    signed = [False, False] + [True, True, False, True, True] * channels
    numbers = [
        int.from_bytes(part, "big", signed=sign) / denominator
        for part, sign, denominator in zip(numerators, signed, denominators, strict=True)
    ]
    _demand_sdr_base(*numbers[:2])
    low, high, gamma, before, after = (tuple(numbers[2 + i :: 5]) for i in range(5))
    return Application(low, high, gamma, before, after, of_alternate=not flags & 0x40)


def _demand_sdr_base(base_headroom: float, alternate_headroom: float) -> None:
    if base_headroom >= alternate_headroom:
        raise UnsupportedError("its base is the HDR rendition")


def _ultra_hdr(packet: xmp.Packet) -> Application:
    """Read the hdrgm properties. A property of three channels is an ``rdf:Seq``."""
    found: dict[str, tuple[float, ...]] = {
        name: (value,) for name, value in _PROPERTIES.items() if value is not None
    }
    for name, text, (start, end) in packet.properties(lambda space, _: space == _HDRGM):
        if name == "BaseRenditionIsHDR" and text.strip().lower() == "true":
            raise UnsupportedError("its base is the HDR rendition")
        if name in _PROPERTIES:
            items = re.findall(rb"<[\w.-]+:li[^>]*>([^<]*)<", packet.data[start:end])
            found[name] = tuple(_number(item) for item in items or [text.encode()])
    if not all(len(found.get(name, ())) in (1, 3) for name in _PROPERTIES):
        raise UnsupportedError("its hdrgm metadata cannot be read")
    _demand_sdr_base(found["HDRCapacityMin"][0], found["HDRCapacityMax"][0])
    low, high, gamma, before, after = (found[name] for name in tuple(_PROPERTIES)[:5])
    return Application(low, high, gamma, before, after)


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _apple(packet: xmp.Packet, base: Sequence[Segment]) -> Application:
    for name, text, _ in packet.properties(lambda space, _: space == _APPLE):
        if name == "HDRGainMapHeadroom":
            return Application(headroom=_number(text.encode()))
    note = _apple_numbers(exif_of(list(base)) or b"")
    if 33 not in note or 48 not in note:
        raise UnsupportedError("Apple's headroom is neither in its metadata nor in the maker note")
    return Application(headroom=apple_headroom(note[33], note[48]))


def apple_headroom(maker33: float, maker48: float) -> float:
    """Return the headroom that two numbers of Apple's maker note mean ("Applying Apple HDR effect")."""
    small = maker48 <= 0.01
    if maker33 < 1.0:
        stops = -20.0 * maker48 + 1.8 if small else -0.101 * maker48 + 1.601
    else:
        stops = -70.0 * maker48 + 3.0 if small else -0.303 * maker48 + 2.303
    return exp2(min(max(stops, 0.0), _LARGEST))


def _apple_numbers(tiff: bytes) -> dict[int, float]:
    """Return the signed rationals of Apple's maker note, by tag.

    The note is "Apple iOS" with a version of 3 bytes, the byte order, and a directory at byte 14; offsets
    count from its start (ExifTool's documentation of Apple tags).
    """
    start, end = maker_note(tiff) or (0, 0)
    note = tiff[start:end]
    if not note.startswith(b"Apple iOS\0") or note[12:14] != b"MM" or len(note) < 16:
        return {}
    found = {}
    for at in range(16, 16 + 12 * int.from_bytes(note[14:16], "big"), 12):
        if at + 12 > len(note):
            break
        tag, kind, count, place = struct.unpack_from(">HHII", note, at)
        if kind == 10 and count == 1 and place + 8 <= len(note):
            numerator, denominator = struct.unpack_from(">ii", note, place)
            if denominator:
                found[tag] = numerator / denominator
    return found
