"""``guetzpy compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from guetzpy.cli.reporting import notices, print_json, report_errors

__all__ = ["compare"]


def compare(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="The picture as it should look.")],
    distorted: Annotated[str, typer.Argument(metavar="DISTORTED", help="The picture to judge.")],
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

        scores = comparison.compare(
            reference, distorted, background=background, max_pixels=max_pixels, threads=threads
        )
        if as_json:
            print_json({name: None if value is None else round(value, 6) for name, value in scores.items()})
            return
        typer.echo(f"Butteraugli 3-norm  {scores['butteraugli_3norm']:.4f}")
        typer.echo(f"Butteraugli max     {scores['butteraugli_max']:.4f}")
        typer.echo(f"SSIMULACRA 2        {scores['ssimulacra2']:.4f}")
        typer.echo(f"PSNR                {_decibels(scores['psnr'])}")


def _decibels(value: float | None) -> str:
    return "infinite (equal codes)" if value is None else f"{value:.2f} dB"
