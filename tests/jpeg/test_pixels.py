"""Decoding against libjpeg-turbo in Pillow, and the transform from pixels to coefficients."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import dct as twin
from reference import ink_files

from guetzpy.errors import UnsupportedError
from guetzpy.jpeg import pixels, quantization
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import Component, JpegImage
from guetzpy.jpeg.writer import write

SAMPLINGS = {
    "gray": [(1, 1)],
    "gray2x2": [(2, 2)],
    "444": [(1, 1), (1, 1), (1, 1)],
    "422": [(2, 1), (1, 1), (1, 1)],
    "420": [(2, 2), (1, 1), (1, 1)],
    "440": [(1, 2), (1, 1), (1, 1)],
    "411": [(4, 1), (1, 1), (1, 1)],
    "410": [(4, 2), (1, 1), (1, 1)],
    "3x1": [(3, 1), (1, 1), (1, 1)],
    "1x4": [(1, 4), (1, 1), (1, 1)],
    "444 as 2x2": [(2, 2), (2, 2), (2, 2)],
    "422 as 2x2": [(2, 2), (1, 2), (1, 2)],
    "420 as 4x4": [(4, 4), (2, 2), (2, 2)],
    "luma halved": [(1, 1), (2, 2), (1, 1)],
    "all different": [(2, 2), (2, 1), (1, 2)],
    "halves and quarters": [(4, 2), (2, 1), (1, 1)],
}
IDENTIFIERS = {
    "gray": (1,),
    "ycbcr": (1, 2, 3),
    "rgb": (82, 71, 66),
    "cmyk": (1, 2, 3, 4),
    "ycck": (1, 2, 3, 4),
}


def _pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def _picture(rng: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """Return noise, saturated noise or a smooth picture."""
    kind = rng.integers(3)
    if kind < 2:
        picture = rng.integers(0, 256, (height, width, channels))
        return (picture // 128 * 255 if kind else picture).astype(np.uint8)
    y, x, c = np.mgrid[:height, :width, :channels]
    return (127.5 + 127.5 * np.sin(x / 3 + c) * np.cos(y / 5 - c)).astype(np.uint8)


def _random_image(
    rng: np.random.Generator,
    factors: list[tuple[int, int]],
    height: int,
    width: int,
    amplitude: int,
    largest_step: int,
    colorspace: str = "ycbcr",
) -> JpegImage:
    h_max, v_max = max(h for h, _ in factors), max(v for _, v in factors)
    tables = rng.integers(1, largest_step + 1, (2, 64)).astype(np.uint16)
    components = []
    for index, (h, v) in enumerate(factors):
        rows, columns = -(-height * v // v_max), -(-width * h // h_max)
        shape = (-(-rows // 8), -(-columns // 8), 64)
        coefficients = rng.integers(-amplitude, amplitude + 1, shape)
        coefficients[rng.random(shape) < 0.7] = 0
        coefficients[rng.random(shape[:2]) < 0.3, 8:] = 0
        identifier = IDENTIFIERS["gray" if len(factors) == 1 else colorspace][index]
        components.append(
            Component(identifier, h, v, tables[min(index, 1)].copy(), coefficients.astype(np.int16))
        )
    name = "gray" if len(factors) == 1 else colorspace
    return JpegImage(width, height, components, name, sof=0xC1 if largest_step > 255 else 0xC0)


@pytest.mark.parametrize("sampling", ["gray", "4:4:4", "4:2:2", "4:2:0"])
def test_pillows_files_every_small_size(sampling):
    rng = np.random.default_rng(len(sampling))
    sizes = [(n, n) for n in range(1, 41)] + [(1, 40), (40, 1), (2, 33), (33, 2), (3, 17), (17, 3), (70, 131)]
    for height, width in sizes:
        gray = sampling == "gray"
        picture = _picture(rng, height, width, 1 if gray else 3)
        options = {} if gray else {"subsampling": sampling}
        file = io.BytesIO()
        Image.fromarray(picture[:, :, 0] if gray else picture).save(
            file, "JPEG", quality=int(rng.integers(1, 101)), progressive=bool(rng.integers(2)), **options
        )
        decoded = pixels.decode(read(file.getvalue()))
        np.testing.assert_array_equal(decoded, _pillow(file.getvalue()), err_msg=f"{height}x{width}")


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize("colorspace", ["ycbcr", "rgb"])
def test_every_sampling_and_wild_coefficients(name, colorspace):
    rng = np.random.default_rng(sum(name.encode()))
    sizes = [(1, 1), (5, 2), (2, 5), (3, 3), (9, 16), (17, 33), (47, 70)]
    # Usual values, values that are clamped, and products that overflow 16 bits.
    for (height, width), (amplitude, step) in itertools.product(
        sizes, [(6, 20), (100, 99), (1000, 255), (1000, 65535)]
    ):
        image = _random_image(rng, SAMPLINGS[name], height, width, amplitude, step, colorspace)
        np.testing.assert_array_equal(
            pixels.decode(image), _pillow(write(image)), err_msg=f"{height}x{width} {amplitude} {step}"
        )


def test_larger_pictures_over_several_strips():
    rng = np.random.default_rng(2)
    for name in ("444", "420", "440"):
        image = _random_image(rng, SAMPLINGS[name], 411, 603, 30, 15)
        expected = _pillow(write(image, script="sequential"))
        for threads in (1, 2, 5):
            np.testing.assert_array_equal(pixels.decode(image, threads=threads), expected)


def test_planes_and_picture_agree():
    image = _random_image(np.random.default_rng(3), SAMPLINGS["420"], 20, 35, 30, 15)
    planes = pixels.decode_planes(image)
    assert planes.shape == (3, 20, 35)
    np.testing.assert_array_equal(pixels.decode(image), planes.transpose(1, 2, 0))
    image = _random_image(np.random.default_rng(3), SAMPLINGS["gray"], 20, 35, 30, 15)
    assert pixels.decode_planes(image).shape == (1, 20, 35)
    assert pixels.decode(image).shape == (20, 35)


def test_samples_of_a_component():
    image = _random_image(np.random.default_rng(4), SAMPLINGS["420"], 21, 35, 30, 15)
    height, width = image.component_size(1)
    assert (height, width) == (11, 18)
    component = image.components[1]
    plane = pixels.samples(component, height, width)
    assert plane.shape == (11, 18)
    expected = twin.islow(component.coefficients[1, 2], component.qtable)
    np.testing.assert_array_equal(plane[8:, 16:], expected[:3, :2])
    with pytest.raises(ValueError, match="do not cover"):
        pixels.samples(component, 17, 18)


def test_unsupported():
    rng = np.random.default_rng(5)
    image = _random_image(rng, [(3, 1), (2, 1), (1, 1)], 20, 20, 5, 5)
    with pytest.raises(UnsupportedError, match="3x1, 2x1, 1x1"):
        pixels.decode(image)
    image = _random_image(rng, SAMPLINGS["444"], 8, 8, 5, 5)
    image.colorspace = "cmyk"
    with pytest.raises(UnsupportedError, match="cmyk"):
        pixels.decode(image)
    image.colorspace = "ycbcr"
    image.complete = False
    with pytest.raises(UnsupportedError, match="incomplete"):
        pixels.decode(image)


@pytest.mark.parametrize(
    "factors", ["11 11 11 11", "22 11 11 22", "21 11 11 11", "12 22 11 21", "41 11 21 11"]
)
@pytest.mark.parametrize("transform", [0, 2])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (37, 50), (70, 131)])
def test_inks_as_libjpeg_turbo_decodes_them(factors, transform, size):
    """CMYK and YCCK equal Pillow's decoding, which inverts the samples."""
    rng = np.random.default_rng(9)
    pairs = [(int(h), int(v)) for h, v in factors.split()]
    image = _random_image(rng, pairs, *size, 40, 20, "ycck" if transform else "cmyk")
    image.segments = [ink_files.adobe(transform)]
    with Image.open(io.BytesIO(write(image))) as shown:
        wanted = 255 - np.asarray(shown)
    assert np.array_equal(pixels.decode_inks(image).transpose(1, 2, 0), wanted)
    with pytest.raises(UnsupportedError):
        pixels.decode_planes(image)
    image.colorspace = "rgb"
    with pytest.raises(UnsupportedError, match="no inks"):
        pixels.decode_inks(image)


