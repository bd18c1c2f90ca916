"""--strip of files whose picture data is kept, and of files that some programs refuse."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from reference import jpeg_files, metadata_files
from reference.metadata_files import CITY, OWNER, SECRETS
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.engine import inspect as inspection
from guetzpy.errors import GuetzpyError, UnsupportedError
from guetzpy.jpeg.anatomy import survey
from guetzpy.jpeg.metadata import exif
from guetzpy.jpeg.metadata.policy import kind_of
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.jpeg.writer import write

KINDS = ("gps", "place", "copyright", "thumbnail", "exif", "xmp", "iptc", "unknown", "all")


def of_process(sof: int, precision: int = 8) -> bytes:
    """Return a file whose frame header declares another process; its data is not decoded."""
    plain = bytearray(jpeg_files.picture())
    at = plain.index(b"\xff\xc0\0\x11\x08")
    plain[at + 1], plain[at + 4] = sof, precision
    return metadata_files.everything(bytes(plain))


@pytest.mark.parametrize("command", [guetzpy.transcode, guetzpy.optimize])
@pytest.mark.parametrize(
    ("sof", "precision"), [(0xC9, 8), (0xCA, 8), (0xC1, 12), (0xC3, 8), (0xC3, 16), (0xC5, 8)]
)
def test_other_processes_are_stripped(command: object, sof: int, precision: int) -> None:
    source = of_process(sof, precision)
    with pytest.raises(UnsupportedError):
        guetzpy.transcode(source)
    for kind in KINDS:
        result = command(source, strip=kind)  # type: ignore[operator]
        assert result.status == "lossless"
        assert kind in (*result.removed, "all")
        assert result.reason
        for secret in SECRETS if kind in ("gps", "all") else ():
            assert secret not in result.data
        assert (CITY in result.data) == (kind not in ("place", "all"))
        assert (OWNER in result.data) == (kind not in ("copyright", "all"))
        assert survey(result.data).scans[0].size == survey(source).scans[0].size
        assert command(result.data, strip=kind).status == "kept"  # type: ignore[operator]


def test_what_cannot_be_stripped_is_refused(tmp_path: Path) -> None:
    """JPEG-LS stuffs bits, so its picture data may contain bytes that look like markers."""
    source = of_process(0xF7)
    with pytest.raises(UnsupportedError, match="nothing is stripped"):
        guetzpy.optimize(source, strip="gps")
    assert guetzpy.optimize(source).status == "kept"
    path = tmp_path / "in" / "ls.jpg"
    path.parent.mkdir()
    path.write_bytes(source)
    for arguments in (["-o", str(tmp_path / "out.jpg")], ["-r", "-o", str(tmp_path / "out")]):
        name = str(path.parent if "-r" in arguments else path)
        result = CliRunner().invoke(app, ["optimize", name, *arguments, "--strip", "all", "-t", "1"])
        assert result.exit_code == 1, result.output
    assert not list(tmp_path.glob("out*/*.jpg"))
    assert not (tmp_path / "out.jpg").exists()


def test_other_processes_with_broken_headers_are_refused() -> None:
    """An invalid table, and a frame header of JPEG-LS, with which two readings of the scan differ."""
    plain = jpeg_files.arithmetic(jpeg_files.picture())
    table, frame, scan = (plain.index(bytes((0xFF, code))) for code in (0xC4, 0xC9, 0xDA))
    broken = plain[: table + 4] + b"\x77" + plain[table + 5 :]
    other = b"\xff\xf7" + plain[frame + 2 : frame + 19]
    begin, end = scan + 14, len(plain) - 2
    mixed = plain[: frame + 19] + other + plain[frame + 19 : begin] + b"\xff\x10\x7f\x7f" + plain[begin:end]
    mixed += jpeg_files.segment(0xFE, b"SECRET") + plain[end:]
    for source in (broken, mixed):
        with pytest.raises(UnsupportedError, match="nothing is stripped"):
            guetzpy.optimize(source, strip="comment")
        assert guetzpy.optimize(source).data == source


@pytest.mark.parametrize("strip", ["gps", "all"])
def test_folders_strip_what_they_keep(tmp_path: Path, strip: str) -> None:
    """One file is an arithmetic-coded JPEG, the other a PNG that is smaller than its JPEG."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(of_process(0xC9))
    block = exif.HEADER + metadata_files.tiff()
    Image.new("1", (64, 64)).convert("RGB").save(folder / "b.png", exif=block)
    Image.new("1", (64, 64)).convert("RGB").save(folder / "c.png")
    arguments = ["optimize", "-r", str(folder), "-o", str(tmp_path / "out"), "--strip", strip, "-j", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    written = {
        path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.suffix != ".sqlite"
    }
    assert sorted(written) == ["a.jpg", "b.jpg", "c.png"]
    for data in written.values():
        for secret in SECRETS:
            assert secret not in data


@pytest.mark.parametrize("sof", [0xC0, 0xC9])
@pytest.mark.parametrize("before", [b"\xff\xdb", b"\xff\xc4"])
def test_stray_bytes_are_stripped_where_nothing_else_is(sof: int, before: bytes) -> None:
    """This also holds for a file whose picture data is kept as it is, such as an arithmetic-coded one."""
    plain = jpeg_files.picture().replace(b"\xff\xc0\0\x11\x08", bytes([0xFF, sof, 0, 0x11, 8]))
    at = plain.index(before)
    source = plain[:at] + b"48.8583 N, 2.2945 E" + plain[at:]
    result = guetzpy.optimize(source, strip="all")
    assert result.status != "kept"
    assert b"2.2945" not in result.data
    assert "unknown" in result.removed
    assert len(result.data) <= len(plain)


def variations() -> dict[str, bytes]:
    """Return files with metadata that deviate from the standard but can be read."""
    whole = metadata_files.everything()
    own = metadata_files.segments()
    plain = jpeg_files.picture()
    head, rest = b"\xff\xd8" + b"".join(own), plain[2:]
    jfif = plain[4 : 4 + 16]
    without_jfif = plain[2 + 2 + 16 :]
    progressive = metadata_files.everything(jpeg_files.picture(progressive=True))
    return {
        "whole": whole,
        "progressive": progressive,
        "stray bytes behind segments": head + b"STRAY BYTES HERE" + rest,
        "stray bytes between": head[:2] + b"".join(s + b"stray" for s in own) + rest,
        "fill bytes": head + b"\xff\xff\xff" + rest,
        "segments behind the tables": plain[: plain.index(b"\xff\xc0")]
        + b"".join(own)
        + plain[plain.index(b"\xff\xc0") :],
        "SOI twice": head + b"\xff\xd8" + rest,
        "without EOI": head + rest[:-2],
        "JFIF cut short": b"\xff\xd8" + jpeg_files.segment(0xE0, b"JFIF\0") + b"".join(own) + without_jfif,
        "Adobe cut short": b"\xff\xd8\xff\xe0"
        + jfif
        + jpeg_files.segment(0xEE, b"Adobe")
        + b"".join(own)
        + without_jfif,
        "segment without contents": b"\xff\xd8\xff\xe5\0\2" + b"".join(own) + rest,
        "length of nought": head + b"\xff\xe5\0\0" + rest,
        "trailing text": head + rest + b"text behind the picture",
        "two EXIF": head + own[0] + rest,
        "tiny": metadata_files.everything(jpeg_files.picture(1, 1)),
    }


def readers(data: bytes, folder: Path) -> set[str]:
    """Return the names of the programs that open a file."""
    taken = set()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
        taken.add("Pillow")
    except (OSError, SyntaxError, ValueError):
        pass
    try:
        inspection.table_text(inspection.inspect(data))
        taken.add("inspect")
    except GuetzpyError:
        pass
    path = folder / "file.jpg"
    path.write_bytes(data)
    if shutil.which("djpeg") and subprocess.run(["djpeg", "-outfile", "/dev/null", path]).returncode in (
        0,
        2,
    ):
        taken.add("djpeg")
    if shutil.which("exiftool"):
        told = subprocess.run(["exiftool", "-s3", "-Error", path], capture_output=True, check=False)
        if told.returncode == 0 and not told.stdout.strip():
            taken.add("exiftool")
    return taken


def check_readers(name: str, folder: Path) -> None:
    source = variations()[name]
    before = readers(source, folder)
    assert "inspect" in before
    for strip in KINDS:
        result = guetzpy.transcode(source, strip=strip)
        assert readers(result.data, folder) >= before, (name, strip)
        assert result.data[:3] == b"\xff\xd8\xff"


@pytest.mark.parametrize("name", variations())
def test_every_reader_takes_what_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    check_readers(name, tmp_path)


@pytest.mark.foreign
@pytest.mark.skipif(not (shutil.which("exiftool") and shutil.which("djpeg")), reason="no foreign readers")
@pytest.mark.parametrize("name", variations())
def test_foreign_readers_take_what_is_written(name: str, tmp_path: Path) -> None:
    check_readers(name, tmp_path)


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("jpegtran") is None, reason="jpegtran is not there")
def test_arithmetic_coding_of_jpegtran(tmp_path: Path) -> None:
    command = ["jpegtran", "-arithmetic", "-copy", "all"]
    source = subprocess.run(
        command, input=metadata_files.everything(), capture_output=True, check=True
    ).stdout
    with Image.open(io.BytesIO(source)) as picture:
        pixels = picture.tobytes()
    for strip in KINDS:
        result = guetzpy.optimize(source, strip=strip)
        assert result.status == "lossless"
        with Image.open(io.BytesIO(result.data)) as picture:
            assert picture.tobytes() == pixels


