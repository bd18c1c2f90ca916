"""Entropy coding of scans after the flow charts of T.81 annexes F and G, with Python lists.

Coefficients of a block are a list of 64 in zigzag order. A coded interval is a list of
``("code", table class, component, symbol)`` and ``("bits", value, count)``.
"""

from __future__ import annotations

from collections import Counter

Item = tuple  # ("code", class, component, symbol) or ("bits", value, count)


def shift(value: int, al: int) -> int:
    """Return the point transform of an AC coefficient: divided by 2**al, truncated towards zero (G.1.2.1)."""
    return -(-value >> al) if value < 0 else value >> al


def magnitude_bits(value: int) -> Item:
    """Return the bits after a size category (F.1.2.1): low bits of the value, or of value - 1 if negative."""
    size = abs(value).bit_length()
    return ("bits", value if value > 0 else value - 1 + (1 << size), size)


def mcu_order(rows: int, columns: int, sampling: list[tuple[int, int]]) -> list[list[tuple[int, int, int]]]:
    """Return for each MCU its blocks (component, y, x) (A.2.3)."""
    return [
        [
            (c, row * v + y, column * h + x)
            for c, (h, v) in enumerate(sampling)
            for y in range(v)
            for x in range(h)
        ]
        for row in range(rows)
        for column in range(columns)
    ]


def mcu_scan(
    components, sampling, rows, columns, *, ac: bool, ah: int, al: int, interval: int
) -> list[list[Item]]:
    """Code a sequential scan (F.1.2), or a DC scan of a progressive file (G.1.2.1).

    ``components[c][y][x]`` is a block; blocks outside are padding with the DC before them and no AC.
    """
    intervals: list[list[Item]] = []
    dc = [0] * len(components)
    for number, mcu in enumerate(mcu_order(rows, columns, sampling)):
        if number == 0 or (interval and number % interval == 0):
            intervals.append([])
            dc = [0] * len(components)
        out = intervals[-1]
        for c, y, x in mcu:
            grid = components[c]
            if y < len(grid) and x < len(grid[0]):
                block = grid[y][x]
                value = block[0] >> al
            else:
                block = [0] * 64
                value = dc[c]
            if ah:
                out.append(("bits", value & 1, 1))
                dc[c] = value
                continue
            difference = value - dc[c]
            dc[c] = value
            out.append(("code", 0, c, abs(difference).bit_length()))
            out.append(magnitude_bits(difference))
            if not ac:
                continue
            run = 0
            for k in range(1, 64):  # figure F.2
                if block[k] == 0:
                    run += 1
                    continue
                while run > 15:
                    out.append(("code", 1, c, 0xF0))
                    run -= 16
                out.append(("code", 1, c, run << 4 | abs(block[k]).bit_length()))
                out.append(magnitude_bits(block[k]))
                run = 0
            if run:
                out.append(("code", 1, c, 0))
    return intervals


def ac_scan(blocks, ss: int, se: int, ah: int, al: int, interval: int) -> list[list[Item]]:
    """Code an AC scan of a progressive file: first (figure G.3) or refinement (figure G.7)."""
    intervals: list[list[Item]] = []
    eobrun = 0
    pending: list[Item] = []  # correction bits of the blocks in the EOB run

    def encode_eobrun(out: list[Item]) -> None:  # figure G.4
        nonlocal eobrun, pending
        if eobrun:
            size = eobrun.bit_length() - 1
            out.append(("code", 1, 0, size << 4))
            out.append(("bits", eobrun - (1 << size), size))
            out.extend(pending)
        eobrun, pending = 0, []

    for number, block in enumerate(blocks):
        if number == 0 or (interval and number % interval == 0):
            if intervals:
                encode_eobrun(intervals[-1])
            intervals.append([])
        out = intervals[-1]
        values = [shift(value, al) for value in block]
        if ah:
            new = [k for k in range(ss, se + 1) if abs(values[k]) == 1]
        else:
            new = [k for k in range(ss, se + 1) if values[k]]
        last = max(new, default=ss - 1)
        run = 0
        buffered: list[Item] = []
        for k in range(ss, se + 1):
            if values[k] == 0:
                run += 1
                continue
            while run > 15 and k <= last:
                encode_eobrun(out)
                out.append(("code", 1, 0, 0xF0))
                out.extend(buffered)
                buffered = []
                run -= 16
            if ah and abs(values[k]) > 1:
                buffered.append(("bits", abs(values[k]) & 1, 1))
                continue
            encode_eobrun(out)
            if ah:
                out.append(("code", 1, 0, run << 4 | 1))
                out.append(("bits", int(values[k] > 0), 1))
                out.extend(buffered)
                buffered = []
            else:
                out.append(("code", 1, 0, run << 4 | abs(values[k]).bit_length()))
                out.append(magnitude_bits(values[k]))
            run = 0
        if run or buffered:
            eobrun += 1
            pending += buffered
            if eobrun == 0x7FFF:
                encode_eobrun(out)
    encode_eobrun(intervals[-1])
    return intervals


def counts(intervals: list[list[Item]], table_class: int, component: int) -> list[int]:
    """Return how often each symbol of a table occurs."""
    found = Counter(
        item[3]
        for out in intervals
        for item in out
        if item[0] == "code" and item[1:3] == (table_class, component)
    )
    return [found[symbol] for symbol in range(256)]


def huffman_codes(counts_by_length: tuple[int, ...], values: bytes) -> dict[int, str]:
    """Return each symbol's code as a string of bits (figures C.1 to C.3)."""
    codes, code, position = {}, 0, 0
    for length, count in enumerate(counts_by_length, 1):
        for _ in range(count):
            codes[values[position]] = format(code, f"0{length}b")
            code += 1
            position += 1
        code *= 2
    return codes


def to_bytes(intervals: list[list[Item]], codes: dict[tuple[int, int], dict[int, str]]) -> bytes:
    """Return the data with stuffing, padding by ones (F.1.2.3) and restart markers (F.1.1.5.2)."""
    data = b""
    for number, out in enumerate(intervals):
        if number:
            data += bytes((0xFF, 0xD0 + (number - 1) % 8))
        bits = "".join(
            codes[item[1], item[2]][item[3]]
            if item[0] == "code"
            else format(item[1], f"0{item[2]}b")
            if item[2]
            else ""
            for item in out
        )
        bits += "1" * (-len(bits) % 8)
        raw = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        data += raw.replace(b"\xff", b"\xff\x00")
    return data
