"""``guetzpy compare``."""

from __future__ import annotations

import io
import os
from typing import Annotated, Any

import typer

from guetzpy.cli.reporting import notices, print_json, report_errors, usage_error

__all__ = ["compare"]


def compare(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="The picture as it should look.")],
    distorted: Annotated[str, typer.Argument(metavar="DISTORTED", help="The picture to judge.")],
    heatmap: Annotated[
        str | None,
        typer.Option(
            "--heatmap",
            metavar="PNG",
            help="Draw where the difference is seen, with a legend, into this file.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    background: Annotated[
        str | None,
        typer.Option("--background", metavar="COLOR", help="Colour under transparent parts of both."),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", metavar="N", help="Refuse larger pictures.")
    ] = 268_435_456,
    threads: Annotated[
        int | None, typer.Option("--threads", "-t", metavar="N", help="Default: all processors.")
    ] = None,
) -> None:
    """Measure how visible the difference between two pictures is.

    Butteraugli: 0 is equal, below 1 is hard to see. SSIMULACRA 2: 100 is equal, 90 very high, 70 high,
    50 medium quality. JPEG files are decoded as libjpeg-turbo does.
    """
    with report_errors(), notices(quiet=False):
        from guetzpy import comparison

        if heatmap is not None and any(_same_file(heatmap, name) for name in (reference, distorted)):
            usage_error(f"{heatmap}: is one of the pictures; the heat map would replace it")
        pair = comparison.load_pair(reference, distorted, background=background, max_pixels=max_pixels)
        scores = comparison.compare_sources(*pair, threads=threads)
        if heatmap is not None:
            _draw(heatmap, comparison.diffmap_of(*pair, threads=threads), scores)
        if as_json:
            print_json({name: None if value is None else round(value, 6) for name, value in scores.items()})
            return
        typer.echo(f"Butteraugli 3-norm  {scores['butteraugli_3norm']:.4f}")
        typer.echo(f"Butteraugli max     {scores['butteraugli_max']:.4f}")
        typer.echo(f"SSIMULACRA 2        {scores['ssimulacra2']:.4f}")
        typer.echo(f"PSNR                {_decibels(scores['psnr'])}")


def _same_file(first: str, second: str) -> bool:
    return os.path.realpath(first) == os.path.realpath(second)


def _draw(path: str, diffmap: Any, scores: dict[str, float | None]) -> None:
    from guetzpy.metrics.heatmap import with_legend
    from guetzpy.output import write

    title = (
        f"Butteraugli 3-norm {scores['butteraugli_3norm']:.3f}, largest {scores['butteraugli_max']:.2f}; "
        f"SSIMULACRA\u00a02\u00a0{scores['ssimulacra2']:.1f}"
    )
    stream = io.BytesIO()
    with_legend(diffmap, title).save(stream, "PNG")
    write(path, stream.getvalue())


def _decibels(value: float | None) -> str:
    return "infinite (equal codes)" if value is None else f"{value:.2f} dB"
