"""``gainmap`` encodes gain maps anew: smaller files, within the distance, with all offsets right."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.MpoImagePlugin import MpoImageFile
from reference import jpeg_files
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.engine import gain_map as engine
from guetzpy.engine.gain_map import with_gain_maps_anew
from guetzpy.gainmap.metadata import read_application
from guetzpy.gainmap.rendition import Base, Judge
from guetzpy.jpeg import pixels
from guetzpy.jpeg.metadata.holdings import locate
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import JpegImage
from guetzpy.picture.transform import Transform

FACTS = 'hdrgm:Version="1.0" hdrgm:GainMapMax="2" hdrgm:HDRCapacityMax="2"'


def jpeg(array: np.ndarray, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def with_facts(gain_map: bytes, facts: str = FACTS) -> bytes:
    packet = jpeg_files.XMP + jpeg_files.xmp(f"{jpeg_files.HDRGM} {facts}")
    return jpeg_files.with_segments(gain_map, jpeg_files.segment(0xE1, packet))


@pytest.fixture(scope="module")
def source(photo_array: np.ndarray) -> bytes:
    """Return an Ultra HDR file with a gray map of half the size and quality 98."""
    gain_map = with_facts(jpeg(photo_array[::2, ::2, 1], 98))
    return jpeg_files.ultra_hdr(base=jpeg(photo_array, 90), gain_map=gain_map)


def parts(data: bytes) -> tuple[JpegImage, bytes]:
    """Return the image of the first picture, and the file of the gain map."""
    image = read(data)
    part = next(part for part in locate(data, image).parts if part.kind == "gainmap")
    return image, image.trailing[part.start : part.end]


def sizes(data: bytes) -> list[tuple[tuple[int, int], str]]:
    """Return size and mode of the pictures that Pillow finds by the MPF index."""
    with MpoImageFile(io.BytesIO(data)) as picture:
        found = []
        for number in range(picture.n_frames):
            picture.seek(number)
            picture.load()
            found.append((picture.size, picture.mode))
        return found


def distance(source: bytes, data: bytes) -> float:
    """Return the distance of the HDR renditions of two gain maps on the base of the first file."""
    base, first = parts(source)
    before, after = (read(one) for one in (first, parts(data)[1]))
    application = read_application(base.segments, before.segments)
    picture = Base(pixels.decode_planes(base), Transform(), application, Transform())
    return Judge(picture, pixels.decode_planes(before)).scores(pixels.decode_planes(after)).distance


@pytest.mark.parametrize("effort", ["fast", "balanced", "max"])
def test_gain_maps_become_smaller(source: bytes, effort: str) -> None:
    results = {
        wanted: guetzpy.optimize(source, distance=0.1, gainmap=wanted, effort=effort)
        for wanted in (None, 1.0, 3.0)
    }
    maps = {wanted: len(parts(result.data)[1]) for wanted, result in results.items()}
    assert maps[3.0] < maps[1.0] < maps[None]
    for wanted in (1.0, 3.0):
        result = results[wanted]
        assert 0.0 < distance(source, result.data) <= wanted
        assert result.status == "optimized"
        assert "gain map encoded anew" in str(result.reason)
        assert (result.bytes_before, result.bytes_after) == (len(source), len(result.data))
        assert sizes(result.data) == sizes(source)
        again = guetzpy.optimize(result.data, distance=0.1, gainmap=wanted, effort=effort)
        assert (again.data, again.status) == (result.data, "kept")


def test_the_first_picture_is_searched_too(source: bytes) -> None:
    plain = guetzpy.optimize(source, distance=2.0)
    result = guetzpy.optimize(source, distance=2.0, gainmap=2.0)
    assert read(result.data).components[0].coefficients.tobytes() == (
        read(plain.data).components[0].coefficients.tobytes()
    )
    assert result.distance == plain.distance
    assert len(result.data) < len(plain.data)
    assert sizes(result.data) == sizes(source)


def test_losses_of_two_runs_do_not_add_up(source: bytes) -> None:
    first = guetzpy.optimize(source, distance=0.1, gainmap=1.0).data
    second = guetzpy.optimize(first, distance=0.1, gainmap=3.0).data
    assert distance(source, second) <= 3.0 * 1.1


def test_colours_and_video(photo_array: np.ndarray) -> None:
    gain_map = with_facts(jpeg(photo_array, 97))
    data = jpeg_files.ultra_hdr(base=jpeg(photo_array, 90), gain_map=gain_map, video=b"the video", padding=5)
    result = guetzpy.optimize(data, distance=0.1, gainmap=2.0)
    assert "gain map encoded anew" in str(result.reason)
    assert result.data.endswith(b"the video")
    assert sizes(result.data) == sizes(data)
    assert distance(data, result.data) <= 2.0


@pytest.mark.parametrize("facts", ["", 'hdrgm:GainMapMax="2"', f'{FACTS} hdrgm:BaseRenditionIsHDR="True"'])
def test_unknown_metadata_is_a_warning(photo_array: np.ndarray, facts: str) -> None:
    gain_map = with_facts(jpeg(photo_array[::2, ::2, 1], 98), facts or 'hdrgm:Version="1.0"')
    data = jpeg_files.ultra_hdr(base=jpeg(photo_array, 90), gain_map=gain_map)
    result = guetzpy.optimize(data, distance=0.1, gainmap=2.0)
    assert result.data == guetzpy.optimize(data, distance=0.1).data
    assert any("gainmap is not followed" in warning for warning in result.warnings)


def test_a_base_that_cannot_be_searched_is_a_warning(photo_array: np.ndarray) -> None:
    gain_map = with_facts(jpeg(photo_array[::2, ::2, 1], 98))
    cmyk = io.BytesIO()
    Image.fromarray(photo_array).convert("CMYK").save(cmyk, "JPEG")
    data = jpeg_files.ultra_hdr(base=cmyk.getvalue(), gain_map=gain_map)
    result = guetzpy.optimize(data, gainmap=2.0)
    assert any("the base picture: CMYK is not supported" in warning for warning in result.warnings)
    assert sizes(result.data) == sizes(data)


def test_memory_is_limited(source: bytes) -> None:
    options = guetzpy.OptimizeOptions(gainmap=2.0, max_memory=1_000_000)
    changed = with_gain_maps_anew(source, options)
    assert changed.data is source
    assert "--max-memory" in changed.warnings[0]


def test_time_and_cancellation_end_the_search(source: bytes) -> None:
    """The error of the timeout is no property of the map, so it does not become a warning."""
    with pytest.raises(guetzpy.LimitError, match="not done within"):
        guetzpy.optimize(source, gainmap=2.0, timeout=1e-6)

    def stop() -> None:
        raise guetzpy.CancelledError("cancelled")

    with pytest.raises(guetzpy.CancelledError):
        with_gain_maps_anew(source, guetzpy.OptimizeOptions(gainmap=2.0), stop)


def test_a_coarse_map_is_only_repacked(photo_array: np.ndarray) -> None:
    gain_map = with_facts(jpeg(photo_array[::4, ::4, 1], 15))
    data = jpeg_files.ultra_hdr(base=jpeg(photo_array, 90), gain_map=gain_map)
    result = guetzpy.optimize(data, distance=0.1, gainmap=0.1)
    assert "gain map repacked" in str(result.reason)
    assert result.data == guetzpy.optimize(data, distance=0.1).data
    assert result.status == "lossless"


def test_what_is_removed_or_made_smaller_is_not_encoded(source: bytes) -> None:
    for options in ({"strip": "gainmap"}, {"fit": 64}):
        changed = with_gain_maps_anew(source, guetzpy.OptimizeOptions(gainmap=2.0, **options))
        assert changed.data is source
        assert not changed.reasons
    fitting = with_gain_maps_anew(source, guetzpy.OptimizeOptions(gainmap=2.0, fit=1000))
    assert len(fitting.data) < len(source)


def test_files_that_cannot_be_read_are_left_to_others(source: bytes) -> None:
    for data in (b"no picture", source[:200], jpeg_files.picture()):
        assert with_gain_maps_anew(data, guetzpy.OptimizeOptions(gainmap=2.0)).data is data


def test_without_a_mark(source: bytes) -> None:
    marked, plain = (guetzpy.optimize(source, distance=0.1, gainmap=2.0, mark=mark) for mark in (True, False))
    assert parts(marked.data)[1] != parts(plain.data)[1]


def test_the_hash_of_other_options_stays() -> None:
    assert guetzpy.OptimizeOptions().stable_hash() != guetzpy.OptimizeOptions(gainmap=1.0).stable_hash()
    with pytest.raises(ValueError, match="gainmap"):
        guetzpy.OptimizeOptions(gainmap=0.05)


def test_command_line(source: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(source)
    arguments = [
        "optimize",
        str(tmp_path / "a.jpg"),
        "-o",
        str(tmp_path / "b.jpg"),
        "-d",
        "2",
        "--gainmap",
        "2",
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "gain map encoded anew" in done.output + done.stderr
    assert len(parts((tmp_path / "b.jpg").read_bytes())[1]) < len(parts(source)[1])


def test_a_map_stays_if_an_offset_points_into_it(photo_array: np.ndarray) -> None:
    inner = jpeg(photo_array[:16, :16], 80)
    gain_map = with_facts(jpeg(photo_array[::2, ::2, 1], 98))
    gain_map = jpeg_files.with_segments(gain_map, jpeg_files.segment(0xE4, b"PREVIEW " + inner))
    data = jpeg_files.pointing_at(inner, base=jpeg(photo_array, 90), gain_map=gain_map)
    result = guetzpy.optimize(data, distance=0.1, gainmap=2.0)
    assert any("offsets to it cannot be rewritten" in warning for warning in result.warnings)
    assert "gain map" not in str(result.reason)
    assert parts(result.data)[1] == gain_map
    assert jpeg_files.pointed_at(result.data).startswith(inner)


def test_a_map_without_an_encode_within_its_distance_is_repacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine._EVALUATIONS, "fast", 1)
    noise = np.random.default_rng(1).integers(0, 256, (64, 64)).astype(np.uint8)
    facts = 'hdrgm:Version="1.0" hdrgm:GainMapMin="-12" hdrgm:GainMapMax="12" hdrgm:HDRCapacityMax="12"'
    base = jpeg(np.full((64, 64, 3), 200, np.uint8), 90)
    data = jpeg_files.ultra_hdr(base=base, gain_map=with_facts(jpeg(noise, 100), facts))
    changed = with_gain_maps_anew(data, guetzpy.OptimizeOptions(gainmap=0.1, effort="fast"))
    assert changed.data is data
    assert changed.reasons == ["gain map repacked: no encode is within its distance"]
