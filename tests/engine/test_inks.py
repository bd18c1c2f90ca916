"""JPEG files in CMYK and YCCK are searched in their own components."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from reference import ink_files
from reference.jpeg_files import part_of_coffee
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.engine import inks
from guetzpy.jpeg.metadata.policy import icc_profile, kind_of
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import Component, JpegImage
from guetzpy.jpeg.writer import write
from guetzpy.metrics import butteraugli, ssimulacra2
from guetzpy.picture.profiles import adobe_rgb


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    return part_of_coffee(slice(100, 290), slice(150, 390))


def shown(data: bytes) -> np.ndarray:
    """Return a file in sRGB: by Pillow's functions, with its profile if it has one."""
    with Image.open(io.BytesIO(data)) as image:
        icc = image.info.get("icc_profile")
        if icc is None:
            return np.asarray(image.convert("RGB"))
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return np.asarray(converted)


def check_limits(source: bytes, result: guetzpy.Result) -> None:
    before, after = shown(source), shown(result.data)
    assert ssimulacra2(before, after) >= (result.ssimulacra2_wanted or 100.0)
    assert butteraugli(before, after) <= (result.butteraugli_wanted or 0.0)
    assert ssimulacra2(before, after) == pytest.approx(result.ssimulacra2, abs=1e-4)


@pytest.mark.parametrize("distance", [1.0, 2.5])
@pytest.mark.parametrize("kind", ["plain", "profile", "halved", "ycck", "ycck halved"])
def test_the_limits_hold_for_what_is_shown(coffee: np.ndarray, kind: str, distance: float) -> None:
    source = {
        "plain": lambda: ink_files.cmyk(coffee),
        "profile": lambda: ink_files.cmyk(coffee, icc_profile=ink_files.cmyk_profile()),
        "halved": lambda: ink_files.cmyk(coffee, subsampling=2),
        "ycck": lambda: ink_files.ycck(coffee),
        "ycck halved": lambda: ink_files.ycck(coffee, (2, 2)),
    }[kind]()
    result = guetzpy.optimize(source, distance=distance)
    assert result.status == "optimized"
    assert len(result.data) < 0.8 * len(guetzpy.transcode(source).data)
    check_limits(source, result)
    assert 0.93 * distance < (result.distance or 0.0) <= distance
    before, after = read(source), read(result.data)
    assert after.colorspace == before.colorspace
    assert [(c.identifier, c.h, c.v) for c in after.components] == [
        (c.identifier, c.h, c.v) for c in before.components
    ]
    assert (kind == "profile") == ("as Pillow shows it" not in str(result.reason))
    again = guetzpy.optimize(result.data, distance=distance)
    assert again.data == result.data
    assert "at this distance before" in str(again.reason)


def test_metadata_stays(coffee: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a cup"
    profile = ink_files.cmyk_profile()
    result = guetzpy.optimize(ink_files.cmyk(coffee, icc_profile=profile, exif=exif, comment=b"mine"))
    assert result.status == "optimized"
    made = read(result.data)
    assert "adobe" in map(kind_of, made.segments)
    assert icc_profile(made) == profile
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.mode == "CMYK"
        assert image.getexif()[0x010E] == "a cup"
    assert b"mine" in [segment.payload for segment in made.segments]
    assert (result.removed, result.warnings) == ((), ())
    stripped = guetzpy.optimize(ink_files.cmyk(coffee, icc_profile=profile), strip="icc")
    assert icc_profile(read(stripped.data)) is None


@pytest.mark.parametrize("effort", ["fast", "balanced", "max"])
def test_sizes_and_scores(coffee: np.ndarray, effort: str) -> None:
    source = ink_files.cmyk(coffee, icc_profile=ink_files.cmyk_profile())
    result = guetzpy.optimize(source, max_bytes=12_000, effort=effort)
    assert 11_500 < len(result.data) <= 12_000
    scored = guetzpy.optimize(source, ssimulacra2=80.0, effort=effort)
    assert 80.0 <= ssimulacra2(shown(source), shown(scored.data)) < 80.6
    good = guetzpy.optimize(source, quality=80, effort=effort)
    assert good.status == "optimized"
    check_limits(source, good)


def test_the_rule_for_jpeg_sources_holds(coffee: np.ndarray) -> None:
    source = ink_files.cmyk(coffee, quality=60)
    repack = guetzpy.transcode(source).data
    for options in ({"distance": 0.1}, {"total_distance": True}, {"min_saving": 0.99}):
        result = guetzpy.optimize(source, **options)  # type: ignore[arg-type]
        assert (result.status, result.data) == ("lossless", repack)
        assert result.reason


def test_the_result_is_baseline_if_asked_for(coffee: np.ndarray) -> None:
    result = guetzpy.optimize(ink_files.cmyk(coffee), progressive=False)
    assert result.status == "optimized"
    assert read(result.data).sof == 0xC0


@pytest.mark.parametrize(
    ("icc", "words"),
    [
        (adobe_rgb(3), "for RGB pictures"),
        (b"no profile", "broken"),
        (ink_files.cmyk_profile()[:700], ""),
        (ink_files.cmyk_profile().replace(b"mft1", b"mft9"), ""),
    ],
)
def test_profiles_that_cannot_be_used(coffee: np.ndarray, icc: bytes, words: str) -> None:
    """Viewers ignore such a profile. It stays in the file, and CMYK is scored as without one."""
    source = ink_files.cmyk(coffee, icc_profile=icc)
    result = guetzpy.optimize(source)
    assert result.status == "optimized"
    assert "its own cannot be used" in str(result.reason)
    assert any(words in warning for warning in result.warnings) or not words
    assert not any("sRGB" in warning for warning in result.warnings)
    assert icc_profile(read(result.data)) == icc
    plain = guetzpy.optimize(ink_files.cmyk(coffee))
    assert result.ssimulacra2 == plain.ssimulacra2


def test_a_profile_that_hides_the_inks_is_not_trusted(coffee: np.ndarray) -> None:
    """By such a profile all files show the same picture, so that the search would destroy the inks."""
    source = ink_files.cmyk(coffee, icc_profile=ink_files.cmyk_profile(blind=True))
    assert np.mean(shown(source) == 112) > 0.9  # littleCMS makes paper white in any case
    result = guetzpy.optimize(source)
    assert "hardly shows one of the inks" in str(result.reason)
    assert result.ssimulacra2 == guetzpy.optimize(ink_files.cmyk(coffee)).ssimulacra2


@pytest.mark.parametrize("factors", ["11 22 12 21", "22 22 22 22", "41 11 21 41", "31 21 11 11"])
def test_odd_sampling(coffee: np.ndarray, factors: str) -> None:
    pairs = [(int(h), int(v)) for h, v in factors.split()]
    h_max, v_max = max(h for h, _ in pairs), max(v for _, v in pairs)
    height, width = 90, 175
    parts = []
    for number, ((h, v), part) in enumerate(zip(pairs, read(ink_files.cmyk(coffee)).components, strict=True)):
        tall, wide = -(-height * v // v_max), -(-width * h // h_max)
        blocks = part.coefficients[: -(-tall // 8), : -(-wide // 8)].copy()
        parts.append(Component(number, h, v, part.qtable, blocks))
    source = write(JpegImage(width, height, parts, "cmyk", segments=[ink_files.adobe(0)]))
    result = guetzpy.optimize(source)
    if "31" in factors:
        assert result.status == "kept"
        assert "fractional sampling factors" in str(result.reason)
    else:
        assert result.status == "optimized"
        check_limits(source, result)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (7, 300), (300, 3), (17, 33)])
def test_small_pictures(coffee: np.ndarray, size: tuple[int, int]) -> None:
    tall = np.tile(coffee, (2, 2, 1))[: size[0], : size[1]].copy()
    for source in (ink_files.cmyk(tall), ink_files.ycck(tall, (2, 2))):
        result = guetzpy.optimize(source)
        assert len(result.data) <= len(guetzpy.transcode(source).data)


@pytest.mark.parametrize("ink", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255), (90, 80, 70, 30)])
def test_flat_pictures(ink: tuple[int, ...]) -> None:
    file = io.BytesIO()
    Image.new("CMYK", (64, 48), ink).save(file, "JPEG", quality=98)
    result = guetzpy.optimize(file.getvalue(), min_saving=0.0)
    assert np.abs(shown(result.data).astype(int) - shown(file.getvalue())).max() <= 1


