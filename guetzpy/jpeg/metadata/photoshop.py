"""Photoshop image resources in APP13: IPTC-NAA, thumbnails, copies of EXIF and XMP.

A resource consists of "8BIM", a 16-bit identifier, a Pascal string padded to even length, a 32-bit size, and
data padded to even length (Adobe Photoshop File Formats Specification, "Image Resource Blocks"). A list of
resources beyond one segment continues in further segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = [
    "EXIF_COPIES",
    "HEADER",
    "IPTC",
    "RIGHTS",
    "THUMBNAILS",
    "XMP_COPY",
    "edited",
    "edited_stream",
    "iptc_edit",
    "resource_sizes",
    "without_resources",
]

#: First bytes of a segment; the resources follow.
HEADER = b"Photoshop 3.0\0"

#: Identifiers of thumbnail resources: of Photoshop 4, and of Photoshop 5 and later.
THUMBNAILS = frozenset({0x0409, 0x040C})
#: Identifiers of copies of EXIF data (1 and 3).
EXIF_COPIES = frozenset({0x0422, 0x0423})
#: Identifier of a copy of the XMP packet.
XMP_COPY = frozenset({0x0424})

#: Identifier of the resource that contains the IPTC datasets.
IPTC = 0x0404
#: Identifiers of the copyright flag and of the URL of the copyright information.
RIGHTS = frozenset({0x040A, 0x040B})

_IPTC_DIGEST = 0x0425
_SIGNATURES = (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR")


@dataclass(frozen=True)
class _Resource:
    """A resource: identifier, byte range including padding, position and size of its data."""

    identifier: int
    start: int
    data: int
    size: int
    end: int


def _resources(stream: bytes) -> Iterator[_Resource]:
    """Yield each resource; raise ValueError if one is invalid."""
    at, end_of_data = 0, len(stream.rstrip(b"\0"))
    while at < len(stream):
        if at >= end_of_data:
            return  # zero padding at the end
        if stream[at : at + 4] not in _SIGNATURES or at + 12 > len(stream):
            raise ValueError("no Photoshop resource")
        identifier = int.from_bytes(stream[at + 4 : at + 6], "big")
        size_at = at + 6 + (stream[at + 6] + 2) // 2 * 2
        size = int.from_bytes(stream[size_at : size_at + 4], "big")
        end = size_at + 4 + size
        if end > len(stream):
            raise ValueError("Photoshop resource beyond the end")
        end = min(end + (end - size_at) % 2, len(stream))
        yield _Resource(identifier, at, size_at + 4, size, end)
        at = end


def resource_sizes(payloads: list[bytes]) -> dict[int, int]:
    """Return the bytes of each resource identifier in a file's segments; empty if they are invalid."""
    sizes: dict[int, int] = {}
    try:
        for found in _resources(b"".join(p[len(HEADER) :] for p in payloads)):
            sizes[found.identifier] = sizes.get(found.identifier, 0) + found.end - found.start
    except ValueError:
        pass
    return sizes


def edited(payloads: list[bytes], edit: Callable[[int, bytes], bytes | None]) -> list[bytes]:
    """Edit the resources of a file's segments.

    Parameters
    ----------
    payloads : list of bytes
        Payloads of all Photoshop segments, in file order.
    edit : callable
        Called with the identifier and data of each resource; returns its new data, or None to remove it.

    Returns
    -------
    list of bytes
        New payloads, as many as before; the same list if nothing changes. Payloads no longer needed are
        empty.

    Raises
    ------
    ValueError
        If the list of resources is invalid.
    """
    stream = b"".join(payload[len(HEADER) :] for payload in payloads)
    rest = edited_stream(stream, edit)
    if rest == stream:
        return payloads
    new, at = [], 0
    for payload in payloads:
        piece = rest[at : at + len(payload) - len(HEADER)]
        new.append(HEADER + piece if piece else b"")
        at += len(piece)
    return new


def edited_stream(stream: bytes, edit: Callable[[int, bytes], bytes | None]) -> bytes:
    """Edit a list of resources without segment headers, as :func:`edited`; never returns more bytes."""
    pieces, changed = [], False
    for resource in list(_resources(stream)):
        before = stream[resource.data : resource.data + resource.size]
        after = edit(resource.identifier, before)
        if after == before:
            pieces.append(stream[resource.start : resource.end])
            continue
        changed = True
        if after is not None:
            pieces.append(stream[resource.start : resource.data - 4] + len(after).to_bytes(4, "big") + after)
            pieces.append(b"\0" * (len(after) % 2))
    return b"".join(pieces) if changed else stream


def iptc_edit(edit: Callable[[bytes], bytes]) -> Callable[[int, bytes], bytes | None]:
    """Return an edit for resources that applies ``edit`` to the IPTC datasets.

    ``edit`` returns the new datasets, empty to remove them. If they change, their digest (0x0425) is
    removed.
    """
    changed = False

    def one(identifier: int, data: bytes) -> bytes | None:
        nonlocal changed
        if identifier == IPTC:
            after = edit(data)
            changed = changed or after != data
            return after or None
        return None if identifier == _IPTC_DIGEST and changed else data

    return one


def without_resources(payloads: list[bytes], identifiers: frozenset[int]) -> list[bytes]:
    """Remove resources from the segments of a file; see :func:`edited`."""
    return edited(payloads, lambda identifier, data: None if identifier in identifiers else data)
