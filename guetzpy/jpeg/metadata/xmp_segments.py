"""XMP packets in the segments of a file: join them, edit them in place, split new ones.

A packet that does not fit one segment continues in "extended" segments, which name the MD5 of their content
(XMP specification part 3, 1.1.3.1).
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from guetzpy.jpeg.metadata.xmp import EXTENSION_HEADER, HEADER, blanked, read_any_encoding

__all__ = ["Extension", "gather_extensions", "only_properties", "payloads_of", "without_properties"]

# Largest number of bytes of a segment after its header (XMP specification part 3, 1.1.3 and 1.1.3.1).
_MAX_PACKET = 65502
_MAX_EXTENSION = 65400

_WRAPPER = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
    b"</rdf:RDF></x:xmpmeta>",
)


@dataclass(frozen=True)
class Extension:
    """An extended packet, joined from its segments.

    Attributes
    ----------
    guid : bytes
        The MD5 of the content in 32 hexadecimal digits.
    data : bytes
        The content.
    pieces : tuple of (int, int, int)
        For each piece: number of its payload in the list given, offset and length of the piece.
    """

    guid: bytes
    data: bytes
    pieces: tuple[tuple[int, int, int], ...]


def gather_extensions(payloads: list[bytes]) -> list[Extension]:
    """Join extended packets; packets with missing or overlapping pieces are omitted.

    Parameters
    ----------
    payloads : list of bytes
        Payloads of extended XMP segments.
    """
    head = len(EXTENSION_HEADER)
    by_guid: dict[bytes, list[tuple[int, int, int, bytes]]] = {}
    for number, payload in enumerate(payloads):
        if len(payload) >= head + 40:
            total, offset = struct.unpack_from(">II", payload, head + 32)
            row = (offset, total, number, payload[head + 40 :])
            by_guid.setdefault(payload[head : head + 32], []).append(row)
    found = []
    for guid, rows in by_guid.items():
        rows.sort(key=lambda row: row[:3])
        pieces, size = [], 0
        for offset, _, number, piece in rows:
            if offset != size:
                break
            pieces.append((number, offset, len(piece)))
            size += len(piece)
        if len(pieces) == len(rows) and all(total == size for _, total, _, _ in rows):
            found.append(Extension(guid, b"".join(row[3] for row in rows), tuple(pieces)))
    return found


def without_properties(
    payloads: list[bytes],
    wanted: Callable[[str, str], bool],
    *,
    text: Callable[[str], bool] | None = None,
    strict: bool = False,
) -> list[bytes | None]:
    """Blank properties in the payloads of XMP segments, including extended ones.

    Parameters
    ----------
    payloads : list of bytes
        Payloads of all XMP segments of a file, in order.
    wanted : callable
        Called with namespace and name of a property; true if it must be removed.
    text : callable, optional
        Called with the text of a property; true if it must be removed.
    strict : bool
        Whether to remove packets that cannot be parsed or joined.

    Returns
    -------
    list of bytes or None
        Payloads of the same lengths. With ``strict``, None for those that cannot be parsed or joined.
    """
    edited: list[bytes | None] = list(payloads)
    head = len(HEADER)

    def without(packet: bytes) -> bytes | None:
        parsed = read_any_encoding(packet)
        if parsed is None:
            return None if strict and packet.strip(b"\0 ") else packet
        spans = [span for _, _, span in parsed.properties(wanted, text)]
        return blanked(parsed.data, spans).ljust(len(packet)) if spans else packet

    for i, payload in enumerate(payloads):
        if payload.startswith(HEADER):
            edited_packet = without(payload[head:])
            edited[i] = None if edited_packet is None else payload[:head] + edited_packet

    numbers = [i for i, payload in enumerate(payloads) if payload.startswith(EXTENSION_HEADER)]
    extensions = gather_extensions([payloads[i] for i in numbers])
    gathered = {numbers[piece[0]] for extension in extensions for piece in extension.pieces}
    for i in numbers:
        if i not in gathered and strict:
            edited[i] = None
    renamed: dict[bytes, bytes] = {}
    for extension in extensions:
        data = without(extension.data)
        if data is None:
            for piece, _, _ in extension.pieces:
                edited[numbers[piece]] = None
        elif data != extension.data:
            guid = _guid(data)
            for piece, offset, length in extension.pieces:
                head_of_piece = guid + struct.pack(">II", len(data), offset)
                edited[numbers[piece]] = EXTENSION_HEADER + head_of_piece + data[offset : offset + length]
            renamed[extension.guid] = guid
    main = next((i for i, payload in enumerate(edited) if (payload or b"").startswith(HEADER)), None)
    if main is not None and renamed:
        pattern = re.compile(b"|".join(map(re.escape, renamed)))
        edited[main] = pattern.sub(lambda match: renamed[match[0]], edited[main] or b"")
    return edited


def only_properties(payloads: list[bytes], wanted: Callable[[str, str], bool]) -> list[bytes]:
    """Return the payloads of a new packet that has only the wanted properties.

    Parameters
    ----------
    payloads : list of bytes
        Payloads of all XMP segments of a file, in order; those that cannot be parsed are ignored.
    wanted : callable
        Called with namespace and name of a property; true if it must be kept.

    Returns
    -------
    list of bytes
        Payloads as :func:`payloads_of` returns them; empty if no property is wanted.
    """
    packets = [payload[len(HEADER) :] for payload in payloads if payload.startswith(HEADER)]
    packets += [e.data for e in gather_extensions([p for p in payloads if p.startswith(EXTENSION_HEADER)])]
    found = [
        text
        for packet in map(read_any_encoding, packets)
        if packet is not None
        for text in packet.descriptions(wanted)
    ]
    return payloads_of(_WRAPPER[0] + b"".join(found) + _WRAPPER[1]) if found else []


def _guid(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).hexdigest().upper().encode()


def payloads_of(packet: bytes) -> list[bytes]:
    """Split a packet into the payloads of XMP segments; one if it fits one segment.

    Parameters
    ----------
    packet : bytes
        RDF/XML in UTF-8, with or without the xpacket wrapper.
    """
    if len(packet) <= _MAX_PACKET:
        return [HEADER + packet]
    # The xpacket wrapper and its padding are not part of extended XMP.
    content = re.sub(rb"<\?xpacket[^>]*\?>", b"", packet).strip()
    guid = _guid(content)
    main = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
        b' xmpNote:HasExtendedXMP="' + guid + b'"/></rdf:RDF></x:xmpmeta>'
    )
    pieces = range(0, len(content), _MAX_EXTENSION)
    return [HEADER + main] + [
        EXTENSION_HEADER + guid + struct.pack(">II", len(content), at) + content[at : at + _MAX_EXTENSION]
        for at in pieces
    ]
