"""Write the README's table, and the tables of docs/results.md, from bench/results between their markers.

    python -m bench readme_tables            write them
    python -m bench readme_tables --check    exit 1 if they are not current

All text between the markers is generated; every number is from one of the committed JSON files. For each
table, the first existing file of a list of files is used. If none exists, the text between the markers is
empty.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import curves, jpeg_inputs
from bench.kinds import title
from bench.provenance import RESULTS
from bench.sets import clic
from bench.viewers import human

README = Path(__file__).resolve().parents[1] / "README.md"
PAGE = README.parent / "docs" / "results.md"
BEGIN = "<!-- figures: begin (written by bench) -->"
END = "<!-- figures: end -->"
ENCODERS = ("<!-- encoders: begin (written by bench) -->", "<!-- encoders: end -->")

#: Rows of the README's table: title, and kinds of encoders; each column shows the best of these kinds.
_ROWS = (
    ("**guetzpy**", ("guetzpy",)),
    ("jpegli", ("jpegli444", "jpegli420")),
    ("mozjpeg", ("moz444", "moz420")),
    ("WebP", ("webp",)),
    ("JPEG XL", ("jxl",)),
)
#: Columns of the README's table.
_COLUMNS = ("SSIMULACRA 2, 50-92", "Butteraugli 3-norm, 0.35-2.0", "CVVDP")
#: Results from which the README's table is taken. A figure comes from the one with the most pictures, and
#: from the first of those with equally many.
_SOURCES = tuple(f"rate_distortion-{name}" for name in ("photos", "people", "independent", "formats"))

#: The large table of bytes at equal quality: kinds of encoders (rows), and ranges of scores (columns).
_KINDS = (
    "guetzpy",
    "guetzpy-fast",
    "guetzpy-max",
    "jpegli444",
    "jpegli420",
    "moz444",
    "moz420",
    "turbo420",
    "guetzli",
    "webp",
)
_RANGES = {
    "SSIMULACRA 2, 50-92": "SSIMULACRA 2",
    "Butteraugli 3-norm, 0.35-2.0": "Butteraugli 3-norm",
    "Butteraugli max": "Butteraugli max",
    "CVVDP": "CVVDP",
    "IW-SSIM": "IW-SSIM",
    "MS-SSIM, luma": "MS-SSIM luma",
    "HaarPSI": "HaarPSI",
    "MS-SSIM": "MS-SSIM RGB",
    "PSNR-HVS-M": "PSNR-HVS-M",
    "PSNR": "PSNR",
}
_SPEED = ("guetzpy-fast", "guetzpy", "guetzpy-max", "moz444", "jpegli444", "pillow", "guetzli")


def rate_distortion_table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the table of bytes at equal quality."""
    summary = result["summary"]
    names = [n for n in _RANGES if any(n in figures for figures in summary.values())]
    yield (
        f"Bytes at equal quality on {result['images']} photos, against {_base_line(result['baseline'])},"
        " chosen per photo and quality (the mean; less is better):"
    )
    yield ""
    yield "| at equal | " + " | ".join(_RANGES[n] for n in names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for kind in (k for k in _KINDS if k in summary):
        cells = [f"{summary[kind][n]['mean']:+.1f} %" if n in summary[kind] else "" for n in names]
        count = max(len(figures["pictures"]) for figures in summary[kind].values())
        fewer = f" ({count} photos)" if count < result["images"] else ""
        row = f"| {title(kind)}{fewer} | " + " | ".join(cells) + " |"
        yield row.replace("| guetzpy", "| **guetzpy**", 1)
    yield ""
    yield (
        "The search has limits of SSIMULACRA 2 and Butteraugli's 3-norm and follows CVVDP's gradient; "
        "the others are independent of it."
        f"{_lost(summary, names)}"
    )
    if plot := _plot(result):
        yield f"The curves are in `{plot}`."


def _lost(summary: dict[str, Any], names: list[str]) -> str:
    """Return a sentence that names the metrics by which guetzpy is not the best, or an empty text."""
    means = {n: summary["guetzpy"][n]["mean"] for n in names if n in summary.get("guetzpy", {})}
    lost = [f"{_RANGES[n]} ({mean:+.1f} %)" for n, mean in means.items() if round(mean, 1) > 0]
    words = " and ".join(filter(None, [", ".join(lost[:-1]), *lost[-1:]]))
    return f" By {words} the best of jpegli and mozjpeg stays ahead of guetzpy." if lost else ""


def people_table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the table of bytes by the metrics that agree best with people's rankings of pictures."""
    yield "The same photos, by metrics that compare pictures in other ways:"
    yield ""
    yield from _by_kind(result)
    yield ""
    yield "CVVDP is in JOD on the display `standard_fhd`; HaarPSI and IW-SSIM compare mostly luma."
    yield _lost(result["summary"], list(result["summary"]["guetzpy"])).strip()


def formats_table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the table of bytes of newer formats."""
    yield "Newer formats by these metrics, against the same JPEG files:"
    yield ""
    yield from _by_kind({**result, "summary": {k: result["summary"][k] for k in result["peers"]}})


def _by_kind(result: dict[str, Any]) -> Iterator[str]:
    """Yield a table with a row for each kind and a column for each range."""
    summary = result["summary"]
    names = [n for n in _RANGES if any(n in figures for figures in summary.values())]
    yield "| at equal | " + " | ".join(_RANGES[n] for n in names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for kind in summary:
        cells = [f"{summary[kind][n]['mean']:+.1f} %" if n in summary[kind] else "" for n in names]
        yield f"| {title(kind)} | {' | '.join(cells)} |".replace("| guetzpy", "| **guetzpy**", 1)


def independent_table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the table of bytes on part of the photos, by further metrics and with newer formats."""
    summary = result["summary"]
    names = [n for n in _RANGES if n in summary.get("guetzpy", {})]
    yield (
        f"The same, measured again on {result['images']} of the photos, by further metrics,"
        " and with newer formats:"
    )
    yield ""
    yield from _by_kind(result)
    yield ""
    note = (
        "MS-SSIM RGB is what the CLIC challenge measures; of all metrics here it predicts"
        " [what people see](#metrics-compared-with-people) worst. PSNR-HVS-M is taken over luma."
    )
    yield note + _lost(summary, names)


def _base_line(kinds: list[str]) -> str:
    if set(kinds) == set(curves.BEST_OF_FOUR):
        return "the best of jpegli and mozjpeg, each in 4:4:4 and 4:2:0"
    return f"the best of {', '.join(map(title, kinds))}"


def _plot(result: dict[str, Any]) -> str | None:
    path = RESULTS / f"{result['name']}-curves.svg"
    return f"bench/results/{path.name}" if path.exists() else None


def speed_table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the table of times."""
    encoders = {k: v for k, v in result.get("encode", {}).get("encoders", {}).items() if "seconds" in v}
    if "guetzpy" not in encoders:
        return
    base = encoders["guetzpy"]["seconds_per_mp"]
    megapixels = encoders["guetzpy"]["megapixels"]
    cores = result["machine"]["cores"]
    yield f"Time of one call on a photo of {megapixels:.2g} megapixels, {cores} cores, warm:"
    yield ""
    yield "| | s/MP | against guetzpy | peak memory, MB |"
    yield "|---|---|---|---|"
    for kind in (k for k in _SPEED if k in encoders):
        row = encoders[kind]
        ratio = row["seconds_per_mp"] / base
        yield f"| {title(kind)} | {row['seconds_per_mp']:.2f} | {ratio:.2g} x | {row['peak_mb']} |"


def clic_table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the table of the CLIC protocol."""
    yield f"A set of {len(result['images'])} pictures at a total budget, as the CLIC challenge measures it:"
    yield ""
    yield from clic.report(result["rows"])
    yield ""
    yield (
        '"Half size" is the baseline of the challenge\'s super-resolution entries: the picture at half its'
        " width and height, scaled up again by whoever shows the file."
    )
    if result["missing"]:
        yield f"Not in the table: {'; '.join(result['missing'])}."


def jpeg_inputs_table(result: dict[str, Any]) -> Iterator[str]:
    """Yield the table of bytes saved on JPEG files."""
    *table, totals = jpeg_inputs.report(result["summary"])
    yield "Photos as JPEG files of Pillow. The distance and the scores are measured from the JPEG file:"
    yield ""
    yield from table
    yield ""
    yield totals.strip().capitalize() + "."


#: For each table, the files of results, of which the first that exists is used, and the function that writes
#: it.
TABLES: tuple[tuple[tuple[str, ...], Callable[[dict[str, Any]], Iterator[str]]], ...] = (
    (("rate_distortion-photos", "rate_distortion"), rate_distortion_table),
    (("rate_distortion-independent",), independent_table),
    (("rate_distortion-people",), people_table),
    (("rate_distortion-formats",), formats_table),
    (("speed",), speed_table),
    (("clic-photos", "clic"), clic_table),
    (("jpeg_inputs-photos", "jpeg_inputs"), jpeg_inputs_table),
)


def _summaries(results: Path) -> list[dict[str, Any]]:
    """Return the comparisons at equal quality that the README's table is taken from."""
    paths = [results / f"{name}.json" for name in _SOURCES]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def _mean(found: list[dict[str, Any]], kind: str, name: str) -> float | None:
    """Return the mean of a kind over one range, from the comparison with most pictures; None without any."""
    here = [r["summary"][kind][name] for r in found if name in r["summary"].get(kind, {})]
    return max(here, key=lambda figures: len(figures["pictures"]))["mean"] if here else None


def overview(results: Path = RESULTS) -> str:
    """Return the README's table, and the sentence about metrics by which others are better."""
    found = _summaries(results)
    if not found:
        return ""
    lines = [
        "Bytes at equal quality, relative to the best of jpegli and mozjpeg for each photo and quality (mean"
        f" over {found[0]['images']} photos; less is better). The rows of jpegli and mozjpeg show the better"
        " of 4:4:4 and 4:2:0:",
        "",
        "| at equal | " + " | ".join(_RANGES[name] for name in _COLUMNS) + " |",
        "|---" * (len(_COLUMNS) + 1) + "|",
    ]
    for row, kinds in _ROWS:
        cells = []
        for name in _COLUMNS:
            means = [m for m in (_mean(found, kind, name) for kind in kinds) if m is not None]
            cells.append(f"{min(means):+.1f} %" if means else "")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_better(found)]) + "\n"