@pytest.mark.parametrize("payload", [b"JFIF\0", b"JFIF", b"JFIF\0\1\1\0\0\1\0\1"])
@pytest.mark.parametrize("command", [guetzpy.transcode, guetzpy.optimize])
def test_no_jfif_cut_short_is_written(payload: bytes, command: object) -> None:
    plain = jpeg_files.picture(96, 80, quality=99)
    source = b"\xff\xd8" + jpeg_files.segment(0xE0, payload) + plain[2 + 2 + 16 :]
    result = command(source)  # type: ignore[operator]
    assert result.status != "kept"
    assert [kind_of(s) for s in read(result.data).segments if kind_of(s) != "mark"] == []
    assert "a JFIF or Adobe segment that is too short is removed" in result.warnings
    with Image.open(io.BytesIO(result.data)) as picture:
        picture.load()


def test_the_writer_refuses_a_jfif_cut_short() -> None:
    image = read(jpeg_files.picture())
    broken = JpegImage(
        image.width, image.height, image.components, "ycbcr", segments=[Segment(0xE0, b"JFIF\0")]
    )
    with pytest.raises(ValueError, match="cut short"):
        write(broken)


XMP_TURN = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://x/"'
    b' tiff:Orientation="6" dc:title="SECRET"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("own", [None, 1, 3])
@pytest.mark.parametrize("wishes", [{"strip": "xmp"}, {"strip": "all"}, {"strip": "exif"}])
def test_the_orientation_of_xmp_stays_where_exif_has_none(own: int | None, wishes: dict[str, str]) -> None:
    block = Image.Exif()
    block[0x010F] = "Maker"
    if own is not None:
        block[0x0112] = own
    stream = io.BytesIO()
    Image.effect_noise((32, 16), 40).save(stream, "JPEG", exif=block, xmp=XMP_TURN)
    result = guetzpy.transcode(stream.getvalue(), **wishes, threads=1)
    with Image.open(stream) as before, Image.open(io.BytesIO(result.data)) as after:
        assert after.getexif().get(0x0112, 1) == before.getexif().get(0x0112, 1)
    assert (b"SECRET" in result.data) == (wishes == {"strip": "exif"})
    assert guetzpy.transcode(result.data, **wishes, threads=1).removed == ()
