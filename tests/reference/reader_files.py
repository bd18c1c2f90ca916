"""Files for the tests of the reader: by Pillow, and made by hand."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from reference import entropy_decode as twin

from guetzpy.jpeg import markers
from guetzpy.jpeg.entropy.standard_tables import STANDARD_HUFFMAN_TABLES
from guetzpy.jpeg.structure import JpegImage

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
JFIF = markers.segment(markers.APP0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0")


def photo(height: int, width: int, mode: str = "RGB") -> Image.Image:
    """Return a picture with edges, noise and colours."""
    random = np.random.default_rng(height * 1000 + width)
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / 7 + i) * np.cos(y / (5 + i)) * 90 + 120 for i in range(len(mode))]
    codes = np.stack(planes, -1) + random.normal(0, 12, (height, width, len(mode)))
    codes = np.clip(codes, 0, 255).astype(np.uint8)
    return Image.frombytes(mode, (width, height), codes.tobytes())


def pillow(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def assert_coefficients(image: JpegImage, expected: list[np.ndarray]) -> None:
    assert len(image.components) == len(expected)
    for component, plane in zip(image.components, expected, strict=True):
        assert component.coefficients.dtype == np.int16
        assert np.array_equal(component.coefficients, plane)


# Files that Pillow cannot write


def standard(table_class: int, slot: int) -> dict[tuple[int, int], int]:
    table = STANDARD_HUFFMAN_TABLES[table_class, slot]
    return twin.codes(table.counts, table.values)


def random_planes(height: int, width: int, sampling: list[tuple[int, int]]) -> list[np.ndarray]:
    v_max, h_max = max(v for v, _ in sampling), max(h for _, h in sampling)
    random = np.random.default_rng(7)
    planes = []
    for v, h in sampling:
        shape = (-(-height * v // (8 * v_max)), -(-width * h // (8 * h_max)), 64)
        plane = random.integers(-40, 40, shape) * (random.random(shape) < 0.15)
        plane[..., 0] = random.integers(-500, 500, shape[:2])
        planes.append(plane.astype(np.int16))
    return planes


def handmade(
    height: int,
    width: int,
    sampling: list[tuple[int, int]],
    planes: list[np.ndarray],
    *,
    scans: list[tuple[int, ...]] | None = None,
    interval: int = 0,
    head: bytes = JFIF,
    identifiers: bytes = b"\1\2\3\4",
    steps: int = 16,
    dht: bool = True,
    lines: int | None = None,
    between: bytes = b"",
) -> bytes:
    """Return a sequential file with the standard Huffman tables and the given scans."""
    v_max, h_max = max(v for v, _ in sampling), max(h for _, h in sampling)
    components = tuple(markers.FrameComponent(identifiers[i], h, v, 0) for i, (v, h) in enumerate(sampling))
    frame = markers.FrameHeader(markers.SOF1, 8, height if lines is None else lines, width, components)
    out = SOI + head + markers.dqt_segment([(0, np.full(64, steps, np.uint16))]) + markers.sof_segment(frame)
    if dht:
        tables = [(c, s, t) for (c, s), t in STANDARD_HUFFMAN_TABLES.items()]
        out += markers.dht_segment(tables)
    if interval:
        out += markers.dri_segment(interval)
    for scan in scans or [tuple(range(len(sampling)))]:
        parts = tuple(markers.ScanComponent(identifiers[c], min(c, 1), min(c, 1)) for c in scan)
        out += markers.sos_segment(markers.ScanParameters(parts, 0, 63, 0, 0))
        chosen = [
            twin.ScanComponent(
                *(sampling[c] if len(scan) > 1 else (1, 1)),
                planes[c],
                standard(0, min(c, 1)),
                standard(1, min(c, 1)),
            )
            for c in scan
        ]
        rows, columns = planes[scan[0]].shape[:2]
        if len(scan) > 1:
            rows, columns = -(-height // (8 * v_max)), -(-width // (8 * h_max))
        out += twin.encode_sequential(chosen, rows, columns, interval) + between
    return out + EOI
