"""Photoshop image resources in APP13: IPTC-NAA, thumbnails, copies of EXIF and XMP.

A resource is "8BIM", a 16-bit id, a Pascal string padded to even length, a 32-bit size, and data padded to
even length (Adobe Photoshop File Formats Specification, "Image Resource Blocks"). Long lists go on in
further segments.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["EXIF_COPIES", "HEADER", "THUMBNAILS", "XMP_COPY", "resource_sizes", "without_resources"]

#: First bytes of a segment; the resources follow.
HEADER = b"Photoshop 3.0\0"

#: Thumbnail resources of Photoshop 4 and of 5 and later.
THUMBNAILS = frozenset({0x0409, 0x040C})
#: Copies of EXIF data (1 and 3).
EXIF_COPIES = frozenset({0x0422, 0x0423})
#: Copy of the XMP packet.
XMP_COPY = frozenset({0x0424})

_SIGNATURES = (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR")


def _resources(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (id, start, end) of each resource; ValueError where the list breaks off."""
    at, end_of_data = 0, len(stream.rstrip(b"\0"))
    while at < len(stream):
        if at >= end_of_data:
            return  # zero padding at the end
        if stream[at : at + 4] not in _SIGNATURES or at + 12 > len(stream):
            raise ValueError("no Photoshop resource")
        identifier = int.from_bytes(stream[at + 4 : at + 6], "big")
        size_at = at + 6 + (stream[at + 6] + 2) // 2 * 2
        end = size_at + 4 + int.from_bytes(stream[size_at : size_at + 4], "big")
        if end > len(stream):
            raise ValueError("Photoshop resource beyond the end")
        end = min(end + (end - size_at) % 2, len(stream))
        yield identifier, at, end
        at = end


def resource_sizes(payloads: list[bytes]) -> dict[int, int]:
    """Return bytes by resource id over the segments of a file; what cannot be read is left out."""
    sizes: dict[int, int] = {}
    try:
        for identifier, start, end in _resources(b"".join(p[len(HEADER) :] for p in payloads)):
            sizes[identifier] = sizes.get(identifier, 0) + end - start
    except ValueError:
        pass
    return sizes


def without_resources(payloads: list[bytes], identifiers: frozenset[int]) -> list[bytes]:
    """Take resources out of the segments of a file.

    Parameters
    ----------
    payloads : list of bytes
        Payloads of all Photoshop segments, in file order.
    identifiers : frozenset of int
        Ids of the resources to remove.

    Returns
    -------
    list of bytes
        As many payloads; those that are no longer needed are empty.

    Raises
    ------
    ValueError
        If the list of resources is broken.
    """
    stream = b"".join(payload[len(HEADER) :] for payload in payloads)
    resources = list(_resources(stream))
    if not any(identifier in identifiers for identifier, _, _ in resources):
        return payloads
    rest = b"".join(
        stream[start:end] for identifier, start, end in resources if identifier not in identifiers
    )
    edited, at = [], 0
    for payload in payloads:
        piece = rest[at : at + len(payload) - len(HEADER)]
        edited.append(HEADER + piece if piece else b"")
        at += len(piece)
    return edited
