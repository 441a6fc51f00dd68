"""Worker processes with a pipe each: one that dies is noticed at once, replaced, and its call made again.

`concurrent.futures.ProcessPoolExecutor` gives all its workers one pipe for results. One that is killed while it writes
leaves half a message in it, and the reader waits for the other half for ever. Here the end of a process is the end of
its pipe. It also tells which call was under way, so only that one is repeated, and the other workers go on.

Workers are spawned, not forked: neither threads of the parent nor torch are in them.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")

ATTEMPTS = 3
"""How often a call is made when its worker dies under it."""
AHEAD = 2
"""Items in hand for each worker: while it has one, another is on its way to it, or to the disk."""


class WorkerDied(Exception):
    """The workers that a call was given to died, one after another."""


class Callers(Protocol):
    """Something that makes calls elsewhere, or here; threads may use it at the same time.

    What all calls need is given once, at the start: it comes behind the arguments of every call.
    """

    @property
    def at_once(self) -> int:
        """Calls that it can make at the same time."""

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """The result of a call. Raises what the function raises, and WorkerDied."""

    def close(self) -> None:
        """End every call that is under way, with WorkerDied, and every worker."""


class Here:
    """Makes calls in this process."""

    at_once = 1

    def __init__(self, *shared: object) -> None:
        self._shared = shared

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """The result of the call."""
        return function(*arguments, *self._shared)

    def close(self) -> None:
        """Nothing to end."""


class Workers:
    """Makes calls in processes of its own, which are started when they are needed."""

    def __init__(self, processes: int, *shared: object) -> None:
        self.at_once = processes
        self._shared = shared
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._free = threading.Semaphore(processes)

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """The result of a call; function, arguments and result must be picklable."""
        with self._free:
            return self._call(function, arguments)

    def close(self) -> None:
        """Kill all workers; calls under way end with WorkerDied."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            worker.process.kill()  # All at once; the next loop waits for each.
        for worker in workers:
            worker.process.join()

    def _call(self, function: Callable[..., T], arguments: tuple[object, ...]) -> T:
        unstarted: OSError | None = None
        for _ in range(ATTEMPTS):
            try:
                worker = self._take()
            except OSError as error:  # It was killed while it was started, or the system lets none be started.
                unstarted = error
                continue
            try:
                answered, answer = worker.ask(function, arguments)
            except (EOFError, OSError):  # It was killed, or ended itself.
                self._drop(worker)
                continue
            except BaseException:  # What could not be pickled may lie half in the pipe.
                self._drop(worker)
                raise
            self._idle.append(worker)
            if answered:
                result: T = answer
                return result
            raise answer
        last = "" if unstarted is None else f" (one could not be started: {unstarted.strerror or unstarted})"
        raise WorkerDied(f"{ATTEMPTS} workers died of it, one after another{last}")

    def _take(self) -> _Worker:
        with suppress(IndexError):
            return self._idle.pop()
        worker = _Worker(self._shared)
        with self._lock:
            if not self._closed:
                self._all.add(worker)
                return worker
        worker.end()
        raise WorkerDied("the workers were told to end")

    def _drop(self, worker: _Worker) -> None:
        worker.end()
        with self._lock:
            self._all.discard(worker)
            if self._closed:
                raise WorkerDied("the workers were told to end")


def in_order(callers: Callers, function: Callable[[Item], T], items: Iterable[Item]) -> Generator[T]:
    """What `function` gives for every item, in the order of the items.

    Each is run in a thread, where it may wait for `callers`. There are more threads than workers, so that a result can
    be written to the disk while its worker goes on. Items are taken by the thread that iterates, as far ahead as keeps
    all workers busy; where that fails, the results of those before come first, as with one process. Whatever ends the
    iteration, `close()` and errors too, ends the workers.
    """
    if isinstance(callers, Here):
        yield from map(function, items)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(callers.at_once * AHEAD, thread_name_prefix="caller") as threads:
        try:
            failure = yield from _ahead(threads, function, items, waiting, callers.at_once * AHEAD)
            while waiting:
                yield waiting.popleft().result()
            if failure is not None:
                raise failure
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            callers.close()


def _ahead(
    threads: ThreadPoolExecutor,
    function: Callable[[Item], T],
    items: Iterable[Item],
    waiting: deque[Future[T]],
    at_most: int,
) -> Generator[T, None, Exception | None]:
    """Results while there are items; the last `at_most` stay in `waiting`. Returns what ended the items too early."""
    taken = iter(items)
    while True:
        try:
            item = next(taken)
        except StopIteration:
            return None
        except Exception as error:
            return error
        waiting.append(threads.submit(function, item))
        if len(waiting) > at_most:
            yield waiting.popleft().result()


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker:
    """A process, and this end of its pipe."""

    def __init__(self, shared: tuple[object, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, shared), daemon=True)
        try:
            self.process.start()
        finally:
            theirs.close()  # Only the worker holds it now, so its end is the pipe's.

    def ask(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> tuple[bool, Any]:
        """Whether the function returned, and what; or else what it raised."""
        self._pipe.send((function, arguments))
        answered, answer = self._pipe.recv()
        return answered, answer

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self._pipe.close()


def _serve(pipe: Connection, shared: tuple[object, ...]) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer.
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = ForkingPickler.dumps((True, function(*arguments, *shared)))
        except Exception as error:
            answer = ForkingPickler.dumps((False, _portable(error)))
        pipe.send_bytes(answer)


def _die_with_parent() -> None:
    """A worker whose parent was killed ends at once, not with its call."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """The error with its traceback as a note, or one that says as much where it cannot be pickled."""
    error.add_note("In a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error
