"""TIFF files: every layout that Pillow opens is decoded correctly or refused."""

from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, features
from reference import ink_files

from guetzpy.engine.loading import load
from guetzpy.errors import FormatError, UnsupportedError
from guetzpy.picture.planes import planes_of

OLD_PILLOW = str(features.version("pil")).startswith(("12.0.", "12.1."))

HEIGHT, WIDTH = 21, 37
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
#: Fractions: four ramps in different directions; the last one serves as alpha.
RAMPS = np.stack([X / (WIDTH - 1), 1 - X / (WIDTH - 1), Y / (HEIGHT - 1), (X + Y + 9) / (HEIGHT + WIDTH + 9)])

EXTRA = {"unspecified": 0, "assocalpha": 1, "unassalpha": 2}


def samples(count, dtype):
    """Return the first ramps, shape (H, W, count); the last one of RGBA is alpha."""
    chosen = RAMPS[:count] if count != 2 else RAMPS[[0, 3]]
    top = np.iinfo(dtype).max
    return np.rint(np.moveaxis(chosen, 0, -1) * top).astype(dtype)


def written(array, photometric, *, order="<", planar="contig", tile=None, compression=None, predictor=False,
            extra=None, icc=None):  # fmt: skip
    planar = planar if array.shape[2] > 1 else "contig"
    stored = np.moveaxis(array, -1, 0) if planar == "separate" else array
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        stored[..., 0] if array.shape[2] == 1 else stored,
        byteorder=order,
        photometric=photometric,
        planarconfig=planar if array.shape[2] > 1 else None,
        tile=tile,
        rowsperstrip=None if tile else 8,
        compression=compression,
        predictor=predictor or None,
        extrasamples=None if extra is None else [extra],
        iccprofile=icc,
        metadata=None,
    )
    return file.getvalue()


def shown(array, photometric, extra):
    """Return the fractions that a file means, blended with black, shape (C, H, W)."""
    values = np.moveaxis(array.astype(np.float64) / np.iinfo(array.dtype).max, -1, 0)
    colours = values[:3] if photometric == "rgb" else values[:1]
    if extra == "unassalpha":
        colours = colours * values[-1]
    return 1 - colours if photometric == "miniswhite" else colours


LAYOUTS = list(itertools.product("<>", ("contig", "separate"), (None, (16, 16)), (None, "zlib")))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("photometric", "count", "extra"),
    [
        ("minisblack", 1, None), ("miniswhite", 1, None), ("rgb", 3, None), ("rgb", 4, "unspecified"),
        ("rgb", 4, "unassalpha"), ("rgb", 4, "assocalpha"), ("minisblack", 2, "unassalpha"),
        ("minisblack", 2, "unspecified"),
    ],
)  # fmt: skip
def test_layouts_are_as_tifffile_means_them(photometric, count, extra, dtype):
    array = samples(count, dtype)
    if extra == "assocalpha":  # colours must not exceed their alpha
        array[..., :-1] = np.minimum(array[..., :-1], array[..., -1:])
    read = 0
    for order, planar, tile, compression in LAYOUTS:
        for predictor in (False, True) if compression else (False,):
            data = written(
                array, photometric, order=order, planar=planar, tile=tile, compression=compression,
                predictor=predictor, extra=extra,
            )  # fmt: skip
            assert np.array_equal(
                np.squeeze(tifffile.imread(io.BytesIO(data))),
                np.squeeze(np.moveaxis(array, -1, 0) if planar == "separate" and count > 1 else array),
            )
            try:
                source = load(data, background="black")
            except (FormatError, UnsupportedError):
                with pytest.raises(OSError):  # Pillow cannot open it either
                    Image.open(io.BytesIO(data))
                continue
            read += 1
            top = np.iinfo(source.codes.dtype).max
            expected = shown(array, photometric, extra)
            codes = source.codes / top
            if codes.shape[0] != expected.shape[0]:
                assert (codes == codes[:1]).all()
                codes = codes[:1]
            # Dividing by alpha in 8 bits and multiplying again may change a code by one.
            tolerance = 1.01 if extra == "assocalpha" else 0.51
            assert abs(codes - expected).max() * top <= tolerance, (order, planar, tile, compression)
            assert source.codes.dtype == dtype
    # Pillow cannot open 16-bit gray with alpha, nor big-endian 16-bit gray where white is zero. Before 12.2
    # it could not open gray with a sample of unknown meaning.
    of_two = 18 if dtype == np.uint8 else 12 if extra == "unspecified" else 0
    if extra == "unspecified" and OLD_PILLOW:
        of_two = 0
    expected_reads = {("minisblack", 2): of_two, ("miniswhite", 1): 12 if dtype == np.uint16 else 18}
    assert read >= expected_reads.get((photometric, count), 18)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u4", "f2", "f4"])
