"""The Huffman table generation of T.81 K.2: one function for each of the figures K.1 to K.4."""

from __future__ import annotations


def code_sizes(frequencies: list[int]) -> list[int]:
    """Return the code sizes (figure K.1) of 256 frequencies, and of a reserved code point as entry 256."""
    freq = [*frequencies, 1]
    codesize = [0] * 257
    others = [-1] * 257
    while True:
        present = [v for v in range(257) if freq[v] > 0]
        # Find the least value of FREQ; of several, the one with the largest V.
        present.sort(key=lambda v: (freq[v], -v))
        if len(present) < 2:
            return codesize
        v1, v2 = present[0], present[1]
        freq[v1] += freq[v2]
        freq[v2] = 0
        while True:
            codesize[v1] += 1
            if others[v1] == -1:
                break
            v1 = others[v1]
        others[v1] = v2
        while True:
            codesize[v2] += 1
            if others[v2] == -1:
                break
            v2 = others[v2]


def count_bits(codesize: list[int]) -> list[int]:
    """Return the number of codes of each size, for all sizes that occur (figure K.2)."""
    bits = [0] * 300
    for size in codesize:
        if size:
            bits[size] += 1
    return bits


def adjust_bits(bits: list[int]) -> list[int]:
    """Limit code sizes to 16 bits and remove the reserved code point (figure K.3)."""
    i = len(bits) - 1
    while True:
        if bits[i] > 0:
            j = i - 1
            while True:
                j -= 1
                if bits[j] > 0:
                    break
            bits[i] -= 2
            bits[i - 1] += 1
            bits[j + 1] += 2
            bits[j] -= 1
        else:
            i -= 1
            if i == 16:
                break
    while bits[i] == 0:
        i -= 1
    bits[i] -= 1
    return bits[:17]


def sort_input(codesize: list[int]) -> list[int]:
    """Return the symbols in the order of their code sizes (figure K.4)."""
    return [j for i in range(1, 300) for j in range(256) if codesize[j] == i]


def lengths(frequencies: list[int]) -> dict[int, int]:
    """Return the code length of each symbol that occurs."""
    codesize = code_sizes(frequencies)
    bits = adjust_bits(count_bits(codesize))
    values = sort_input(codesize)
    sizes = [size for size in range(1, 17) for _ in range(bits[size])]
    assert len(sizes) == len(values)
    return dict(zip(values, sizes, strict=True))