def test_too_few_blocks():
    image = _random_image(np.random.default_rng(6), SAMPLINGS["420"], 20, 35, 30, 15)
    image.components[2].coefficients = image.components[2].coefficients[:, :1]
    with pytest.raises(ValueError, match="fewer blocks"):
        pixels.decode(image)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    ratio=st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), None]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_pull_back_is_the_adjoint(seed, ratio, height, width):
    # <A x, y> = <x, A' y>, with A written out in float64.
    rng = np.random.default_rng(seed)
    channels = 3 if ratio else 1
    h, v = ratio or (1, 1)
    gradient = rng.normal(size=(channels, height, width)).astype(np.float32)
    pulled = pixels.pull_back(gradient, (h, v))
    x = [rng.normal(size=part.shape) for part in pulled]
    forward = twin.linear_decode(x, h, v, height, width)
    left = float((forward * gradient).sum())
    right = sum(float((a * b).sum()) for a, b in zip(x, pulled, strict=True))
    scale = float(np.linalg.norm(forward) * np.linalg.norm(gradient))
    # The bound for float32 sums, by the size of the terms: they may cancel in the product.
    scale += sum(float(np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(x, pulled, strict=True))
    assert left == pytest.approx(right, abs=2e-6 * scale + 1e-9)


@pytest.mark.parametrize("ratio", [(1, 1), (2, 1), (1, 2), (2, 2), (4, 2)])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (10, 41), (23, 41), (64, 80)])
def test_forward_is_near_libjpegs_encoder(ratio, size):
    # libjpeg rounds samples before its transform, guetzpy does not. The steps are 1 at quality 100. (libjpeg
    # pads chroma by the edge of the picture and not of the small plane, which differs at even widths that
    # need padding; none of these sizes does.)
    rng = np.random.default_rng(7)
    picture = _picture(rng, *size, 3)
    coefficients = pixels.forward(picture.transpose(2, 0, 1).astype(np.float32), ratio)
    ones = np.ones(64, np.uint16)
    components = [
        Component(index + 1, *(ratio if index == 0 else (1, 1)), ones, quantization.quantise(part, ones))
        for index, part in enumerate(coefficients)
    ]
    image = JpegImage(size[1], size[0], components, "ycbcr")
    for index, component in enumerate(components):
        height, width = image.component_size(index)
        assert component.coefficients.shape == (-(-height // 8), -(-width // 8), 64)
    name = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}.get(ratio)
    if name is None:
        assert pixels.decode(image).shape == picture.shape
        return
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=100, subsampling=name)
    for ours, theirs in zip(components, read(file.getvalue()).components, strict=True):
        difference = ours.coefficients.astype(int) - theirs.coefficients
        assert np.abs(difference).max() <= 8  # every sample may differ by one
        if min(size) > 8:
            assert (difference**2).mean() < 0.5


