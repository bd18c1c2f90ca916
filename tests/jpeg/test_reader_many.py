"""The reader on random mutants, on scripts of jpegtran and on public corpora."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import entropy_decode as twin
from reference.reader_files import (
    assert_coefficients,
    handmade,
    photo,
    pillow,
    random_planes,
)

from guetzpy.errors import GuetzpyError
from guetzpy.jpeg import markers
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.structure import NATURAL_ORDER, JpegImage

SHARED = Path(__file__).parents[3] / "shared" / "images"


# Hostile input

SEEDS = [
    pillow(photo(40, 40), subsampling=2),
    pillow(photo(24, 50), progressive=True, restart_marker_blocks=2, comment=b"abc"),
    pillow(photo(30, 20, "L"), restart_marker_blocks=1),
    pillow(photo(9, 30, "CMYK"), progressive=True),
    handmade(
        20,
        20,
        [(2, 1), (1, 2), (1, 1)],
        random_planes(20, 20, [(2, 1), (1, 2), (1, 1)]),
        scans=[(0, 2), (1,)],
    ),
]


def pieces(data: bytes) -> list[bytes]:
    """Split a file into segments; a scan header and its entropy-coded data are one piece."""
    parts, position, begin = [], 2, 0
    while (found := markers.find_marker(data, position)) is not None:
        marker, start, after = found
        parts.append(data[begin:start])
        begin, position = start, after
        if marker != markers.EOI and not markers.RST0 <= marker <= markers.RST7:
            position = markers.read_payload(data, after)[1]
    return [*parts, data[begin:]]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Change a valid file: lengths, tables and data; cut, swap and repeat segments."""
    parts = pieces(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(
            st.sampled_from(["byte", "byte", "header", "drop", "swap", "repeat", "cut", "insert", "other"])
        )
        i = draw(st.integers(0, len(parts) - 1))
        if kind in ("byte", "header", "insert", "cut"):
            part = bytearray(parts[i])
            if part:
                limit = min(len(part), 24) if kind == "header" else len(part)
                place = draw(st.integers(0, limit - 1))
                if kind == "insert":
                    part[place:place] = draw(st.binary(max_size=6))
                elif kind == "cut":
                    del part[place:]
                else:
                    part[place] = draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 255, 0xD0, 0xD9])))
            parts[i] = bytes(part)
        elif kind == "drop":
            parts[i] = b""
        elif kind == "swap":
            j = draw(st.integers(0, len(parts) - 1))
            parts[i], parts[j] = parts[j], parts[i]
        elif kind == "repeat":
            parts.insert(i, parts[i])
        else:
            parts.insert(i, draw(st.sampled_from(pieces(draw(st.sampled_from(SEEDS))))))
    return b"".join(parts)


def read_or_none(data: bytes, repair: bool) -> JpegImage | None:
    """Read a file; return None for an error of guetzpy. Any other exception fails the test."""
    try:
        return read(data, repair=repair, limits=Limits(max_pixels=4_000_000))
    except GuetzpyError:
        return None


