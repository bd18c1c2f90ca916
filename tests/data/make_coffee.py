"""Make coffee.jpg like a camera's file: quality 96, 4:2:2, fixed Huffman tables, Exif with a thumbnail.

The picture is scikit-image's ``coffee``, CC0 by Rachel Michetti, courtesy of Pikolo Espresso Bar.
"""

import io
from pathlib import Path

from PIL import Image
from skimage import data


def exif_block(picture: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "Coffee cup"
    exif[0x010F] = "Example"  # make
    exif[0x0110] = "Camera 1"  # model
    exif[0x0112] = 1  # orientation
    exif[0x0131] = "make_coffee.py"
    exif[0x0132] = "2013:06:01 12:00:00"
    exif[0x013B] = "Rachel Michetti, CC0"
    exif.get_ifd(0x8769)[0x9003] = "2013:06:01 12:00:00"
    exif.get_ifd(0x8769)[0x829A] = 1 / 60  # exposure time
    thumbnail = io.BytesIO()
    picture.resize((160, 107), Image.Resampling.LANCZOS).save(thumbnail, "JPEG", quality=80)
    block = exif.tobytes()
    return with_thumbnail(block, thumbnail.getvalue())


def with_thumbnail(block: bytes, thumbnail: bytes) -> bytes:
    """Append a second directory that holds a JPEG thumbnail (Exif 2.32, 4.8.3) to a TIFF structure."""
    tiff = bytearray(block.removeprefix(b"Exif\0\0"))
    order = "little" if tiff[:2] == b"II" else "big"
    first = int.from_bytes(tiff[4:8], order)
    link = first + 2 + 12 * int.from_bytes(tiff[first : first + 2], order)
    tiff += b"\0" * (len(tiff) % 2)
    start = len(tiff)
    tiff[link : link + 4] = start.to_bytes(4, order)
    entries = [(0x0103, 3, 6), (0x0201, 4, start + 2 + 3 * 12 + 4), (0x0202, 4, len(thumbnail))]
    tiff += len(entries).to_bytes(2, order)
    for tag, kind, value in entries:
        size = 2 if kind == 3 else 4
        tiff += tag.to_bytes(2, order) + kind.to_bytes(2, order) + (1).to_bytes(4, order)
        tiff += value.to_bytes(size, order) + b"\0" * (4 - size)
    return b"Exif\0\0" + bytes(tiff) + b"\0\0\0\0" + thumbnail


if __name__ == "__main__":
    coffee = Image.fromarray(data.coffee())
    coffee.save(
        Path(__file__).with_name("coffee.jpg"),
        quality=96,
        subsampling="4:2:2",
        exif=exif_block(coffee),
        dpi=(72, 72),
    )
