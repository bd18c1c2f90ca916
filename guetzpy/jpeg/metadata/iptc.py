"""IPTC IIM (IPTC-NAA Information Interchange Model 4.2): the datasets of a picture's record.

A dataset is 1C, record, number, a 16-bit length (or, with its high bit set, the count of length bytes that
follow), data (IIM 1.6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Dataset", "datasets", "only", "without"]

_TAG = 0x1C


@dataclass(frozen=True)
class Dataset:
    """A dataset: its record and number, its value, and its range in the stream."""

    record: int
    number: int
    value: bytes
    start: int
    end: int


def datasets(stream: bytes) -> Iterator[Dataset]:
    """Yield the datasets of a stream.

    Raises
    ------
    ValueError
        Where the stream breaks off; zeros at its end are padding.
    """
    at = 0
    while at < len(stream):
        if not stream[at:].strip(b"\0"):
            return
        if stream[at] != _TAG or at + 5 > len(stream):
            raise ValueError("no IPTC dataset")
        size, begin = int.from_bytes(stream[at + 3 : at + 5], "big"), at + 5
        if size & 0x8000:
            begin += size & 0x7FFF
            size = int.from_bytes(stream[at + 5 : begin], "big")
        if begin + size > len(stream):
            raise ValueError("IPTC dataset beyond the end")
        yield Dataset(stream[at + 1], stream[at + 2], stream[begin : begin + size], at, begin + size)
        at = begin + size


def without(stream: bytes, unwanted: Callable[[Dataset], bool]) -> bytes:
    """Return a stream without some datasets.

    Raises
    ------
    ValueError
        The stream is broken.
    """
    found = list(datasets(stream))
    if not any(map(unwanted, found)):
        return stream
    return b"".join(stream[d.start : d.end] for d in found if not unwanted(d))


def only(stream: bytes, wanted: Callable[[Dataset], bool]) -> bytes:
    """Return the wanted datasets with what reads them: the coded character set (1:90) and the version (2:0).

    Raises
    ------
    ValueError
        The stream is broken.
    """
    found = list(datasets(stream))
    if not any(map(wanted, found)):
        return b""
    needed = {(1, 90), (2, 0)}
    return b"".join(stream[d.start : d.end] for d in found if wanted(d) or (d.record, d.number) in needed)
