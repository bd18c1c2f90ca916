"""Storage of the encodes made while a set is fitted into a total size, so that none is made twice.

Each encode is one file: a line of JSON with the result's fields, followed by the JPEG. The JPEG is removed if
the pass is not the best one. The line stays until the run ends, so that a resumed run repeats the search
without encoding.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import replace

from guetzpy import __version__
from guetzpy.batch.manifest import key, options_hash
from guetzpy.batch.tasks import Task
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.result import Result

__all__ = ["forget_all", "forget_data", "load", "path_of", "save"]

# Names of the folders and files that path_of and save make.
_PART = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"[0-9a-f]{30}(\.[0-9a-f]{16}\.tmp)?")


def path_of(folder: str, task: Task, options: OptimizeOptions | TranscodeOptions) -> str:
    """Return the path at which the encode of a file with these options is stored."""
    text = "\0".join((key(task.input), task.identity, options_hash(options), __version__))
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    return os.path.join(folder, name[:2], name[2:])


def save(path: str, result: Result) -> None:
    """Store an encode. The file appears complete or not at all."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "wb") as stream:  # no fsync: an encode that a power cut loses is made again
            stream.write(json.dumps(result.to_dict()).encode() + b"\n" + result.data)
        os.replace(temporary, path)
    except BaseException:  # do not leave an incomplete file on a full disk
        with suppress(OSError):
            os.unlink(temporary)
        raise


def load(path: str, *, with_data: bool) -> Result | None:
    """Return a stored encode; None if there is none, or if ``with_data`` and its JPEG was removed."""
    try:
        with open(path, "rb") as stream:
            line = stream.readline()
            data = stream.read() if with_data else b""
    except OSError:
        return None
    known = {field.name for field in dataclasses.fields(Result)}
    try:
        fields = {name: value for name, value in json.loads(line).items() if name in known}
        # JSON has lists only; the fields of a result are tuples.
        fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        result = Result(**fields)
    except (ValueError, AttributeError, TypeError):  # not JSON, not a record, or an incomplete one
        return None
    if with_data and len(data) != result.bytes_after:
        return None
    return replace(result, data=data)


def forget_data(path: str) -> None:
    """Remove the JPEG of a stored encode; the line of JSON stays."""
    try:
        with open(path, "r+b") as stream:
            stream.truncate(len(stream.readline()))
    except FileNotFoundError:
        pass


def forget_all(folder: str) -> None:
    """Remove the stored encodes in a folder, and the folder if nothing else is in it."""
    if os.path.islink(folder):
        return
    with suppress(OSError):
        for part in os.listdir(folder):
            place = os.path.join(folder, part)
            if not _PART.fullmatch(part) or os.path.islink(place):
                continue
            with suppress(OSError):  # a folder with other files stays, and the next ones are emptied too
                for name in os.listdir(place):
                    if _FILE.fullmatch(name):
                        os.unlink(os.path.join(place, name))
                os.rmdir(place)
        os.rmdir(folder)
