"""Pictures for the page: thumbnails, what a browser can show of a file, where it lies, heat maps."""

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

from guetzpy.engine.source import Source, is_jpeg, load
from guetzpy.picture.pillow import CheckSize, opened
from guetzpy.search.plan import check_decoding

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Bounds", "data_url", "heat_overlay", "link", "mime_type", "showable", "thumbnail"]


@dataclass(frozen=True)
class Bounds:
    """How large a page may grow, and how long it may take.

    Attributes
    ----------
    embedded : int
        Bytes of pictures and heat maps that the page holds itself; others are shown from where they
        lie. Base64 makes a third more of them.
    picture_pixels : int
        Pixels of a picture that the page holds itself; a browser takes 4 bytes for each. Larger ones are
        shown from where they lie.
    thumbnails, thumbnail_bytes : int
        Files that get a thumbnail (some 4 kB each), and bytes of them all.
    heatmaps : int
        Heat maps that are computed, of the files with the highest scores.
    heatmap_pixels : int
        Pixels that heat maps are computed of, in all.
    """

    embedded: int = 24_000_000
    picture_pixels: int = 16_000_000
    thumbnails: int = 5_000
    thumbnail_bytes: int = 20_000_000
    heatmaps: int = 200
    heatmap_pixels: int = 500_000_000


#: Longest side of heat maps that lie over pictures, of few files and of many (some 150 and 40 kB).
HEATMAP_SIDES = (768, 384)


def mime_type(data: bytes) -> str | None:
    """Return the type of a picture that all browsers show; None for others."""
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
    """Return a URL that holds a picture."""
    return f"data:{mime_type(data)};base64,{base64.b64encode(data).decode()}"


def link(path: str, page: str) -> str:
    """Return the URL of a local file, relative to the page's own folder where there is a way.

    Any name is possible in a path: all but plain letters is quoted, and the URL never begins with a
    scheme of the name's choice.
    """
    folder = os.path.dirname(os.path.realpath(page))
    try:
        relative = os.path.relpath(os.path.realpath(path), folder)
    except ValueError:  # another drive
        return Path(os.path.realpath(path)).as_uri()
    parts = [quote(os.fsencode(part), safe="") for part in relative.split(os.sep)]
    return "/".join(parts if parts[0] == ".." else [".", *parts])


def thumbnail(data: bytes, side: int = 128) -> bytes | None:
    """Return a small JPEG, upright, without metadata; None if the picture cannot be decoded."""
    from PIL import ImageOps

    try:
        with warnings.catch_warnings(), opened(data, _bounds(data)) as picture:
            warnings.simplefilter("ignore")
            picture.draft("RGB", (2 * side, 2 * side))
            small = ImageOps.exif_transpose(picture)
            small.thumbnail((side, side))
            small = small.convert("RGB")
            small.info.clear()  # Pillow would write the comment again
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=72, optimize=True)
    except Exception:  # decoders raise whatever broken files make them meet
        return None
    return stream.getvalue()


def _bounds(data: bytes) -> CheckSize:
    """Return what refuses a picture that would take much memory: files that failed come here too."""

    def check(width: int, height: int) -> None:
        check_decoding(width * height, len(data))

    return check


def showable(data: bytes, background: Any = None) -> bytes | None:
    """Return a file that a browser shows as guetzpy sees it; None if there is none.

    It has the colour profile and the orientation, and no other metadata: a page is passed on more easily than
    the pictures, and must not hold what was stripped from them. JPEG files keep their coded data; all else
    becomes a PNG.
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
    # Pillow itself turns TIFF upright when it is loaded.
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
    """Return the heat map between two files as a PNG to lay over them as browsers show them, and CVVDP's JOD.

    Raises
    ------
    GuetzpyError, ValueError
        They cannot be compared.
    """
    from guetzpy.engine.compare import compare_sources, diffmap_of, load_pair
    from guetzpy.jpeg.metadata.policy import orientation
    from guetzpy.metrics.heatmap import overlay, shrunk

    first, second = load_pair(before, after, background=background, max_pixels=2**40)
    turn = orientation(second.image) if second.image is not None else 1
    jod = compare_sources(first, second, metrics=["cvvdp"], threads=threads)["cvvdp"]
    assert jod is not None
    return overlay(shrunk(diffmap_of(first, second, threads=threads), side), turn), jod
