"""Collection of the results of a run, and their report."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from guetzpy import __version__
from guetzpy._runtime.text import printable
from guetzpy._runtime.threads import each
from guetzpy.metrics._cvvdp.words import jod_in_words
from guetzpy.report import pictures
from guetzpy.report.beside import FOLDER, Earlier, PictureFolder
from guetzpy.report.choices import choices
from guetzpy.report.pictures import Bounds
from guetzpy.report.summary import histogram, totals
from guetzpy.result import Result

__all__ = ["Collection"]

Progress = Callable[[str, int, int], object]

# After this number of files whose pictures did not fit into the page, no further file is tried.
_MISSES = 8

# Largest number of files with which heat maps have the larger of the two sizes.
_FEW = 24


# Above this number of files the page leaves out quantisation tables, to stay within some 2 kB a file.
_MANY = 1000


@dataclass
class _Entry:
    """A result, with the contents of its input and output if they are held in memory."""

    result: Result
    before: bytes | None = None
    after: bytes | None = None


class Collection:
    """Collects results, and writes a report of them.

    Parameters
    ----------
    bounds : Bounds
        Limits for the size of the page and the time to make it.
    background : str or tuple, optional
        Colour that the run composited transparent pictures on.
    threads : int, optional
        Number of threads. Default: the number of processors available.
    settings : mapping, optional
        Names and values of the settings that the page shows.
    earlier : Earlier, optional
        An earlier report of the same files, with which this one is compared.
    """

    def __init__(
        self,
        *,
        bounds: Bounds = Bounds(),  # noqa: B008 (frozen)
        background: Any = None,
        threads: int | None = None,
        settings: Mapping[str, str] | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        self._settings = dict(settings or {})
        self._earlier = earlier
        self._folder: PictureFolder | None = None
        self._bounds = bounds
        self._background = background
        self._threads = threads
        self._entries: list[_Entry] = []
        self._held = 0
        self._originals: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, result: Result, before: bytes | None = None, after: bytes | None = None) -> None:
        """Add a result.

        Parameters
        ----------
        result : Result
            The result.
        before, after : bytes, optional
            Contents of its input and output. They are held in memory up to the bytes that a page embeds.
            Otherwise the files ``result.input`` and ``result.output`` are read when the report is written.
            Pass the contents of files that will not exist then: the input of a run in place (or call
            :meth:`hold` before the run), the output of a run that writes nothing.
        """
        if before is None and result.input is not None:
            before = self._originals.pop(result.input, None)
            self._held -= len(before or b"")
        entry = _Entry(replace(result, data=b""))
        size = len(before or b"") + len(after or b"")
        if self._held + size <= self._bounds.embedded:
            self._held += size
            entry.before, entry.after = before, after
        self._entries.append(entry)

    def hold(self, names: Iterable[str]) -> None:
        """Keep the contents of files that a run is about to replace.

        A file is left out if it and its output would not fit into the ``bounds.embedded`` bytes of a page.
        """
        for name in names:
            with contextlib.suppress(OSError, ValueError):
                size = os.path.getsize(name)
                # The page shows the output too, which is not larger than the input: twice the size is
                # reserved.
                if self._held + 2 * size <= self._bounds.embedded:
                    with open(name, "rb") as stream:
                        self._originals[name] = stream.read()
                    self._held += size

    def write(self, path: str | os.PathLike[str], progress: Progress | None = None) -> int:
        """Write the report, and return its size in bytes.

        Parameters
        ----------
        path : path
            The file to write or replace: JSON if its name ends in ``.json``, otherwise an HTML page. If it is
            a folder (an existing one, or a name with a separator at its end), ``index.html``, ``report.json``
            and the folder of the page's pictures are written into it.
        progress : callable, optional
            Called with the kind of item ("files", "heat maps" or "pictures"), the number of items done, and
            the largest possible number of items.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        from guetzpy.output import write

        name = os.fspath(path)
        if os.path.isdir(name) or name.endswith(("/", os.sep)):
            return self._write_folder(name, progress)
        text = self.json(progress) if name.lower().endswith(".json") else self.html(name, progress)
        data = text.encode("utf-8", "backslashreplace")
        write(path, data)
        return len(data)

    def _write_folder(self, folder: str, progress: Progress | None) -> int:
        """Write the report with its pictures beside it, and return the size of the page in bytes."""
        os.makedirs(folder, exist_ok=True)
        page = os.path.join(folder, "index.html")
        self._folder = PictureFolder(page)
        try:
            self.write(os.path.join(folder, "report.json"))
            size = self.write(page, progress)
            self._folder.remove_unused()
        finally:
            self._folder = None
        return size

    def _put(self, data: bytes) -> str:
        """Return the URL by which the page shows a picture; write the picture if the report is a folder."""
        return pictures.data_url(data) if self._folder is None else self._folder.put(data)

    def json(self, progress: Progress | None = None) -> str:
        """Return the report as JSON with the keys ``totals``, ``histogram`` and ``files``.

        Each file has the fields of ``Result.to_dict``, ``saving`` and ``coding``
        (:func:`guetzpy.report.choices.choices`).
        """
        files = []
        for number, entry in enumerate(self._entries, 1):
            files.append(numbers(entry.result) | {"coding": choices(self._after(entry) or b"")})
            if progress is not None:
                progress("files", number, len(self._entries))
        record = self._summary() | {"files": files}
        return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n"

    def html(self, path: str, progress: Progress | None = None) -> str:
        """Return the HTML page. Its links are relative to ``path``, the name that the page will have."""
        from guetzpy.report.page import render

        files, thumbnails = self._files(path, progress)
        other = self._earlier.totals() if self._earlier is not None else None
        beside = None if self._folder is None else FOLDER
        return render(self._summary() | {"other": other}, files, thumbnails, self._bounds, beside)

    def _summary(self) -> dict[str, Any]:
        results = [entry.result for entry in self._entries]
        return {
            "guetzpy": __version__,
            "date": datetime.date.today().isoformat(),
            "settings": self._settings,
            "totals": totals(results),
            "histogram": histogram(results),
        }

    def _files(self, path: str, progress: Progress | None) -> tuple[list[dict[str, Any]], list[str | None]]:
        count = len(self._entries)
        files: list[dict[str, Any]] = [{} for _ in self._entries]
        thumbnails: list[str | None] = [None] * count
        done = 0

        def describe(i: int) -> None:
            nonlocal done
            entry = self._entries[i]
            after = self._after(entry)
            before = self._before(entry)
            files[i] = numbers(entry.result) | {
                "coding": choices(after or b""),
                "source": _without_tables(choices(before or b"")),
                "view": _links(entry.result, before, after, path),
                "cvvdp": None,
                "cvvdp_words": None,
                "other": self._other(entry.result, path),
            }
            if files[i]["other"] is not None:
                files[i]["view"]["other"] = files[i]["other"].pop("url")
            if count > _MANY and files[i]["coding"] is not None:
                files[i]["coding"] = _without_tables(files[i]["coding"])
            small = None
            if i < self._bounds.thumbnails:
                small = pictures.thumbnail(after or b"") or pictures.thumbnail(before or b"")
            thumbnails[i] = self._put(small) if small else None
            done += 1
            if progress is not None:
                progress("files", done, count)

        each(describe, range(count), self._threads)
        space = self._bounds.thumbnail_bytes
        for i, small_url in enumerate(thumbnails):
            space -= len(small_url or "")
            if space < 0:
                thumbnails[i] = None
        self._embed(files, progress)
        return files, thumbnails

    def _other(self, result: Result, path: str) -> dict[str, Any] | None:
        """Return what the earlier report says of the result's input, with a URL of the earlier output."""
        record = self._earlier.find(result.input) if self._earlier is not None else None
        if record is None:
            return None
        data, url = _read(record["output"], record["bytes_after"]), None
        if data is not None:
            shown = pictures.showable(data) if self._folder is not None else None
            url = self._put(shown) if shown else pictures.link(record["output"], path)
        return {"bytes_after": record["bytes_after"], "words": record["words"], "url": url}

    def _embed(self, files: list[dict[str, Any]], progress: Progress | None) -> None:
        """Embed heat maps and pictures while they fit, in the order of decreasing ``butteraugli_max``."""
        ranked = sorted(range(len(files)), key=lambda i: -(self._entries[i].result.butteraugli_max or 0.0))
        space = self._bounds.embedded - self._embed_heat(ranked, files, progress)
        misses = 0
        for number, i in enumerate(ranked, 1):
            if progress is not None:
                progress("pictures", number, len(ranked))
            sizes = [self._entries[i].result.bytes_before, self._entries[i].result.bytes_after]
            pixels = (self._entries[i].result.width or 0) * (self._entries[i].result.height or 0)
            if not any(sizes) or pixels > self._bounds.picture_pixels:
                continue
            shown = self._shown(self._entries[i]) if sum(size or 0 for size in sizes) <= space else {}
            size = sum(len(data) for data in shown.values())
            if not shown or size > space:
                misses += 1
                if misses == _MISSES:  # each attempt may need a decode and an encode
                    break
                continue
            files[i]["view"] |= {side: self._put(data) for side, data in shown.items()}
            files[i]["view"]["embedded"] = True
            space -= size

    def _embed_heat(self, ranked: list[int], files: list[dict[str, Any]], progress: Progress | None) -> int:
        """Embed heat maps, and return their total bytes, which are at most half of ``bounds.embedded``."""
        entries = [(i, self._entries[i]) for i in ranked if self._entries[i].result.status == "optimized"]
        side = pictures.HEATMAP_SIDES[len(entries) > _FEW]
        entries = entries[: self._bounds.heatmaps]
        pixels, space = self._bounds.heatmap_pixels, self._bounds.embedded // 2
        for number, (i, entry) in enumerate(entries, 1):
            area = (entry.result.width or 0) * (entry.result.height or 0)
            heat = self._heat(entry, side) if area <= pixels and space else None
            if heat is not None:
                overlay, jod = heat
                files[i] |= {"cvvdp": round(jod, 4), "cvvdp_words": jod_in_words(jod)}
                pixels -= area
                if len(overlay) > space:
                    break
                space -= len(overlay)
                files[i]["view"]["heat"] = self._put(overlay)
            if progress is not None:
                progress("heat maps", number, len(entries))
        return self._bounds.embedded // 2 - space

    def _shown(self, entry: _Entry) -> dict[str, bytes]:
        """Return an entry's input and output, if they can be read, in formats that browsers show."""
        files = {"before": self._before(entry), "after": self._after(entry)}
        shown = {side: pictures.showable(data, self._background) for side, data in files.items() if data}
        return {side: data for side, data in shown.items() if data is not None}

    def _heat(self, entry: _Entry, side: int) -> tuple[bytes, float] | None:
        """Return the heat map of an entry as a PNG, and its score by CVVDP in JOD; None if either fails."""
        before, after = self._before(entry), self._after(entry)
        if before is None or after is None:
            return None
        try:
            return pictures.heat_overlay(before, after, side, self._background, self._threads)
        except Exception:  # an error of one picture must not prevent the report
            return None

    @staticmethod
    def _before(entry: _Entry) -> bytes | None:
        return entry.before or _read(entry.result.input, entry.result.bytes_before)

    @staticmethod
    def _after(entry: _Entry) -> bytes | None:
        return entry.after or _read(entry.result.output, entry.result.bytes_after)


