"""A simple, slow JPEG entropy decoder and encoder in Python, after the flow charts of ITU-T T.81.

It is the reference for ``guetzpy.jpeg.entropy.decode``, and writes test files that Pillow cannot write.
Corrupt data is decoded as libjpeg decodes it. Beyond the end of a segment, zero bits are read until the MCU
is complete; later MCUs are not decoded. An unknown code is symbol 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ZIGZAG = sorted(range(64), key=lambda n: (n // 8 + n % 8, n // 8 if (n // 8 + n % 8) % 2 else n % 8))


class Bits:
    """The bits of one segment, followed by zeros."""

    def __init__(self, data: bytes) -> None:
        self.bits = "".join(f"{byte:08b}" for byte in data)
        self.used = 0

    def take(self, count: int) -> int:
        text = self.bits[self.used : self.used + count]
        self.used += count
        return int(text.ljust(count, "0"), 2) if count else 0


def codes(counts: Sequence[int], values: bytes) -> dict[tuple[int, int], int]:
    """Return the symbols of a table by (length, code) (T.81 annex C)."""
    table = {}
    code = 0
    symbols = iter(values)
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            table[length, code] = next(symbols)
            code += 1
        code *= 2
    return table


def extend(value: int, size: int) -> int:
    """Return the value of ``size`` magnitude bits (T.81 figure F.12)."""
    return value if size == 0 or value >= 1 << size - 1 else value - (1 << size) + 1


def int16(value: int) -> int:
    return (value + 0x8000) % 0x10000 - 0x8000


@dataclass
class ScanComponent:
    """A component: blocks in the MCU, int16 coefficients (blocks_y, blocks_x, 64), :func:`codes` tables."""

    v: int
    h: int
    coefficients: np.ndarray
    dc: dict[tuple[int, int], int]
    ac: dict[tuple[int, int], int]


class Decoder:
    """Decoder of one scan; ``segments`` are the data of its restart intervals without stuffing."""

    def __init__(
        self, mode: str, components: list[ScanComponent], ss: int = 0, se: int = 63, al: int = 0
    ) -> None:
        self.mode, self.components, self.ss, self.se, self.al = mode, components, ss, se, al
        self.bad_codes = 0
        self.out_of_range = 0
        self.short = -1

    def decode(self, segments: Sequence[bytes], interval: int, mcus: int, per_row: int) -> None:
        for number, segment in enumerate(segments):
            self.bits = Bits(segment)
            self.prediction = [0] * len(self.components)
            self.run = 0
            out_of_data = False
            for mcu in range(number * interval, min((number + 1) * interval, mcus)):
                if not out_of_data:
                    self._mcu(*divmod(mcu, per_row))
                    out_of_data = self.bits.used > len(self.bits.bits)
                if out_of_data and self.short < 0:
                    self.short = mcu
        if self.mode == "dc_refine":  # without blocks of padding
            for component in self.components:
                dc = component.coefficients[..., 0].astype(int)
                self.out_of_range += int((abs(dc) > 2047).sum())

    def _mcu(self, mcu_y: int, mcu_x: int) -> None:
        for slot, component in enumerate(self.components):
            for dy in range(component.v):
                for dx in range(component.h):
                    y, x = mcu_y * component.v + dy, mcu_x * component.h + dx
                    height, width, _ = component.coefficients.shape
                    inside = y < height and x < width
                    block = component.coefficients[y, x] if inside else np.zeros(64, np.int16)
                    values = [int(value) for value in block]
                    getattr(self, f"_{self.mode}")(values, slot, component)
                    block[:] = [int16(value) for value in values]

    def _symbol(self, table: dict[tuple[int, int], int]) -> int:
        code = 0
        for length in range(1, 17):
            code = code * 2 + self.bits.take(1)
            if (length, code) in table:
                return table[length, code]
        self.bits.take(1)
        self.bad_codes += 1
        return 0

    def _put(self, block: list[int], k: int, value: int) -> None:
        self.out_of_range += abs(value) > 1023
        block[ZIGZAG[min(k, 63)]] = int16(value)

    def _dc_first(self, block: list[int], slot: int, component: ScanComponent) -> None:
        size = self._symbol(component.dc)
        self.prediction[slot] += extend(self.bits.take(size), size)
        block[0] = self.prediction[slot] << self.al
        self.out_of_range += abs(block[0]) > 2047

    def _dc_refine(self, block: list[int], slot: int, component: ScanComponent) -> None:
        block[0] |= self.bits.take(1) << self.al

    def _sequential(self, block: list[int], slot: int, component: ScanComponent) -> None:
        self._dc_first(block, slot, component)
        k = 1
        while k < 64:
            run, size = divmod(self._symbol(component.ac), 16)
            if size:
                k += run
                self._put(block, k, extend(self.bits.take(size), size))
            elif run == 15:
                k += 15
            else:
                break
            k += 1

    def _ac_first(self, block: list[int], slot: int, component: ScanComponent) -> None:
        if self.run:
            self.run -= 1
            return
        k = self.ss
        while k <= self.se:
            run, size = divmod(self._symbol(component.ac), 16)
            if size:
                k += run
                self._put(block, k, extend(self.bits.take(size), size) << self.al)
            elif run == 15:
                k += 15
            else:
                self.run = (1 << run) + self.bits.take(run) - 1
                break
            k += 1

    def _ac_refine(self, block: list[int], slot: int, component: ScanComponent) -> None:
        """Refine the AC coefficients of a block, one at a time (T.81 figure G.7)."""
        one = 1 << self.al
        k = self.ss
        while k <= self.se:
            new = 0
            zeros = 64
            if not self.run:
                run, size = divmod(self._symbol(component.ac), 16)
                if size:
                    self.bad_codes += size > 1
                    new = one if self.bits.take(1) else -one
                    zeros = run
                elif run == 15:
                    zeros = 15
                else:
                    self.run = (1 << run) + self.bits.take(run)
            while k <= self.se:
                value = block[ZIGZAG[k]]
                if value == 0 and zeros == 0:
                    break
                if value == 0:
                    zeros -= 1
                elif self.bits.take(1) and not value & one:
                    self._put(block, k, value + (one if value > 0 else -one))
                k += 1
            if new:
                self._put(block, k, new)
            k += 1
        self.run = max(self.run - 1, 0)


def stuff(bits: str) -> bytes:
    """Pad with ones (F.1.2.3) and stuff zeros after 0xFF."""
    bits += "1" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")


def encode_sequential(
    components: list[ScanComponent], mcu_rows: int, per_row: int, interval: int = 0
) -> bytes:
    """Encode a sequential scan (F.1.2) with its restart markers; padding blocks are zero."""
    inverse = [
        tuple({symbol: (length, code) for (length, code), symbol in table.items()} for table in (c.dc, c.ac))
        for c in components
    ]

    def code(table: dict[int, tuple[int, int]], symbol: int, value: int = 0) -> str:
        length, word = table[symbol]
        size = symbol & 15
        extra = format(value if value >= 0 else value + (1 << size) - 1, f"0{size}b") if size else ""
        return format(word, f"0{length}b") + extra

    def encode(slot: int, block: Sequence[int], previous: int) -> Iterator[str]:
        dc, ac = inverse[slot]
        difference = block[0] - previous
        yield code(dc, abs(difference).bit_length(), difference)
        run = 0
        for k in range(1, 64):
            value = block[ZIGZAG[k]]
            if value == 0:
                run += 1
                continue
            while run > 15:
                yield code(ac, 0xF0)
                run -= 16
            yield code(ac, run << 4 | abs(value).bit_length(), value)
            run = 0
        if run:
            yield code(ac, 0)

    out = b""
    bits: list[str] = []
    previous = [0] * len(components)
    for mcu in range(mcu_rows * per_row):
        if interval and mcu and mcu % interval == 0:
            out += stuff("".join(bits)) + bytes((0xFF, 0xD0 + (mcu // interval - 1) % 8))
            bits, previous = [], [0] * len(components)
        mcu_y, mcu_x = divmod(mcu, per_row)
        for slot, c in enumerate(components):
            for dy in range(c.v):
                for dx in range(c.h):
                    y, x = mcu_y * c.v + dy, mcu_x * c.h + dx
                    height, width, _ = c.coefficients.shape
                    block = [int(n) for n in c.coefficients[y, x]] if y < height and x < width else [0] * 64
                    bits.extend(encode(slot, block, previous[slot]))
                    previous[slot] = block[0]
    return out + stuff("".join(bits))


def segments_of(stream: bytes) -> list[bytes]:
    """Split entropy-coded data at its restart markers and drop the stuffing."""
    parts = [b""]
    position = 0
    while position < len(stream):
        if stream[position] == 0xFF and 0xD0 <= stream[position + 1] <= 0xD7:
            parts.append(b"")
            position += 2
        else:
            parts[-1] += stream[position : position + 1]
            position += 2 if stream[position] == 0xFF else 1
    return parts


def read_coefficients(data: bytes) -> list[np.ndarray]:
    """Return the coefficients (blocks_y, blocks_x, 64) of each component of a valid JPEG file."""
    tables: dict[int, dict[tuple[int, int], int]] = {}
    interval = 0
    position = 2
    while data[position + 1] != 0xD9:
        marker = data[position + 1]
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        payload = data[position + 4 : end]
        position = end
        if marker == 0xC4:
            while payload:
                count = sum(payload[1:17])
                tables[payload[0]] = codes(payload[1:17], payload[17 : 17 + count])
                payload = payload[17 + count :]
        elif marker == 0xDD:
            interval = int.from_bytes(payload, "big")
        elif marker in (0xC0, 0xC1, 0xC2):
            height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
            frame = [
                (payload[i], payload[i + 1] >> 4, payload[i + 1] & 15) for i in range(6, len(payload), 3)
            ]
            h_max, v_max = max(h for _, h, _ in frame), max(v for _, _, v in frame)
            planes = {
                c: np.zeros((-(-height * v // (8 * v_max)), -(-width * h // (8 * h_max)), 64), np.int16)
                for c, h, v in frame
            }
            progressive = marker == 0xC2
        elif marker == 0xDA:
            while not (data[end] == 0xFF and data[end + 1] != 0 and not 0xD0 <= data[end + 1] <= 0xD7):
                end += 1
            chosen = [(payload[i], payload[i + 1]) for i in range(1, 1 + 2 * payload[0], 2)]
            ss, se, approximation = payload[-3:]
            sampling = {c: (v, h) if len(chosen) > 1 else (1, 1) for c, h, v in frame}
            components = [
                ScanComponent(*sampling[c], planes[c], tables.get(t >> 4, {}), tables.get(t & 15 | 16, {}))
                for c, t in chosen
            ]
            rows, columns = planes[chosen[0][0]].shape[:2]
            if len(chosen) > 1:
                rows, columns = -(-height // (8 * v_max)), -(-width // (8 * h_max))
            mode = "sequential"
            if progressive:
                mode = ("dc" if ss == 0 else "ac") + ("_refine" if approximation >> 4 else "_first")
            decoder = Decoder(mode, components, ss, se, approximation & 15)
            decoder.decode(
                segments_of(data[position:end]), interval or rows * columns, rows * columns, columns
            )
            assert decoder.short < 0
            assert decoder.bad_codes == 0
            position = end
    return [planes[c] for c, _, _ in frame]
