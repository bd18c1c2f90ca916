"""Read the bytes of files, within limits on their number and on the time to wait for them."""

from __future__ import annotations

import errno
import inspect
import io
import os
import select
import stat
import time
from pathlib import Path
from typing import Any, BinaryIO

from guetzpy._runtime.memory import physical
from guetzpy._runtime.threads import check_time, is_limited
from guetzpy.errors import LimitError, SourceTypeError

__all__ = ["MAX_INPUT", "check_input", "contents", "read_limited", "read_path"]

#: Default limit of the bytes of a file.
MAX_INPUT = 2_000_000_000

# Number of copies of a file in memory at the peak, including the output; measured with data after a picture.
_COPIES = 8

# Bytes per read, and seconds between two checks of the time limit while no data arrives.
_PIECE = 1 << 22
_PATIENCE = 0.05


def contents(
    source: Any, max_input: int = MAX_INPUT, max_memory: int | None = None
) -> tuple[bytes, str | None]:
    """Return the bytes of a source (bytes, path, binary file), and its name or None.

    A seekable file is read whole from its start. A time limit (:func:`guetzpy._runtime.threads.time_limit`)
    also ends the wait for a pipe, a device or a socket.

    Parameters
    ----------
    source : bytes, path or binary file
        The source.
    max_input : int
        Largest number of bytes. A longer file is refused before it is read, a longer stream when more bytes
        have arrived.
    max_memory : int, optional
        Bytes of memory that the work, including its input, may take; by default the memory of the machine.

    Raises
    ------
    LimitError
        If the source has more bytes than allowed, or the time limit has passed.
    OSError
        If the path or file cannot be read.
    TypeError
        If ``source`` is of another type.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        check_input(memoryview(source).nbytes, max_input, max_memory)
        return bytes(source), None
    if isinstance(source, (str, os.PathLike)):
        name = str(Path(source))
        try:
            return read_path(source, max_input, max_memory)[0], name
        except LimitError as error:
            error.name = name
            raise
    if hasattr(source, "read"):
        own = getattr(source, "name", None)
        _rewind(source)
        stream = source if _takes_sizes(source) else io.BytesIO(source.read())
        return read_limited(stream, max_input, max_memory), own if isinstance(own, str) else None
    raise SourceTypeError(
        f"expected bytes, a path, a binary file, a PIL image or an array, not {type(source).__name__}; "
        "convert other arrays and lists by numpy.asarray"
    )


def _takes_sizes(stream: Any) -> bool:
    """Return whether ``read`` takes a number of bytes; some objects can only return all."""
    try:
        inspect.signature(stream.read).bind(1)
    except TypeError:
        return False
    except ValueError:  # no signature is known, as for some functions in C
        return True
    return True


def _rewind(stream: Any) -> None:
    """Seek to the start of an open file, as Pillow does. A pipe cannot seek: it is read from its position."""
    try:
        stream.seek(0)
    except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
        pass


def check_input(size: int, max_input: int, max_memory: int | None) -> None:
    """Raise LimitError if a file of ``size`` bytes exceeds a limit.

    Parameters
    ----------
    size : int
        Bytes of the file.
    max_input : int
        Largest number of bytes of a file.
    max_memory : int, optional
        Bytes of memory that the work may take; by default the file must only fit in the memory of the
        machine.
    """
    if size > max_input:
        raise LimitError(f"{_count(size)} are more than the limit of {max_input}: --max-input (max_input)")
    allowed = physical() if max_memory is None else max_memory
    if allowed is not None and size * (1 if max_memory is None else _COPIES) > allowed:
        words = "of this machine"
        if max_memory is not None:
            words = f"allowed by --max-memory (max_memory): {_COPIES * size} is the least for them"
        raise LimitError(f"{_count(size)} do not fit in the {allowed} bytes of memory {words}")


def _count(size: int) -> str:
    return f"{size} bytes of input"


def read_path(
    path: str | os.PathLike[str], max_input: int = MAX_INPUT, max_memory: int | None = None
) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a file and its ``os.stat_result``; see :func:`contents`."""
    wait = hasattr(select, "poll") and is_limited()
    # Without O_NONBLOCK, opening a named pipe waits until a program opens it for writing.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        handle = os.open(path, flags | (os.O_NONBLOCK if wait else 0))
    except FileNotFoundError:
        if "://" not in os.fsdecode(path):
            raise
        words = "no such file; of URLs, guetzpy reads those of optimize and transcode, and of guetzpy.batch"
        raise FileNotFoundError(errno.ENOENT, words, os.fsdecode(path)) from None
    state = os.fstat(handle)
    if stat.S_ISDIR(state.st_mode):  # open() would raise an error that names the descriptor
        os.close(handle)
        raise IsADirectoryError(errno.EISDIR, "is a folder", os.fsdecode(path))
    with open(handle, "rb", buffering=0) as stream:
        try:
            return read_limited(stream, max_input, max_memory), state
        except OSError as error:
            if error.filename is None:
                error.filename = os.fsdecode(path)
            raise


def read_limited(stream: BinaryIO | Any, max_input: int = MAX_INPUT, max_memory: int | None = None) -> bytes:
    """Return the remaining bytes of a binary file; see :func:`contents`."""
    handle = _handle(stream)
    left = _size_left(stream, handle)
    if left is not None:
        check_input(left, max_input, max_memory)
    slow = handle is not None and left is None and hasattr(select, "poll")
    read = getattr(stream, "read1", stream.read) if slow else stream.read
    pieces: list[bytes] = []
    size = 0
    while True:
        if slow and is_limited():
            _wait_for(handle)
        check_time()
        piece = read(_PIECE if left is None else max(_PIECE, min(left, 1 << 30)))
        if piece is None:  # a file that does not block has no data yet
            time.sleep(_PATIENCE)
            continue
        if not isinstance(piece, bytes):
            raise SourceTypeError('the file was opened as text; open it with mode "rb"')
        if not piece:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        check_input(size, max_input, max_memory)


def _handle(stream: Any) -> int | None:
    """Return the file descriptor of a file of the operating system; None for streams that wrap a file."""
    raw = getattr(stream, "raw", stream)
    return raw.fileno() if isinstance(raw, io.FileIO) and not raw.closed else None


def _size_left(stream: Any, handle: int | None) -> int | None:
    """Return the number of remaining bytes of a regular file; None for any other file."""
    if handle is None:
        return None
    try:
        state = os.fstat(handle)
        return max(0, state.st_size - stream.tell()) if stat.S_ISREG(state.st_mode) else None
    except (OSError, ValueError):
        return None


def _wait_for(handle: int | None) -> None:
    """Wait until a read would not block; raise an error if the time limit passes first."""
    assert handle is not None
    poll = select.poll()
    poll.register(handle, select.POLLIN | select.POLLPRI)
    while not poll.poll(1000 * _PATIENCE):
        check_time()
