"""Synthetic glove on the hand of an intact subject who follows the prompts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.settings import check, setting
from emghand.simulate import SyntheticGlove
from glove_driver.device import DeviceKind, Reading

_CATCH_UP_S = 1.0


@dataclass(frozen=True)
class Settings:
    """The glove and its wearer."""

    seed: int = setting(1, "Makes the noise", low=0, live=False)
    dofs: tuple[str, ...] = setting(dof_names(DEFAULT_DOFS), "DOFs the glove measures", live=False)
    rate: float = setting(60.0, "Readings per second", unit="Hz", low=1.0, high=1000.0, live=False)
    reaction_s: float = setting(
        0.2, "Delay from the prompt to the movement", unit="s", low=0.0, high=2.0, live=False
    )
    smoothing_s: float = setting(
        0.04, "Time constant of the hand", unit="s", low=0.0, high=2.0, live=False
    )
    noise: float = setting(0.01, "RMS of the sensor noise", low=0.0, high=1.0, live=False)
    intention_timeout_s: float = setting(
        1.0,
        "The wearer relaxes when no prompt came for so long",
        unit="s",
        low=0.05,
        high=60.0,
        live=False,
    )

    def __post_init__(self) -> None:
        check(self)


class SyntheticGloveDevice:
    """Readings at the pace of the steady clock, each due at an absolute time."""

    def __init__(self, settings: Settings, block_size: int = 0) -> None:
        s = self._settings = settings
        self._glove = SyntheticGlove(
            len(s.dofs), s.rate, s.reaction_s, s.smoothing_s, s.noise, s.seed
        )
        self._intention: tuple[int, Mapping[str, float]] = (0, {})
        self._start_ns = 0
        self._next = 0
        self._skipped = 0

    def set_intention(self, values: Mapping[str, float]) -> None:
        """Intended DOFs from now on; DOFs that the glove does not have are ignored."""
        self._intention = (time.monotonic_ns(), dict(values))

    def open(self) -> tuple[str, ...]:
        """Start to measure now."""
        self._start_ns = time.monotonic_ns()
        self._next = 0
        return self._settings.dofs

    def read(self, timeout_s: float) -> Reading | None:
        """Next reading, once it is due."""
        rate = self._settings.rate
        now = time.monotonic_ns()
        late = int((now - self._start_ns) * 1e-9 * rate) - self._next
        if late > _CATCH_UP_S * rate:
            self._next += late
            self._skipped += late
        due = self._start_ns + round(self._next * 1e9 / rate)
        if due > now:
            time.sleep(min((due - now) * 1e-9, timeout_s))
            if time.monotonic_ns() < due:
                return None
        self._next += 1
        since, values = self._intention
        if due - since > self._settings.intention_timeout_s * 1e9:
            values = {}
        intention = np.array([[values.get(dof, 0.0) for dof in self._settings.dofs]])
        return Reading(self._glove.push(intention)[0], due)

    def close(self) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, int]:
        """Readings that were skipped because the process was halted."""
        return {"skipped": self._skipped}


DEVICE = DeviceKind("Synthetic glove that follows the prompts", Settings, SyntheticGloveDevice)
