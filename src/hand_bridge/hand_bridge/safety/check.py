"""Decides whether a command may be obeyed, and counts what was refused and why."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import Dof
from hand_bridge.safety.settings import SafetySettings
from hand_bridge.safety.types import Command


class Refusal(Enum):
    """Why a command was refused; the keys of ``HandStatus.refusals``."""

    OTHER_PUBLISHER = "other_publisher"
    EMPTY = "empty"
    UNKNOWN_DOF = "unknown_dof"
    REPEATED_DOF = "repeated_dof"
    WRONG_LENGTH = "wrong_length"
    NOT_FINITE = "not_finite"
    STALE = "stale"
    FUTURE = "future"
    NOT_MONOTONE = "not_monotone"


class CommandCheck:
    """Checks commands one after the other.

    Each refused command counts once, for the first reason in the order of `Refusal`. Values that
    are finite but out of range are clipped and counted in `clipped`. DOFs that a command does not
    name are sent to rest.

    Parameters
    ----------
    dofs : sequence of Dof
        What the hand can do; their ranges are the joint limits.
    settings : SafetySettings
        Replace the attribute to change them.
    """

    def __init__(self, dofs: Sequence[Dof], settings: SafetySettings) -> None:
        self.settings = settings
        self.low = np.array([d.low for d in dofs])
        self.high = np.array([d.high for d in dofs])
        self.commander = ""
        self.accepted = 0
        self.clipped = 0
        self.refusals = {reason.value: 0 for reason in Refusal}
        self._index = {d.name: i for i, d in enumerate(dofs)}
        self._known_names: tuple[str, ...] = ()
        self._columns = np.arange(0)
        self._last_stamp: dict[str, int] = {}
        self._last_seen: dict[str, int] = {}

    def check(self, command: Command, now_ns: int) -> NDArray[np.float64] | Refusal:
        """Check one command at steady time `now_ns`.

        Returns
        -------
        ndarray, shape (n_dofs,), or Refusal
            The command within the limits, or why it was refused.
        """
        result = self._judge(command)
        if isinstance(result, Refusal):
            self.refusals[result.value] += 1
            return result
        self.accepted += 1
        if len(self._last_stamp) > 16:
            self._last_stamp.clear()
            self._last_seen.clear()
        self._last_stamp[command.publisher] = command.stamp_ns
        self._last_seen[command.publisher] = now_ns
        limited = np.clip(result, self.low, self.high)
        self.clipped += not np.array_equal(limited, result)
        return limited

    def _judge(self, command: Command) -> NDArray[np.float64] | Refusal:
        if self.commander and command.publisher != self.commander:
            return Refusal.OTHER_PUBLISHER
        given = tuple(command.names)
        if given != self._known_names:
            if not given:
                return Refusal.EMPTY
            if any(name not in self._index for name in given):
                return Refusal.UNKNOWN_DOF
            if len(set(given)) != len(given):
                return Refusal.REPEATED_DOF
            self._known_names = given
            self._columns = np.array([self._index[name] for name in given])
        values = np.array(command.position, np.float64)
        if values.shape != self._columns.shape:
            return Refusal.WRONG_LENGTH
        if not np.isfinite(values).all():
            return Refusal.NOT_FINITE
        if command.age_ns > self.settings.max_age * 1e9:
            return Refusal.STALE
        if command.age_ns < -self.settings.max_ahead * 1e9:
            return Refusal.FUTURE
        last = self._last_stamp.get(command.publisher)
        if last is not None and command.stamp_ns <= last:
            return Refusal.NOT_MONOTONE
        full = np.zeros(len(self._index))
        full[self._columns] = values
        return full

    def bind(self, publisher: str) -> None:
        """Obey this publisher only, from now on; empty: whoever comes first."""
        self.commander = publisher

    def clock_stepped(self) -> None:
        """Compare the next stamps with nothing older: the clock they are on has stepped."""
        self._last_stamp.clear()

    def recent_publishers(self, now_ns: int, within_ns: int) -> list[str]:
        """Publishers that sent an acceptable command within this time, newest first."""
        recent = [(t, p) for p, t in self._last_seen.items() if now_ns - t <= within_ns]
        return [publisher for _, publisher in sorted(recent, reverse=True)]
