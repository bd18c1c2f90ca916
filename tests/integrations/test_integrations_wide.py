"""Pictures with wide gamuts and other profiles, kept or converted."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from reference.format_files import P3, decoded, exif_of

import guetzpy
from guetzpy.engine.loading import load
from guetzpy.picture.cicp import profile_of
from guetzpy.picture.srgb import to_srgb
from guetzpy.picture.transform import Transform

# Colour


def p3_and_srgb(picture: np.ndarray) -> np.ndarray:
    """Return the sRGB codes to which lcms converts Display P3 codes."""
    converted = ImageCms.profileToProfile(
        Image.fromarray(picture),
        ImageCms.ImageCmsProfile(io.BytesIO(P3 or b"")),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return np.asarray(converted)


def file_of(image: Image.Image, kind: str, **keys: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **keys)
    return file.getvalue()


@pytest.mark.parametrize(("primaries", "name"), [(12, "Display P3"), (9, "BT.2020")])
def test_profiles_of_code_points_are_understood_by_lcms(primaries: int, name: str) -> None:
    icc = profile_of(primaries, 13)
    assert icc is not None
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    assert ImageCms.getProfileDescription(profile).strip() == name
    assert profile.profile.is_matrix_shaper
    white = to_srgb(np.full((3, 1, 1), 255, np.uint8), Transform.from_icc(icc), icc)
    assert white.min() >= 254
    assert profile_of(1, 13) is profile_of(2, 2) is profile_of(1, 1) is None
    assert profile_of(1, 4) is not None  # gamma 2.2


def test_display_p3_green_is_known() -> None:
    """One colour is converted by the definitions of Display P3 and sRGB (CSS Color 4, section 10)."""
    codes = np.rint(np.array([0.5, 0.6, 0.4]) * 65535).astype(np.uint16).reshape(3, 1, 1)
    converted = to_srgb(codes, Transform.from_icc(P3), P3 or b"")
    assert converted.dtype == np.uint16
    to_light = lambda c: c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4  # noqa: E731
    to_code = lambda v: 12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055  # noqa: E731
    matrix = [[1.2249401, -0.2249404, 0], [-0.0420569, 1.0420571, 0], [-0.0196376, -0.0786361, 1.0982735]]
    wanted = [to_code(v) for v in np.array(matrix) @ [to_light(0.5), to_light(0.6), to_light(0.4)]]
    assert np.abs(converted.ravel() / 65535 - wanted).max() < 2e-4


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "PIL"])
def test_wide_gamut_is_kept_and_converted(picture: np.ndarray, kind: str, tmp_path: Path) -> None:
    image = Image.fromarray(picture)
    image.info["icc_profile"] = P3
    source: Any = image
    if kind != "PIL":
        source = tmp_path / "a.bin"
        keys = {"quality": 98, "subsampling": 0, "comment": b"mine"} if kind == "JPEG" else {}
        source.write_bytes(file_of(image, kind, icc_profile=P3, exif=exif_of(6), **keys))
    kept = guetzpy.optimize(source, distance=0.5)
    assert Image.open(io.BytesIO(kept.data)).info["icc_profile"] == P3
    assert np.abs(decoded(kept.data).astype(int) - picture).mean() < 4
    result = guetzpy.optimize(source, distance=0.5, to_srgb=True)
    read = Image.open(io.BytesIO(result.data))
    assert result.status == "optimized"
    assert "icc_profile" not in read.info
    wanted = p3_and_srgb(picture).astype(int)
    assert np.abs(np.asarray(read).astype(int) - wanted).mean() < 4
    assert np.abs(wanted - picture).mean() > 6  # the codes without conversion differ
    if kind != "PIL":
        assert read.getexif()[0x010F] == "a maker"
        assert read.getexif()[0x0112] == 6
    if kind == "JPEG":
        assert b"mine" in result.data
        again = guetzpy.optimize(result.data, distance=0.5, to_srgb=True)
        assert again.data == result.data  # it is sRGB already, so nothing is converted
        stripped = guetzpy.optimize(source, distance=0.5, to_srgb=True, strip="exif")
        assert "exif" in stripped.removed


def test_srgb_and_unnamed_pictures_are_left_to_the_usual_way(picture: np.ndarray) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for keys in ({}, {"icc_profile": srgb}, {"icc_profile": b"no profile"}):
        data = file_of(Image.fromarray(picture), "JPEG", quality=90, **keys)
        assert guetzpy.optimize(data, to_srgb=True).data == guetzpy.optimize(data).data


def test_gray_stays_gray(picture: np.ndarray) -> None:
    gray = Image.fromarray(picture).convert("L")
    icc = gray_profile(1.0)
    kept = guetzpy.optimize(file_of(gray, "PNG", icc_profile=icc), distance=0.3)
    assert decoded(kept.data).mean() == pytest.approx(np.asarray(gray).mean(), abs=2)
    lighter = guetzpy.optimize(file_of(gray, "PNG", icc_profile=icc), distance=0.3, to_srgb=True)
    assert lighter.subsampling == "gray"
    light = np.asarray(gray) / 255.0
    wanted = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(decoded(lighter.data) - wanted).mean() < 3


def gray_profile(gamma: float) -> bytes:
    """Return an ICC profile of gray with kTRC, white point and a name."""
    from guetzpy.picture import profiles as _profiles

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
    data = _profiles.assembled([(b"desc", _profiles.text("gray")), (b"wtpt", white), (b"kTRC", curve)])
    return data[:16] + b"GRAY" + data[20:]


def test_deep_pixels_stay_deep(picture: np.ndarray) -> None:
    from test_integrations_arrays import png16

    deep = picture.astype(np.uint16) * 257 + np.arange(64, dtype=np.uint16)[:, None]
    data = png16(deep)
    body = zlib_chunk(b"iCCP", b"p\0\0" + zlib.compress(P3 or b""))
    source = load(data[:33] + body + data[33:], convert_to_srgb=True)
    assert source.codes is not None
    assert source.codes.dtype == np.uint16
    assert source.transform.is_srgb
    assert source.metadata.icc is None


def zlib_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_cmyk_with_a_profile(picture: np.ndarray) -> None:
    """A CMYK picture without a profile is not converted. To convert it by an RGB profile is an error."""
    data = file_of(Image.fromarray(picture).convert("CMYK"), "JPEG", quality=90)
    plain = guetzpy.optimize(data, to_srgb=True)
    with Image.open(io.BytesIO(plain.data)) as image:
        assert image.mode == "CMYK"
    assert any("to_srgb is not followed" in warning for warning in plain.warnings)
    wrong = file_of(Image.fromarray(picture).convert("CMYK"), "JPEG", quality=90, icc_profile=P3)
    with pytest.raises(guetzpy.UnsupportedError, match="profile"):
        guetzpy.optimize(wrong, to_srgb=True)
    assert any("for RGB pictures" in warning for warning in guetzpy.optimize(wrong).warnings)


def test_cmyk_with_its_profile_becomes_a_picture_like_any_other() -> None:
    path = Path(__file__).parents[3] / "shared/images/jpeg-camera/Multiple_ICC_segments.jpg"
    if not path.exists():
        pytest.skip("needs the shared pictures")
    result = guetzpy.optimize(path, to_srgb=True, effort="fast")
    assert result.status == "optimized"
    read = Image.open(io.BytesIO(result.data))
    assert read.mode == "RGB"
    assert "icc_profile" not in read.info
    source = Image.open(path)
    wanted = ImageCms.profileToProfile(
        source,
        ImageCms.ImageCmsProfile(io.BytesIO(source.info["icc_profile"])),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert np.abs(np.asarray(read).astype(int) - np.asarray(wanted)).mean() < 4
    with Image.open(io.BytesIO(guetzpy.optimize(path).data)) as kept:
        assert kept.mode == "CMYK"


def test_command_line_converts(picture: np.ndarray, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from guetzpy.cli import app

    Image.fromarray(picture).save(tmp_path / "a.png", icc_profile=P3)
    arguments = [
        "optimize",
        str(tmp_path / "a.png"),
        "-e",
        "fast",
        "-o",
        str(tmp_path / "a.jpg"),
        "--to-srgb",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert "icc_profile" not in Image.open(io.BytesIO((tmp_path / "a.jpg").read_bytes())).info