def test_black_under_full_ink_is_kept_apart(coffee: np.ndarray) -> None:
    """The file keeps its separation: inks are not moved between black and the other three."""
    source = ink_files.cmyk(coffee, icc_profile=ink_files.cmyk_profile())
    result = guetzpy.optimize(source)
    with Image.open(io.BytesIO(source)) as before, Image.open(io.BytesIO(result.data)) as after:
        difference = np.asarray(before).astype(int) - np.asarray(after)
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.5
    assert np.sqrt((difference[..., 3] ** 2).mean()) < 8


def test_few_bytes_and_little_memory(coffee: np.ndarray) -> None:
    wide = np.tile(coffee, (6, 6, 1))
    source = ink_files.cmyk(wide, quality=50)
    usual = guetzpy.optimize(source, distance=4.0, max_memory=2_000_000_000)
    spared = guetzpy.optimize(source, distance=4.0, max_memory=340_000_000)
    assert usual.status == "optimized"
    assert usual.data == spared.data
    with pytest.raises(guetzpy.LimitError, match="max_memory"):
        guetzpy.optimize(source, max_memory=50_000_000)


def test_options_that_do_not_fit_inks(coffee: np.ndarray) -> None:
    source = ink_files.cmyk(coffee)
    halved = guetzpy.optimize(source, subsampling="420")
    assert halved.warnings == (
        "subsampling 420 is not followed (CMYK keeps its sampling): the file has its own",
    )
    assert not guetzpy.optimize(source, subsampling="keep").warnings
    converted = guetzpy.optimize(source, to_srgb=True)
    assert converted.status == "optimized"
    assert any("CMYK has no colour profile" in warning for warning in converted.warnings)


def test_the_command_line_and_its_report(coffee: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(ink_files.cmyk(coffee))
    (tmp_path / "in" / "b.jpg").write_bytes(ink_files.ycck(coffee, (2, 1)))
    page = tmp_path / "report.html"
    arguments: list[Any] = [
        "optimize",
        tmp_path / "in",
        "-r",
        "-o",
        tmp_path / "out",
        "--report",
        page,
        "--json",
    ]
    done = CliRunner().invoke(app, [str(argument) for argument in [*arguments, "-j", "1"]])
    assert done.exit_code == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["status"] for record in records if "status" in record] == ["optimized", "optimized"]
    assert "component 1" not in page.read_text()  # components have names


def test_without_candidates_the_finest_encode_is_tried(
    coffee: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ink_files.cmyk(coffee[:48, :64], quality=99)
    monkeypatch.setattr(inks, "_landed", lambda *_: None)
    result = guetzpy.optimize(source, distance=1.0)
    assert (result.distance or 0.0) < 0.5
    real = inks.finest
    monkeypatch.setattr(inks, "finest", lambda *args, **more: replace(real(*args, **more), excess=0.1))
    packed = guetzpy.optimize(source, distance=1.0)
    assert packed.status == "lossless"
    assert packed.reason == "the target cannot be met by a lossy encode"
