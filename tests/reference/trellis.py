"""Exhaustive reference of the trellis for a block and a band: all subsets of nonzero levels, by recursion."""

from __future__ import annotations

from functools import cache


def cost(
    levels: list[int],
    magnitudes: list[float],
    weights: list[float],
    symbols: list[float],
    eob: tuple[float, float],
    lagrangian: float,
) -> float:
    """Return the cost of given absolute levels, as T.81 F.1.2.2 codes them."""
    total = sum(w * (a - level) ** 2 for w, a, level in zip(weights, magnitudes, levels, strict=True))
    run = 0
    bits = 0.0
    for level in levels:
        if level == 0:
            run += 1
            continue
        bits += (run // 16) * symbols[0xF0]
        size = level.bit_length()
        bits += symbols[(run % 16) << 4 | size] + size
        run = 0
    if run:
        bits += eob[1 if any(levels) else 0]
    return total + lagrangian * bits


def best(
    magnitudes: list[float],
    weights: list[float],
    symbols: list[float],
    eob: tuple[float, float],
    lagrangian: float,
) -> float:
    """Return the least cost over zero, the rounded level and the one below, for each coefficient."""
    count = len(magnitudes)

    @cache
    def after(position: int, previous: int) -> float:
        """Return the least cost of the rest, if the last nonzero coefficient is at ``previous``."""
        if position == count:
            return lagrangian * eob[1 if previous >= 0 else 0] if previous < count - 1 else 0.0
        a, w = magnitudes[position], weights[position]
        result = w * a * a + after(position + 1, previous)
        rounded = int(a + 0.5)
        for level in {rounded, rounded - 1} - {0, -1}:
            run = position - previous - 1
            size = level.bit_length()
            bits = (run // 16) * symbols[0xF0] + symbols[(run % 16) << 4 | size] + size
            result = min(result, w * (a - level) ** 2 + lagrangian * bits + after(position + 1, position))
        return result

    return after(0, -1)
