"""Tiny files of every format that is read by Pillow, and changes that damage them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, features

from fuzz import mutation

__all__ = ["KINDS", "mutate", "seeds"]

KINDS = ("JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP", "PPM", "TGA", "JPEG2000")

_TELLING = (0, 1, 2, 3, 4, 8, 15, 16, 31, 32, 63, 64, 127, 128, 254, 255)
_NUMBERS = (0, 1, 7, 8, 9, 255, 256, 257, 4096, 32767, 32768, 65500, 65535, 1 << 24, (1 << 31) - 1, 1 << 31)


def _pictures() -> dict[str, Image.Image]:
    y, x = np.mgrid[:33, :41]
    codes = np.stack([x * 6, y * 7, (x ^ y) * 5], axis=-1).astype(np.uint8)
    colour = Image.fromarray(codes)
    alpha = colour.copy()
    alpha.putalpha(Image.fromarray((y * 7).astype(np.uint8)))
    deep = Image.fromarray((x * 1500 + y).astype(np.uint16))
    found = {"RGB": colour, "RGBA": alpha, "I;16": deep, "P": colour.quantize(16)}
    return found | {mode: colour.convert(mode) for mode in ("L", "1", "LA", "CMYK")}


def seeds(kind: str) -> list[bytes]:
    """Return tiny files that cover a format's decoder: modes, compressions and metadata."""
    if kind == "JPEG":
        return mutation.seeds()
    pictures, found = _pictures(), []

    def save(mode: str, **options: Any) -> None:
        stream = io.BytesIO()
        pictures[mode].save(stream, kind, **options)
        found.append(stream.getvalue())

    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    rich: dict[str, Any] = {"exif": exif, "icc_profile": bytes(200), "dpi": (300, 300)}
    frames: dict[str, Any] = {"save_all": True, "append_images": [pictures["L"].convert("RGB")]}
    _SAVED[kind](save, rich, frames)
    return found


def _png(save: Any, rich: Any, frames: Any) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>", zip=True)
    text.add_text("Raw profile type exif", "\nexif\n  14\n45786966000049492a00080000000000\n", zip=True)
    for mode in ("L", "RGB", "RGBA", "P", "I;16", "1", "LA"):
        save(mode)
    save("RGB", pnginfo=text, **rich)
    save("P", transparency=3)
    save("RGB", **frames)


def _tiff(save: Any, rich: Any, frames: Any) -> None:
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        save("RGB", compression=compression)
    for mode in ("L", "RGBA", "P", "I;16", "1", "CMYK"):
        save(mode)
    save("1", compression="group4")
    save("L", tiffinfo={317: 2}, compression="tiff_lzw")
    save("RGB", big_tiff=True)
    save("RGB", **rich)
    save("RGB", **frames)


def _gif(save: Any, rich: Any, frames: Any) -> None:
    for mode in ("L", "P", "1", "RGB"):
        save(mode)
    save("P", transparency=2, comment=b"seed", interlace=0)
    save("RGB", loop=0, duration=20, **frames)


def _webp(save: Any, rich: Any, frames: Any) -> None:
    del rich["dpi"]
    for mode in ("RGB", "RGBA"):
        save(mode)
        save(mode, lossless=True)
    save("RGB", xmp=b"<x:xmpmeta/>", **rich)
    save("RGB", **frames)


def _bmp(save: Any, rich: Any, frames: Any) -> None:
    for mode in ("RGB", "RGBA", "L", "P", "1"):
        save(mode)


def _ppm(save: Any, rich: Any, frames: Any) -> None:
    for mode in ("RGB", "L", "1", "I;16"):
        save(mode)


def _tga(save: Any, rich: Any, frames: Any) -> None:
    for mode in ("RGB", "RGBA", "L", "P", "LA", "1"):
        save(mode)
        if mode != "1":
            save(mode, compression="tga_rle", orientation=-1, id_section=b"seed")


def _jpeg2000(save: Any, rich: Any, frames: Any) -> None:
    if not features.check("jpg_2000"):
        return
    for mode in ("RGB", "RGBA", "L", "I;16"):
        save(mode)
    save("RGB", no_jp2=True)
    save("RGB", irreversible=True, quality_layers=[30], tile_size=(16, 16))


_SAVED: dict[str, Callable[[Any, Any, Any], None]] = {
    "PNG": _png, "TIFF": _tiff, "GIF": _gif, "WEBP": _webp, "BMP": _bmp, "PPM": _ppm, "TGA": _tga,
    "JPEG2000": _jpeg2000,
}  # fmt: skip


# Damage


def mutate(kind: str, files: list[bytes], dice: random.Random) -> bytes:
    """Return a copy of one of the files with one to five changes."""
    data = dice.choice(files)
    if kind == "JPEG" and dice.random() < 0.8:
        return mutation.mutate(data, dice)
    mutant = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 5))):
        dice.choice(_DAMAGES)(mutant, files, dice)
    if kind == "PNG" and dice.random() < 0.8:
        return _with_checksums(bytes(mutant))
    return bytes(mutant)


def _place(mutant: bytearray, dice: random.Random) -> int:
    """Return a random position, most often near the beginning, where headers are."""
    end = len(mutant) if dice.random() < 0.5 else min(len(mutant), 80)
    return dice.randrange(max(1, end))


def _byte(mutant: bytearray, files: list[bytes], dice: random.Random) -> None:
    place = _place(mutant, dice)
    mutant[place : place + 1] = bytes((dice.choice((*_TELLING, dice.randrange(256))),))


def _bit(mutant: bytearray, files: list[bytes], dice: random.Random) -> None:
    if mutant:
        mutant[_place(mutant, dice) % len(mutant)] ^= 1 << dice.randrange(8)


def _number(mutant: bytearray, files: list[bytes], dice: random.Random) -> None:
    code, order, place = dice.choice("HIQ"), dice.choice("<>"), _place(mutant, dice)
    size = struct.calcsize(f"<{code}")
    value = dice.choice((*_NUMBERS, len(mutant), dice.randrange(1 << 16))) & ((1 << 8 * size) - 1)
    mutant[place : place + size] = struct.pack(order + code, value)


def _cut(mutant: bytearray, files: list[bytes], dice: random.Random) -> None:
    del mutant[_place(mutant, dice) :]


def _drop(mutant: bytearray, files: list[bytes], dice: random.Random) -> None:
    place = _place(mutant, dice)
    del mutant[place : place + dice.choice((1, 2, 4, 12, 40))]


def _repeat(mutant: bytearray, files: list[bytes], dice: random.Random) -> None:
    place = _place(mutant, dice)
    part = mutant[place : place + dice.choice((1, 2, 4, 12, 40, 200))]
    mutant[place:place] = part * dice.choice((1, 1, 3, 50))


def _splice(mutant: bytearray, files: list[bytes], dice: random.Random) -> None:
    other, place = dice.choice(files), _place(mutant, dice)
    mutant[place:] = other[dice.randrange(len(other)) :]


_DAMAGES = (_byte, _byte, _byte, _bit, _bit, _number, _number, _cut, _drop, _repeat, _splice)


def _with_checksums(data: bytes) -> bytes:
    """Return a PNG with correct checksums, so that its damaged chunks are read."""
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        end = place + 8 + size
        if end + 4 > len(data):
            break
        body = data[place + 4 : end]
        parts.append(data[place : place + 4] + body + struct.pack(">I", zlib.crc32(body)))
        place = end + 4
    return b"".join((*parts, data[place:]))
