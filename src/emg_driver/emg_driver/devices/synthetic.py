"""Synthetic person: makes surface EMG from what the task prompts, or a simulated user intends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emg_driver.device import DeviceKind, Reading
from emghand.settings import setting
from emghand.simulate import Intention, SyntheticEmg, SyntheticSettings
from emghand.storage.datasets import default_block_size
from emghand.storage.recording import Stream

PROMPT, USER = "task/x_d", "user/intention"
BUFFER_S = 1.0
"""What the simulated amplifier can hold while nobody reads it."""


@dataclass(frozen=True)
class Settings(SyntheticSettings):
    """The synthetic person, and how their amplifier behaves."""

    loss: float = setting(
        0.0, "Share of the blocks that get lost on the way", low=0.0, high=1.0, live=False
    )
    intention_timeout_s: float = setting(
        1.0,
        "The person relaxes when no prompt came for so long",
        unit="s",
        low=0.05,
        high=60.0,
        live=False,
    )
    intention: str = setting(
        PROMPT,
        "Topic of the intention: the prompts themselves, followed after reaction_s; or that of the "
        "node simulated_user, who has seen the hand and has a delay of their own",
        choices=(PROMPT, USER),
        live=False,
    )


class SyntheticDevice:
    """EMG of a synthetic person at the pace of the steady clock.

    Every block is due at an absolute time, so that the pace neither drifts nor accumulates
    delays. A pause longer than the amplifier's buffer loses samples, as with a real device.
    """

    speed = 1.0

    def __init__(self, settings: Settings, block_size: int = 0) -> None:
        if settings.intention == USER:
            # The reaction is that of the user.
            settings = replace(settings, reaction_s=0.0)
        self.intention_topic = settings.intention
        self._settings = settings
        self._block = block_size or default_block_size(settings.rate)
        self._emg = SyntheticEmg(settings)
        self._intention = Intention(settings.dofs, settings.intention_timeout_s)
        self._loss = np.random.default_rng([settings.seed, 3, settings.run])
        self._start_ns = 0
        self._next = 0
        self._made: NDArray[np.float32] | None = None
        self._lost_blocks = 0

    def set_intention(self, values: Mapping[str, float]) -> None:
        """Intended DOFs from now on; DOFs that the person does not have are ignored."""
        self._intention.set(values, time.monotonic_ns())

    def open(self) -> Stream:
        """Start to sample now, at sample 0."""
        self._start_ns = time.monotonic_ns()
        self._next = 0
        s = self._settings
        names = self._emg.channel_names
        return Stream("synthetic", "", names, s.rate, self._block, "V", s.full_scale)

    def read(self, timeout_s: float) -> Reading | None:
        """Next block, once the last of its samples is due."""
        rate = self._settings.rate
        now = time.monotonic_ns()
        late = int((now - self._start_ns) * 1e-9 * rate) - self._next
        if late > BUFFER_S * rate:
            self._next += (late - int(BUFFER_S * rate)) // self._block * self._block
        if self._made is None:
            # Made ahead, so that a block leaves at once when it is due.
            self._made = self._emg.push(np.tile(self._intention.at(now), (self._block, 1)))
        due = self._start_ns + round((self._next + self._block) * 1e9 / rate)
        if due > now:
            time.sleep(min((due - now) * 1e-9, timeout_s))
            if time.monotonic_ns() < due:
                return None
        first, samples = self._next, self._made
        self._next, self._made = first + self._block, None
        if self._loss.random() < self._settings.loss:
            self._lost_blocks += 1
            return None
        return Reading(first, samples, due)

    def close(self) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, int]:
        """Blocks that were lost on purpose."""
        return {"lost_blocks": self._lost_blocks}


DEVICE = DeviceKind("Synthetic person who follows the prompts", Settings, SyntheticDevice)
