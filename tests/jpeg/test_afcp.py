"""AFCP trailers at the end of a file: IPTC datasets, text and a thumbnail."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import jpeg_files, metadata_files
from reference.metadata_files import CITY, OWNER, dataset

import guetzpy
from guetzpy.jpeg.metadata import afcp
from guetzpy.jpeg.metadata.coordinates import scrub

_TEXT = b"seen at latitude: 48.858222"


def trailer(base: int, order: str, items: list[tuple[bytes, bytes]]) -> bytes:
    """Return a trailer for a file whose other data has ``base`` bytes."""
    sign = b"AXS!" if order == ">" else b"AXS*"
    rows, data = b"", b""
    for tag, content in items:
        place = base + 12 + 12 * len(items) + len(data)
        rows += tag + struct.pack(order + "II", len(content), place)
        data += content
    head = sign + struct.pack(order + "HHI", 1, len(items), 0)
    return head + rows + data + sign + struct.pack(order + "II", base, 0)


def record() -> bytes:
    named = [(5, b"The tower"), (25, b"geo:lat=48.858222"), (80, OWNER), (90, CITY), (101, CITY)]
    return dataset(90, b"\x1b%G", 1) + b"".join(dataset(*pair) for pair in named)


def file_with_trailer(order: str, before: bytes = b"") -> bytes:
    small = jpeg_files.with_segments(jpeg_files.picture(24, 20, seed=2), *metadata_files.segments())
    picture = jpeg_files.picture() + before
    return picture + trailer(len(picture), order, [(b"IPTC", record()), (b"TEXT", _TEXT), (b"Nail", small)])


def entries(data: bytes) -> dict[bytes, bytes]:
    """Return the entries of a file's trailer, by the positions that the trailer states."""
    order = ">" if data[-12:-8] == b"AXS!" else "<"
    (start,) = struct.unpack_from(order + "I", data, len(data) - 8)
    assert data[start : start + 4] == data[-12:-8]
    (count,) = struct.unpack_from(order + "H", data, start + 6)
    found = {}
    for at in range(start + 12, start + 12 + 12 * count, 12):
        size, place = struct.unpack_from(order + "II", data, at + 4)
        found[data[at : at + 4]] = data[place : place + size]
    return found


@pytest.mark.parametrize("order", ["<", ">"])
def test_kinds_are_blanked_and_positions_follow_the_size(order: str) -> None:
    data = file_with_trailer(order)
    before = entries(data)
    kept = guetzpy.transcode(data)
    assert len(kept.data) < len(data)
    assert entries(kept.data) == before

    place = guetzpy.transcode(data, strip="place")
    assert CITY not in place.data
    assert (b"The tower" in place.data, OWNER in place.data) == (True, True)
    assert place.removed == ("place",)
    assert any("names of places" in warning for warning in place.warnings)  # the text
    assert {tag: len(value) for tag, value in entries(place.data).items()} == {
        tag: len(value) for tag, value in before.items()
    }

    gps = guetzpy.transcode(data, strip="gps")
    assert not any(secret in gps.data for secret in metadata_files.SECRETS)
    assert CITY in entries(gps.data)[b"IPTC"]
    assert OWNER not in guetzpy.transcode(data, strip="copyright").data


@pytest.mark.parametrize("order", ["<", ">"])
def test_rights_that_are_kept_survive_in_the_trailer(order: str) -> None:
    """Rights in the trailer survive like those in other IPTC data. The rest of the trailer is removed."""
    data = file_with_trailer(order, b"something else")
    done = guetzpy.transcode(data, strip="all", keep="copyright")
    assert entries(done.data) == {b"IPTC": dataset(90, b"\x1b%G", 1) + dataset(80, OWNER)}
    assert {"trailing", "gps", "place"} <= set(done.removed)
    assert not any(word in done.data for word in (CITY, b"The tower", b"something else", b"Nail"))
    assert guetzpy.transcode(done.data, strip="all", keep="copyright").data == done.data
    kept = guetzpy.optimize(data, distance=4, strip="all", keep="copyright")
    assert OWNER in entries(kept.data)[b"IPTC"]

    assert b"AXS" not in guetzpy.transcode(data, strip="all").data
    assert b"AXS" not in guetzpy.transcode(data, strip="trailing").data
    assert entries(guetzpy.transcode(data, keep="iptc").data) == {b"IPTC": record()}
    located = guetzpy.transcode(data, strip="all,gps", keep="iptc").data
    assert (CITY in located, b"48.858222" in located) == (True, False)


def test_iptc_of_the_trailer_goes_with_other_iptc() -> None:
    done = guetzpy.transcode(file_with_trailer("<", b"something else"), strip="iptc")
    assert set(entries(done.data)) == {b"TEXT", b"Nail"}
    assert b"something else" in done.data
    assert "iptc" in done.removed
    done = guetzpy.transcode(file_with_trailer("<"), strip="iptc", keep="place")
    assert entries(done.data)[b"IPTC"].count(CITY) == 2


def test_the_removal_of_data_that_may_have_had_rights_is_told() -> None:
    data = file_with_trailer("<").replace(dataset(90, CITY), dataset(90, CITY)[:3] + b"\x7f\xff" + CITY)
    words = "IPTC data after the picture that cannot be edited is removed: copyright in it is lost"
    assert words in guetzpy.transcode(data, strip="all", keep="copyright").warnings
    words = "the data after the picture is removed without a search for copyright"
    done = guetzpy.transcode(jpeg_files.picture() + b"of a camera maker", strip="all", keep="copyright")
    assert words in done.warnings


def test_iptc_that_cannot_be_read_is_removed() -> None:
    data = file_with_trailer("<")
    broken = data.replace(dataset(90, CITY), dataset(90, CITY)[:3] + b"\x7f\xff" + CITY, 1)
    assert len(broken) == len(data)
    done = guetzpy.transcode(broken, strip="place")
    assert not entries(done.data)[b"IPTC"].strip(b"\0")


def test_positions_that_are_wrong_are_put_right() -> None:
    data = file_with_trailer(">")
    cut = data[: len(jpeg_files.picture())] + bytes(100) + data[len(jpeg_files.picture()) :]
    assert entries(guetzpy.transcode(cut).data) == entries(data)


def test_other_data_before_the_trailer_is_searched() -> None:
    done = guetzpy.transcode(file_with_trailer("<", b"no picture"), strip="place")
    assert CITY not in done.data
    assert b"no picture" in done.data


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=4),
    st.sampled_from("<>"),
    st.integers(0, 400),
)
def test_damaged_trailers(changes: list[tuple[int, int]], order: str, cut: int) -> None:
    data = bytearray(trailer(0, order, [(b"IPTC", record()), (b"TEXT", _TEXT)])[cut:])
    for position, value in changes:
        if data:
            data[position % len(data)] = value
    found = afcp.read_trailer(bytes(data))
    for entry in found.entries if found is not None else ():
        assert 0 <= entry.start <= entry.end <= len(data) - 12
    for kind in ("gps", "place", "copyright"):
        assert len(scrub(bytes(data), kind).data) == len(data)
