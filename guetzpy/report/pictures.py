"""Pictures for the page: thumbnails, files in formats that browsers show, links to files, heat maps."""

from __future__ import annotations

import base64
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from guetzpy.engine.loading import load
from guetzpy.engine.source import Source
from guetzpy.jpeg.header import is_jpeg
from guetzpy.picture.pillow import CheckSize, opened
from guetzpy.search.plan import check_decoding

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Bounds", "data_url", "heat_overlay", "link", "mime_type", "showable", "thumbnail"]


@dataclass(frozen=True)
class Bounds:
    """Limits for the size of a page and for the time to make it.

    Attributes
    ----------
    embedded : int
        Bytes of pictures and heat maps that are embedded in the page, before base64 adds a third. Other
        pictures are linked.
    picture_pixels : int
        Largest number of pixels of an embedded picture, for which a browser needs 4 bytes each. Larger
        pictures are linked.
    thumbnails, thumbnail_bytes : int
        Number of files that get a thumbnail (about 4 kB each), and bytes of all thumbnails together.
    heatmaps : int
        Number of heat maps, for the files with the highest ``butteraugli_max``.
    heatmap_pixels : int
        Pixels of all pictures together for which heat maps are computed.
    """

    embedded: int = 24_000_000
    picture_pixels: int = 16_000_000
    thumbnails: int = 5_000
    thumbnail_bytes: int = 20_000_000
    heatmaps: int = 200
    heatmap_pixels: int = 500_000_000


#: Longer side of a heat map in pixels, in reports of few files and of many (about 150 and 40 kB each).
HEATMAP_SIDES = (768, 384)


def mime_type(data: bytes) -> str | None:
    """Return the MIME type of a picture that all browsers show; None for other data."""
    if is_jpeg(data):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    return None


def data_url(data: bytes) -> str:
    """Return a data URL with the contents of a picture."""
    return f"data:{mime_type(data)};base64,{base64.b64encode(data).decode()}"


def link(path: str, page: str) -> str:
    """Return the URL of a local file, relative to the folder of the page if both are on the same drive.

    A file name may contain any character: all special characters are quoted. The URL begins with "./", "../"
    or "file:", so that no name is taken for a URL scheme.
    """
    folder = os.path.dirname(os.path.realpath(page))
    try:
        relative = os.path.relpath(os.path.realpath(path), folder)
    except ValueError:  # another drive
        return Path(os.path.realpath(path)).as_uri()
    parts = [quote(os.fsencode(part), safe="") for part in relative.split(os.sep)]
    return "/".join(parts if parts[0] == ".." else [".", *parts])


def thumbnail(data: bytes, side: int = 128) -> bytes | None:
    """Return a JPEG of at most ``side`` pixels in each direction; None if the picture cannot be decoded.

    It is rotated upright and has no metadata.
    """
    from PIL import ImageOps

    try:
        with warnings.catch_warnings(), opened(data, _bounds(data)) as picture:
            warnings.simplefilter("ignore")
            picture.draft("RGB", (2 * side, 2 * side))
            small = ImageOps.exif_transpose(picture)
            small.thumbnail((side, side))
            small = small.convert("RGB")
            small.info.clear()  # Pillow would copy the comment to the new file
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=72, optimize=True)
    except Exception:  # Pillow's decoders raise many kinds of errors for damaged files
        return None
    return stream.getvalue()


def _bounds(data: bytes) -> CheckSize:
    """Return a function that raises an error if a picture of a given size needs too much memory.

    The run may have refused a file for its size. The report reads such files too, and must refuse them again.
    """

    def check(width: int, height: int) -> None:
        check_decoding(width * height, len(data))

    return check


def showable(data: bytes, background: Any = None) -> bytes | None:
    """Return a picture in a format that browsers show; None if it cannot be decoded.

    A JPEG keeps its coded data. Any other picture is converted to PNG. The result has the colour profile and
    the orientation, but no other metadata: a report may be shared, and must not contain what was stripped
    from the pictures.
    """
    from guetzpy.jpeg.metadata.policy import Policy
    from guetzpy.jpeg.transcode import strip_bytes
    from guetzpy.metrics.heatmap import upright

    try:
        if is_jpeg(data):
            return strip_bytes(data, Policy.of(strip=["all"])).data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opened(data, _bounds(data)) as picture:
                turn = _turn(picture)
            shown = upright(_picture_of(load(data, background=background, check=_bounds(data))), turn)
        stream = io.BytesIO()
        shown.save(stream, "PNG", icc_profile=shown.info.get("icc_profile"))
    except Exception:
        return None
    return stream.getvalue()


def _turn(picture: Image.Image) -> int:
    # Pillow rotates TIFF files by their Orientation when it decodes them.
    return 1 if picture.format == "TIFF" else int(picture.getexif().get(0x0112, 1))


def _picture_of(source: Source) -> Image.Image:
    from PIL import Image

    codes = source.planes()
    if codes.dtype == np.uint16:
        codes = ((codes.astype(np.uint32) + 128) // 257).astype(np.uint8)
    samples = np.clip(np.rint(codes), 0, 255).astype(np.uint8)
    picture = Image.fromarray(samples[0] if len(samples) == 1 else samples.transpose(1, 2, 0).copy())
    if source.metadata.icc:
        picture.info["icc_profile"] = source.metadata.icc
    return picture


def heat_overlay(
    before: bytes, after: bytes, side: int, background: Any = None, threads: int | None = None
) -> tuple[bytes, float]:
    """Return the heat map of two files as a PNG with transparency, and their score by CVVDP in JOD.

    The heat map is rotated like the pictures in a browser; its longer side has at most ``side`` pixels.

    Raises
    ------
    GuetzpyError, ValueError
        The pictures cannot be read or compared.
    """
    from guetzpy.engine.compare import compare_sources, diffmap_of, load_pair
    from guetzpy.jpeg.metadata.policy import orientation
    from guetzpy.metrics.heatmap import overlay, shrunk

    first, second = load_pair(before, after, background=background, max_pixels=2**40)
    turn = orientation(second.image) if second.image is not None else 1
    jod = compare_sources(first, second, metrics=["cvvdp"], threads=threads)["cvvdp"]
    assert jod is not None
    return overlay(shrunk(diffmap_of(first, second, threads=threads), side), turn), jod
