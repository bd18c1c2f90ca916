"""inspect: the parts add up to the file, and the bytes of scans are divided among the components."""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import jpeg_files, metadata_files
from reference.jpeg_files import exif, picture, segment, with_segments
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.engine import inspect as inspection
from guetzpy.errors import FormatError, GuetzpyError, UnsupportedError
from guetzpy.jpeg import anatomy, component_bytes, reader

IMAGES = Path(__file__).parents[3] / "shared" / "images"
shared = pytest.mark.skipif(not IMAGES.is_dir(), reason="the development pictures are not here")


def add_up(record: dict, data: bytes) -> None:
    assert record["bytes"] == len(data) == sum(record["bytes_by_part"].values())
    assert min(record["bytes_by_part"].values()) >= 0
    assert sum(record["bytes_by_component"].values()) == record["bytes_by_part"]["scans"]
    for scan in record["scans"]:
        assert sum(scan["bytes_by_component"].values()) == scan["bytes"]


@pytest.mark.parametrize(
    ("options", "mode", "subsampling"),
    [
        ({"subsampling": "4:4:4"}, "baseline", "444"),
        ({"subsampling": "4:2:0", "quality": 60}, "baseline", "420"),
        ({"subsampling": "4:2:2", "progressive": True}, "progressive", "422"),
        ({"subsampling": "4:2:0", "restart_marker_blocks": 3}, "baseline", "420"),
    ],
)
def test_every_byte_is_somewhere(options: dict, mode: str, subsampling: str) -> None:
    data = picture(100, 75, **options)
    record = inspection.inspect(data)
    add_up(record, data)
    assert (record["mode"], record["subsampling"]) == (mode, subsampling)
    assert (record["width"], record["height"], record["colorspace"]) == (100, 75, "ycbcr")
    assert record["quality"] == options.get("quality", 90)
    assert record["quality_exact"] is True
    assert (record["reencodable"], record["reason"]) == (True, None)
    assert [c["name"] for c in record["components"]] == ["Y", "Cb", "Cr"]
    assert record["lossless_saving"] == len(data) - len(guetzpy.transcode(data).data) > 0
    json.dumps(record)


def test_the_function_of_the_package_is_what_the_command_prints(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture(64, 48))
    printed = CliRunner().invoke(app, ["inspect", str(tmp_path / "a.jpg"), "--json"]).output
    assert json.loads(printed) == guetzpy.inspect(tmp_path / "a.jpg")


def test_metadata_is_named_and_counted_once() -> None:
    tiff = exif(orientation=6)
    icc = b"ICC_PROFILE\0\1\1" + bytes(128)
    data = with_segments(
        picture(), segment(0xE1, b"Exif\0\0" + tiff), segment(0xE2, icc), segment(0xFE, b"words")
    )
    data += b"after the end"
    record = inspection.inspect(data)
    add_up(record, data)
    parts = record["bytes_by_part"]
    assert parts["exif"] == 4 + 6 + len(tiff)
    assert parts["icc"] == 4 + len(icc)
    assert parts["comment"] == 4 + 5
    assert parts["trailing"] == 13
    assert set(record["bytes_within"]) == {"gps", "thumbnail"}
    assert (record["orientation"], record["icc"], record["gain_map"]) == (6, True, False)
    text = inspection.table_text(record)
    assert "orientation 6" in text
    assert "holds ICC profile" in text


@pytest.mark.parametrize(("sampling", "restart"), [("4:4:4", 0), ("4:2:0", 0), ("4:2:2", 2), ("4:2:0", 5)])
def test_bits_of_components_make_up_the_scan(sampling: str, restart: int) -> None:
    """The rest of the scan is stuffed zeros, restart markers and padding bits."""
    options = {"restart_marker_blocks": restart} if restart else {}
    data = picture(128, 96, seed=5, subsampling=sampling, **options)
    image, parts = reader.read(data), anatomy.survey(data)
    scan = parts.scans[0]
    coded = data[len(data) - 2 - scan.size : -2]
    markers = len(re.findall(rb"\xff[\xd0-\xd7]", coded))
    assert bool(markers) == bool(restart)
    bits = 0
    for component, slots in zip(image.components, scan.header.components, strict=True):
        bits += component_bytes._dc_bits(image, component, 0, scan.huffman[0, slots.td].lengths(), restart)
        bits += component_bytes._ac_bits(component, scan.huffman[1, slots.ta].lengths())
    unowned = 8 * (scan.size - coded.count(b"\xff\0") - 2 * markers) - bits
    assert 0 <= unowned <= 7 * (markers + 1)


def test_shares_of_progressive_dc_scans() -> None:
    data = picture(100, 75, seed=1, progressive=True, subsampling="4:2:0")
    record = inspection.inspect(data)
    first = record["scans"][0]
    last = next(s for s in record["scans"] if s["bits"][0] and s["band"] == [0, 0])
    assert first["components"] == last["components"] == ["Y", "Cb", "Cr"]
    luma = [scan["bytes_by_component"]["Y"] / scan["bytes"] for scan in (first, last)]
    assert luma[0] > 0.4
    assert luma[1] == pytest.approx(130 / (130 + 35 + 35), abs=0.05)  # one bit per block


