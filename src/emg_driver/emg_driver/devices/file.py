"""Playback of a recording as if it came from the device again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from emg_driver.device import DeviceKind, EndOfData, Reading
from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.storage.datasets import FORMATS, cut, read_any
from emghand.storage.recording import Stream

_CATCH_UP_NS = 1_000_000_000
"""What is overdue by more, because the process was halted, is lost as it is from a device."""


@dataclass(frozen=True)
class Settings:
    """Which recording, which part of it, how fast."""

    path: str = setting("", "Recording: npz, csv, bag, or a folder of a data set", live=False)
    format: str = setting("auto", "Kind of the recording", choices=FORMATS, live=False)
    speed: float = setting(
        1.0, "Times real time; 0: as fast as possible", low=0.0, high=1000.0, live=False
    )
    start: str = setting("0%", "Where to start: '70%' or '12.5s'", live=False)
    end: str = setting("100%", "Where to end: '70%' or '12.5s'", live=False)
    delay_s: float = setting(
        0.0,
        "Time before the first sample, for readers to be there",
        unit="s",
        low=0.0,
        high=60.0,
        live=False,
    )
    loop: bool = setting(False, "Start over at the end, as a new stream", live=False)
    rate: float = setting(
        0.0,
        "Samples per second of a csv file, or of the JHU grid; 0: from the file",
        unit="Hz",
        low=0.0,
        high=100000.0,
        live=False,
    )
    unit: str = setting("V", "Unit of a csv file", choices=("V", "count"), live=False)

    def __post_init__(self) -> None:
        check(self)


class FileDevice:
    """A recording, block by block, on its own sample counter.

    The counter is the recording's, so that whoever reads the same recording (a glove's playback)
    finds its place in it by the counter alone. Gaps of the recording are gaps again.
    """

    def __init__(self, settings: Settings, block_size: int = 0) -> None:
        if not settings.path:
            raise UserError("file.path: name the recording to play")
        recording = read_any(
            settings.path,
            settings.format,
            rate=settings.rate,
            unit=settings.unit,
            block_size=block_size or None,
        )
        self._settings = settings
        self.speed = settings.speed or 1.0
        self._stream = replace(recording.stream, device="file", stream="")
        self._blocks = cut(recording.blocks, recording.stream.rate, settings.start, settings.end)
        if not self._blocks:
            raise UserError(
                f"{settings.path}: nothing lies between {settings.start} and {settings.end}"
            )
        self._next = 0
        self._start_ns = 0
        self._skipped = 0

    def open(self) -> Stream:
        """Start to play, after the delay."""
        self._next = 0
        self._start_ns = time.monotonic_ns() + round(self._settings.delay_s * 1e9)
        return self._stream

    def read(self, timeout_s: float) -> Reading | None:
        """Next block, once it is due."""
        paced = self._settings.speed > 0
        overdue = time.monotonic_ns() - _CATCH_UP_NS
        while paced and self._next < len(self._blocks) and self._due(self._next) < overdue:
            self._next += 1
            self._skipped += 1
        if self._next == len(self._blocks):
            loop = self._settings.loop
            raise EndOfData(f"{self._settings.path}: played to its end", again=loop)
        due = self._due(self._next)
        wait_s = (due - time.monotonic_ns()) * 1e-9
        if paced and wait_s > 0:
            time.sleep(min(wait_s, timeout_s))
            if wait_s > timeout_s:
                return None
        block = self._blocks[self._next]
        self._next += 1
        return Reading(block.first_sample, block.samples, due)

    def close(self) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, int]:
        """Blocks of this round, and blocks skipped because the process was halted."""
        return {"blocks_read": self._next, "skipped_blocks": self._skipped}

    def _due(self, index: int) -> int:
        block = self._blocks[index]
        since = block.first_sample + len(block.samples) - self._blocks[0].first_sample
        return self._start_ns + round(since * 1e9 / (self._stream.rate * self.speed))


DEVICE = DeviceKind("Playback of a recording", Settings, FileDevice)
