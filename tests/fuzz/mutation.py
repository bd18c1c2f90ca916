"""Damage JPEG files by changes of segments, tables, headers and bits."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image

from guetzpy.errors import FormatError
from guetzpy.jpeg import markers

#: Bytes with a meaning to decoders, such as marker codes.
_TELLING = (0, 1, 3, 4, 16, 63, 64, 127, 128, 254, 255)
_SIZES = (0, 1, 7, 8, 9, 16, 255, 256, 4096, 65500, 65535)


def seeds() -> list[bytes]:
    """Return tiny files that cover the reader: every mode, sampling, restarts and metadata."""
    y, x = np.mgrid[:33, :41]
    codes = np.stack([x * 6, y * 7, (x ^ y) * 5], axis=-1).astype(np.uint8)
    colour = Image.fromarray(codes)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    found = []

    def save(image: Image.Image, **options: object) -> None:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", **options)
        found.append(buffer.getvalue())

    save(colour, quality=85)
    save(colour, quality=60, subsampling=0, progressive=True, exif=exif, comment=b"seed")
    save(colour, quality=75, subsampling=1, restart_marker_blocks=2, icc_profile=bytes(200))
    save(colour, quality=75, progressive=True, restart_marker_blocks=3, xmp=b"<x:xmpmeta/>")
    save(colour.convert("L"), quality=80, restart_marker_blocks=1)
    save(colour.convert("CMYK"), quality=70)
    save(colour.crop((0, 0, 1, 1)), quality=95)
    found.append(_with_mpf(found[0]))
    return found


def _with_mpf(primary: bytes) -> bytes:
    """Return two pictures in a multi-picture file (CIPA DC-007)."""
    second = primary
    head = b"MPF\0" + b"II*\0" + struct.pack("<I", 8)
    entries = struct.pack("<H", 3)
    entries += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    entries += struct.pack("<HHII", 0xB001, 4, 1, 2)
    entries += struct.pack("<HHII", 0xB002, 7, 32, 8 + 2 + 36 + 4)
    entries += struct.pack("<I", 0)
    size = len(primary) + 4 + len(head) + len(entries) + 32
    offset = size - (2 + 4 + 4)  # counted from the byte order mark
    pictures = struct.pack("<IIIHH", 0x20030000, size, 0, 0, 0)
    pictures += struct.pack("<IIIHH", 0, len(second), offset, 0, 0)
    segment = markers.segment(0xE2, head + entries + pictures)
    return primary[:2] + segment + primary[2:] + second


def pieces(data: bytes) -> list[bytes]:
    """Split a file into its segments; entropy-coded data stays with its scan header."""
    parts, position, begin = [], 2, 0
    while (found := markers.find_marker(data, position)) is not None:
        marker, start, after = found
        parts.append(data[begin:start])
        begin, position = start, after
        if marker not in (markers.EOI, markers.SOI) and not markers.RST0 <= marker <= markers.RST7:
            try:
                position = markers.read_payload(data, after)[1]
            except FormatError:
                break
    return [*parts, data[begin:]]


def mutate(data: bytes, dice: random.Random, times: int | None = None) -> bytes:
    """Return a copy with one to five changes."""
    parts = [bytearray(piece) for piece in pieces(data)]
    for _ in range(times or dice.randint(1, 5)):
        dice.choice(_MUTATIONS)(parts, dice)
    return b"".join(parts)


def _pick(parts: list[bytearray], dice: random.Random, codes: range | tuple[int, ...]) -> bytearray | None:
    found = [part for part in parts if len(part) > 6 and part[0] == 0xFF and part[1] in codes]
    return dice.choice(found) if found else None


def _byte(parts: list[bytearray], dice: random.Random) -> None:
    part = dice.choice(parts)
    if part:
        part[dice.randrange(len(part))] = dice.choice([*_TELLING, dice.randrange(256)])


def _bit(parts: list[bytearray], dice: random.Random) -> None:
    scan = _pick(parts, dice, (markers.SOS,))
    if scan:
        scan[dice.randrange(len(scan))] ^= 1 << dice.randrange(8)


def _header(parts: list[bytearray], dice: random.Random) -> None:
    part = _pick(parts, dice, (*range(0xC0, 0xFF),))
    if part:
        part[dice.randrange(2, min(len(part), 24))] = dice.choice([*_TELLING, dice.randrange(256)])


def _length(parts: list[bytearray], dice: random.Random) -> None:
    part = _pick(parts, dice, (*range(0xC0, 0xFF),))
    if part:
        size = dice.choice([*_SIZES, len(part) - 3, len(part) - 1])
        part[2:4] = max(0, size).to_bytes(2, "big")


def _dimensions(parts: list[bytearray], dice: random.Random) -> None:
    frame = _pick(parts, dice, (0xC0, 0xC1, 0xC2))
    if frame:
        place = dice.choice([5, 7])
        frame[place : place + 2] = dice.choice(_SIZES).to_bytes(2, "big")


def _sampling(parts: list[bytearray], dice: random.Random) -> None:
    frame = _pick(parts, dice, (0xC0, 0xC1, 0xC2))
    if frame:
        place = 11 + 3 * dice.randrange(4)
        if place < len(frame):
            frame[place] = dice.randint(0, 5) << 4 | dice.randint(0, 5)


def _mode(parts: list[bytearray], dice: random.Random) -> None:
    frame = _pick(parts, dice, (0xC0, 0xC1, 0xC2))
    if frame:
        frame[1] = dice.choice([0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xC5])


def _progression(parts: list[bytearray], dice: random.Random) -> None:
    scan = _pick(parts, dice, (markers.SOS,))
    if scan:
        place = 5 + 2 * scan[4]
        if place + 3 <= len(scan):
            scan[place : place + 3] = bytes(
                (dice.choice([0, 1, 6]), dice.choice([0, 5, 63, 64]), dice.choice([0, 1, 0x10, 0x21, 0x0D]))
            )


def _tables(parts: list[bytearray], dice: random.Random) -> None:
    table = _pick(parts, dice, (markers.DQT, markers.DHT))
    if table:
        table[dice.randrange(4, min(len(table), 80))] = dice.choice(_TELLING)


def _restart(parts: list[bytearray], dice: random.Random) -> None:
    parts.insert(dice.randint(1, len(parts)), bytearray(markers.dri_segment(dice.choice([0, 1, 2, 65535]))))


def _marker(parts: list[bytearray], dice: random.Random) -> None:
    scan = _pick(parts, dice, (markers.SOS,))
    if scan:
        place = dice.randrange(6, len(scan) + 1)
        scan[place:place] = bytes((0xFF, dice.choice([0, 0xD0, 0xD3, 0xD7, 0xD8, 0xD9, 0xDA, 0xC4, 0xFE])))


def _cut(parts: list[bytearray], dice: random.Random) -> None:
    part = dice.choice(parts)
    if part:
        del part[dice.randrange(len(part)) :]


def _drop(parts: list[bytearray], dice: random.Random) -> None:
    if len(parts) > 2:
        del parts[dice.randrange(1, len(parts))]


def _repeat(parts: list[bytearray], dice: random.Random) -> None:
    i = dice.randrange(len(parts))
    parts[i:i] = [bytearray(parts[i]) for _ in range(dice.choice([1, 1, 2, 150]))]


def _swap(parts: list[bytearray], dice: random.Random) -> None:
    i, j = dice.randrange(len(parts)), dice.randrange(len(parts))
    parts[i], parts[j] = parts[j], parts[i]


def _offsets(parts: list[bytearray], dice: random.Random) -> None:
    """Change a number of four bytes in an APPn segment, such as an offset or a count of EXIF and MPF."""
    part = _pick(parts, dice, range(0xE0, 0xF0))
    if part and len(part) > 12:
        place = dice.randrange(4, len(part) - 4)
        value = dice.choice([0, 8, place - 10, len(part), 0x7FFFFFFF, 0xFFFFFFFF]) & 0xFFFFFFFF
        part[place : place + 4] = struct.pack(dice.choice("<>") + "I", value)


_MUTATIONS: list[Callable[[list[bytearray], random.Random], None]] = [
    _byte, _bit, _bit, _header, _length, _dimensions, _sampling, _mode, _progression, _tables, _tables,
    _restart, _marker, _cut, _drop, _repeat, _swap, _offsets,
]  # fmt: skip