@pytest.mark.parametrize(("photometric", "count"), [("minisblack", 1), ("rgb", 3)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_samples_without_a_fixed_white_are_refused(dtype, photometric, count, planar):
    array = np.ones((HEIGHT, WIDTH, count), dtype)
    data = written(array, photometric, planar=planar)
    with pytest.raises((UnsupportedError, FormatError)):
        load(data)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", "<>")
def test_cmyk_and_lab_are_refused(order, compression):
    for photometric, count in (("separated", 4), ("cielab", 3)):
        for planar in ("contig", "separate"):
            data = written(
                samples(count, np.uint8), photometric, order=order, planar=planar, compression=compression
            )
            with pytest.raises(UnsupportedError):
                load(data)


def test_palettes():
    colours = np.random.default_rng(1).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    indices = samples(1, np.uint8)[..., 0]
    for order, tile in itertools.product("<>", (None, (16, 16))):
        file = io.BytesIO()
        tifffile.imwrite(
            file, indices, byteorder=order, photometric="palette", colormap=colours, tile=tile, metadata=None
        )
        source = load(file.getvalue())
        np.testing.assert_array_equal(source.codes, (colours // 257)[:, indices])


def small(order, fields, data):
    """Return a TIFF of one strip from its fields, tag to (type, values) without StripOffsets."""
    size = {1: "B", 3: "H", 4: "I"}
    fields = dict(fields) | {273: (4, [8]), 279: (4, [len(data)])}
    start = 8 + len(data) + len(data) % 2
    after = start + 2 + 12 * len(fields) + 4
    directory, values_after = struct.pack(order + "H", len(fields)), b""
    for tag, (kind, values) in sorted(fields.items()):
        packed = struct.pack(f"{order}{len(values)}{size[kind]}", *values)
        if len(packed) > 4:
            place = after + len(values_after)
            values_after += packed
            packed = struct.pack(order + "I", place)
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return head + data + b"\0" * (len(data) % 2) + directory + bytes(4) + values_after


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 4, 12])
@pytest.mark.parametrize("photometric", [0, 1, 3])
def test_packed_depths(bits, photometric, order):
    values = np.random.default_rng(bits).integers(0, 1 << bits, (6, 14))
    stream = "".join(f"{v:0{bits}b}" for row in values for v in row)
    width_bits = 14 * bits
    rows = [
        stream[i : i + width_bits].ljust(-(-width_bits // 8) * 8, "0")
        for i in range(0, len(stream), width_bits)
    ]
    data = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    fields = {256: (3, [14]), 257: (3, [6]), 258: (3, [bits]), 259: (3, [1]), 262: (3, [photometric]),
              277: (3, [1]), 278: (3, [6])}  # fmt: skip
    colours = np.random.default_rng(9).integers(0, 256, (3, 1 << bits))
    if photometric == 3:
        fields[320] = (3, (colours * 257).ravel().tolist())
    file = small(order, fields, data)
    try:
        codes = load(file).codes
    except FormatError:
        with pytest.raises(OSError):
            Image.open(io.BytesIO(file))
        return
    if photometric == 3:
        np.testing.assert_array_equal(codes, colours[:, values])
        return
    fractions = values / ((1 << bits) - 1)
    expected = 1 - fractions if photometric == 0 else fractions
    assert abs(codes[0] / np.iinfo(codes.dtype).max - expected).max() < 0.5 / 255


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("sampling", [(1, 1), (2, 1), (2, 2), None])
def test_uncompressed_ycbcr_is_refused(sampling, order):
    """Pillow takes the samples for RGB. Blocks hold their luma, then Cb and Cr (TIFF 6.0, section 21)."""
    across, down = sampling or (2, 2)
    data = bytes([*[200] * (across * down), 90, 150]) * (8 // down * (16 // across))
    fields = {256: (3, [16]), 257: (3, [8]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [6]),
              277: (3, [3]), 278: (3, [8])}  # fmt: skip
    if sampling:
        fields[530] = (3, [across, down])
    with pytest.raises(UnsupportedError, match="uncompressed YCbCr"):
        load(small(order, fields, data))


@pytest.mark.parametrize("order", "<>")
def test_separate_planes_are_turned_once(order):
    array = samples(3, np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(
        file, np.moveaxis(array, -1, 0), photometric="rgb", planarconfig="separate", byteorder=order,
        metadata=None, extratags=[(274, 3, 1, 6, True)],
    )  # fmt: skip
    source = load(file.getvalue())
    np.testing.assert_array_equal(source.codes, np.moveaxis(np.rot90(array, -1), -1, 0))
    assert source.metadata.exif is None or b"\x12\x01" not in source.metadata.exif


@pytest.mark.parametrize("order", ["<", ">"])
def test_cmyk_is_converted_in_every_layout_or_refused(order):
    icc, array = ink_files.cmyk_profile(), samples(4, np.uint8)

    def converted(planar, array):
        data = written(array, "separated", order=order, planar=planar, icc=icc)
        return load(data, convert_to_srgb=True).codes

    expected = converted("contig", array)
    for planar, picture in itertools.product(("contig", "separate"), (array, array.astype(np.uint16) * 257)):
        if planar == "separate" and picture.dtype == np.uint16:
            with pytest.raises(UnsupportedError, match="CMYK with 16 bits in separate planes"):
                converted(planar, picture)
        else:
            np.testing.assert_array_equal(converted(planar, picture), expected)


@pytest.mark.parametrize("big", [False, True])
def test_bigtiff_planes(big):
    array = samples(3, np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.moveaxis(array, -1, 0),
        photometric="rgb",
        planarconfig="separate",
        bigtiff=big,
        metadata=None,
    )
    np.testing.assert_array_equal(load(file.getvalue()).codes, np.moveaxis(array, -1, 0))


def test_images_of_pillow_are_read_from_their_file():
    array = samples(3, np.uint16)
    data = written(array, "rgb", planar="separate")
    with Image.open(io.BytesIO(data)) as image:
        codes, _ = planes_of(image)
    np.testing.assert_array_equal(codes, np.moveaxis(array, -1, 0))
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        with pytest.raises(UnsupportedError, match="path or bytes"):
            planes_of(image)
    gray = samples(1, np.uint16)
    with Image.open(io.BytesIO(written(gray, "miniswhite"))) as image:
        image.load()
        np.testing.assert_array_equal(planes_of(image)[0][0], 65535 - gray[..., 0])


@pytest.mark.foreign
@pytest.mark.parametrize("compression", ["lzw", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("order", "<>")
def test_other_compressions(order, planar, compression):
    pytest.importorskip("imagecodecs")
    for dtype in (np.uint8, np.uint16):
        array = samples(3, dtype)
        for predictor in (False, True) if compression in ("lzw", "zstd") else (False,):
            data = written(
                array, "rgb", order=order, planar=planar, compression=compression, predictor=predictor
            )
            np.testing.assert_array_equal(load(data).codes, np.moveaxis(array, -1, 0))


@pytest.mark.parametrize(
    "compression", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_ccitt", "group3", "group4"]
)
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("fill_order", [1, 2])
def test_bilevel_pictures(compression, photometric, fill_order):
    """Among the compressions are the fax codes of T.4 and T.6."""
    bits = np.random.default_rng(1).integers(0, 2, (40, 48)).astype(bool)
    file = io.BytesIO()
    tags = {262: photometric, 266: fill_order}
    Image.fromarray(bits).save(file, "TIFF", compression=compression, tiffinfo=tags)
    codes = load(file.getvalue()).codes
    if compression == "raw" and fill_order == 2:  # Pillow writes the tag, but not the order
        bits = np.unpackbits(np.packbits(bits, axis=1), axis=1, bitorder="little").astype(bool)
    np.testing.assert_array_equal(codes[0] > 127, bits)


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_jpeg_inside_tiff(mode):
    y, x = np.mgrid[0:40, 0:50]
    array = np.stack([3 * y + 2 * x, y + 3 * x, 4 * y[::-1] + x], axis=-1).astype(np.uint8)
    given = Image.fromarray(array)
    file = io.BytesIO()
    given.convert(mode).save(file, "TIFF", compression="jpeg", quality=95)
    expected = np.atleast_3d(np.asarray(given.convert("L" if mode == "L" else "RGB"), int))
    codes = load(file.getvalue()).codes
    assert np.abs(np.moveaxis(codes, 0, -1) - expected).max() <= 8


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_ycbcr_of_full_size(planar):
    array = samples(3, np.uint8)
    y, cb, cr = array[..., 0].astype(float), array[..., 1] - 128.0, array[..., 2] - 128.0
    expected = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])
    codes = load(written(array, "ycbcr", planar=planar, compression="zlib")).codes
    assert np.abs(codes - np.clip(np.rint(expected), 0, 255)).max() <= 1


@pytest.mark.parametrize("number", [34712, 34887, 34933, 50002])
def test_unknown_compressions_are_not_called_broken(number):
    """JPEG 2000, LERC, PNG and JPEG XL inside TIFF are valid, but Pillow has no decoder for them."""
    fields = {256: (3, [4]), 257: (3, [4]), 258: (3, [8]), 259: (3, [number]), 262: (3, [1]), 278: (3, [4])}
    with pytest.raises(UnsupportedError, match=f"compression {number}"):
        load(small("<", fields, bytes(16)))


def test_palettes_of_short_entries():
    """Old programs wrote 0..255 where the standard has 0..65535; libtiff and its users take both."""
    codes = samples(1, np.uint8)[..., 0]
    short = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 30)]).astype(np.uint16)
    for entries in (short, short * 257):
        file = io.BytesIO()
        tifffile.imwrite(file, codes, photometric="palette", colormap=entries, metadata=None)
        assert np.array_equal(load(file.getvalue()).planes(), short[:, codes])


@pytest.mark.parametrize(
    ("options", "shape", "words"),
    [
        ({"bigtiff": True, "byteorder": ">"}, (16, 16, 3), "big-endian BigTIFF"),
        ({"photometric": "minisblack", "planarconfig": "separate"}, (5, 16, 16), "5 samples per pixel"),
        ({"photometric": "rgb", "planarconfig": "separate"}, (5, 16, 16), "5 samples per pixel"),
    ],
)
def test_valid_layouts_that_are_refused_are_not_called_broken(
    options: dict[str, object], shape: tuple[int, ...], words: str
) -> None:
    file = io.BytesIO()
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    tifffile.imwrite(file, array, **options)
    if options.get("photometric") == "rgb" and OLD_PILLOW:  # it opens separate planes of RGB and more samples
        np.testing.assert_array_equal(load(file.getvalue()).codes, array[:3])
        return
    with pytest.raises(UnsupportedError, match=words):
        load(file.getvalue())