def _better(found: list[dict[str, Any]]) -> Iterator[str]:
    """Yield sentences that say where other encoders are better than guetzpy."""
    avif = _mean(found, "avif", _COLUMNS[0])
    if avif is not None and avif < 0:
        yield (
            "Newer formats give smaller files, where every viewer can read them: JPEG XL as the table shows,"
            f" AVIF by {-avif:.0f} % at equal SSIMULACRA 2."
        )
    ours, webp = (_mean(found, kind, "PSNR") for kind in ("guetzpy", "webp"))
    if ours is not None and webp is not None and webp < ours:
        yield f"At equal PSNR, WebP is {-webp:.0f} % smaller than the best of jpegli and mozjpeg."
    means = {name: _mean(found, "guetzpy", name) for name in _RANGES}
    lost = [f"{_RANGES[n]} ({m:+.1f} %)" for n, m in means.items() if m is not None and round(m, 1) > 0]
    if lost:
        yield f"By these metrics the best of jpegli and mozjpeg is ahead of guetzpy: {', '.join(lost)}."


def rendered(results: Path = RESULTS) -> str:
    """Return the tables about encoders of docs/results.md."""
    parts = []
    for names, table in TABLES:
        found = next((n for n in names if (results / f"{n}.json").exists()), None)
        if found is None:
            continue
        result = json.loads((results / f"{found}.json").read_text()) | {"name": found}
        lines = list(table(result))
        if lines:
            parts.append("\n".join(lines).strip() + "\n\n" + _origin(result))
    return "\n\n".join(parts) + "\n" if parts else ""