@pytest.mark.parametrize("downsampler", ["box", "fitted"])
@pytest.mark.parametrize("ratio", [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])
@pytest.mark.parametrize("size", [(1, 1), (3, 4), (4, 3), (37, 52)])
def test_round_trip_of_a_flat_picture(size, ratio, downsampler):
    planes = np.empty((3, *size), np.float32)
    planes[:] = np.array([200.0, 90.0, 30.0], np.float32)[:, None, None]
    ones = np.ones(64, np.uint16)
    components = [
        Component(index + 1, *(ratio if index == 0 else (1, 1)), ones, quantization.quantise(part, ones))
        for index, part in enumerate(pixels.forward(planes, ratio, downsampler=downsampler))
    ]
    decoded = pixels.decode_planes(JpegImage(size[1], size[0], components, "ycbcr"))
    assert np.abs(decoded - planes).max() <= 1


def test_fitted_chroma_comes_closer():
    y, x = np.mgrid[:96, :96]
    disc = (x - 48) ** 2 + (y - 48) ** 2 < 900
    planes = np.stack([np.where(disc, 200.0, 60.0), np.where(disc, 40.0, 120.0), np.full((96, 96), 80.0)])
    planes = planes.astype(np.float32)
    errors = {}
    for downsampler in ("box", "fitted"):
        parts = pixels.forward(planes, (2, 2), downsampler=downsampler)
        decoded = twin.linear_decode(parts, 2, 2, 96, 96) + 128
        errors[downsampler] = ((decoded - planes) ** 2).mean()
    assert errors["fitted"] < 0.9 * errors["box"]