def test_what_cannot_be_read_is_described_by_its_headers() -> None:
    data = bytearray(picture(progressive=False))
    at = data.index(b"\xff\xc0")
    data[at + 1] = 0xC9  # declares arithmetic coding
    record = inspection.inspect(bytes(data))
    assert record["mode"] == "extended, arithmetic coding"
    assert (record["reencodable"], record["reason"]) == (False, "arithmetic coding is not supported")
    assert sum(record["bytes_by_part"].values()) == len(data)
    assert "cannot be re-encoded" in inspection.table_text(record)


def arithmetic(**options: object) -> bytes:
    """Return a file whose frame header declares arithmetic coding, which guetzpy does not read."""
    return picture(progressive=False, **options).replace(b"\xff\xc0", b"\xff\xc9")


@pytest.mark.parametrize("marker", [b"\xff\xc4", b"\xff\xc9", b"\xff\xda"])
@pytest.mark.parametrize("length", [0, 5])
def test_parts_of_files_with_an_invalid_segment_add_up(marker: bytes, length: int) -> None:
    """Invalid tables and headers are a part of their own, and only a frame header states a size."""
    data = bytearray(arithmetic())
    at = data.index(marker) + 2
    data[at : at + 2] = length.to_bytes(2, "big")
    record = inspection.inspect(bytes(data))
    parts = record["bytes_by_part"]
    assert sum(parts.values()) == record["bytes"] == len(data)
    assert min(parts.values()) >= 0
    if marker == b"\xff\xda":
        assert parts["unreadable"] > len(data) / 2
        assert "scans" not in parts
    elif length or marker == b"\xff\xc9":  # a table segment may be empty
        assert parts["unreadable"] == 2 + max(length, 2)
        assert parts["scans"] > len(data) / 4
    known = marker != b"\xff\xc9"
    assert (record.get("width"), record.get("height")) == ((48, 40) if known else (None, None))
    text = inspection.table_text(record)
    assert ("48 x 40" if known else "of unknown width and height") in text
    assert "cannot be re-encoded: arithmetic coding" in text
    json.dumps(record)


def test_a_height_that_no_header_states_is_left_out() -> None:
    data = bytearray(arithmetic())
    at = data.index(b"\xff\xc9") + 5
    data[at : at + 2] = b"\0\0"  # 0: a DNL segment defines the height, and this file has none
    record = inspection.inspect(bytes(data))
    assert (record["width"], "height" in record) == (48, False)
    assert "48 x ?" in inspection.table_text(record)


