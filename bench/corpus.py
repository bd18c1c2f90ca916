"""The pictures that the bench runs on.

The default is scikit-image's photos, so that the bench runs anywhere without a network.
``--images DIR`` uses the pictures of a folder. scikit-image's photos are small and few. Published figures
come from

* Kodak, 24 pictures of 768x512: https://r0k.us/graphics/kodak/
* CID22, 250 references of 512x512: https://cloudinary.com/labs/cid22
* CLIC, the challenge's validation and test sets: https://clic2025.compression.cc/ (also on
  https://www.tensorflow.org/datasets/catalog/clic)
* gb82, photos of 576x576, CC0: https://github.com/gianni-rosato/gb82-image-set

Colour profiles and gamma chunks are removed before a comparison; all samples are taken as sRGB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]  # (height, width, 3)

#: scikit-image's photos: function, and the factor by which a photo that was a JPEG is made smaller.
SAMPLES = {
    "astronaut": 1,
    "chelsea": 1,
    "coffee": 1,
    "hubble_deep_field": 2,
    "immunohistochemistry": 1,
    "retina": 2,
    "stereo_motorcycle": 1,
}

SUFFIXES = {".png", ".ppm", ".tif", ".tiff", ".webp", ".bmp", ".jpg", ".jpeg"}


@dataclass(frozen=True)
class Named:
    """A picture and its name in tables; ``path`` is None for scikit-image's pictures."""

    name: str
    path: Path | None = None

    def read(self) -> Picture:
        return _sample(self.name) if self.path is None else read(self.path)


def read(path: Path) -> Picture:
    """Read a file as 8-bit RGB."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def pictures(folder: Path | None = None, limit: int | None = None, match: str = "") -> list[Named]:
    """Return the pictures of a folder and its subfolders, in the order of names, or scikit-image's.

    Parameters
    ----------
    folder : Path, optional
        Folder of pictures; None: scikit-image's.
    limit : int, optional
        Largest number of pictures, which are taken at equal intervals.
    match : str
        Comma-separated words; only names that contain one of them are used.
    """
    if folder is None:
        found = [Named(name) for name in SAMPLES]
    else:
        paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
        found = [Named(p.relative_to(folder).as_posix(), p) for p in paths]
    if match:
        found = [f for f in found if any(word in f.name for word in match.split(","))]
    if not found:
        raise SystemExit(f"no pictures: {folder}")
    if limit is not None and limit < len(found):
        found = [found[i * len(found) // limit] for i in range(limit)]
    return found


def _sample(name: str) -> Picture:
    import skimage.data

    found = getattr(skimage.data, name)()
    samples = np.ascontiguousarray((found[0] if isinstance(found, tuple) else found)[..., :3])
    factor = SAMPLES[name]
    if factor > 1:
        height, width = samples.shape[0] // factor, samples.shape[1] // factor
        samples = np.array(Image.fromarray(samples).resize((width, height), Image.Resampling.LANCZOS))
    return samples


def of_size(sources: list[Named], megapixels: float) -> Picture:
    """Return a picture of 3:2 with ``megapixels``, tiled with pictures and their mirror images.

    The pictures are not scaled up, because that would make them less sharp.
    """
    height = max(8, round((megapixels * 1e6 / 1.5) ** 0.5))
    width = max(8, round(1.5 * height))
    out = np.empty((height, width, 3), np.uint8)
    tiles = [source.read() for source in sources]
    side_y, side_x = (min(t.shape[i] for t in tiles) for i in (0, 1))
    for row, top in enumerate(range(0, height, side_y)):
        for column, left in enumerate(range(0, width, side_x)):
            tile = tiles[(row + column) % len(tiles)][:side_y, :side_x]
            tile = tile[:: -1 if row % 2 else 1, :: -1 if column % 2 else 1]
            bottom, right = min(top + side_y, height), min(left + side_x, width)
            out[top:bottom, left:right] = tile[: bottom - top, : right - left]
    return out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that select pictures."""
    group = parser.add_argument_group("pictures (default: scikit-image's)")
    group.add_argument("--images", type=Path, metavar="DIR", help="pictures of a folder and its subfolders")
    group.add_argument("--limit", type=int, metavar="N", help="at most N pictures, at equal intervals")
    group.add_argument("--match", default="", metavar="WORDS", help="only names with one of WORDS (a,b)")


def chosen(options: argparse.Namespace) -> list[Named]:
    """Return the pictures that the options of :func:`add_arguments` select."""
    return pictures(options.images, options.limit, options.match)


def main(arguments: list[str] | None = None) -> None:
    """List the pictures."""
    parser = argparse.ArgumentParser(prog="python -m bench corpus", description=main.__doc__)
    add_arguments(parser)
    for line in listed(chosen(parser.parse_args(arguments))):
        print(line)


def listed(found: list[Named]) -> Iterator[str]:
    for picture in found:
        height, width = picture.read().shape[:2]
        yield f"{picture.name}  {width}x{height}"


if __name__ == "__main__":
    main()
