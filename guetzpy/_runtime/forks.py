"""Forks by other threads, which wait while modules are imported and kernels are compiled."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Protocol

__all__ = ["not_forked", "wait_for"]


class _Lock(Protocol):
    def acquire(self) -> object: ...

    def release(self) -> object: ...


#: Held by whoever forks, and by what no fork shall interrupt.
_forking = threading.RLock()
_locks: list[_Lock] = []  # taken before a fork
_held: list[_Lock] = []  # taken for the fork that runs now


@contextlib.contextmanager
def not_forked() -> Iterator[None]:
    """Let a fork by another thread wait: for imports, whose locks a child would find held for ever."""
    with _forking:
        yield


def wait_for(lock: _Lock) -> None:
    """Let every later fork wait for a lock, which a child would find held for ever by another thread.

    A hook of its own would not do: a module that is imported while a fork waits would have its lock
    released after the fork, but not taken before it.
    """
    _locks.append(lock)


def _before() -> None:
    _forking.acquire()
    for lock in _locks:
        lock.acquire()
        _held.append(lock)


def _after() -> None:
    while _held:
        _held.pop().release()
    _forking.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