@given(mutants(), st.booleans())
@settings(deadline=None, max_examples=400)
def test_mutants_end_in_an_image_or_in_one_of_our_errors(data, repair):
    image = read_or_none(data, repair)
    if image is not None:
        for index, component in enumerate(image.components):
            height, width = image.component_size(index)
            assert component.coefficients.shape == (-(-height // 8), -(-width // 8), 64)
        rows = -(-image.height // (8 * image.v_max))
        assert repair or image.mcu_rows_read == rows or image.warnings[0].startswith("truncated")
        assert repair or image.mcu_rows_read == rows or not image.complete
        assert not image.complete or all(component.qtable.all() for component in image.components)
        for blocks in (component.coefficients.reshape(-1, 64).astype(int) for component in image.components):
            assert not image.complete or abs(blocks[:, 0]).max() <= 2047
            assert not image.complete or abs(blocks[:, 1:]).max() <= 1023


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_random_bytes_after_a_header(data):
    with pytest.raises(GuetzpyError):
        read(data)
    head = SEEDS[0][: SEEDS[0].index(b"\xff\xda") + 14]
    for repair in (False, True):
        read_or_none(head + data, repair)


# Scans written by libjpeg


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("jpegtran") is None, reason="needs jpegtran")
@pytest.mark.parametrize(
    "script",
    [
        "0; 1; 2;",
        "0: 0-0, 0, 0; 1,2: 0-0, 0, 0; 0: 1-2, 0, 0; 0: 3-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;",
        "0,1,2: 0-0, 0, 3; 0,1,2: 0-0, 3, 2; 0,1,2: 0-0, 2, 1; 0,1,2: 0-0, 1, 0;"
        + "".join(
            f"{c}: 1-9, 0, 4; {c}: 10-63, 0, 3; {c}: 1-9, 4, 3;"
            f"{c}: 1-63, 3, 2; {c}: 1-63, 2, 1; {c}: 1-63, 1, 0;"
            for c in range(3)
        ),
    ],
)
def test_scan_scripts_of_jpegtran(script, tmp_path):
    source = pillow(photo(70, 90), quality=95)
    (tmp_path / "script").write_text(script)
    for restart in ("0", "1", "7B"):
        command = ["jpegtran", "-scans", str(tmp_path / "script"), "-restart", restart, "-optimize"]
        data = subprocess.run(command, input=source, capture_output=True, check=True).stdout
        image = read(data)
        assert image.complete
        assert image.warnings == []
        assert len(image.scans) == script.count(";")
        assert_coefficients(image, twin.read_coefficients(source))


# Files of other projects, compared with libjpeg-turbo's own coefficients


def libjpeg_coefficients(path: Path, scratch: Path) -> list[np.ndarray] | None:
    """Return the coefficients of jpeglib, run in a child process, which libjpeg ends at a fatal error."""
    import jpeglib

    child = os.fork()
    if child == 0:
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            jpeglib.version.set("turbo210")
            image = jpeglib.read_dct(str(path))
            planes = [p for p in (image.Y, image.Cb, image.Cr, getattr(image, "K", None)) if p is not None]
            np.savez(scratch, *planes)
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if status != 0:
        return None
    with np.load(scratch) as planes:
        return [planes[name].reshape(*planes[name].shape[:2], 64) for name in planes.files]


def corpus() -> list[Path]:
    folders = ["jpeg-features", "jpeg-camera", "jpeg-orientation", "jpeg-gainmap", "jpeg-corrupt"]
    return [p for f in folders for p in sorted((SHARED / f).glob("*")) if p.suffix not in (".tsv", ".png")]


@pytest.mark.foreign
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared pictures")
@pytest.mark.filterwarnings("ignore")
def test_the_corpora_have_libjpegs_coefficients(tmp_path):
    pytest.importorskip("jpeglib")
    compared = 0
    for path in corpus():
        data = path.read_bytes()
        for repair in (False, True):
            try:
                image = read(data, repair=repair)
            except GuetzpyError:
                continue
            expected = libjpeg_coefficients(path, tmp_path / "planes.npz")
            if expected is None:
                continue
            assert len(expected) == len(image.components), path.name
            for component, plane in zip(image.components, expected, strict=True):
                rows, columns, _ = component.coefficients.shape
                assert np.array_equal(component.coefficients, plane[:rows, :columns]), path.name
            compared += 1
    assert compared > 400


@pytest.mark.foreign
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared pictures")
@pytest.mark.filterwarnings("ignore")
def test_what_pillow_reads_of_the_good_folders_is_read():
    refused = {}
    with open(SHARED / "JPEG-TABLE.tsv", newline="", errors="replace") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["pillow"] == "ok" and row["precision"] == "8":
                try:
                    read((SHARED / row["file"]).read_bytes())
                except GuetzpyError as error:
                    refused[Path(row["file"]).name] = str(error)
    assert {name: message.split(":")[0] for name, message in refused.items()} == {
        "libjpeg-turbo__testimgari.jpg": "arithmetic coding is not supported",
        "ljt-seed-8bit__testorig_transpose_440_q90_ari_rst1.jpg": "arithmetic coding is not supported",
        "ljt-seed-8bit__testorig_transverse_422_q95_prog_ari.jpg": (
            "arithmetic coding (progressive) is not supported"
        ),
    }


def test_natural_order_of_the_twin():
    assert twin.ZIGZAG == NATURAL_ORDER.tolist()
