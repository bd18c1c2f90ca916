"""Options that a result does not follow are wrong usage or a warning."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from reference import jpeg_files
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.engine import wishes
from guetzpy.engine.wishes import large_parts
from guetzpy.picture.profiles import adobe_rgb

FINE = {"subsampling": "4:4:4"}
COARSE = {"subsampling": "4:2:0"}


def arithmetic(jpeg: bytes) -> bytes:
    """Return a file whose frame header declares arithmetic coding; its data is not decoded."""
    return jpeg.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc9\0\x11\x08")


@pytest.mark.parametrize(
    ("asked", "own", "searched", "kept", "followed"),
    [
        ("420", FINE, True, False, True),
        ("420", FINE, False, False, False),
        ("420", FINE, False, True, False),
        ("420", COARSE, False, True, True),
        ("444", COARSE, True, False, False),
        ("444", COARSE, False, False, False),
        ("keep", COARSE, True, False, True),
        ("auto", FINE, False, False, True),
    ],
)
def test_sampling(asked: Any, own: Any, searched: bool, kept: bool, followed: bool) -> None:
    size = (160, 128) if searched else (48, 40)
    source = jpeg_files.picture(*size, quality=97 if searched else 50, **own)
    source = arithmetic(source) if kept else source
    distance = 4.0 if searched else 0.1  # the source of quality 50 is coarser
    result = guetzpy.optimize(source, subsampling=asked, distance=distance, effort="fast")
    assert (result.status == "optimized") == searched
    warned = [warning for warning in result.warnings if warning.startswith(f"subsampling {asked} is not")]
    assert len(warned) == (not followed)
    assert not searched or result.subsampling == ("420" if asked == "420" or own == COARSE else "444")


def test_sampling_of_gray_has_no_warning() -> None:
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "JPEG")
    assert not guetzpy.optimize(buffer.getvalue(), subsampling="444", distance=0.1).warnings


@pytest.mark.parametrize("profile", [None, "srgb", "adobe"])
def test_a_kept_file_that_is_not_converted(profile: str | None) -> None:
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    icc = {None: None, "srgb": srgb, "adobe": adobe_rgb(3)}[profile]
    source = arithmetic(jpeg_files.picture(icc_profile=icc))
    result = guetzpy.optimize(source, to_srgb=True)
    assert result.status == "kept"
    assert any("to_srgb is not followed" in warning for warning in result.warnings) == (profile == "adobe")
    assert not guetzpy.optimize(source).warnings


def test_a_cmyk_file_without_profile_is_not_converted() -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 4)).astype(np.uint8)
    Image.frombytes("CMYK", (16, 16), noise.tobytes()).save(buffer, "JPEG")
    result = guetzpy.optimize(buffer.getvalue(), to_srgb=True)
    assert any("to_srgb is not followed" in warning for warning in result.warnings)


def test_warnings_reach_stderr(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_files.picture(quality=50, **FINE))
    arguments = ["optimize", str(tmp_path / "a.jpg"), "-n", "-d", "0.1", "--subsampling", "420"]
    assert "warning: subsampling 420 is not followed" in CliRunner().invoke(app, arguments).stderr


@pytest.mark.parametrize(
    "wrong", [["--background", "nocolour"], ["--keep", "icc", "--to-srgb"], ["--background", "#12345"]]
)
def test_wrong_usage_whatever_the_picture(wrong: list[str], tmp_path: Path) -> None:
    """Regression: a wrong background was not noticed with opaque pictures and JPEG files."""
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (16, 16), "red").save(tmp_path / name)
        done = CliRunner().invoke(app, ["optimize", str(tmp_path / name), "-n", *wrong])
        assert done.exit_code == 2, done.output
    with pytest.raises(ValueError, match=r"background|to_srgb"):
        guetzpy.OptimizeOptions(background=(1, 2)) if len(wrong) == 2 else guetzpy.OptimizeOptions(
            keep="icc", to_srgb=True
        )


@pytest.mark.parametrize(
    "good", ["white", "#fff", "#123456ff", (1, 2, 3), (1, 2, 3, 255), 255, [0.5, 0, 255]]
)
def test_backgrounds(good: Any) -> None:
    guetzpy.OptimizeOptions(background=good)


@pytest.mark.parametrize("wrong", ["#12345678", (1, 2, 3, 4), (1.0, 1.0, 1.0), True, b"white"])
def test_backgrounds_that_would_mean_another_colour(wrong: Any) -> None:
    """Regression: alpha was ignored, and white as 1.0 became nearly black."""
    with pytest.raises(ValueError, match="no alpha"):
        guetzpy.OptimizeOptions(background=wrong)


def test_an_earlier_mark_stays_in_a_repack() -> None:
    source = jpeg_files.with_segments(
        jpeg_files.picture(quality=50), jpeg_files.segment(0xFE, b"guetzpy d=2.00")
    )
    result = guetzpy.optimize(source, mark=False, distance=0.1)
    assert result.status == "lossless"
    assert any("mark is not followed" in warning for warning in result.warnings)
    assert not guetzpy.optimize(source, distance=0.1).warnings


def test_texts_of_a_png() -> None:
    """Regression: texts, and the comment, were lost without a warning."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "a comment")
    texts.add_text("Copyright", "somebody")
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "PNG", pnginfo=texts)
    result = guetzpy.optimize(buffer.getvalue(), effort="fast")
    assert b"a comment" in result.data
    assert result.warnings == ("texts that a JPEG has no place for are lost: Copyright",)
    bare = guetzpy.optimize(buffer.getvalue(), effort="fast", strip="all")
    assert b"a comment" not in bare.data
    assert not bare.warnings


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_long_comment_is_named(kind: str) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "a" * 70_000)
    buffer = io.BytesIO()
    Image.new("P", (16, 16), 1).save(buffer, kind, pnginfo=texts, comment="a" * 70_000)
    result = guetzpy.optimize(buffer.getvalue(), effort="fast")
    assert "Comment of more than 64 kB" in result.warnings[0]