def _origin(result: dict[str, Any]) -> str:
    machine = result["machine"]
    part = result["part"]
    table = "; the others' points as measured before on the same photos" if result.get("peers_table") else ""
    return (
        f"<sub>`python -m bench {part}`, {result['date']}, guetzpy {result['versions']['guetzpy']},"
        f" {machine['processor']}, {machine['cores']} cores{table};"
        f" figures: `bench/results/{result['name']}.json`</sub>"
    )


def inserted(readme: str, text: str, begin: str = BEGIN, end: str = END) -> str:
    """Return a page with a text between two markers.

    Raises
    ------
    ValueError
        The markers are missing or in the wrong order.
    """
    head, found, rest = readme.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no {begin} ... {end}")
    return f"{head}{begin}\n{text}{end}{tail}"


def updated(readme: str) -> str:
    """Return the README with the table of the current results."""
    return inserted(readme, overview())


def updated_page(page: str, results: Path = RESULTS) -> str:
    """Return the page of results with the tables about metrics and people."""
    result = json.loads((results / "human.json").read_text())
    machine = result["machine"]
    origin = (
        f"<sub>`python -m bench human`, {result['date']}, guetzpy {result['versions']['guetzpy']},"
        f" {machine['processor']}</sub>"
    )
    return inserted(page, "\n" + "\n".join([*human.report(result), "", origin]) + "\n\n")


def updated_results(page: str) -> str:
    """Return the page of results with all tables of the current results."""
    return updated_page(inserted(page, "\n" + rendered() + "\n", *ENCODERS))


def main(arguments: list[str] | None = None) -> None:
    """Write the tables of the README and of docs/results.md."""
    parser = argparse.ArgumentParser(prog="python -m bench readme_tables", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a table is outdated")
    options = parser.parse_args(arguments)
    pages = {README: updated, PAGE: updated_results}
    before = {path: path.read_text() for path in pages}
    after = {path: update(before[path]) for path, update in pages.items()}
    if options.check:
        sys.exit(before != after)
    for path, text in after.items():
        path.write_text(text)


assert set(_RANGES) <= set(curves.RANGES)

if __name__ == "__main__":
    main()
