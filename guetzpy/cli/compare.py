"""``guetzpy compare``."""

from __future__ import annotations

import io
import os
from typing import Annotated, Any

import typer

from guetzpy.cli.parameters import LIMITS, made, takes
from guetzpy.cli.places import Place, prepare
from guetzpy.cli.reporting import notices, print_json, report_errors, show, usage_error
from guetzpy.cli.sections import complete_display, complete_metrics
from guetzpy.options import METRICS, OptimizeOptions
from guetzpy.output import JPEG_SUFFIXES

__all__ = ["compare"]


@takes(
    OptimizeOptions,
    "background",
    "threads",
    *LIMITS,
    "timeout",
    background="Colour under transparent parts of both, e.g. white or #fff.",
    timeout="Give up after this time.",
)
def compare(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="The reference picture.")],
    distorted: Annotated[str, typer.Argument(metavar="DISTORTED", help="The picture to compare with it.")],
    heatmap: Annotated[
        str | None,
        typer.Option(
            "--heatmap",
            metavar="PNG",
            help="Write Butteraugli's map of errors, with a legend, to this file.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="NAMES",
            help=f"Metrics to compute, separated by commas: {', '.join(METRICS)}. Default: all.",
            autocompletion=complete_metrics,
        ),
    ] = None,
    display: Annotated[
        str,
        typer.Option(
            "--display",
            metavar="NAME",
            help="Display that CVVDP assumes: standard_fhd (24 inches, seen from 60 cm), standard_4k "
            "(30 inches, 75 cm), standard_phone, iphone_12_pro or another display of CVVDP's authors.",
            autocompletion=complete_display,
        ),
    ] = "standard_fhd",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    **asked: Any,
) -> None:
    """Measure how visible the difference between two pictures is.

    Butteraugli: 0 is equal, below 1 is hard to see. SSIMULACRA 2: 100 is equal, 90 very high, 70 high,
    50 medium quality. CVVDP: 10 JOD is equal; of two pictures that differ by one JOD, three of four viewers
    prefer the better one. IW-SSIM: 1 is equal, about 0.998 hard to see; it does not measure colour. JPEG
    files are decoded as libjpeg-turbo decodes them.
    """
    made(OptimizeOptions, asked)  # this checks the ranges
    with report_errors(), notices(quiet=False):
        from guetzpy._runtime.memory import keep_freed, prepare_for
        from guetzpy._runtime.threads import time_limit
        from guetzpy.engine import compare as comparison

        if heatmap is not None and any(_same_file(heatmap, name) for name in (reference, distorted)):
            usage_error(f"{heatmap}: is one of the pictures; the heat map would replace it")
        stem, suffix = os.path.splitext(heatmap or "")
        if suffix.lower() in _OTHER_PICTURES:
            usage_error(f"{heatmap}: a heat map is a PNG; give --heatmap {stem}.png")
        if heatmap is not None:  # before the work, not after it
            if not heatmap or os.path.isdir(heatmap):
                usage_error(f"--heatmap {heatmap!r}: expected the name of a file, such as map.png")
            prepare([Place(reference, heatmap)])
        wanted = _wanted(metrics, display)
        keep_freed()
        prepare_for(None)
        threads, timeout = asked.pop("threads"), asked.pop("timeout")
        with time_limit(timeout):
            pair = comparison.load_pair(reference, distorted, **asked)
            scores = comparison.compare_sources(*pair, metrics=wanted, display=display, threads=threads)
            if heatmap is not None:
                _draw(heatmap, comparison.diffmap_of(*pair, threads=threads), scores)
        if as_json:
            print_json({name: None if value is None else round(value, 6) for name, value in scores.items()})
            return
        for name, value in scores.items():
            show(f"{_TITLES[name]:20}{_in_words(name, value, display)}")


# Suffixes that would name the heat map wrongly.
_OTHER_PICTURES = JPEG_SUFFIXES | {".bmp", ".gif", ".pdf", ".svg", ".tif", ".tiff", ".webp"}

#: Printed name of each score.
_TITLES = {
    "butteraugli_3norm": "Butteraugli 3-norm",
    "butteraugli_max": "Butteraugli max",
    "ssimulacra2": "SSIMULACRA 2",
    "psnr": "PSNR",
    "cvvdp": "CVVDP",
    "iwssim": "IW-SSIM",
}


def _in_words(name: str, value: float | None, display: str) -> str:
    if value is None:
        return "infinite (equal codes)"
    if name == "psnr":
        return f"{value:.2f} dB"
    return f"{value:.4f}" + (f" JOD on {display}" if name == "cvvdp" else "")


def _wanted(metrics: str | None, display: str) -> list[str] | None:
    """Return the requested metrics; an unknown metric or display ends with exit code 2."""
    from guetzpy.metrics._cvvdp.display import DISPLAYS

    if display not in DISPLAYS:
        usage_error(f"--display {display}: no such display; choose one of: {', '.join(DISPLAYS)}")
    if metrics is None:
        return None
    names = [name.strip() for name in metrics.split(",")]
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        usage_error(f"--metrics {metrics}: no metric {unknown[0]!r}; choose from: {', '.join(METRICS)}")
    return names


def _same_file(first: str, second: str) -> bool:
    return os.path.realpath(first) == os.path.realpath(second)


def _draw(path: str, diffmap: Any, scores: dict[str, float | None]) -> None:
    from guetzpy.metrics.heatmap import with_legend
    from guetzpy.output import write

    parts = []
    if "butteraugli_3norm" in scores:
        parts.append(
            f"Butteraugli 3-norm {scores['butteraugli_3norm']:.3f}, largest {scores['butteraugli_max']:.2f}"
        )
    if "ssimulacra2" in scores:
        parts.append(f"SSIMULACRA\u00a02\u00a0{scores['ssimulacra2']:.1f}")
    title = "; ".join(parts) or "Butteraugli"
    stream = io.BytesIO()
    with_legend(diffmap, title).save(stream, "PNG")
    write(path, stream.getvalue())
