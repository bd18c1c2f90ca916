from __future__ import annotations

import os
import threading

import pytest

from guetzpy._runtime.threads import apart, default_threads, each, time_limit
from guetzpy.errors import LimitError


@pytest.mark.parametrize("threads", [None, 1, 2, 7])
def test_every_item_once(threads: int | None) -> None:
    seen: list[int] = []
    each(seen.append, range(100), threads)
    assert sorted(seen) == list(range(100))
    each(seen.append, [], threads)
    assert len(seen) == 100


def test_at_most_so_many_at_once() -> None:
    running, most = 0, 0
    lock, gate = threading.Lock(), threading.Event()

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(0.002)
        with lock:
            running -= 1

    each(work, range(40), 2)
    assert most <= 2


def test_one_thread_is_the_caller() -> None:
    names: set[str] = set()
    each(lambda _: names.add(threading.current_thread().name), range(5), 1)
    assert names == {threading.current_thread().name}


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_first_error_is_raised_and_the_rest_dropped(threads: int) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 3:
            raise ValueError("three")
        done.append(item)

    with pytest.raises(ValueError, match="three"):
        each(work, range(10_000), threads)
    assert len(done) < 9_999


def test_an_error_of_another_thread_is_raised() -> None:
    caller, both = threading.current_thread(), threading.Barrier(2)

    def work(_: int) -> None:
        both.wait(10)  # each thread has one item
        if threading.current_thread() is not caller:
            raise ValueError("another thread")

    with pytest.raises(ValueError, match="another thread"):
        each(work, range(2), 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_work_ends_after_its_time(threads: int) -> None:
    done: list[int] = []
    with time_limit(-1.0), pytest.raises(LimitError, match="not done within"):
        each(done.append, range(100), threads)
    assert not done
    with time_limit(1e6):
        each(done.append, range(100), threads)
    assert len(done) == 100


def test_nested_use_ends() -> None:
    seen: list[tuple[int, int]] = []

    def outer(item: int) -> None:
        each(lambda inner: seen.append((item, inner)), range(8), 4)

    each(outer, range(8), 4)
    assert len(set(seen)) == 64


def test_default_is_positive() -> None:
    assert default_threads() >= 1


def test_systems_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for count, threads in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert default_threads() == threads


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_what_is_apart_stays_on_its_thread(threads: int) -> None:
    seen: dict[int, set[str]] = {0: set(), 1: set(), 2: set()}

    def work(number: int) -> None:
        def note(_: int) -> None:
            seen[number].add(threading.current_thread().name)

        each(note, range(50), 2)
        each(note, range(50))

    apart([lambda n=number: work(n) for number in seen], threads)  # type: ignore[misc]
    assert all(len(names) == 1 for names in seen.values())


def test_after_an_error_apart_work_is_shared_again() -> None:
    def fail() -> None:
        raise ValueError("apart")

    with pytest.raises(ValueError, match="apart"):
        apart([fail], 1)
    names: set[str] = set()
    gate = threading.Barrier(2)

    def meet(_: int) -> None:
        gate.wait(10)  # needs two threads
        names.add(threading.current_thread().name)

    each(meet, range(2), 2)
    assert len(names) == 2