def _is_there(path: str, size: int | None) -> bool:
    """Return whether a file exists and has the size that the result states.

    A file of another size was changed after the run, so that the result does not describe it.
    """
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # there is no such file, the path is a URL, or it has a NUL character
        return False
    return stat.S_ISREG(state.st_mode) and state.st_size == size


def _read(path: str | None, size: int | None) -> bytes | None:
    if path is None or not _is_there(path, size):
        return None
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return None


def numbers(result: Result) -> dict[str, Any]:
    record = result.to_dict()
    for key in ("input", "output", "reason", "error"):
        record[key] = printable(record[key]) if record[key] is not None else None
    record["warnings"] = [printable(warning) for warning in record["warnings"]]
    return record | {"saving": result.saving}


def _links(result: Result, before: bytes | None, after: bytes | None, page: str) -> dict[str, Any]:
    """Return the URLs of an entry's files; ``before`` and ``after`` only for formats that browsers show."""
    view: dict[str, Any] = {"before": None, "after": None, "heat": None, "embedded": False}
    for side, data, path, size in (
        ("before", before, result.input, result.bytes_before),
        ("after", after, result.output, result.bytes_after),
    ):
        if data is None or path is None or not _is_there(path, size):
            view[f"{side}_link"] = None
            continue
        view[f"{side}_link"] = pictures.link(path, page)
        if pictures.mime_type(data):
            view[side] = view[f"{side}_link"]
    return view


def _without_tables(coding: dict[str, Any] | None) -> dict[str, Any] | None:
    return {key: value for key, value in coding.items() if key != "tables"} if coding else None
