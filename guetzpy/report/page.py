"""Rendering of the report as one HTML file with its style and script, which loads nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from importlib import resources
from typing import Any

from guetzpy.metrics.heatmap import PALETTE, TICKS, opacity, position
from guetzpy.report.pictures import Bounds

__all__ = ["bytes_text", "duration_text", "render", "render_preview"]

_SIZE = "@@PAGE-SIZE@@"  # placeholder for the size of the page, which is known after rendering


def render(
    summary: dict[str, Any],
    files: Sequence[dict[str, Any]],
    thumbnails: Sequence[str | None],
    bounds: Bounds,
    folder_name: str | None = None,
) -> str:
    """Return the HTML page of a run's report.

    Parameters
    ----------
    summary : dict
        A record with the keys ``guetzpy`` (version), ``totals`` and ``histogram``.
    files : sequence of dict
        The records of the files that :class:`guetzpy.report.Collection` makes.
    thumbnails : sequence of str or None
        URL of each file's thumbnail, in the order of ``files``.
    bounds : Bounds
        The limits, which the page mentions.
    folder_name : str, optional
        Name of the folder beside the page that holds its pictures. Default: they are embedded or linked.
    """
    views = [file["view"] for file in files]
    names = [file["input"] or "array" for file in files]
    folder = _common_folder(names)
    return _page(
        "report.html.jinja",
        summary=summary,
        files=files,
        folder=folder,
        names=[name[len(folder) :] for name in names],
        viewed=_script_json([_viewed(file) for file in files]),
        thumbnails=_script_json(thumbnails),
        bars=_bars(summary["histogram"]),
        embedded=sum(view["embedded"] for view in views),
        linked=sum(not view["embedded"] and bool(view["before"] or view["after"]) for view in views),
        heatmaps=sum(view["heat"] is not None for view in views),
        lossy=sum(file["status"] == "optimized" for file in files),
        bounds=bounds,
        folder_name=folder_name,
    )


def _page(template: str, **values: Any) -> str:
    """Return a page made from a template, with the style, the script and its own size."""
    import jinja2

    home = resources.files("guetzpy.report").joinpath("templates")
    style = home.joinpath("report.css").read_text("utf-8")
    script = home.joinpath("report.js").read_text("utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: home.joinpath(name).read_text("utf-8")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "size": bytes_text,
        "percent": _percent,
        "number": _number,
        "count": _count,
        "chroma": _chroma,
        "duration": duration_text,
    }
    page = environment.get_template(template).render(
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        ramp=_ramp(),
        ticks=[(round(1000 * position(t)) / 10, f"{t:g}") for t in TICKS],
        page_size=_SIZE,
        **values,
    )
    return page.replace(_SIZE, bytes_text(len(page.encode("utf-8", "replace"))))


def render_preview(name: str, files: Sequence[dict[str, Any]], picked: int, version: str, date: str) -> str:
    """Return the page that shows one picture at several distances.

    Parameters
    ----------
    name : str
        Name of the picture.
    files : sequence of dict
        Records as for :func:`render`, with the key ``command``; the original is in ``view`` of the first.
    picked : int
        Number of the record that is shown first.
    version, date : str
        Version of guetzpy, and the day.
    """
    viewed = [_viewed(file) | {"command": file["command"]} for file in files]
    return _page(
        "preview.html.jinja", name=name, files=files, picked=picked, version=version, date=date,
        viewed=_script_json(viewed),
    )  # fmt: skip


def _viewed(file: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a file's record that the page's script uses."""
    keys = (
        "input", "output", "status", "reason", "error", "warnings", "bytes_before", "bytes_after",
        "saving", "width", "height", "target", "distance", "source_distance", "butteraugli_3norm",
        "butteraugli_max", "ssimulacra2",
        "limited_by_format", "larger_than_source", "subsampling", "progressive", "effort", "seconds",
        "coding", "source", "view", "cvvdp", "cvvdp_words", "other",
    )  # fmt: skip
    return {key: file.get(key) for key in keys}


def _script_json(value: Any) -> str:
    """Return JSON in which no character can end a script element: <, > and & are escaped."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    """Return the hash source by which the content security policy allows a style or script (CSP level 3)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _common_folder(names: Sequence[str]) -> str:
    """Return the common folder of all names with a separator at its end; empty if there is none."""
    if len(names) < 2:
        return ""
    common = os.path.commonprefix(names)  # noqa: RUF071 (cut to a separator below)
    return common[: max(common.rfind(os.sep), common.rfind("/")) + 1]


def _ramp() -> list[tuple[str, str, float]]:
    """Return the stops of the legend's colour scale: position, colour, and the heat map's opacity for it."""
    stops = []
    for i in range(33):
        red, green, blue = PALETTE[i * 255 // 32].tolist()
        stops.append((f"{100 * i / 32:g}%", f"#{red:02x}{green:02x}{blue:02x}", round(opacity(i / 32), 3)))
    return stops


def _chroma(name: str) -> str:
    return ":".join(name) if len(name) == 3 and name.isdecimal() else name


def _bars(bins: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the coordinates of the histogram in an SVG of 480 x 200 units.

    The lowest 40 units of its height are left for text.
    """
    if not bins:
        return {"bars": [], "label": ""}
    highest = max(one["files"] for one in bins)
    step = 445.0 / len(bins)  # the bars end at x = 450, to leave space for the last label
    bars = []
    for i, one in enumerate(bins):
        height = 130.0 * one["files"] / highest
        name = "grew" if one["low"] is None else f"{one['low']}–{one['high']} %"
        bars.append(
            {
                "x": round(5 + i * step + 0.06 * step, 2),
                "width": round(0.88 * step, 2),
                "middle": round(5 + (i + 0.5) * step, 2),
                "y": round(158.0 - height, 2),
                "height": round(height, 2),
                "files": one["files"],
                "name": name,
                "tick": "grew" if one["low"] is None else str(one["low"]),
                "grew": one["low"] is None,
            }
        )
    words = "; ".join(f"{bar['name']}: {bar['files']}" for bar in bars if bar["files"])
    return {"bars": bars, "label": f"Files by saving. {words}"}


def bytes_text(count: int | None) -> str:
    r"""Return a size in bytes with a decimal unit and about three digits.

    Examples
    --------
    >>> bytes_text(999), bytes_text(12_345), bytes_text(4_567_890)
    ('999\xa0B', '12.3\xa0kB', '4.57\xa0MB')
    """
    if count is None:
        return "–"
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000.0, larger
    digits = 0 if unit == "B" or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}\u00a0{unit}"


def duration_text(seconds: float) -> str:
    """Return a time in seconds as text with at most two units."""
    if seconds < 100.0:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes}\u00a0min\u00a0{rest}\u00a0s"
    return f"{minutes // 60}\u00a0h\u00a0{minutes % 60}\u00a0min"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}\u00a0%".replace("-", "−")


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _count(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")
