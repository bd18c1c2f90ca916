"""Draw the pictures of the documentation, from scikit-image's photos, with guetzpy itself.

    python docs/make_figures.py                    into docs/figures
    python docs/make_figures.py --output FOLDER

Photos: "coffee" (CC0, Rachel Michetti), "chelsea" (CC0, Stefan van der Walt), "astronaut" (NASA, public
domain). Needs matplotlib. Numbers of bytes and scores are written to distances.json. The tables of the pages
are made from this file, and a test checks that they are up to date.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from skimage import data

import guetzpy
from bench.provenance import provenance
from guetzpy.engine import compare as comparison
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import NATURAL_ORDER
from guetzpy.metrics import heatmap
from guetzpy.model.file import built_in
from guetzpy.search import closed_loop
from guetzpy.search.quality import weighting

Picture = npt.NDArray[np.uint8]

DOCS = Path(__file__).resolve().parent
PHOTOS = ("coffee", "chelsea", "astronaut")
DISTANCES = (0.5, 1.0, 1.5, 2.5, 4.0)
COFFEE = DOCS.parent / "tests" / "data" / "coffee.jpg"
BEGIN, END = "<!-- distances: begin (written by docs/make_figures.py) -->", "<!-- distances: end -->"


def photo(name: str) -> Picture:
    """Return a photo as uint8 RGB, in its full size."""
    return np.ascontiguousarray(getattr(data, name)()[:, :, :3])


def crop(name: str) -> Picture:
    """Return the part of a photo that the pages show."""
    y, x = {"coffee": (70, 140), "chelsea": (10, 60), "astronaut": (0, 90)}[name]
    return np.ascontiguousarray(photo(name)[y : y + 256, x : x + 320])


def distances(folder: Path) -> dict[str, Any]:
    """Encode all photos at all distances, and write the files of one photo; return bytes and scores."""
    rows = []
    for name in PHOTOS:
        for distance in DISTANCES:
            result = guetzpy.optimize(photo(name), distance=distance, mark=False)
            rows.append({"photo": name, "asked": distance, **_figures(result)})
    Image.fromarray(crop("chelsea")).save(folder / "chelsea-original.webp", lossless=True, method=6)
    shown = []
    details = [("the original", Image.fromarray(crop("chelsea")))]
    for distance in DISTANCES:
        result = guetzpy.optimize(crop("chelsea"), distance=distance, mark=False)
        result.save(folder / f"chelsea-{distance:g}.jpg")
        shown.append({"asked": distance, **_figures(result)})
        details.append((f"distance {distance:g}: {len(result.data):,} bytes", _opened(result.data)))
    _save(_enlarged(details), folder / "details.webp")
    return {**provenance(part="docs/make_figures.py"), "photos": rows, "shown": shown}


def _enlarged(pictures: list[tuple[str, Image.Image]]) -> Image.Image:
    """Return the same part of several pictures, enlarged four times, two in a row, each under its text."""
    box = (84, 84, 164, 144)  # the left eye of the cat
    width, height = 4 * (box[2] - box[0]), 4 * (box[3] - box[1])
    rows = -(-len(pictures) // 2)
    sheet = Image.new("RGB", (2 * width, rows * (height + 24)), "white")
    for number, (words, picture) in enumerate(pictures):
        x, y = number % 2 * width, number // 2 * (height + 24)
        sheet.paste(picture.crop(box).resize((width, height), Image.Resampling.NEAREST), (x, y + 24))
        ImageDraw.Draw(sheet).text((x + 6, y + 4), words, fill="black", font=ImageFont.load_default(14))
    return sheet


def before_and_after(folder: Path) -> dict[str, int]:
    """Draw a JPEG beside the file that the README's first command makes of it; return the bytes of both."""
    result = guetzpy.optimize(COFFEE)
    pictures = (_opened(COFFEE.read_bytes()), _opened(result.data))
    found = {"before": COFFEE.stat().st_size, "after": len(result.data)}
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width, height + 28), "white")
    for number, ((name, size), picture) in enumerate(zip(found.items(), pictures, strict=True)):
        left, right = number * width // 2, (number + 1) * width // 2
        sheet.paste(picture.crop((left, 0, right, height)), (left, 28))
        words = f"{name}: {size:,} bytes"
        ImageDraw.Draw(sheet).text((left + 6, 4), words, fill="black", font=ImageFont.load_default(16))
    ImageDraw.Draw(sheet).line([(width // 2, 0), (width // 2, height + 28)], fill="white", width=2)
    sheet.save(folder / "before-after.webp", quality=92, method=6)
    return found


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _figures(result: guetzpy.Result) -> dict[str, Any]:
    assert result.width is not None
    assert result.height is not None
    return {
        "bytes": len(result.data),
        "bpp": round(8 * len(result.data) / (result.width * result.height), 3),
        "ssimulacra2": round(result.ssimulacra2 or 0.0, 1),
        "butteraugli_3norm": round(result.butteraugli_3norm or 0.0, 2),
        "butteraugli_max": round(result.butteraugli_max or 0.0, 2),
        "subsampling": result.subsampling,
    }


def tables(found: dict[str, Any]) -> str:
    """Return the pictures and the table of the page about distances."""
    lines = ['<div class="grid" markdown>', ""]
    lines += ["<figure markdown>", "![The original](figures/chelsea-original.webp)"]
    lines += ["<figcaption>The original</figcaption>", "</figure>", ""]
    for row in found["shown"]:
        words = (
            f"distance {row['asked']:g}: {row['bytes']:,} bytes, SSIMULACRA 2 {row['ssimulacra2']:.1f},"
            f" Butteraugli {row['butteraugli_3norm']:.2f}"
        )
        lines += [
            "<figure markdown>",
            f"![At distance {row['asked']:g}](figures/chelsea-{row['asked']:g}.jpg)",
        ]
        lines += [f"<figcaption>{words}</figcaption>", "</figure>", ""]
    lines += [
        "</div>",
        "",
        "| photo | distance | bytes | against distance 1 | bpp | SSIMULACRA 2 | 3-norm |",
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    usual = {row["photo"]: row["bytes"] for row in found["photos"] if row["asked"] == 1.0}
    for row in found["photos"]:
        ratio = 100 * (row["bytes"] / usual[row["photo"]] - 1)
        lines.append(
            f"| {row['photo']} | {row['asked']:g} | {row['bytes']:,} |"
            f" {'' if row['asked'] == 1.0 else f'{ratio:+.0f} %'} | {row['bpp']:.2f} |"
            f" {row['ssimulacra2']:.1f} | {row['butteraugli_3norm']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def with_tables(page: str, found: dict[str, Any]) -> str:
    """Return a page with new tables between its markers."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} ... {END}")
    return f"{head}{begin}\n{tables(found)}{end}{tail}"


def heat_map(folder: Path) -> None:
    """Show where Butteraugli sees a difference, over the photo and alone."""
    reference = crop("astronaut")
    result = guetzpy.optimize(reference, distance=2.0)
    scores = comparison.compare(reference, result.data)
    pair = comparison.load_pair(reference, result.data)
    title = f"Butteraugli 3-norm {scores['butteraugli_3norm']:.2f}, largest {scores['butteraugli_max']:.2f}"
    drawn = heatmap.with_legend(comparison.diffmap_of(*pair), title)
    _save(drawn, folder / "heat-map.webp")
    Image.open(io.BytesIO(result.data)).save(folder / "astronaut.webp", quality=95, method=6)


def weights_field(folder: Path) -> None:
    """Show how much an error matters, block by block, as the search found it."""
    kept: list[Any] = []
    usual = weighting.reweigh

    def listening(*arguments: Any, **options: Any) -> Any:
        kept.append(usual(*arguments, **options))
        return kept[-1]

    with patch.object(closed_loop, "reweigh", listening):
        guetzpy.optimize(crop("astronaut"), distance=1.5, subsampling="444")
    field = np.log2(kept[-1].blocks[0])
    _save(_coloured(field, -2.5, 2.5), folder / "weights.webp")


def bits_field(folder: Path) -> None:
    """Show how many bits each block of luma takes."""
    result = guetzpy.optimize(crop("astronaut"), distance=1.5, subsampling="444")
    _save(_coloured(np.sqrt(bits_per_block(result.data)), 0, 20), folder / "bits.webp")


def bits_per_block(jpeg: bytes) -> npt.NDArray[np.float64]:
    """Return the bits of each luma block, by the entropy of baseline symbols (T.81, F.1.2) of the picture."""
    blocks = read(jpeg).components[0].coefficients[:, :, NATURAL_ORDER].astype(int)
    height, width = blocks.shape[:2]
    symbols: dict[tuple[int, int], int] = {}
    of_block: list[list[tuple[int, int]]] = []
    last = 0
    for block in blocks.reshape(-1, 64):
        used = [(-1, int(abs(block[0] - last)).bit_length())]
        last = block[0]
        run = 0
        for level in block[1 : int(np.max(np.nonzero(block)[0], initial=0)) + 1]:
            if level == 0:
                run += 1
                continue
            used += [(15, 0)] * (run // 16) + [(run % 16, int(abs(level)).bit_length())]
            run = 0
        used.append((0, 0))  # end of block
        of_block.append(used)
        for symbol in used:
            symbols[symbol] = symbols.get(symbol, 0) + 1
    totals = {kind: sum(n for s, n in symbols.items() if (s[0] < 0) == kind) for kind in (True, False)}
    length = {s: -np.log2(n / totals[s[0] < 0]) + s[1] for s, n in symbols.items()}
    return np.array([sum(length[s] for s in used) for used in of_block]).reshape(height, width)


def _coloured(field: npt.NDArray[Any], low: float, high: float) -> Image.Image:
    """Return a field of blocks as a picture, 8 pixels a block, in the heat map's colours."""
    levels = np.clip((field - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(heatmap.PALETTE[np.repeat(np.repeat(levels, 8, 0), 8, 1)])


def _save(picture: Image.Image, path: Path) -> None:
    picture.convert("RGB").save(path, lossless=True, method=6)


def size_against_distance(folder: Path) -> None:
    """Plot bits per pixel against distance for each photo."""
    pyplot = _pyplot()
    asked = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0)
    figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
    for name in PHOTOS:
        sizes = [len(guetzpy.optimize(photo(name), distance=d).data) for d in asked]
        axes.plot(asked, [8 * size / photo(name)[:, :, 0].size for size in sizes], "o-", ms=3, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(asked, [f"{d:g}" for d in asked], minor=False)
    axes.set_yticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    axes.minorticks_off()
    axes.set_xlabel("distance")
    axes.set_ylabel("bits per pixel")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(folder / "size-against-distance.svg", metadata={"Date": None})
    pyplot.close(figure)


def _pyplot() -> Any:
    """Return matplotlib's pyplot, set up to write the same SVG each time."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "guetzpy", "svg.fonttype": "none"})
    from matplotlib import pyplot

    return pyplot


def training(folder: Path) -> None:
    """Plot what the description of the built-in model says of its fit."""
    figures = built_in().about["figures"]
    pyplot = _pyplot()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for name, errors in figures["weights"]["error_during_fit"].items():
        done = (np.arange(len(errors)) + 0.5) * 100 / len(errors)
        left.plot(done, errors, "o-", ms=3, label=name)
    left.set_xlabel("part of the fit that is done, %")
    left.set_ylabel("mean squared error / variance")
    left.set_title("networks, pictures of the fit", fontsize=10)
    rounds = figures["tables"]["rounds"]
    for name in rounds[0]["per_cent"]:
        right.plot(
            range(len(rounds) + 1), [0, *(one["per_cent"][name] for one in rounds)], "o-", ms=3, label=name
        )
    right.set_xticks(range(len(rounds) + 1))
    right.set_xlabel("round")
    right.set_ylabel("bytes at equal score, %")
    right.set_title("tables, pictures held out", fontsize=10)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=7)
    figure.savefig(folder / "training.svg", metadata={"Date": None})
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Draw all pictures, and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=DOCS / "figures", metavar="FOLDER")
    folder = parser.parse_args(arguments).output
    folder.mkdir(parents=True, exist_ok=True)
    found = {**distances(folder), "coffee": before_and_after(folder)}
    (folder / "distances.json").write_text(json.dumps(found, indent=1) + "\n")
    heat_map(folder)
    weights_field(folder)
    bits_field(folder)
    size_against_distance(folder)
    training(folder)
    if folder == DOCS / "figures":
        page = DOCS / "choosing.md"
        page.write_text(with_tables(page.read_text(), found))


if __name__ == "__main__":
    main()
