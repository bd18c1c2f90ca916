"""Encodes made in the search for a total, kept until the set fits, so that none is made twice.

A file each: one line of JSON, the result's fields, then the JPEG. Of encodes that missed the
total only the line stays, from which a resumed run repeats the search without encoding.
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

# What path_of and save make below the folder.
_PART = re.compile(r"[0-9a-f]{2}")
_FILE = re.compile(r"[0-9a-f]{30}(\.[0-9a-f]{16}\.tmp)?")


def path_of(folder: str, task: Task, options: OptimizeOptions | TranscodeOptions) -> str:
    """Return where the encode of a file with these options is kept."""
    text = "\0".join((key(task.input), task.identity, options_hash(options), __version__))
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    return os.path.join(folder, name[:2], name[2:])


def save(path: str, result: Result) -> None:
    """Keep an encode."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "wb") as stream:  # in a power cut it may be lost: no wait for the disk
            stream.write(json.dumps(result.to_dict()).encode() + b"\n" + result.data)
        os.replace(temporary, path)
    except BaseException:  # on a full disk half a file takes space that results need
        with suppress(OSError):
            os.unlink(temporary)
        raise


def load(path: str, *, with_data: bool) -> Result | None:
    """Return an encode that was kept; None if there is none, or its data is wanted and gone."""
    try:
        with open(path, "rb") as stream:
            line = stream.readline()
            data = stream.read() if with_data else b""
    except OSError:
        return None
    known = {field.name for field in dataclasses.fields(Result)}
    try:
        fields = {name: value for name, value in json.loads(line).items() if name in known}
    except ValueError:
        return None
    result = Result(**fields)
    if with_data and len(data) != result.bytes_after:
        return None
    return replace(result, data=data)


def forget_data(path: str) -> None:
    """Keep the line only."""
    try:
        with open(path, "r+b") as stream:
            stream.truncate(len(stream.readline()))
    except FileNotFoundError:
        pass


def forget_all(folder: str) -> None:
    """Remove the encodes of a folder, and the folder if nothing else is in it."""
    if os.path.islink(folder):
        return
    with suppress(OSError):
        for part in os.listdir(folder):
            place = os.path.join(folder, part)
            if not _PART.fullmatch(part) or os.path.islink(place):
                continue
            for name in os.listdir(place):
                if _FILE.fullmatch(name):
                    os.unlink(os.path.join(place, name))
            os.rmdir(place)
        os.rmdir(folder)
