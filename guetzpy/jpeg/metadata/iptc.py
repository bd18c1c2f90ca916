"""IPTC IIM (IPTC-NAA Information Interchange Model 4.2): parse and filter datasets.

A dataset consists of the byte 0x1C, its record, its number, a 16-bit length, and data (IIM 1.6). If the high
bit of the length is set, its other bits are the number of bytes that follow and hold the length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Dataset", "datasets", "only", "without"]

_TAG = 0x1C


@dataclass(frozen=True)
class Dataset:
    """A dataset: record and number, value, and byte range in the stream."""

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
        If a dataset is invalid. Zeros at the end are padding.
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
    """Return a stream without the unwanted datasets.

    Raises
    ------
    ValueError
        If the stream is invalid.
    """
    found = list(datasets(stream))
    if not any(map(unwanted, found)):
        return stream
    return b"".join(stream[d.start : d.end] for d in found if not unwanted(d))


def only(stream: bytes, wanted: Callable[[Dataset], bool]) -> bytes:
    """Return the wanted datasets and those needed to read them: character set (1:90) and version (2:0).

    Raises
    ------
    ValueError
        If the stream is invalid.
    """
    found = list(datasets(stream))
    if not any(map(wanted, found)):
        return b""
    needed = {(1, 90), (2, 0)}
    return b"".join(stream[d.start : d.end] for d in found if wanted(d) or (d.record, d.number) in needed)
