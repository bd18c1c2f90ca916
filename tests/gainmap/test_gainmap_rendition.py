"""The HDR rendition of a gain map equals a slow reference, and its distance that of libultrahdr's decode."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from reference import jpeg_files

from guetzpy.errors import UnsupportedError
from guetzpy.gainmap.metadata import Application
from guetzpy.gainmap.rendition import Base, Judge, enlarged
from guetzpy.jpeg import pixels
from guetzpy.jpeg.metadata.holdings import locate
from guetzpy.jpeg.reader import read
from guetzpy.picture.icc import srgb_curve
from guetzpy.picture.transform import Transform

WIDE = np.array([[1.2, -0.15, -0.05], [-0.1, 1.1, 0.0], [0.0, -0.2, 1.2]])
PLAIN = Transform()


def codes(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def slow(base: np.ndarray, gain_map: np.ndarray, application: Application, before, after) -> np.ndarray:
    """Return the rendition in double precision, pixel by pixel."""
    _, height, width = base.shape
    light = np.broadcast_to(srgb_curve(base / 255), (3, height, width))
    light = np.einsum("ij,jyx->iyx", before, light)
    result = np.empty((3, height, width))
    for y in range(height):
        for x in range(width):
            for c in range(3):
                plane = gain_map[c % len(gain_map)].astype(float)
                v = min(max((y + 0.5) * plane.shape[0] / height - 0.5, 0), plane.shape[0] - 1)
                u = min(max((x + 0.5) * plane.shape[1] / width - 0.5, 0), plane.shape[1] - 1)
                top, left = int(v), int(u)
                rows = [plane[min(top + i, plane.shape[0] - 1)] for i in (0, 1)]
                line = [r[left] + (u - left) * (r[min(left + 1, plane.shape[1] - 1)] - r[left]) for r in rows]
                recovery = (line[0] + (v - top) * (line[1] - line[0])) / 255
                first, last = application.offsets(c)
                result[c, y, x] = (light[c, y, x] + first) * application.gain(recovery, c) - last
    return np.einsum("ij,jyx->iyx", after, np.minimum(result, 10_000 / 203))


ONE = Application((-0.5,), (2.0,), (1.5,), (1 / 64,), (1 / 32,))
THREE = Application((-0.5, 0.0, 0.2), (2.0, 1.0, 3.0), (1.0, 2.0, 0.5), (0.0, 0.1, 0.2), (0.0, 0.0, 0.1))
OTHER = Application((0.0,), (2.0,), of_alternate=True)
IDENTITY = np.eye(3)


@pytest.mark.parametrize(
    ("base", "gain_map", "application", "own", "alternate", "before", "after"),
    [
        ((3, 13, 21), (1, 13, 21), ONE, None, None, IDENTITY, IDENTITY),
        ((3, 13, 21), (1, 4, 6), ONE, WIDE, None, IDENTITY, WIDE),
        ((1, 13, 21), (3, 4, 6), THREE, None, WIDE, IDENTITY, IDENTITY),
        ((3, 13, 21), (1, 4, 6), OTHER, None, WIDE, np.linalg.inv(WIDE), WIDE),
        ((3, 13, 21), (1, 4, 6), OTHER, WIDE, None, WIDE, IDENTITY),
        ((3, 13, 21), (3, 20, 30), Application(headroom=300.0), None, None, IDENTITY, IDENTITY),
        ((3, 260, 3), (1, 65, 1), ONE, None, None, IDENTITY, IDENTITY),
    ],
)
def test_renditions(base, gain_map, application, own, alternate, before, after) -> None:
    picture, recovery = codes(*base), codes(*gain_map, seed=1)
    made = Base(
        picture, Transform(matrix=own), application, Transform(matrix=alternate), threads=2
    ).rendition(recovery)
    wanted = slow(picture, recovery, application, before, after)
    # The gains are in steps of a 64th of a code.
    np.testing.assert_allclose(made, wanted, rtol=3e-3, atol=3e-3)


def test_enlarging() -> None:
    row = np.array([[[0, 100, 200]]], np.uint8)
    np.testing.assert_allclose(enlarged(row, 6, 1, 0, 1)[0, 0], [0, 25, 75, 125, 175, 200])


def test_a_profile_with_tables_has_no_primaries() -> None:
    with pytest.raises(UnsupportedError, match="tables"):
        Base(codes(3, 8, 8), Transform(tables=b"x"), ONE, PLAIN)


def test_distances(photo_array: np.ndarray) -> None:
    picture = np.ascontiguousarray(photo_array.transpose(2, 0, 1))
    gain_map = np.ascontiguousarray(picture[1:2, ::2, ::2])
    judge = Judge(Base(picture, PLAIN, ONE, PLAIN), gain_map)
    assert judge.scores(gain_map).distance == 0.0
    rng = np.random.default_rng(0)
    noisy = [np.clip(gain_map + rng.normal(0, s, gain_map.shape), 0, 255).astype(np.uint8) for s in (2, 8)]
    near, far = (judge.scores(one).distance for one in noisy)
    assert 0.0 < near < far


@pytest.mark.foreign
@pytest.mark.parametrize("gray", [False, True])
def test_libultrahdr_makes_the_same_rendition(photo_array: np.ndarray, gray: bool) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    facts = " ".join(
        f'hdrgm:{name}="{value}"'
        for name, value in {
            "Version": "1.0", "GainMapMin": "-0.5", "GainMapMax": "2.5", "Gamma": "1.5",
            "OffsetSDR": "0.015625", "OffsetHDR": "0.03125", "HDRCapacityMin": "0", "HDRCapacityMax": "2.5",
            "BaseRenditionIsHDR": "False",
        }.items()
    )  # fmt: skip
    files = []
    for part in (photo_array, photo_array[::-1, ::-1, 1 if gray else slice(None)]):
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(part)).save(file, "JPEG", quality=95, subsampling=0)
        files.append(file.getvalue())
    packet = jpeg_files.XMP + jpeg_files.xmp(f"{jpeg_files.HDRGM} {facts}")
    source = jpeg_files.ultra_hdr(
        base=files[0],
        gain_map=jpeg_files.with_segments(files[1], jpeg_files.segment(0xE1, packet)),
    )
    theirs = np.asarray(imagecodecs.ultrahdr_decode(source), np.float32)[..., :3].transpose(2, 0, 1)
    image = read(source)
    part = next(part for part in locate(source, image).parts if part.kind == "gainmap")
    gain_map = read(image.trailing[part.start : part.end])
    application = Application((-0.5,), (2.5,), (1.5,), (1 / 64,), (1 / 32,))
    ours = Base(pixels.decode_planes(image), PLAIN, application, PLAIN).rendition(
        pixels.decode_planes(gain_map)
    )
    # libultrahdr rounds to half floats, and decodes by another DCT.
    error = np.abs(ours - theirs) / (np.abs(theirs) + 0.05)
    assert np.median(error) < 0.01
    assert np.quantile(error, 0.99) < 0.05
