"""Plays the messages of a bag at their original times. No ROS: what to do with them is a call."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from emghand.storage.bags import BagReader, RawMessage, Topic

NS = 1_000_000_000


@dataclass(frozen=True)
class _Anchor:
    recorded: int
    steady: int
    rate: float
    paused: bool


class Timeline:
    """Maps recorded time to the steady clock; rate and pause change it at a moment.

    Parameters
    ----------
    recorded : int
        Recorded time at which playing starts [ns].
    steady : int
        Steady time of that moment [ns].
    rate : float
        Seconds recorded per second played.
    """

    def __init__(self, recorded: int, steady: int, rate: float, *, paused: bool = False) -> None:
        self._anchor = _Anchor(recorded, steady, rate, paused)

    @property
    def rate(self) -> float:
        """Seconds recorded per second played, when not paused."""
        return self._anchor.rate

    @property
    def paused(self) -> bool:
        """Whether recorded time stands still."""
        return self._anchor.paused

    def recorded(self, steady: int) -> int:
        """Recorded time at a steady time [ns]."""
        a = self._anchor
        return a.recorded if a.paused else a.recorded + round((steady - a.steady) * a.rate)

    def steady(self, recorded: int) -> int | None:
        """Steady time at which a recorded time is due [ns]; None while paused."""
        a = self._anchor
        return None if a.paused else a.steady + round((recorded - a.recorded) / a.rate)

    def change(self, steady: int, *, rate: float | None = None, paused: bool | None = None) -> None:
        """Change rate or pause from a steady time on."""
        a = self._anchor
        self._anchor = _Anchor(
            self.recorded(steady),
            steady,
            a.rate if rate is None else rate,
            a.paused if paused is None else paused,
        )

    def restamp(self, stamp: int, offset: int) -> int:
        """Recorded stamp as if it were played live [ns].

        Parameters
        ----------
        offset : int
            ROS time minus steady time [ns].
        """
        a = self._anchor
        return a.steady + round((stamp - a.recorded) / a.rate) + offset


def has_header(topic: Topic) -> bool:
    """Whether the first field of the topic's type is a ``std_msgs/Header``."""
    for line in topic.definition.splitlines():
        words = line.split("#", 1)[0].split()
        if not words or "=" in line.split("#", 1)[0]:
            continue
        return words[0] in ("std_msgs/Header", "std_msgs/msg/Header", "Header")
    return False


def restamped(data: bytes, change: Callable[[int], int]) -> bytes:
    """Serialised message with another stamp in its leading header.

    The stamp is the first thing after the four bytes of the CDR encapsulation: seconds (int32)
    and nanoseconds (uint32), in the byte order that the encapsulation names.
    """
    form = "<iI" if data[1] & 1 else ">iI"
    sec, nanosec = struct.unpack_from(form, data, 4)
    new = divmod(change(sec * NS + nanosec), NS)
    return data[:4] + struct.pack(form, *new) + data[12:]


@dataclass(frozen=True)
class Sinks:
    """Where a playback goes.

    Parameters
    ----------
    publish : callable
        Gets every message when it is due.
    clock : callable
        Gets recorded time [ns], `clock_rate` times per second.
    finished : callable
        Called once at the end, not when stopped.
    """

    publish: Callable[[RawMessage], None]
    clock: Callable[[int], None]
    finished: Callable[[], None]


class Playback:
    """Plays a bag in a thread, against absolute deadlines of the steady clock.

    Being late never adds up: the deadline of a message depends on its recorded time alone.

    Parameters
    ----------
    reader : BagReader
    topics : set of str
        Topics to play.
    latched : set of str
        Of these, the last message before the start is played at the start.
    sinks : Sinks
    rate : float
    start_offset : float
        Seconds of the bag to skip.
    loop, paused : bool
    clock_rate : float
        Calls of `Sinks.clock` per second; 0: none.
    """

    def __init__(
        self,
        reader: BagReader,
        topics: set[str],
        latched: set[str],
        sinks: Sinks,
        *,
        rate: float = 1.0,
        start_offset: float = 0.0,
        loop: bool = False,
        paused: bool = False,
        clock_rate: float = 0.0,
    ) -> None:
        self._reader = reader
        self._topics = topics
        self._latched = latched
        self._sinks = sinks
        self._loop = loop
        self._start_ns = reader.start_ns + round(start_offset * NS)
        self._clock_step = round(NS / clock_rate) if clock_rate else 0
        self._next_clock = 0
        self._changed = threading.Condition()
        self._stopping = False
        self.timeline = Timeline(self._start_ns, time.monotonic_ns(), rate, paused=paused)
        self.played = 0
        self.worst_late_ns = 0
        self._thread = threading.Thread(target=self._run, name="bag player", daemon=True)

    def start(self) -> None:
        """Start now."""
        self._begin()
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait for the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def change(self, *, rate: float | None = None, paused: bool | None = None) -> None:
        """Change rate or pause now."""
        with self._changed:
            self.timeline.change(time.monotonic_ns(), rate=rate, paused=paused)
            self._changed.notify_all()

    def _begin(self) -> None:
        before = self.timeline
        self.timeline = Timeline(
            self._start_ns, time.monotonic_ns(), before.rate, paused=before.paused
        )

    def _run(self) -> None:
        while self._play_once() and self._loop:
            with self._changed:
                self._begin()
        if not self._stopping:
            self._sinks.finished()

    def _play_once(self) -> bool:
        for message in self._from_start():
            if not self._wait_for(message.log_time):
                return False
            self._sinks.publish(message)
            self.played += 1
        return self._wait_for(self._reader.end_ns)

    def _from_start(self) -> Iterator[RawMessage]:
        held: dict[str, RawMessage] = {}
        for message in self._reader.messages(self._topics):
            if message.log_time < self._start_ns:
                if message.topic in self._latched:
                    held[message.topic] = message
                continue
            if held:
                yield from (m._replace(log_time=self._start_ns) for m in held.values())
                held.clear()
            yield message

    def _wait_for(self, recorded: int) -> bool:
        with self._changed:
            while not self._stopping:
                now = time.monotonic_ns()
                due = self.timeline.steady(recorded)
                wake = due
                if self._clock_step:
                    if now >= self._next_clock:
                        self._sinks.clock(self.timeline.recorded(now))
                        late = (now - self._next_clock) % self._clock_step
                        self._next_clock = now - late + self._clock_step
                    wake = self._next_clock if due is None else min(due, self._next_clock)
                if due is not None and now >= due:
                    self.worst_late_ns = max(self.worst_late_ns, now - due)
                    return True
                self._changed.wait(None if wake is None else max(wake - now, 0) / NS)
        return False
