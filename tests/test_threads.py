from __future__ import annotations

import threading

import pytest

from guetzpy._threads import default_threads, each


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


def test_nested_use_ends() -> None:
    seen: list[tuple[int, int]] = []

    def outer(item: int) -> None:
        each(lambda inner: seen.append((item, inner)), range(8), 4)

    each(outer, range(8), 4)
    assert len(set(seen)) == 64


def test_default_is_positive() -> None:
    assert default_threads() >= 1
