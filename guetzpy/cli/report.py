"""``--report``: collects the results of a run, and writes them as a page or as JSON."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from guetzpy._option import options_of
from guetzpy.cli.reporting import say, usage_error
from guetzpy.cli.tally import bytes_text
from guetzpy.options import OptimizeOptions, TranscodeOptions

if TYPE_CHECKING:
    from guetzpy.report import Bounds, Collection
    from guetzpy.result import Result

__all__ = ["Report", "ReportBeside", "ReportPath", "begin"]

ReportPath = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE|FOLDER/",
        help="Write a report. FILE.html: a page with the pictures before and after. FOLDER/: the page and "
        "its pictures as files, for many or large pictures. FILE.json: the figures only.",
    ),
]
ReportBeside = Annotated[
    str | None,
    typer.Option(
        "--report-beside",
        metavar="FILE.json|FOLDER",
        help="Show an earlier report of the same files beside this one, such as one at another distance.",
    ),
]

_SECONDS_A_WORD = 5.0


class Report:
    """The report of this run, which collects its results."""

    def __init__(self, path: str, collection: Collection, quiet: bool) -> None:
        self._path = path
        self._collection = collection
        self._quiet = quiet
        self._said = 0.0

    @property
    def files(self) -> list[str]:
        """The names of the page and of its figures; pictures in a folder have names of their own."""
        if os.path.isdir(self._path):
            return [os.path.join(self._path, name) for name in ("index.html", "report.json")]
        return [self._path]

    def add(self, result: Result, before: bytes | None = None) -> None:
        """Add a result, and the contents of its input file if they are known."""
        self._collection.add(result, before, result.data or None)

    def hold(self, names: Iterable[str]) -> None:
        """Keep the contents of files that the run is about to replace, as far as a page could embed them."""
        self._collection.hold(names)

    def write(self) -> None:
        """Write the report, and print its name and size."""
        self._said = time.monotonic()
        size = self._collection.write(self._path, self._progress)
        if not self._quiet:
            count = len(self._collection)
            say(f"{self._path}: report of {count} file{'' if count == 1 else 's'}, {bytes_text(size)}")

    def _progress(self, what: str, done: int, count: int) -> None:
        if not self._quiet and time.monotonic() - self._said > _SECONDS_A_WORD:
            self._said = time.monotonic()
            say(f"report: {done} of {count} {what} ...")


def begin(
    path: str | None,
    options: OptimizeOptions | TranscodeOptions,
    taken: Iterable[str | None],
    *,
    beside: str | None = None,
    quiet: bool = False,
) -> Report | None:
    """Make sure that a report can be written, before any picture is processed.

    Parameters
    ----------
    path : str or None
        Value of ``--report``.
    options : OptimizeOptions or TranscodeOptions
        Options of the run.
    taken : iterable of str or None
        Inputs and outputs, none of which the report may replace.
    beside : str, optional
        Value of ``--report-beside``.
    quiet : bool
        Whether no messages are printed.
    """
    if path is None:
        if beside is not None:
            usage_error("--report-beside needs --report, which names the new report")
        return None
    if "://" in path:
        usage_error(f"--report {path}: is a URL; a report is a local file or folder")
    suffix = os.path.splitext(path.rstrip("/" + os.sep))[1].lower()
    is_folder = path.endswith(("/", os.sep)) or os.path.isdir(path)
    if is_folder and suffix in (".html", ".htm", ".json"):
        usage_error(f"--report {path}: is a folder; name it FILE.html, FILE.json or FOLDER/")
    if is_folder:
        return _begin_folder(path, options, beside, quiet)
    if suffix not in (".html", ".htm", ".json"):
        usage_error(f"--report {path}: name it FILE.html, FILE.json or FOLDER/")
    place = os.path.realpath(path)
    if any(name is not None and os.path.realpath(name) == place for name in taken):
        usage_error(f"--report {path}: is one of the pictures")
    try:
        # The path may be in the output folder, which the run makes later.
        os.makedirs(os.path.dirname(place), exist_ok=True)
    except OSError as error:
        usage_error(f"--report {path}: {error.strerror}")
    return _report(path, options, beside, quiet)


def _begin_folder(
    path: str, options: OptimizeOptions | TranscodeOptions, beside: str | None, quiet: bool
) -> Report:
    """Refuse a path that is not a folder, or a folder whose index.html is not a report of guetzpy."""
    page = os.path.join(path, "index.html")
    try:
        with open(page, "rb") as stream:
            if b"<title>guetzpy:" not in stream.read(4096):
                usage_error(f"--report {path}: its index.html is not a guetzpy report; name another folder")
    except FileNotFoundError:
        pass
    except OSError as error:
        usage_error(f"--report {path}: {error.strerror}")
    from guetzpy.report import Bounds

    # Pictures in the folder do not count towards the memory of the page. The originals that a run in place
    # replaces are held until the report is written.
    bounds = Bounds(embedded=1_000_000_000, picture_pixels=120_000_000, thumbnails=100_000)
    report = _report(path, options, beside, quiet, bounds)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        usage_error(f"--report {path}: {error.strerror}")
    return report


def _report(
    path: str,
    options: OptimizeOptions | TranscodeOptions,
    beside: str | None,
    quiet: bool,
    bounds: Bounds | None = None,
) -> Report:
    from guetzpy.report import Bounds, Collection, Earlier

    earlier = None
    if beside is not None:
        try:
            earlier = Earlier(beside)
        except (OSError, ValueError) as error:
            usage_error(f"--report-beside {beside}: {getattr(error, 'strerror', None) or error}")
    background = options.background if isinstance(options, OptimizeOptions) else None
    collection = Collection(
        bounds=bounds or Bounds(), background=background, threads=options.threads,
        settings=_settings(options), earlier=earlier,
    )  # fmt: skip
    return Report(path, collection, quiet)


def _settings(options: OptimizeOptions | TranscodeOptions) -> dict[str, str]:
    """Return the target, the effort, and the options that are not at their defaults, for the page's head."""
    shown = {}
    for name, (field, option) in options_of(type(options)).items():
        value = getattr(options, name)
        if option.affects_bytes and (value != field.default or name == "effort"):
            text = str(value)
            if isinstance(value, bool):
                text = "yes" if value else "no"
            elif isinstance(value, tuple):
                text = ("x" if name == "fit" else ", ").join(map(str, value))
            shown[name.replace("_", " ")] = text
    return shown
