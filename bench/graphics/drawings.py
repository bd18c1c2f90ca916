"""Draw graphics of five kinds for measurements: screenshots, charts, comics, maps, and captions on photos.

    python -m bench drawings --out FOLDER --count 4 --seed 0

The folder gets a subfolder for each kind. Shapes are drawn at twice the size and reduced, as programs that
smooth edges do. The photos under the captions are scikit-image's. The same seed gives the same pictures for
one version of Pillow.
"""

from __future__ import annotations

import argparse
import colorsys
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from bench import corpus
from bench.graphics import screenshots

__all__ = ["KINDS", "draw", "main"]

Colour = tuple[int, int, int]
Point = tuple[float, float]

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_SCALE = 2


class Sheet:
    """A picture that is drawn at twice its size.

    Parameters
    ----------
    random : numpy.random.Generator
        Source of all choices.
    paper : tuple of int
        Colour of the background.
    """

    def __init__(self, random: np.random.Generator, paper: Colour = _WHITE) -> None:
        self.random = random
        self.width, self.height = (16 * int(random.integers(low, high)) for low, high in ((30, 51), (30, 41)))
        self.image = Image.new("RGB", (_SCALE * self.width, _SCALE * self.height), paper)
        self.pen = ImageDraw.Draw(self.image)
        self.hue = float(random.random())

    def number(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high - 1``."""
        return int(self.random.integers(low, max(high, low + 1)))

    def colour(self, step: float, saturation: float = 0.6, value: float = 0.9) -> Colour:
        """Return a colour; ``step`` turns the hue."""
        red, green, blue = colorsys.hsv_to_rgb((self.hue + step) % 1.0, saturation, value)
        return round(255 * red), round(255 * green), round(255 * blue)

    def word(self) -> str:
        """Return a word without a meaning."""
        return "".join(screenshots.SYLLABLES[self.number(0, len(screenshots.SYLLABLES))] for _ in range(3))

    def polygon(
        self, points: Sequence[Point], fill: Colour | None, line: Colour = _BLACK, width: float = 0
    ) -> None:
        """Draw a polygon with an outline."""
        scaled = [(_SCALE * x, _SCALE * y) for x, y in points]
        if fill is not None:
            self.pen.polygon(scaled, fill)
        if width:
            self.pen.line([*scaled, scaled[0]], line, round(_SCALE * width), joint="curve")

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        """Draw a polyline."""
        self.pen.line(
            [(_SCALE * x, _SCALE * y) for x, y in points], colour, round(_SCALE * width), joint="curve"
        )

    def disc(
        self, centre: Point, radius: float, fill: Colour, line: Colour | None = None, width: float = 1
    ) -> None:
        """Draw a circle."""
        x, y, r = _SCALE * centre[0], _SCALE * centre[1], _SCALE * radius
        self.pen.ellipse((x - r, y - r, x + r, y + r), fill, line, round(_SCALE * width))

    def text(self, place: Point, text: str, colour: Colour, size: float, halo: Colour | None = None) -> None:
        """Write a text around a point."""
        self.pen.text(
            (_SCALE * place[0], _SCALE * place[1]), text, colour, ImageFont.load_default(_SCALE * size),
            anchor="mm", stroke_width=0 if halo is None else _SCALE * 2, stroke_fill=halo,
        )  # fmt: skip

    def blob(self, centre: Point, radius: float, roughness: float = 0.2, count: int = 48) -> list[Point]:
        """Return a closed curve around a point."""
        angles = np.linspace(0, 2 * math.pi, count, endpoint=False)
        radii = np.full(count, float(radius))
        for k in range(1, 7):
            radii *= 1 + roughness / k * math.sqrt(2) * np.sin(k * angles + 7 * self.random.random())
        return [
            (centre[0] + float(r * math.cos(a)), centre[1] + float(r * math.sin(a)))
            for r, a in zip(radii, angles, strict=True)
        ]

    def finished(self) -> Image.Image:
        """Return the picture at its size."""
        return self.image.reduce(_SCALE)


def _chart(random: np.random.Generator) -> Image.Image:
    sheet = Sheet(random, _WHITE if random.random() < 0.7 else (250, 246, 235))
    left, top, right, bottom = 60.0, 50.0, sheet.width - 30.0, sheet.height - 50.0
    sheet.text((sheet.width / 2, 24), f"{sheet.word().title()} of {sheet.word()}", _BLACK, 18)
    for k in range(6):
        y = bottom - k * (bottom - top) / 5
        sheet.line([(left, y), (right, y)], (205, 205, 205), 0.5 if k else 1.5)
        sheet.text((left - 24, y), f"{20 * k}", (60, 60, 60), 11)
    for k in range(7):
        x = left + k * (right - left) / 6
        sheet.line([(x, bottom), (x, bottom + 5)], _BLACK)
        sheet.text((x, bottom + 16), f"{2000 + 4 * k}", (60, 60, 60), 11)
    series = sheet.number(2, 5)
    kind = sheet.number(0, 4)
    for n in range(series):
        colour = sheet.colour(n / series, 0.75, 0.75)
        heights = np.clip(0.5 + np.cumsum(random.normal(0, 0.06, 60)), 0.03, 0.97)
        across = np.linspace(left, right, 60)
        points = [
            (float(x), bottom - float(v) * (bottom - top)) for x, v in zip(across, heights, strict=True)
        ]
        if kind == 0:
            sheet.line(points, colour, 2)
        elif kind == 1:
            slot = (right - left) / 8
            for k in range(8):
                x = left + slot * (k + 0.1 + 0.8 * n / series)
                y = points[7 * k][1]
                wide = 0.8 * slot / series
                sheet.polygon([(x, y), (x + wide, y), (x + wide, bottom), (x, bottom)], colour, width=0.5)
        elif kind == 2:
            for x, y in points:
                sheet.disc((x, y + 30 * random.normal()), 3.5, colour, _WHITE, 0.5)
        else:
            sheet.polygon([*points, (right, bottom), (left, bottom)], colour)
            sheet.line(points, _BLACK, 1)
        x, y = right - 90, top + 18 * n
        sheet.polygon([(x, y), (x + 14, y), (x + 14, y + 12), (x, y + 12)], colour)
        sheet.text((right - 38, top + 6 + 18 * n), sheet.word()[:8], _BLACK, 12)
    return sheet.finished()


def _face(sheet: Sheet, centre: Point, size: float) -> None:
    x, y = centre
    sheet.polygon(sheet.blob((x, y + 1.9 * size), 1.3 * size, 0.08), sheet.colour(0.4, 0.7, 0.8), width=3)
    sheet.polygon(sheet.blob(centre, size, 0.05), (244, 208, 172), width=3)
    sheet.polygon(sheet.blob((x, y - 0.75 * size), 0.62 * size, 0.2), sheet.colour(0.7, 0.8, 0.35), width=2)
    for side in (-1, 1):
        sheet.disc((x + 0.35 * side * size, y), 0.16 * size, _WHITE, _BLACK, 2)
        sheet.disc((x + 0.38 * side * size, y + 0.03 * size), 0.07 * size, _BLACK)
    sheet.line(
        [(x - 0.3 * size, y + 0.45 * size), (x, y + 0.55 * size), (x + 0.35 * size, y + 0.4 * size)],
        _BLACK,
        3,
    )


def _comic(random: np.random.Generator) -> Image.Image:
    sheet = Sheet(random)
    rows, columns = sheet.number(1, 3), sheet.number(1, 3)
    wide, high = sheet.width / columns, sheet.height / rows
    for row in range(rows):
        for column in range(columns):
            left, top = column * wide + 8, row * high + 8
            right, bottom = left + wide - 16, top + high - 16
            inside = Sheet(random, sheet.colour(0.13 * row + 0.29 * column, 0.35, 0.95))
            inside.hue = sheet.hue
            inside.width, inside.height = round(wide - 16), round(high - 16)
            for k in range(0, 2 * inside.width, 9):  # hatching
                inside.line([(k, inside.height * 0.75), (k - 60, inside.height)], (70, 70, 90), 1)
            for y in range(6, inside.height // 3, 7):  # halftone dots
                for x in range(6 + y % 2 * 4, inside.width, 8):
                    inside.disc((x, y), 2.2 - 2 * y / inside.height, inside.colour(0.5, 0.5, 0.8))
            size = 0.16 * min(inside.width, inside.height)
            _face(inside, (inside.width * 0.3, inside.height * 0.6), size)
            _face(inside, (inside.width * 0.72, inside.height * 0.65), 0.9 * size)
            balloon = inside.blob((inside.width * 0.5, inside.height * 0.2), 0.16 * inside.height, 0.03)
            stretched = [((x - inside.width / 2) * 2.2 + inside.width / 2, y) for x, y in balloon]
            inside.polygon(stretched, _WHITE, width=2.5)
            for k in range(2):
                text = f"{inside.word()} {inside.word()}".upper()
                inside.text(
                    (inside.width / 2, inside.height * (0.16 + 0.08 * k)), text, _BLACK, 0.05 * inside.height
                )
            part = inside.image.crop((0, 0, _SCALE * inside.width, _SCALE * inside.height))
            sheet.image.paste(part, (round(_SCALE * left), round(_SCALE * top)))
            sheet.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], None, width=3)
    return sheet.finished()


def _road(sheet: Sheet, colour: Colour, width: float) -> None:
    x = np.linspace(-20, sheet.width + 20, 24)
    y = sheet.height * sheet.random.random() + np.cumsum(sheet.random.normal(0, 14, 24))
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    if sheet.random.random() < 0.5:
        points = [(b * sheet.width / sheet.height, a * sheet.height / sheet.width) for a, b in points]
    sheet.line(points, (120, 110, 100), width + 2)
    sheet.line(points, colour, width)


def _map(random: np.random.Generator) -> Image.Image:
    sheet = Sheet(random, (170, 211, 223))
    middle = (sheet.width / 2, sheet.height / 2)
    sheet.polygon(sheet.blob(middle, 0.55 * sheet.width, 0.25, 200), (242, 239, 233), (120, 160, 190), 1.5)
    for _ in range(sheet.number(6, 14)):
        centre = (sheet.width * random.random(), sheet.height * random.random())
        fill = ((200, 224, 180), (214, 232, 190), (224, 214, 200), (170, 211, 223))[sheet.number(0, 4)]
        sheet.polygon(sheet.blob(centre, sheet.number(20, 90), 0.3), fill)
    centre = (sheet.width * random.random(), sheet.height * random.random())
    for k in range(1, 9):
        sheet.polygon(sheet.blob(centre, 16 * k, 0.05), None, (190, 150, 110), 0.75)
    for colour, width, count in (((255, 255, 255), 3, 12), ((253, 214, 164), 5, 4), ((232, 146, 162), 7, 2)):
        for _ in range(count):
            _road(sheet, colour, width)
    for _ in range(sheet.number(60, 160)):
        x, y = sheet.width * random.random(), sheet.height * random.random()
        wide, high = 4 + 10 * random.random(), 4 + 10 * random.random()
        sheet.polygon(
            [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)],
            (217, 208, 201),
            (180, 165, 155),
            0.5,
        )
    for _ in range(sheet.number(10, 24)):
        place = (sheet.width * random.random(), sheet.height * random.random())
        size = (10, 12, 16)[sheet.number(0, 3)]
        sheet.disc((place[0], place[1] + size), 2.5, (90, 30, 30))
        sheet.text(place, sheet.word().title(), (50, 50, 60), size, _WHITE)
    return sheet.finished()


def _caption(random: np.random.Generator) -> Image.Image:
    sheet = Sheet(random)
    photos = [named for named in corpus.pictures(None) if named.read().ndim == 3]
    photo = Image.fromarray(photos[sheet.number(0, len(photos))].read())
    scale = max(sheet.width / photo.width, sheet.height / photo.height)
    photo = photo.resize(
        (math.ceil(photo.width * scale), math.ceil(photo.height * scale)), Image.Resampling.LANCZOS
    )
    photo = photo.crop((0, 0, sheet.width, sheet.height))
    sheet.image = photo.resize(sheet.image.size, Image.Resampling.BICUBIC)
    if random.random() < 0.5:  # a box behind the text
        box = (0, round(sheet.image.height * 0.76), sheet.image.width, sheet.image.height)
        shade = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), sheet.colour(0, 0.7, 0.25))
        blurred = sheet.image.crop(box).filter(ImageFilter.GaussianBlur(8))
        sheet.image.paste(Image.blend(blurred, shade, 0.7), box[:2])
    sheet.pen = ImageDraw.Draw(sheet.image)
    for k, size in enumerate((30, 18)):
        text = " ".join(sheet.word() for _ in range(3 + 2 * k)).capitalize()
        sheet.text((sheet.width / 2, sheet.height * (0.82 + 0.09 * k)), text, _WHITE, size, _BLACK)
    sheet.text((70, 30), sheet.word().upper(), (255, 222, 0), 26, _BLACK)
    return sheet.finished()


#: The drawing of each kind, from a generator of random numbers.
KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "charts": _chart,
    "comics": _comic,
    "maps": _map,
    "captions": _caption,
}


def draw(kind: str, number: int, seed: int = 0) -> Image.Image:
    """Return a drawing of 480 to 800 by 480 to 640 pixels.

    Parameters
    ----------
    kind : {"screenshots", "charts", "comics", "maps", "captions"}
        What is drawn.
    number, seed : int
        They determine all choices.
    """
    if kind == "screenshots":
        return screenshots.draw(number, seed)
    return KINDS[kind](np.random.default_rng([seed, number, *kind.encode()]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw graphics of five kinds."""
    parser = argparse.ArgumentParser(prog="python -m bench drawings", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    for kind in ("screenshots", *KINDS):
        folder = options.out / kind
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(options.count):
            draw(kind, number, options.seed).save(folder / f"{kind}-{options.seed}-{number:03}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
