"""SIGTERM and Ctrl-C let the step finish and a checkpoint be written; the second one acts at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from cloze.errors import ClozeError


class Stopped(ClozeError):
    """Training was asked to stop and has saved a checkpoint. `exit_code` is 128 + signal (SIGTERM: 143)."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class StopRequest:
    """Set by the first signal."""

    number: int | None = None

    @property
    def name(self) -> str:
        """The signal's name. On a rank that got none, another rank got it."""
        return signal.Signals(self.number or signal.SIGTERM).name


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGTERM and SIGINT once each while the block runs. In a thread Python sees none."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {int(number): signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def catch(number: int, frame: FrameType | None) -> None:
        request.number = number
        signal.signal(number, before[number] or signal.SIG_DFL)

    for number in before:
        signal.signal(number, catch)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
