"""Draw screenshots for training and measurements: windows with text, code, tables and charts.

    python -m bench screenshots --out FOLDER --count 60 --seed 0

Pictures of other seeds have other themes, sizes, words and charts. Fonts are Pillow's own, so that the same
seed gives the same pictures for one version of Pillow.
"""

from __future__ import annotations

import argparse
import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["SYLLABLES", "draw", "main"]

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

#: Parts of words without a meaning.
SYLLABLES = ("ta", "ri", "mo", "len", "ka", "sur", "ve", "ni", "dor", "pa", "el", "qui", "sto", "ban", "y")


@dataclass(frozen=True)
class Theme:
    """Colours of a screenshot."""

    desk: Colour
    window: Colour
    text: Colour
    faint: Colour
    accents: tuple[Colour, ...]


class Artist:
    """Draws one screenshot.

    Parameters
    ----------
    width, height : int
        Size of the picture in pixels.
    random : numpy.random.Generator
        Source of all choices.
    """

    def __init__(self, width: int, height: int, random: np.random.Generator) -> None:
        self.random = random
        self.theme = self._theme()
        self.image = Image.new("RGB", (width, height), self.theme.desk)
        self.pen = ImageDraw.Draw(self.image)

    def _theme(self) -> Theme:
        random, dark = self.random, bool(self.random.random() < 0.4)
        hue = random.random()

        def colour(h: float, s: float, v: float) -> Colour:
            red, green, blue = colorsys.hsv_to_rgb(h % 1.0, s, v)
            return round(255 * red), round(255 * green), round(255 * blue)

        accents = tuple(colour(hue + k * 0.17, 0.75, 0.9 if dark else 0.7) for k in range(6))
        if dark:
            return Theme(colour(hue, 0.4, 0.12), (30, 31, 36), (222, 222, 226), (110, 112, 120), accents)
        return Theme(colour(hue, 0.25, 0.85), (255, 255, 255), (28, 28, 32), (150, 152, 158), accents)

    def number(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high - 1``."""
        return int(self.random.integers(low, max(high, low + 1)))

    def word(self) -> str:
        """Return a word without a meaning."""
        return "".join(SYLLABLES[self.number(0, len(SYLLABLES))] for _ in range(self.number(1, 5)))

    def accent(self) -> Colour:
        """Return one of the theme's accents."""
        return self.theme.accents[self.number(0, len(self.theme.accents))]

    def whole(self) -> Image.Image:
        """Draw all windows and return the picture."""
        width, height = self.image.size
        for n in range(self.number(1, 4)):
            w, h = (self.number(side // 2, side) if n else side * 9 // 10 for side in (width, height))
            left, top = self.number(-20, width - w + 20), self.number(0, height - h + 20)
            self.window((left, top, left + w, top + h))
        return self.image

    def window(self, box: Box) -> None:
        """Draw a window with a title bar and one or two panes."""
        left, top, right, bottom = box
        self.pen.rounded_rectangle(box, 8, self.theme.window, self.theme.faint)
        bar = tuple(int(0.85 * a + 0.15 * b) for a, b in zip(self.theme.window, self.accent(), strict=True))
        self.pen.rectangle((left + 1, top + 4, right - 1, top + 26), bar)
        for k, colour in enumerate(((237, 106, 94), (245, 191, 79), (98, 197, 84))):
            self.pen.ellipse((left + 12 + 18 * k, top + 9, left + 22 + 18 * k, top + 19), colour)
        self.pen.text((left + 80, top + 8), self.word().title(), self.theme.text, ImageFont.load_default(12))
        panes: tuple[Callable[[Box], None], ...] = (
            self.prose, self.code, self.table, self.prose, self.code, self.bars, self.lines
        )  # fmt: skip
        inner = left + 12, top + 36, right - 12, bottom - 12
        middle = self.number(inner[0] + 120, inner[2] - 120)
        halves = [inner] if self.random.random() < 0.4 else [
            (inner[0], inner[1], middle - 8, inner[3]), (middle + 8, inner[1], inner[2], inner[3])
        ]  # fmt: skip
        for pane in halves:
            if pane[2] - pane[0] > 60 and pane[3] - pane[1] > 60:
                panes[self.number(0, len(panes))](pane)

    def prose(self, box: Box) -> None:
        """Draw a title and paragraphs."""
        size = self.number(11, 17)
        font, y = ImageFont.load_default(size), box[1]
        self.pen.text((box[0], y), self.word().title(), self.accent(), ImageFont.load_default(size + 8))
        y += size + 18
        while y + size < box[3]:
            x, last = box[0], box[2] - self.number(0, 80)
            while True:
                word = self.word() + " "
                width = int(self.pen.textlength(word, font))
                if x + width > last:
                    break
                self.pen.text((x, y), word, self.theme.text, font)
                x += width
            y += size + 5 + (size if self.random.random() < 0.15 else 0)

    def code(self, box: Box) -> None:
        """Draw lines of code with numbers and coloured words."""
        font, y, indent = ImageFont.load_default(12), box[1], 0
        for number in range(1, (box[3] - box[1]) // 16):
            self.pen.text((box[0], y), f"{number:3}", self.theme.faint, font)
            x = box[0] + 34 + 16 * indent
            for _ in range(self.number(0, 7)):
                word = self.word() + ("()" if self.random.random() < 0.2 else "")
                width = int(self.pen.textlength(word + " ", font))
                if x + width > box[2]:
                    break
                colour = self.accent() if self.random.random() < 0.45 else self.theme.text
                self.pen.text((x, y), word, colour, font)
                x += width
            indent = min(max(indent + self.number(-1, 2), 0), 5)
            y += 16

    def table(self, box: Box) -> None:
        """Draw a table of words and numbers."""
        font, height, width = ImageFont.load_default(12), self.number(20, 30), self.number(70, 130)
        for row, y in enumerate(range(box[1], box[3] - height, height)):
            if row == 0:
                self.pen.rectangle((box[0], y, box[2], y + height), self.accent())
            self.pen.line((box[0], y + height, box[2], y + height), self.theme.faint)
            for column, x in enumerate(range(box[0], box[2] - width, width)):
                text = self.word() if row == 0 or column == 0 else f"{self.random.random() * 999:.2f}"
                self.pen.text((x + 6, y + height // 2 - 7), text, self.theme.text, font)

    def bars(self, box: Box) -> None:
        """Draw a bar chart."""
        self._axes(box)
        count = self.number(4, 12)
        step = (box[2] - box[0] - 40) / count
        for k in range(count):
            x, top = box[0] + 36 + k * step, box[3] - 24 - self.random.random() * (box[3] - box[1] - 40)
            self.pen.rectangle((x, top, x + 0.7 * step, box[3] - 24), self.theme.accents[k % 6])

    def lines(self, box: Box) -> None:
        """Draw curves over a grid."""
        self._axes(box)
        count = 40
        across = np.linspace(box[0] + 36, box[2], count)
        for _ in range(self.number(1, 4)):
            walk = np.cumsum(self.random.standard_normal(count))
            walk = (walk - walk.min()) / max(float(np.ptp(walk)), 1e-6)
            points = [
                (float(x), float(box[3] - 24 - v * (box[3] - box[1] - 40)))
                for x, v in zip(across, walk, strict=True)
            ]
            self.pen.line(points, self.accent(), self.number(1, 4), joint="curve")

    def _axes(self, box: Box) -> None:
        font = ImageFont.load_default(10)
        for k in range(5):
            y = box[3] - 24 - k * (box[3] - box[1] - 40) // 4
            self.pen.line((box[0] + 32, y, box[2], y), self.theme.faint)
            self.pen.text((box[0], y - 6), str(k * self.number(5, 30)), self.theme.text, font)


def draw(number: int, seed: int = 0) -> Image.Image:
    """Return a screenshot of 480 to 800 by 480 to 640 pixels."""
    random = np.random.default_rng([seed, number])
    width, height = 16 * int(random.integers(30, 51)), 16 * int(random.integers(30, 41))
    return Artist(width, height, random).whole()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        draw(number, options.seed).save(options.out / f"screen-{options.seed}-{number:03}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