def test_large_data_besides_the_picture_is_named() -> None:
    data = jpeg_files.picture()
    assert large_parts(data) is None
    assert large_parts(data + bytes(1024)) == (
        "44% of this file is trailing data: `--strip trailing` removes it"
    )
    result = guetzpy.optimize(data + b"x" * 5000)
    assert "of this file is trailing data: `--strip trailing` removes it" in str(result.reason)
    assert "strip" not in str(guetzpy.optimize(data + b"x" * 5000, strip="trailing").reason)
    assert large_parts(b"\xff\xd8\xff") is None


def test_large_thumbnails_and_further_pictures_are_named() -> None:
    small = jpeg_files.exif(thumbnail=jpeg_files.picture(), gps=None)
    data = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, b"Exif\0\0" + small))
    assert str(large_parts(data)).endswith("% of this file is a thumbnail: `--strip thumbnail` removes it")
    buffer = io.BytesIO()
    pictures = [Image.open(io.BytesIO(jpeg_files.picture(seed=n))) for n in (0, 1)]
    pictures[0].save(buffer, "MPO", save_all=True, append_images=pictures[1:])
    assert str(large_parts(buffer.getvalue())).endswith(
        "% of this file is further pictures: `--strip mpf` removes it"
    )


@pytest.mark.parametrize("cut", [b"\xff\xd8\xff\xe1\xff\xff", b"\xff\xd8", b"no JPEG"])
def test_files_that_cannot_be_read_have_no_parts(cut: bytes) -> None:
    assert large_parts(cut) is None
    assert wishes._segments(cut) == []
    assert wishes._subsampling(cut) is None


def test_a_smaller_picture_has_another_sampling() -> None:
    source = jpeg_files.picture(96, 80, subsampling="4:2:2")
    result = guetzpy.optimize(source, fit=40, subsampling="keep", effort="fast")
    (warning,) = result.warnings
    assert warning.startswith("subsampling keep is not followed (the picture was made smaller)")
