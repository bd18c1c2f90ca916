"""The files of a page: the folder of its pictures, and an earlier report of the same files."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from guetzpy.errors import LimitError
from guetzpy.picture.reading import read_path
from guetzpy.report import pictures

__all__ = ["FOLDER", "Earlier", "PictureFolder"]

#: Name of the folder with the pictures of a page.
FOLDER = "report-files"

_NO_REPORT = "is no report in JSON; give what --report FOLDER/ or --report FILE.json wrote"

_OURS = re.compile(r"[0-9a-f]{20}\.(jpg|png|webp|gif)")


class PictureFolder:
    """The folder of a page's pictures, beside the page. Its files are named by digests of their contents."""

    def __init__(self, page: str) -> None:
        self._folder = Path(page).parent / FOLDER
        self._written: set[str] = set()

    def put(self, data: bytes) -> str:
        """Write a picture, and return its URL relative to the page."""
        from guetzpy.output import write

        suffix = (pictures.mime_type(data) or "image/jpeg").removeprefix("image/").replace("jpeg", "jpg")
        name = f"{hashlib.sha256(data).hexdigest()[:20]}.{suffix}"
        if name not in self._written:
            self._folder.mkdir(parents=True, exist_ok=True)
            place = self._folder / name
            # Ten thousand files that are each synchronised to the disk need minutes. A file that a killed
            # run left incomplete differs from its data, and is replaced.
            try:
                with open(place, "xb") as stream:
                    stream.write(data)
            except FileExistsError:
                if not place.is_file() or place.read_bytes() != data:
                    write(place, data)
            self._written.add(name)
        return f"{FOLDER}/{name}"

    def remove_unused(self) -> None:
        """Remove the pictures in the folder that belong to an earlier page and not to this one."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if _OURS.fullmatch(path.name) and path.name not in self._written:
                    path.unlink(missing_ok=True)


class Earlier:
    """An earlier report of the same files, read from its JSON.

    Parameters
    ----------
    path : str
        The JSON file of a report, or the folder of one.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        The file is not a report of guetzpy.
    """

    def __init__(self, path: str) -> None:
        files = _record(Path(path, "report.json") if os.path.isdir(path) else Path(path))
        self._files = {
            os.path.abspath(file["input"]): file
            for file in files
            if isinstance(file, dict) and isinstance(file.get("input"), str)
        }
        self.found: list[dict[str, Any]] = []

    def find(self, name: str | None) -> dict[str, Any] | None:
        """Return what the earlier report says of an input, or None if it says nothing.

        The keys are ``bytes_after``, ``output`` (a path or None) and ``words`` (the target as text, or the
        status if the file had no target).
        """
        file = self._files.get(os.path.abspath(name)) if name is not None else None
        if file is None or not isinstance(file.get("bytes_after"), int):
            return None
        output = file.get("output")
        record = {
            "bytes_after": file["bytes_after"],
            "output": output if isinstance(output, str) else None,
            "words": _words(file),
        }
        self.found.append(record)
        return record

    def totals(self) -> dict[str, Any] | None:
        """Return the totals over the records that were found; None if there is none."""
        if not self.found:
            return None
        kinds = sorted({record["words"] for record in self.found})
        return {
            "files": len(self.found),
            "bytes_after": sum(record["bytes_after"] for record in self.found),
            "words": kinds[0] if len(kinds) == 1 else "several targets",
        }


def _record(path: Path) -> list[Any]:
    """Return the records of the files in the JSON of a report."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file")  # reading a pipe or a device may never end
    try:
        record = json.loads(read_path(path)[0])
    except FileNotFoundError as error:
        raise ValueError(f"No such file: {path}") from error
    except (ValueError, RecursionError, LimitError) as error:
        raise ValueError(f"{path} {_NO_REPORT}") from error
    files = record.get("files") if isinstance(record, dict) and "guetzpy" in record else None
    if not isinstance(files, list):
        raise ValueError(f"{path} {_NO_REPORT}")
    return files


def _words(file: dict[str, Any]) -> str:
    target = file.get("target")
    if not isinstance(target, dict) or not target:
        return str(file.get("status"))
    return ", ".join(f"{name} {value:g}" for name, value in target.items() if isinstance(value, (int, float)))
