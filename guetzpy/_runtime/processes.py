"""Worker processes: fresh interpreters that call functions of importable modules for their parent.

:mod:`multiprocessing` imports the main module of the program again in each process that it spawns, so that
a script needs ``if __name__ == "__main__":`` around its work. A worker here gets the parent's ``sys.path``
and imports only the modules of the functions that it calls. It also needs no semaphores, which would need
``/dev/shm``.

Calls and their results are pickled, and go through pipes that only the two processes hold: the worker's
standard input and output. The end of its input ends the worker, also when the parent is killed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from typing import Any, BinaryIO, TypeVar

__all__ = ["Worker", "WorkerDied", "before_end", "serve"]

T = TypeVar("T")

#: Functions that a worker calls before it ends because its parent has ended or has closed the pipe.
before_end: list[Callable[[], object]] = []

# -P: the current folder, which may hold a pickle.py, is not on the path of these imports.
_START = [
    "-P",
    "-c",
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from guetzpy._runtime.processes import serve; serve()",
]
_HEADER = 8  # number of bytes that hold the length of a message


class WorkerDied(BrokenExecutor):
    """A worker process ended, or was killed, before it answered."""


class Worker:
    """A process that calls functions, one at a time; Ctrl-C does not reach it.

    Raises
    ------
    OSError
        The process cannot be started.
    """

    def __init__(self) -> None:
        if getattr(sys, "frozen", False):
            raise OSError("a frozen program has no interpreter for worker processes; pass an executor")
        with _uninterrupted():
            self._process = subprocess.Popen(
                [sys.executable, *_START], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        with contextlib.suppress(OSError):  # the process has died; the first call raises WorkerDied
            self._requests.write(pickle.dumps(sys.path))

    @property
    def _requests(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    @property
    def _replies(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call ``function(*arguments)`` in the worker; return its result or raise its error.

        Raises
        ------
        WorkerDied
            The process has ended.
        """
        message = pickle.dumps((function, arguments))
        try:
            _send(self._requests, message)
            succeeded, result = pickle.loads(_receive(self._replies))
        except (OSError, EOFError, ValueError):  # ValueError: the pipe was closed meanwhile
            raise WorkerDied(f"worker process {self.pid} died") from None
        if not succeeded:
            raise result
        return result  # type: ignore[no-any-return]

    def let_go(self) -> None:
        """Ask the process to end, without waiting for it."""
        with contextlib.suppress(OSError):
            self._requests.close()

    def end(self, patience: float = 0.0) -> None:
        """Ask the process to end, kill it after ``patience`` seconds, and wait until it has ended."""
        self.let_go()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()  # SIGKILL, since a worker that hangs may ignore other signals
            self._process.wait()

    def close(self) -> None:
        """Close the pipe of replies. The process must have ended, and no thread may wait for a reply."""
        self._replies.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.close()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Block SIGINT for processes that are started here, from their first instruction on."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send(stream: BinaryIO, message: bytes) -> None:
    stream.write(len(message).to_bytes(_HEADER, "little") + message)
    stream.flush()


def _receive(stream: BinaryIO) -> bytes:
    header = stream.read(_HEADER)
    length = int.from_bytes(header, "little")
    message = stream.read(length) if len(header) == _HEADER else b""
    if len(header) < _HEADER or len(message) < length:
        raise EOFError
    return message


def serve() -> None:
    """Run the main loop of a worker process: answer the parent's calls until it closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # text that a function prints goes to stderr, since stdout carries the replies
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, calls), daemon=True).start()
    while True:
        message = calls.get()
        try:
            function, arguments = pickle.loads(message)
            answer = pickle.dumps((True, function(*arguments)))
        except BaseException as error:
            answer = pickle.dumps((False, _portable(error)))
        _send(replies, answer)


def _listen(requests: BinaryIO, calls: queue.SimpleQueue[bytes]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            calls.put(_receive(requests))
    for function in before_end:
        function()
    os._exit(1)


def _portable(error: BaseException) -> BaseException:
    """Return an error that the parent can unpickle."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
