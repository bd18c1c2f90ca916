"""Huffman codes: they are optimal, have at most 16 bits, and do not use the code of ones only."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import huffman as twin

from guetzpy.jpeg.entropy.huffman import HuffmanTable, code_lengths, optimal_table

FREQUENCIES = st.dictionaries(
    st.integers(0, 255), st.one_of(st.integers(1, 4), st.integers(1, 2**30)), min_size=1, max_size=256
)


def histogram(frequencies: dict[int, int]) -> np.ndarray:
    counts = np.zeros(256, np.int64)
    counts[list(frequencies)] = list(frequencies.values())
    return counts


@given(FREQUENCIES)
@settings(deadline=None, max_examples=200)
def test_lengths_form_a_code_no_longer_than_that_of_the_standard(frequencies):
    counts = histogram(frequencies)
    lengths = code_lengths(counts).astype(int)
    assert np.array_equal(lengths > 0, counts > 0)
    assert lengths.max() <= 16
    # The Kraft sum leaves exactly one code of the greatest length free: the one of ones only.
    assert sum(2 ** (16 - n) for n in lengths if n) == 2**16 - 2 ** (16 - lengths.max())
    slow = twin.lengths(counts.tolist())
    assert int(counts @ lengths) <= sum(int(counts[s]) * n for s, n in slow.items())


def test_lengths_are_optimal_among_all_codes():
    """No other set of lengths with a free code takes fewer bits; all sets are tried for small alphabets."""
    rng = np.random.default_rng(1)
    for size in (1, 2, 3, 4, 5):
        for _ in range(20):
            weights = rng.integers(1, 40, size)
            counts = np.zeros(256, np.int64)
            counts[:size] = weights
            best = min(
                int(weights @ np.array(lengths))
                for lengths in itertools.product(range(1, 7), repeat=size)
                if sum(2.0**-n for n in lengths) < 1
            )
            assert int(counts @ code_lengths(counts).astype(int)) == best


def test_limit_of_16_bits_costs_less_than_in_the_standard():
    """Frequencies of powers of two give codes of 1, 2, 3, ... bits; K.2's limit of 16 takes more bits."""
    counts = np.zeros(256, np.int64)
    counts[:25] = 2 ** np.arange(25)
    lengths = code_lengths(counts).astype(int)
    slow = twin.lengths(counts.tolist())
    assert lengths.max() == max(slow.values()) == 16
    assert int(counts @ lengths) < sum(int(counts[s]) * n for s, n in slow.items())


def test_many_histograms_at_once_and_empty_ones():
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 3, (7, 256)) * rng.integers(0, 1000, (7, 256))
    rows[3] = 0
    together = code_lengths(rows)
    assert not together[3].any()
    for row, lengths in zip(rows, together, strict=True):
        assert np.array_equal(code_lengths(row), lengths)


@pytest.mark.parametrize("bad", [-1, 2**40 + 1])
def test_counts_out_of_range(bad):
    counts = np.zeros(256, np.int64)
    counts[7] = bad
    with pytest.raises(ValueError, match="symbol counts"):
        code_lengths(counts)


@given(FREQUENCIES)
@settings(deadline=None, max_examples=100)
def test_table_describes_a_prefix_code_without_the_word_of_ones(frequencies):
    counts = histogram(frequencies)
    table = optimal_table(counts)
    assert table.size == 17 + len(frequencies)
    assert sum(table.counts) == len(table.values) == len(set(table.values)) == len(frequencies)
    codes = table.codes()
    assert np.array_equal(codes & 31, table.lengths())
    assert np.array_equal(table.lengths(), code_lengths(counts))
    words = [format(int(c) >> 5, f"0{int(c) & 31}b") for c in codes if c]
    assert all("0" in word for word in words)
    words.sort()
    assert not any(b.startswith(a) for a, b in itertools.pairwise(words))


def test_codes_of_the_example_in_the_standard():
    """The codes equal those of T.81 table K.3 (DC luminance)."""
    table = HuffmanTable((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0), bytes(range(12)))
    words = [format(int(c) >> 5, f"0{int(c) & 31}b") for c in table.codes()[:12]]
    assert words[:7] == ["00", "010", "011", "100", "101", "110", "1110"]
    assert words[-1] == "111111110"


def test_frequent_symbols_come_first_among_codes_of_one_length():
    counts = np.zeros(256, np.int64)
    counts[[5, 9, 200]] = [10, 30, 20]
    assert optimal_table(counts).values == bytes([9, 200, 5])
