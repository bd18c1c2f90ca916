"""Declarations of colour and headers that are damaged or rare, each at the function that reads it."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile
from reference.picture_profiles import P3, RGB, SRGB, SRGB_PARA, para, profile, rgb_profile

from guetzpy.errors import FormatError
from guetzpy.picture import declarations, deep, pillow
from guetzpy.picture.cicp import code_points, profile_of
from guetzpy.picture.declared import _unused_tags, objection
from guetzpy.picture.icc import gray_of, parse
from guetzpy.picture.metadata import metadata_of
from guetzpy.picture.profiles import colorants_of
from guetzpy.picture.reading import contents, read_limited
from guetzpy.picture.transform import Transform


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ((0.3,) * 7, "eight numbers"),
        ((0.7, 0.29, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), "outside the primaries"),
        ((0.46, 1.89, 1.75, -0.42, -0.44, 0.85, 1.85, 0.45), "no white"),
        ((0.02, 0.7, 0.84, 0.06, -0.39, 0.16, 0.01, -0.17), "colorants out of range"),
    ],
)
def test_chromaticities_of_no_colour_space(points: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        colorants_of(points)


@pytest.mark.parametrize("primaries", [4, 5, 6, 7, 8, 10])
def test_primaries_by_their_chromaticities(primaries: int) -> None:
    """White has equal codes, so the rows of the matrix to sRGB add up to 1."""
    found = parse(profile_of(primaries, 13) or b"")
    assert found is not None
    assert found.matrix is not None
    np.testing.assert_allclose(found.matrix.sum(axis=1), 1.0, atol=2e-3)


FAR = ((100.0, 0.0, 0.0), (-99.0358, 1.0, 0.0), (0.0, 0.0, 0.8249))


@pytest.mark.parametrize(
    "icc",
    [
        rgb_profile(FAR),
        rgb_profile(P3, para(3, 16.0, 10.0, 0.0, 1.0, 0.0)),  # 10 ** 16 times white
        rgb_profile(P3, para(1, 2.4, 0.0, 0.0)),
        profile({}, space=b"GRAY"),
    ],
    ids=["colorants", "curve", "no slope", "no gray curve"],
)
def test_profiles_out_of_range_are_broken(icc: bytes) -> None:
    assert parse(icc) is None
    assert Transform.from_icc(icc).is_srgb


def test_an_empty_curve_is_linear() -> None:
    found = parse(rgb_profile(P3, b"curv" + bytes(8)))
    assert found is not None
    codes = np.linspace(0, 1, 9)
    np.testing.assert_allclose(found.curves[0](codes), codes, atol=1e-7)


def test_a_profile_whose_equal_codes_are_not_neutral_has_no_gray() -> None:
    dim = tuple(tuple(0.96 * value for value in column) for column in SRGB)
    assert parse(rgb_profile(dim)) is not None
    assert gray_of(rgb_profile(dim)) is None
    assert gray_of(rgb_profile(SRGB, para(0, 2.2))) is not None


def test_objections() -> None:
    assert objection(profile({}, space=b"CMYK"), 4) is None  # no transform is made from it
    assert "unknown kind" in str(objection(rgb_profile(P3, SRGB_PARA[:12]), 3))
    assert objection(profile({b"A2B0": b"mft2" + bytes(40)}), 3) == "broken"


@pytest.mark.parametrize(
    ("data", "points"),
    [
        (b"....meta....colrnclx" + struct.pack(">HHHB", 12, 13, 0, 128), (12, 13)),
        (b"....meta....colrnclx\0\1", None),
        (b"....meta....colrprof....", None),
        (b"colrnclx" + struct.pack(">HHHB", 12, 13, 0, 128), None),
    ],
    ids=["whole", "cut", "a profile", "not in meta"],
)
def test_code_points_of_a_box(data: bytes, points: tuple[int, int] | None) -> None:
    assert code_points(data) == points


def box(name: bytes, content: bytes, size: int | None = None, long: bool = False) -> bytes:
    head = 16 if long else 8
    size = head + len(content) if size is None else size
    if long:
        return struct.pack(">I4sQ", 1, name, size) + content
    return struct.pack(">I4s", size, name) + content


UNKNOWN = {b"unused": b"its enumerated colour space 21"}
SPACE_21 = b"\1\0\0\0\0\0\x15"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (box(b"ftyp", b"jp2 ") + box(b"jp2h", box(b"colr", SPACE_21)), UNKNOWN),
        (box(b"ftyp", b"jp2 ", long=True) + box(b"jp2h", box(b"colr", SPACE_21), long=True), UNKNOWN),
        (box(b"jp2h", box(b"colr", SPACE_21), size=0), UNKNOWN),  # 0: to the end of the file
        (box(b"jp2h", box(b"ihdr", bytes(14))), {}),
        (box(b"jp2h", box(b"colr", b"\1\0")), {}),
        (box(b"jp2h", box(b"colr", b"\1\0\0\0")), {b"unused": b"its colour specification"}),
        (box(b"jp2h", box(b"colr", b"\3\0\0profile")), {b"icc": b"profile"}),
        (box(b"ftyp", b"jp2 ", size=7) + box(b"jp2h", box(b"colr", SPACE_21)), {}),
        (box(b"free", b"") * 1001 + box(b"jp2h", box(b"colr", SPACE_21)), {}),
        (b"", {}),
    ],
)  # fmt: skip
def test_boxes_of_jpeg_2000(data: bytes, found: dict[bytes, bytes]) -> None:
    assert declarations._jp2_boxes(io.BytesIO(data)) == found


def test_a_file_that_cannot_be_read_again_declares_nothing() -> None:
    class Failing(io.BytesIO):
        fails = False

        def read(self, size: int | None = -1) -> bytes:
            if self.fails:
                raise OSError("the disk is gone")
            return super().read(size)

    stream = Failing()
    Image.fromarray(RGB).save(stream, "PNG")
    with Image.open(stream) as image:
        stream.fails = True
        assert declarations.declarations(image) == {}
        stream.fails = False


def test_tags_of_colour_that_are_no_lists() -> None:
    """Such a white and such primaries count as those of sRGB, which need no warning."""
    assert _unused_tags({318: 5, 319: None}) == []
    assert _unused_tags({318: (0.35, 0.36), 319: None}) == [
        "WhitePoint and PrimaryChromaticities of the TIFF are not used"
    ]


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\xff\xd8\xff\xfe\0\x04..\xff\xff\xff\xc0\0\x11\x08\0\x30\0\x40", (64, 48)),  # two fill bytes
        (b"\xff\xd8\xff\xfe\0\x04..", None),
        (b"\xff\xd8....", None),
    ],
)
def test_sizes_of_jpeg_headers(data: bytes, size: tuple[int, int] | None) -> None:
    if size is None:
        with pytest.raises(FormatError, match="without a frame header"):
            pillow._jpeg_size(io.BytesIO(data))
    else:
        assert pillow._jpeg_size(io.BytesIO(data)) == size


def test_a_webp_chunk_without_size() -> None:
    assert pillow._webp_size(b"RIFF\0\0\0\0WEBPALPH" + bytes(30)) is None


def test_only_errors_of_decoders_are_errors_of_the_file() -> None:
    class PanicException(BaseException):
        """The name that PyO3 gives to errors of decoders in Rust; it is no Exception."""

    with pytest.raises(FormatError, match="broken: out of bounds"), pillow.guarded("broken"):
        raise PanicException("out of bounds")
    with pytest.raises(KeyboardInterrupt), pillow.guarded("broken"):
        raise KeyboardInterrupt


def test_long_comments_are_lost() -> None:
    image = Image.fromarray(RGB)
    for length, kept in ((65533, True), (65534, False)):
        image.format, image.text = "PNG", {"Comment": "a" * length}  # type: ignore[misc, attr-defined]
        found = metadata_of(image)
        assert (found.comment is not None) == kept
        assert found.lost == (() if kept else ("Comment of more than 64 kB",))


def test_a_short_palette_is_refused() -> None:
    codes = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    short = {320: (1, 2, 3, 4, 5, 6, 7, 8, 255)}
    np.testing.assert_array_equal(deep._of_short_map(codes, short)[0], [[1, 4, 7], [2, 5, 8]])
    with pytest.raises(Exception, match="too short for its pixels"):
        deep._of_short_map(codes, {320: (1, 2, 4, 5, 7, 255)})


def test_the_tables_of_a_jpeg_inside_tiff_go_with_each_plane() -> None:
    tables = b"\xff\xd8tables"
    tags: dict[int, Any] = {256: 8, 257: 8, 259: 7, 278: 8, 273: (8, 9, 10), 279: (1, 1, 1), 347: tables}
    made = deep._plane_file(b"II*\0\x08\0\0\0abc", tags, 1, 3, 8)
    with TiffImageFile(io.BytesIO(made)) as image:
        assert image.tag_v2[347] == tables
        assert image.tag_v2[273] == (9,)


class Whole:
    """A stream whose ``read`` takes no size."""

    def read(self) -> bytes:
        return b"all of it"


class Slow:
    """A stream that has no data at first, as a pipe that does not block."""

    def __init__(self) -> None:
        self.pieces: list[bytes | None] = [None, b"some", None, b" more", b""]

    def read(self, size: int) -> bytes | None:
        return self.pieces.pop(0)


def test_streams_of_other_kinds() -> None:
    assert contents(Whole())[0] == b"all of it"  # type: ignore[arg-type]
    assert contents(Slow())[0] == b"some more"  # type: ignore[arg-type]
    with pytest.raises(TypeError, match='open it with mode "rb"'):
        contents(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected bytes, a path"):
        contents(5)  # type: ignore[arg-type]


def test_a_stream_whose_read_has_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(function: Any) -> Any:
        raise ValueError("no signature found")

    monkeypatch.setattr("guetzpy.picture.reading.inspect.signature", unknown)
    assert contents(io.BytesIO(b"all of it"))[0] == b"all of it"


def test_a_file_that_tells_no_position(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> Any:
        raise OSError("no status")

    (tmp_path / "a").write_bytes(b"all of it")
    with open(tmp_path / "a", "rb") as stream, monkeypatch.context() as patched:
        patched.setattr("guetzpy.picture.reading.os.fstat", refuse)  # of any module
        assert read_limited(stream) == b"all of it"
