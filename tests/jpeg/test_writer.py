"""Written files, read by guetzpy, by Pillow, and by libjpeg's coefficient interface."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guetzpy.errors import UnsupportedError
from guetzpy.jpeg import markers, scans
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import Component, JpegImage, ScanHeader, Segment
from guetzpy.jpeg.writer import write

SAMPLINGS = {
    "gray": [(1, 1)],
    "gray 2x2": [(2, 2)],
    "444": [(1, 1), (1, 1), (1, 1)],
    "422": [(2, 1), (1, 1), (1, 1)],
    "440": [(1, 2), (1, 1), (1, 1)],
    "420": [(2, 2), (1, 1), (1, 1)],
    "411": [(4, 1), (1, 1), (1, 1)],
    "410": [(4, 2), (1, 1), (1, 1)],
    "mixed": [(2, 2), (2, 1), (1, 2)],
    "thirds": [(3, 1), (1, 1), (1, 1)],
    "chroma finer": [(1, 1), (2, 2), (1, 1)],
    "cmyk": [(1, 1)] * 4,
    "ycck": [(2, 2), (1, 1), (1, 1), (2, 2)],
    "not interleavable": [(4, 2), (2, 1), (1, 1)],
}


def random_image(seed, width, height, sampling, density=0.2, scale=6.0) -> JpegImage:
    rng = np.random.default_rng(seed)
    image = JpegImage(width, height, [], "")
    for number, (h, v) in enumerate(sampling, 1):
        steps = rng.integers(1, 256, 64).astype(np.uint16)
        image.components.append(Component(number, h, v, steps, np.zeros((1, 1, 64), np.int16)))
    for index, component in enumerate(image.components):
        rows, columns = (-(-size // 8) for size in image.component_size(index))
        filled = rng.random((rows, columns, 64)) < density * 2 * rng.random((rows, columns, 1))
        values = np.rint(rng.laplace(0, scale, (rows, columns, 64))) * filled
        component.coefficients = np.clip(values, -1023, 1023).astype(np.int16)
    return image


def same(written: bytes, image: JpegImage) -> bool:
    other = read(written)
    assert other.complete
    assert not other.warnings
    assert (other.width, other.height) == (image.width, image.height)
    return all(
        (a.identifier, a.h, a.v) == (b.identifier, b.h, b.v)
        and np.array_equal(a.qtable, b.qtable)
        and np.array_equal(a.coefficients, b.coefficients)
        for a, b in zip(other.components, image.components, strict=True)
    )


def segments_of(data: bytes) -> list[tuple[int, bytes]]:
    """Return (marker, payload) of all segments with a length, up to EOI."""
    found = []
    position = 2
    while (hit := markers.find_marker(data, position)) is not None:
        marker, _, position = hit
        if marker == markers.EOI:
            return found
        if not markers.RST0 <= marker <= markers.RST7:
            payload, position = markers.read_payload(data, position)
            found.append((marker, payload))
    raise AssertionError("no EOI")


@given(
    st.integers(0, 2**32),
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(sorted(SAMPLINGS)),
    st.sampled_from([0.0, 0.01, 0.2, 1.0]),
    st.sampled_from([0.4, 3.0, 200.0]),
    st.sampled_from(["auto", "sequential", "simple", "deep"]),
    st.sampled_from([0, 0, 1, 2, 7, 65535]),
)
@settings(deadline=None, max_examples=120)
def test_round_trip(seed, width, height, sampling, density, scale, script, interval):
    image = random_image(seed, width, height, SAMPLINGS[sampling], density, scale)
    if script == "simple":
        script = scans.simple_progression(image)
    elif script == "deep":
        script = deep_script(len(image.components))
    data = write(image, script=script, restart_interval=interval)
    assert same(data, image)
    assert read(data).restart_interval == interval


def deep_script(components: int) -> list[ScanHeader]:
    """Return a script with Al from 4 down and separate components; refinements have other bands."""
    script = [ScanHeader((c,), 0, 0, 0, 4) for c in range(components)]
    for c in range(components):
        script += [ScanHeader((c,), ss, se, 0, 4) for ss, se in ((1, 1), (2, 30), (31, 63))]
        for al in (3, 2, 1, 0):
            script += [ScanHeader((c,), ss, se, al + 1, al) for ss, se in ((1, 7), (8, 63))]
    return script + [ScanHeader((c,), 0, 0, al + 1, al) for al in (3, 2, 1, 0) for c in range(components)]


@pytest.mark.parametrize("sampling", sorted(SAMPLINGS))
def test_small_sizes(sampling):
    for seed, (width, height) in enumerate(itertools.product((1, 8, 9, 17), repeat=2)):
        image = random_image(seed, width, height, SAMPLINGS[sampling])
        assert same(write(image, script="sequential"), image)
        assert same(write(image, script=scans.simple_progression(image)), image)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", sorted(SAMPLINGS))
def test_every_small_size(sampling):
    for seed, (width, height) in enumerate(itertools.product(range(1, 18), repeat=2)):
        image = random_image(seed, width, height, SAMPLINGS[sampling])
        for script in ("auto", "sequential", scans.simple_progression(image)):
            assert same(write(image, script=script), image)


@pytest.mark.parametrize(("width", "height"), [(65535, 3), (3, 65535)])
@pytest.mark.parametrize("interval", [0, 65535])
def test_largest_sides(width, height, interval):
    image = random_image(1, width, height, SAMPLINGS["420"], 0.02)
    for script in ("auto", "sequential"):
        assert same(write(image, script=script, restart_interval=interval), image)


def pillow_file(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize(
    "options", [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"quality": 30}]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_pillow_shows_the_same_picture(photo_array, mode, options):
    picture = Image.fromarray(photo_array[:91, :117]).convert(mode)
    data = pillow_file(np.asarray(picture), **{"quality": 90, **options}) if mode != "CMYK" else None
    if data is None:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=90, **{k: v for k, v in options.items() if k != "quality"})
        data = buffer.getvalue()
    image = read(data)
    for script in ("auto", "sequential", scans.simple_progression(image)):
        for interval in (0, 5):
            written = write(image, script=script, restart_interval=interval)
            assert np.array_equal(pixels(written), pixels(data))


def test_auto_is_the_smallest(photo_array):
    for quality in (20, 75, 97):
        image = read(pillow_file(photo_array, quality=quality))
        auto = write(image)
        assert len(auto) <= len(write(image, script="sequential"))
        assert len(auto) <= len(write(image, script=scans.simple_progression(image)))
        for options in ({"optimize": True}, {"progressive": True}):
            assert len(auto) < len(pillow_file(photo_array, quality=quality, **options))


def test_bytes_do_not_depend_on_threads(photo_array):
    image = read(pillow_file(photo_array, quality=90))
    for script in ("auto", "sequential"):
        assert write(image, script=script, threads=1) == write(image, script=script, threads=3)


def test_frame_and_tables(photo_array):
    """SOF0 has at most two tables of a class, SOF2 four. Each table is defined once, before its first use."""
    image = read(pillow_file(photo_array, quality=95, subsampling=0))
    for script, sof, slots in (("sequential", markers.SOF0, 2), ("auto", markers.SOF2, 4)):
        found = segments_of(write(image, script=script))
        assert [m for m, _ in found if 0xC0 <= m <= 0xCF and m != markers.DHT] == [sof]
        tables: dict[tuple[int, int], object] = {}
        for marker, payload in found:
            if marker == markers.DHT:
                for table_class, slot, table in markers.parse_dht(payload):
                    assert slot < slots
                    assert tables.get((table_class, slot)) != table
                    tables[table_class, slot] = table
            elif marker == markers.SOS:
                scan = markers.parse_sos(payload)
                for component in scan.components:
                    assert scan.ss > 0 or scan.ah > 0 or (0, component.td) in tables
                    assert scan.se == 0 or (1, component.ta) in tables
        assert sum(marker == markers.DQT for marker, _ in found) == 1
    # The two chroma components share a table.
    assert len(markers.parse_dqt(next(p for m, p in found if m == markers.DQT))) == 2


def test_four_components_with_four_statistics_stay_baseline():
    image = random_image(2, 64, 64, SAMPLINGS["cmyk"])
    for power, component in enumerate(image.components):
        component.coefficients[:] = component.coefficients << power
    data = write(image, script="sequential")
    assert same(data, image)
    tables = [t for m, p in segments_of(data) if m == markers.DHT for t in markers.parse_dht(p)]
    assert {(c, s) for c, s, _ in tables} <= {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert read(data).sof == markers.SOF0


def test_wide_quantisers_are_sof1_or_sof2():
    image = random_image(3, 20, 20, SAMPLINGS["444"])
    image.components[1].qtable[5] = 256
    for script, sof in (("sequential", markers.SOF1), (scans.simple_progression(image), markers.SOF2)):
        data = write(image, script=script)
        assert read(data).sof == sof
        assert same(data, image)


def test_segments_and_trailing_bytes_are_kept_in_order():
    image = random_image(4, 20, 20, SAMPLINGS["gray"])
    image.segments = [
        Segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
        Segment(0xFE, b"a comment"),
        Segment(0xE5, b""),
        Segment(0xE2, bytes(65533)),
    ]
    image.trailing = b"behind EOI\xff\xd8"
    data = write(image)
    assert data.endswith(b"\xff\xd9" + image.trailing)
    other = read(data)
    assert other.segments == image.segments
    assert other.trailing == image.trailing


def test_one_coefficient_at_the_edge_of_the_range():
    image = random_image(5, 16, 8, SAMPLINGS["gray"], 0.0)
    coefficients = image.components[0].coefficients
    coefficients[0, 0, 9] = -32767
    coefficients[0, :, 0] = 16383, -16384
    for script in ("auto", "sequential"):
        # The reader warns, because the values exceed the range of 8-bit samples.
        other = read(write(image, script=script))
        assert np.array_equal(other.components[0].coefficients, coefficients)
    coefficients[0, 0, 9] = -32768
    with pytest.raises(UnsupportedError, match="AC coefficient"):
        write(image)
    coefficients[0, 0, 9] = 0
    coefficients[0, :, 0] = 16384, -16384
    for script in ("auto", "sequential"):
        with pytest.raises(UnsupportedError, match="DC difference"):
            write(image, script=script)


def test_images_that_contradict_themselves():
    image = random_image(6, 20, 20, SAMPLINGS["420"])
    component = image.components[0]
    for bad, message in [
        (replace(image, components=[]), "1 to 4 components"),
        (replace(image, width=0), "no JPEG is"),
        (replace(image, height=65536), "no JPEG is"),
        (replace(image, width=200), "no shape"),
        (replace(image, components=[replace(component, qtable=np.zeros(64, np.uint16))]), "quantiser"),
        (
            replace(
                image, components=[replace(component, coefficients=component.coefficients.astype(np.int32))]
            ),
            "int16",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            write(bad)
    for interval in (-1, 65536):
        with pytest.raises(ValueError, match="restart_interval"):
            write(image, restart_interval=interval)
    with pytest.raises(ValueError, match="in full"):
        write(image, script=[ScanHeader((0, 1, 2), 0, 0, 0, 0)])


def test_arrays_that_are_no_contiguous_blocks_are_written_too():
    image = random_image(7, 40, 40, SAMPLINGS["gray"])
    expected = write(image)
    component = image.components[0]
    component.coefficients = np.repeat(component.coefficients, 2, axis=1)[:, ::2]
    assert not component.coefficients.flags.c_contiguous
    assert write(image) == expected
    component.coefficients.flags.writeable = False
    assert write(image) == expected


@pytest.mark.foreign
@pytest.mark.parametrize("sampling", ["gray", "444", "422", "440", "420", "mixed", "cmyk"])
def test_libjpeg_reads_the_same_coefficients(sampling, tmp_path):
    jpeglib = pytest.importorskip("jpeglib")
    for seed, (width, height) in enumerate([(1, 1), (17, 9), (70, 45)]):
        image = random_image(seed, width, height, SAMPLINGS[sampling])
        for number, script in enumerate(("auto", "sequential", scans.simple_progression(image))):
            for interval in (0, 3):
                path = Path(tmp_path, f"{seed}-{number}-{interval}.jpg")
                path.write_bytes(write(image, script=script, restart_interval=interval))
                dct = jpeglib.read_dct(str(path))
                arrays = [a for a in (dct.Y, dct.Cb, dct.Cr, dct.K) if a is not None]
                for component, array in zip(image.components, arrays, strict=True):
                    rows, columns = component.coefficients.shape[:2]
                    assert np.array_equal(component.coefficients, array.reshape(rows, columns, 64))


@pytest.mark.foreign
def test_no_larger_than_mozjpeg(photo_array):
    mozjpeg = pytest.importorskip("mozjpeg_lossless_optimization")
    big = np.tile(photo_array, (3, 3, 1))
    for quality, subsampling in ((60, 2), (85, 2), (95, 0)):
        data = pillow_file(big, quality=quality, subsampling=subsampling)
        assert len(write(read(data))) < len(mozjpeg.optimize(data))
