"""Calls come back in order, whatever dies; a worker that dies is replaced and never waited for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cloze.errors import ClozeError
from cloze.workers import AHEAD, Here, WorkerDied, Workers, in_order


def double(number: int) -> int:
    return 2 * number


def add(number: int, one: int, two: int) -> int:
    return number + one + two


def slow_first(number: int) -> int:
    time.sleep(0.2 if number == 0 else 0.0)
    return number


def die_at_first(mark: Path, number: int) -> int:
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_while_answering(mark: Path) -> bytes:
    """Dies, the first time, when it has begun to write its answer: the kernel says that it waits for the pipe."""
    waits_in = Path(f"/proc/self/task/{threading.get_native_id()}/wchan")

    def watch() -> None:
        while not (waits_in.exists() and "pipe" in waits_in.read_text()):
            time.sleep(0.001)
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    if not mark.exists():
        threading.Thread(target=watch, daemon=True).start()
    return bytes(50_000_000)


def die(number: int) -> int:
    os._exit(1)


def refuse(number: int) -> int:
    raise ClozeError(f"{number} is refused")


class Awkward(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__("awkward")


def return_function(number: int) -> object:
    return lambda: number


def raise_awkward(number: int) -> int:
    raise Awkward(1, 2)


@pytest.mark.parametrize("callers", [Here(), Workers(2)], ids=["here", "workers"])
def test_results_have_the_order_of_the_items(callers: Here | Workers) -> None:
    assert list(in_order(callers, lambda n: callers.call(slow_first, n), range(8))) == list(range(8))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("callers", [Here(10, 200), Workers(1, 10, 200)], ids=["here", "workers"])
def test_what_is_shared_comes_behind_the_arguments(callers: Here | Workers) -> None:
    assert [callers.call(add, number) for number in (1, 2)] == [211, 212]
    callers.close()


@pytest.mark.parametrize("make", [Here, lambda: Workers(2)], ids=["here", "workers"])
def test_what_comes_before_an_item_that_cannot_be_had_is_given_first(make: Callable[[], Here | Workers]) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise ClozeError("the sixth is damaged")

    callers, given = make(), []
    with pytest.raises(ClozeError, match="the sixth"):
        for result in in_order(callers, lambda n: callers.call(double, n), items()):
            given.append(result)
    assert given == [0, 2, 4, 6, 8]
    assert not multiprocessing.active_children()


def test_items_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    workers = Workers(2)
    with closing(in_order(workers, lambda n: workers.call(double, n), items())) as results:
        assert next(results) == 0
        assert len(taken) == 2 * AHEAD + 1
    assert not multiprocessing.active_children()


def test_a_call_whose_worker_is_killed_is_made_again(tmp_path: Path) -> None:
    workers = Workers(2)
    found = list(in_order(workers, lambda n: workers.call(die_at_first, tmp_path / "died", n), range(6)))
    assert found == list(range(6))
    assert (tmp_path / "died").exists()


def test_half_an_answer_is_no_answer(tmp_path: Path) -> None:
    """`ProcessPoolExecutor` waits for ever here (Python 3.11.7)."""
    workers = Workers(1)
    assert len(workers.call(die_while_answering, tmp_path / "died")) == 50_000_000
    workers.close()


def test_an_idle_worker_that_is_killed_is_replaced() -> None:
    workers = Workers(1)
    assert workers.call(double, 1) == 2
    for process in multiprocessing.active_children():
        process.kill()
    assert workers.call(double, 2) == 4
    workers.close()


def test_a_call_that_kills_every_worker_is_an_error() -> None:
    workers = Workers(2)
    with pytest.raises(WorkerDied, match="3 workers died of it"):
        list(in_order(workers, lambda n: workers.call(die, n), range(6)))
    assert not multiprocessing.active_children()


def test_an_error_comes_back_with_its_traceback() -> None:
    workers = Workers(2)
    with pytest.raises(ClozeError, match="1 is refused") as caught:
        workers.call(refuse, 1)
    assert "in refuse" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="in raise_awkward"):  # It cannot be made again from its message.
        workers.call(raise_awkward, 1)
    with pytest.raises(Exception, match="pickle"):  # What it returned can't come back.
        workers.call(return_function, 1)
    assert workers.call(double, 4) == 8
    workers.close()


def test_after_the_end_there_are_no_calls() -> None:
    workers = Workers(1)
    workers.close()
    with pytest.raises(WorkerDied, match="told to end"):
        workers.call(double, 1)
    assert not multiprocessing.active_children()
