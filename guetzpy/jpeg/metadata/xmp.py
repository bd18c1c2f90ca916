"""XMP packets in APP1: find properties, and blank them without changing the other bytes.

A packet is RDF/XML in UTF-8. Parsing and serialising it would change prefixes, order and spacing. Therefore
removed properties are overwritten with spaces, at the byte positions that expat reports. A packet that does
not fit one segment continues in "extended" segments, which name the MD5 of their content (XMP specification
part 3, 1.1.3.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

__all__ = [
    "EXTENSION_HEADER",
    "HEADER",
    "Item",
    "Packet",
    "blanked",
    "read_any_encoding",
    "read_packet",
]

#: First bytes of an XMP segment, and of a segment of extended XMP.
HEADER = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION_HEADER = b"http://ns.adobe.com/xmp/extension/\0"

_CONTAINER = "http://ns.google.com/photos/1.0/container/"
_CONTAINER_ITEM = "http://ns.google.com/photos/1.0/container/item/"
_CRS = "http://ns.adobe.com/camera-raw-settings/1.0/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDF_ROOT, _DESCRIPTION, _RDF_LI = (_RDF, "RDF"), (_RDF, "Description"), (_RDF, "li")

_ATTRIBUTE = re.compile(rb"""\s([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_TAG = re.compile(rb"""<[^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""")

_MAX_NODES = 100_000


Name = tuple[str, str]  # namespace, local name
Span = tuple[int, int]


@dataclass
class _Node:
    name: Name
    start: int
    tag_end: int
    empty: bool
    # name, value, range of the whole attribute, range between the quotes
    attributes: list[tuple[Name, str, Span, Span]]
    parent: _Node | None
    end: int = 0
    text: str = ""
    children: list[_Node] = field(default_factory=list)


@dataclass(frozen=True)
class Item:
    """An entry of a Google container directory. The first entry is the picture itself.

    Attributes
    ----------
    semantic : str
        Purpose of the item, such as "Primary", "GainMap" or "MotionPhoto".
    mime : str
        Media type.
    length, padding : int
        Bytes of the item, and of the padding after it; 0 if not given.
    span : tuple of int
        Byte range of the item's list element in the packet.
    length_span : tuple of int or None
        Byte range of the digits of the length; None if the length is missing or 0.
    """

    semantic: str
    mime: str
    length: int
    padding: int
    span: Span
    length_span: Span | None


class Packet:
    """A parsed packet. Positions are in bytes from its start.

    Raises
    ------
    ValueError
        If the packet is no XML, has a document type, or has more than 100,000 elements.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._nodes: list[_Node] = []
        self._open: list[_Node] = []
        self._remarks: list[tuple[str, Span]] = []  # comments and processing instructions
        parser = expat.ParserCreate("UTF-8", namespace_separator="\x1f")
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._close
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = lambda text: self._remark(text, b"-->")
        parser.ProcessingInstructionHandler = lambda target, text: self._remark(f"{target} {text}", b"?>")
        self._parser = parser
        try:
            parser.Parse(data.rstrip(b"\0"), True)
        except expat.ExpatError as error:
            raise ValueError(f"XMP: {error}") from error
        finally:
            del self._parser

    def _refuse(self, *_: object) -> None:
        raise ValueError("XMP: a document type is not allowed")

    def _start(self, name: str, attributes: list[str]) -> None:
        if len(self._nodes) >= _MAX_NODES:
            raise ValueError("XMP: too many elements")
        at = self._parser.CurrentByteIndex
        tag = _TAG.match(self.data, at)
        if tag is None:
            raise ValueError("XMP: element not found")
        values = {_raw_name(n): (_name(n), v) for n, v in zip(attributes[::2], attributes[1::2], strict=True)}
        found = []
        for match in _ATTRIBUTE.finditer(tag.group()):
            known = values.get(match.group(1).decode("utf-8", "replace"))
            if known is not None:
                everything, value = match.span(), match.span(2)
                found.append(
                    (*known, (at + everything[0], at + everything[1]), (at + value[0] + 1, at + value[1] - 1))
                )
        parent = self._open[-1] if self._open else None
        node = _Node(_name(name), at, tag.end(), tag.group().endswith(b"/>"), found, parent)
        if parent is not None:
            parent.children.append(node)
        self._nodes.append(node)
        self._open.append(node)

    def _close(self, _: str) -> None:
        node = self._open.pop()
        at = self._parser.CurrentByteIndex
        node.end = node.tag_end if node.empty else self.data.index(b">", at) + 1

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text

    def _remark(self, text: str, end: bytes) -> None:
        at = self._parser.CurrentByteIndex
        self._remarks.append((text, (at, self.data.index(end, at) + len(end))))

    def properties(
        self, wanted: Callable[[str, str], bool], text: Callable[[str], bool] | None = None
    ) -> Iterator[tuple[str, str, Span]]:
        """Yield (name, value, byte range) of the elements and attributes that match.

        ``wanted`` is called with namespace and name; of a comment, both are "". If ``text`` is given, a
        property whose text satisfies it matches too, as do comments and processing instructions, with the
        name "". Adobe's raw settings are not tested for text, since their curves and brush strokes resemble
        coordinates.
        """

        def fits(name: Name, value: str) -> bool:
            return wanted(*name) or (text is not None and name[0] != _CRS and text(value))

        for node in self._nodes:
            if fits(node.name, "" if _within(node, _CRS) else node.text):
                yield node.name[1], node.text, (node.start, node.end)
            for name, value, span, _ in node.attributes:
                if fits(name, value):
                    yield name[1], value, span
        for value, span in self._remarks:
            comment = self.data.startswith(b"<!--", span[0])
            if (text is not None and text(value)) or (comment and wanted("", "")):
                yield "", value, span

    def has(self, wanted: Callable[[str, str], bool]) -> bool:
        """Return whether ``wanted`` is true for the (namespace, name) of any property."""
        return next(self.properties(wanted), None) is not None

    def descriptions(self, wanted: Callable[[str, str], bool]) -> list[bytes]:
        """Return, for each description that has wanted properties, a new one with these only.

        A property is a child or an attribute of a description directly below ``rdf:RDF``, including all
        that it contains. Each new description declares the prefixes that its properties use.
        """
        found = []
        for node in self._nodes:
            if node.name != _DESCRIPTION or node.parent is None or node.parent.name != _RDF_ROOT:
                continue
            attributes = [
                self.data[slice(*span)].strip()
                for name, _, span, _ in node.attributes
                if name[0] and wanted(*name)
            ]
            children = [self.data[c.start : c.end] for c in node.children if wanted(*c.name)]
            if attributes or children:
                used = b" ".join((*attributes, *children))
                prefixes = [
                    b"xmlns:" + prefix + b"=" + value
                    for prefix, value in self._prefixes(node).items()
                    if prefix != b"rdf" and re.search(rb"(?<![\w-])" + re.escape(prefix) + b":", used)
                ]
                head = b" ".join([b'<rdf:Description rdf:about=""', *prefixes, *attributes])
                found.append(head + b">" + b"".join(children) + b"</rdf:Description>")
        return found

    def _prefixes(self, node: _Node | None) -> dict[bytes, bytes]:
        """Return the prefixes declared at an element and around it, each with its quoted namespace."""
        if node is None:
            return {}
        own = {
            match.group(1)[6:]: match.group(2)
            for match in _ATTRIBUTE.finditer(self.data[node.start : node.tag_end])
            if match.group(1).startswith(b"xmlns:")
        }
        return self._prefixes(node.parent) | own

    def items(self) -> list[Item]:
        """Return the entries of the container directory; empty if there is none."""
        found = []
        for node in self._nodes:
            if node.name == (_CONTAINER, "Item"):
                holder = node.parent if node.parent is not None and node.parent.name == _RDF_LI else node
                found.append(_item(node, holder))
        return found


def _within(node: _Node, space: str) -> bool:
    """Return whether the name of an element, or of one around it, is in a namespace."""
    at: _Node | None = node
    while at is not None:
        if at.name[0] == space:
            return True
        at = at.parent
    return False


def _item(node: _Node, holder: _Node) -> Item:
    values: dict[str, tuple[str, Span]] = {}
    for name, value, _, span in node.attributes:
        values[name[1]] = value, span
    for child in node.children:
        if child.name[0] == _CONTAINER_ITEM:
            values[child.name[1]] = child.text, (child.tag_end, child.tag_end + len(child.text.encode()))
    number = {
        key: int(values[key][0]) if key in values and re.fullmatch(r"[0-9]{1,12}", values[key][0]) else 0
        for key in ("Length", "Padding")
    }
    return Item(
        semantic=values.get("Semantic", ("", (0, 0)))[0],
        mime=values.get("Mime", ("", (0, 0)))[0],
        length=number["Length"],
        padding=number["Padding"],
        span=(holder.start, holder.end),
        length_span=values["Length"][1] if number["Length"] else None,
    )


def _name(expanded: str) -> Name:
    parts = expanded.split("\x1f")
    return (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])


def _raw_name(expanded: str) -> str:
    parts = expanded.split("\x1f")
    return f"{parts[2]}:{parts[1]}" if len(parts) > 2 else parts[-1]


def read_packet(data: bytes) -> Packet | None:
    """Parse a packet (a segment's payload after its header); return None if it is invalid."""
    try:
        return Packet(data)
    except ValueError:
        return None


def read_any_encoding(data: bytes) -> Packet | None:
    """Parse a packet in UTF-8, UTF-16 or UTF-32; return None if it is invalid.

    The packet's ``data`` is UTF-8. The specification (part 3, 1.1.3) requires UTF-8 in JPEG files, but
    other programs accept the other encodings.
    """
    packet = read_packet(data)
    if packet is not None:
        return packet
    signs = {b"\0\0\0<": "utf-32-be", b"<\0\0\0": "utf-32-le", b"\0<": "utf-16-be", b"<\0": "utf-16-le"}
    signs |= {
        b"\0\0\xfe\xff": "utf-32",
        b"\xff\xfe\0\0": "utf-32",
        b"\xfe\xff": "utf-16",
        b"\xff\xfe": "utf-16",
    }
    encoding = next((signs[data[:size]] for size in (4, 2) if data[:size] in signs), None)
    if encoding is None:
        return None
    try:
        return read_packet(data.decode(encoding).encode())
    except UnicodeError:
        return None


def blanked(data: bytes, spans: Iterable[Span]) -> bytes:
    """Return data of the same length with spaces in the given ranges; line ends stay."""
    edited = bytearray(data)
    for start, end in spans:
        edited[start:end] = re.sub(rb"[^\r\n]", b" ", data[start:end])
    return bytes(edited)
