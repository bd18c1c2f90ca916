"""Forks wait until other threads have imported their modules and compiled their kernels."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401
import contextlib
import logging  # noqa: F401
import os
import threading
from collections.abc import Iterator
from typing import Protocol

__all__ = ["not_forked", "wait_for"]

# concurrent.futures.thread and logging register fork hooks of their own when they are imported. If that
# happens while a fork waits, their hooks release, after the fork, a lock that they did not take before it. So
# this module imports them before any thread of the package works.


class _Lock(Protocol):
    def acquire(self) -> object: ...

    def release(self) -> object: ...


#: Held by the thread that forks, and by threads during work that a fork must not interrupt.
_forking = threading.RLock()
_locks: list[_Lock] = []  # taken before a fork
_held: list[_Lock] = []  # taken for the fork in progress


@contextlib.contextmanager
def not_forked() -> Iterator[None]:
    """Make forks by other threads wait. Used during imports, whose locks would stay held in a child."""
    with _forking:
        yield


def wait_for(lock: _Lock) -> None:
    """Make every later fork wait until a lock is free: a lock held at a fork would stay held in the child.

    A module cannot register a fork hook of its own for this: if it is imported while a fork waits, its lock
    would be released after the fork, but would not have been taken before it.
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


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
