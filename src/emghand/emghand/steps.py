"""What long work says of itself while it runs, and where it may not be cut short.

Work calls `step` at the end of each piece. Nobody needs to listen: then it costs nothing. A job of
a session runs in a process of its own (`emghand.jobs`), which listens and asks it to stop.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, float], None]


class _Work:
    """What is known of the work of this process."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.low, self.high = 0.0, 1.0
        self.asked_to_stop = False


class _Thread(threading.local):
    """What is known of the work of this thread: others may write at the same time."""

    is_whole = False


_work = _Work()
_thread = _Thread()


def step(stage: str, fraction: float = math.nan) -> None:
    """Say what is being done.

    Parameters
    ----------
    stage : str
        In a few words.
    fraction : float
        Done of the part of the work that `part` names, 0 to 1; NaN: not known.

    Raises
    ------
    KeyboardInterrupt
        When the work was asked to stop while it was `whole`.
    """
    if _work.asked_to_stop and not _thread.is_whole:
        raise KeyboardInterrupt
    if _work.listener is not None:
        _work.listener(stage, _work.low + (_work.high - _work.low) * fraction)


@contextmanager
def part(low: float, high: float) -> Iterator[None]:
    """Within, the fractions 0 to 1 of `step` are those from `low` to `high` of what is around."""
    outer = _work.low, _work.high
    width = outer[1] - outer[0]
    _work.low, _work.high = outer[0] + low * width, outer[0] + high * width
    try:
        yield
    finally:
        _work.low, _work.high = outer


@contextmanager
def whole() -> Iterator[None]:
    """Within, a request to stop waits: for what belongs together on the disk.

    It is heard at the next `step`. Work that has none any more is complete.
    """
    outer, _thread.is_whole = _thread.is_whole, True
    try:
        yield
    finally:
        _thread.is_whole = outer


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within, `listener` gets stage and fraction of every step."""
    outer, _work.listener = _work.listener, listener
    try:
        yield
    finally:
        _work.listener = outer


def ask_to_stop() -> None:
    """Stop the work of this process, from a signal handler.

    Raises
    ------
    KeyboardInterrupt
        At once, or, while the work is `whole`, at its next step. Only the first time: what is
        being cleaned up is not disturbed.
    """
    if _work.asked_to_stop:
        return
    _work.asked_to_stop = True
    if not _thread.is_whole:
        raise KeyboardInterrupt