def test_fractions_survive():
    # Sources of 16 bits: a difference below one code reaches the coefficients.
    planes = np.full((3, 8, 8), 100.0, np.float32)
    shifted = planes + np.float32(1 / 257)
    difference = pixels.forward(shifted)[0][0, 0, 0] - pixels.forward(planes)[0][0, 0, 0]
    assert difference == pytest.approx(8 / 257, rel=0.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_components_without_conversion(channels):
    rng = np.random.default_rng(8)
    planes = rng.uniform(0, 255, (channels, 19, 30)).astype(np.float32)
    parts = pixels.forward(planes, colorspace="rgb")
    assert len(parts) == channels
    for plane, part in zip(planes, parts, strict=True):
        assert part.shape == (3, 4, 64)
        np.testing.assert_allclose(twin.linear_samples(part)[:19, :30] + 128, plane, atol=1e-3)
    gradient = rng.normal(size=planes.shape).astype(np.float32)
    for plane, part in zip(gradient, pixels.pull_back(gradient, colorspace="rgb"), strict=True):
        back = twin.linear_samples(part)
        np.testing.assert_allclose(back[:19, :30], plane, atol=1e-5)
        assert np.abs(back[19:]).max() < 1e-5


def test_rgb_jpeg_round_trip():
    rng = np.random.default_rng(10)
    planes = rng.integers(0, 256, (3, 16, 24)).astype(np.float32)
    ones = np.ones(64, np.uint16)
    parts = pixels.forward(planes, colorspace="rgb")
    components = [
        Component(identifier, 1, 1, ones, quantization.quantise(part, ones))
        for identifier, part in zip(IDENTIFIERS["rgb"], parts, strict=True)
    ]
    image = JpegImage(24, 16, components, "rgb")
    assert np.abs(pixels.decode_planes(image) - planes).max() <= 2
    np.testing.assert_array_equal(pixels.decode(image), _pillow(write(image)))


def test_wrong_planes():
    good = np.zeros((3, 8, 8), np.float32)
    for function in (pixels.forward, pixels.pull_back):
        with pytest.raises(ValueError, match="float32"):
            function(good.astype(np.float64))
        with pytest.raises(ValueError, match="float32"):
            function(good[:2])
        with pytest.raises(ValueError, match="down-sampled"):
            function(good[:1].copy(), (2, 2))


def test_any_memory_layout():
    planes = np.random.default_rng(11).uniform(0, 255, (3, 17, 22)).astype(np.float32)
    locked = planes.copy()
    locked.flags.writeable = False
    for function in (pixels.forward, pixels.pull_back):
        expected = function(planes, (2, 2))
        for variant in (locked, np.asfortranarray(planes)):
            for part, wanted in zip(function(variant, (2, 2)), expected, strict=True):
                np.testing.assert_array_equal(part, wanted)


def test_inputs_are_left_alone():
    rng = np.random.default_rng(12)
    planes = rng.uniform(0, 255, (3, 21, 21)).astype(np.float32)
    before = planes.copy()
    pixels.forward(planes, (2, 2), downsampler="fitted")
    pixels.pull_back(planes, (2, 2))
    np.testing.assert_array_equal(planes, before)
