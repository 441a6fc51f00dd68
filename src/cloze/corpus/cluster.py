"""Calls as tasks of a Ray cluster, one core each.

Ray was chosen by killing nodes (benchmarks/cluster.py): it raises an error for each task of a lost node and goes on
with the others; datatrove's executors waited for ever. It only carries calls: it is told not to repeat any, so that a
call which exhausts the memory of one machine after another ends as an error here, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cloze.errors import ClozeError
from cloze.workers import ATTEMPTS, WorkerDied

T = TypeVar("T")

_LOOK_S = 1.0
"""How often a waiting thread looks whether it shall end."""
_LOOKS_BETWEEN_CENSUSES = 15


class RayTasks:
    """Makes calls on the nodes of the cluster that this machine belongs to (or that RAY_ADDRESS names)."""

    def __init__(self, *shared: object) -> None:
        """Raises ClozeError without Ray or without a cluster."""
        try:
            import ray
        except ImportError:
            raise ClozeError("corpus.engine is ray, which is not installed: pip install 'cloze[cluster]'") from None
        if not ray.is_initialized():
            try:
                ray.init(address="auto", log_to_driver=False, logging_level="warning")
            except ConnectionError as error:
                raise ClozeError(
                    f"corpus.engine is ray, but there is no Ray cluster here ({str(error).splitlines()[0]}). Run `ray "
                    "start --head` on this machine and `ray start --address=...` on the others, or set "
                    "corpus.engine: processes."
                ) from None
        self._ray: Any = ray
        self._task = ray.remote(num_cpus=1, max_retries=0)(_call)
        self._shared = ray.put(shared)
        self._closed = threading.Event()
        self.at_once = self._cores()
        """Cores of the cluster at the start; a node that joins later is used as far as they go."""

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """The result of a call. A call whose node or process is lost is made again."""
        errors = self._ray.exceptions
        for _ in range(ATTEMPTS):
            try:
                result: T = self._wait(self._task.remote(function, arguments, self._shared))
                return result
            except errors.RayTaskError as error:  # raised by the function itself
                raise error.cause from None
            except errors.RayError as error:
                lost = type(error).__name__
        raise WorkerDied(f"{ATTEMPTS} tasks of it were lost, the last one with {lost}")

    def close(self) -> None:
        """Give up all calls; the cluster stays."""
        self._closed.set()

    def _wait(self, task: Any) -> Any:
        looks = 0
        while not self._ray.wait([task], timeout=_LOOK_S)[0]:
            looks += 1
            if self._closed.is_set():
                self._ray.cancel(task, force=True)
                raise WorkerDied("the run was told to end")
            if looks % _LOOKS_BETWEEN_CENSUSES == 0 and not self._cores():
                raise WorkerDied("no node of the Ray cluster is left")
        return self._ray.get(task)

    def _cores(self) -> int:
        return int(self._ray.cluster_resources().get("CPU", 0))


def _call(function: Callable[..., T], arguments: tuple[object, ...], shared: tuple[object, ...]) -> T:
    return function(*arguments, *shared)