def test_parts_of_jpeg_ls() -> None:
    """A byte below 0x80 after 0xFF is a part of the scan (T.87, A.1)."""
    coded = b"\x12\xff\x7f\xff\x01\x34\xff\x2c\0\2"
    frame = segment(0xF7, b"\x08\0\x07\0\x09\1\1\x11\0")
    scan = segment(0xDA, b"\1\1\0\0\0\0")
    data = b"\xff\xd8" + frame + scan + coded + b"\xff\xd9tail"
    record = inspection.inspect(data)
    assert (record["width"], record["height"], record["mode"]) == (9, 7, "JPEG-LS")
    parts = {"scans": len(coded), "trailing": 4, "headers": len(frame) + len(scan) + 4}
    assert record["bytes_by_part"] == parts


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
@pytest.mark.parametrize("stdin", [False, True])
def test_a_pipe_without_data_takes_no_longer_than_the_time_limit(tmp_path: Path, stdin: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-m", "guetzpy", "inspect", "--timeout", "0.3"]
    reader, writer = os.pipe()
    try:
        done = subprocess.run(
            [*command, "-" if stdin else "pipe"], stdin=reader, cwd=tmp_path, capture_output=True, timeout=60
        )
    finally:
        os.close(reader)
        os.close(writer)
    assert done.returncode == 1
    assert b"not done within 0.3 s" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_what_is_no_jpeg(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (9, 9)).save(stream, "PNG")
    with pytest.raises(UnsupportedError, match="not a JPEG"):
        inspection.inspect(stream.getvalue())
    with pytest.raises(FormatError):
        anatomy.survey(b"no picture")


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    name = tmp_path / "a\x1b]0;owned\x07.jpg"
    name.write_bytes(picture())
    result = CliRunner().invoke(app, ["inspect", str(name)])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    record = json.loads(CliRunner().invoke(app, ["inspect", str(name), "--json"]).stdout)
    assert record["input"] == str(name)


def test_survey_never_fails_but_by_its_own_errors() -> None:
    """The parts of a truncated or damaged file add up to its bytes, or FormatError says what is wrong."""
    rng = random.Random(11)
    whole = picture(60, 44, progressive=True)
    for _ in range(300):
        data = bytearray(whole[: rng.randrange(2, len(whole) + 1)])
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            parts = anatomy.survey(bytes(data))
        except FormatError:
            continue
        named = parts.quantisation + parts.huffman + parts.metadata + parts.headers + parts.trailing
        assert named + parts.coded == len(data)


@shared
@pytest.mark.slow
def test_real_files_add_up_and_agree_with_the_encoder() -> None:
    count = packed = 0
    for folder in ("jpeg-features", "jpeg-camera", "jpeg-gainmap", "jpeg-orientation"):
        for path in sorted((IMAGES / folder).iterdir()):
            data = path.read_bytes()
            if data[:2] != b"\xff\xd8" or len(data) > 3_000_000:
                continue
            try:
                record = inspection.inspect(data)
            except GuetzpyError:
                continue
            assert sum(record["bytes_by_part"].values()) == len(data), path.name
            assert inspection.table_text(record)
            if "scans" not in record:
                continue
            add_up(record, data)
            if record["reason"]:
                reason = guetzpy.optimize(data, distance=25.0).reason
                assert reason is not None
                assert reason.split("; ")[0] == record["reason"], path.name  # a hint may follow the reason
                packed += 1
            count += 1
    assert count > 80
    assert packed > 5


def parts_add_up(data: bytes) -> None:
    try:
        record = inspection.inspect(data)
    except GuetzpyError:
        return
    inspection.table_text(record)
    assert sum(record["bytes_by_part"].values()) == len(data)
    assert min(record["bytes_by_part"].values()) >= 0, record["bytes_by_part"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["baseline", "progressive", "everything", "gain map"]),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=6)), max_size=5),
    st.integers(0, 1 << 16),
    st.binary(max_size=12),
)
def test_parts_of_damaged_files_add_up(
    name: str, changes: list[tuple[int, bytes]], cut: int, tail: bytes
) -> None:
    """The parts add up to the file and none is negative, or an error of guetzpy states the reason."""
    whole = {
        "baseline": picture(40, 30, restart_marker_blocks=2),
        "progressive": picture(40, 30, progressive=True),
        "everything": metadata_files.everything(),
        "gain map": jpeg_files.ultra_hdr(video=b"\0\0\0\x18ftypmp42"),
    }[name]
    data = bytearray(whole)
    for at, new in changes:
        at %= len(data)
        data[at : at + len(new)] = new
    parts_add_up(bytes(data).replace(b"\xff\xc0", b"\xff\xc9").replace(b"\xff\xc2", b"\xff\xca"))
    parts_add_up(bytes(data) + tail)
    parts_add_up(bytes(data[: 2 + cut % len(data)]) + tail)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(range(8)), max_size=8), st.integers(0, 50))
def test_parts_of_shuffled_files_add_up(order: list[int], seed: int) -> None:
    """The files have segments and scans in any order, some of them twice, with bytes in between."""
    rng = random.Random(seed)
    plain = picture(24, 16, progressive=bool(seed % 2))
    starts = [match.start() for match in re.finditer(rb"\xff[\xc0\xc2\xc4\xda-\xdd\xe0\xe1\xfe\xd9]", plain)]
    pieces = [plain[a:b] for a, b in zip(starts, [*starts[1:], len(plain)], strict=True)]
    chosen = [pieces[i % len(pieces)] for i in order]
    middle = b"".join(piece + rng.randbytes(rng.randrange(3)) for piece in chosen)
    at = rng.choice(starts)
    parts_add_up(plain[:at] + middle + plain[at:])
    parts_add_up(b"\xff\xd8\xff\xe0\0\2" + middle)


@pytest.mark.parametrize("tail", [b"", b"\xff\xd9", b"\xff\xd9text"])
def test_parts_of_a_file_with_a_second_scan_add_up(tail: bytes) -> None:
    """The reader counts data after the only scan of a sequential file as trailing data."""
    plain = picture(progressive=False)[:-2]
    scan = plain[plain.index(b"\xff\xda") :]
    data = plain + scan + tail
    record = inspection.inspect(data)
    assert record["bytes_by_part"]["trailing"] == len(scan) + len(tail)
    add_up(record, data)


def test_only_files_without_a_mark_have_an_estimated_distance() -> None:
    """An estimate from the tables could contradict the distance of the mark, so it is not shown."""
    source = (Path(__file__).parents[1] / "data" / "coffee.jpg").read_bytes()
    marked = guetzpy.optimize(source, distance=4.0, effort="fast").data
    assert "about distance" in inspection.table_text(inspection.inspect(source))
    text = inspection.table_text(inspection.inspect(marked))
    assert "encoded by guetzpy at distance 4" in text
    assert "about distance" not in text


def test_scans_that_were_not_decoded_are_not_divided() -> None:
    data = picture(progressive=True)
    image, parts = reader.read(data), anatomy.survey(data)
    parts.scans.pop()
    for found, size in zip(inspection._scans(image, parts, ["Y", "Cb", "Cr"]), image.scan_bytes, strict=True):
        assert found["bytes"] == size
        assert next(iter(found["bytes_by_component"].values())) == size
