"""Movements and plateaus in the raw estimates of a decoder, tick by tick."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.profile import fit_profile
from emghand.adapt.segments import DetectorSettings, Segment
from emghand.decoders.base import LARGEST
from emghand.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
__all__ = ["DetectorSettings", "MovementDetector", "Segment", "detect"]

State = dict[str, NDArray[np.generic]]

_WORDS = (
    "tick",
    "place",
    "count",
    "first",
    "moving",
    "known",
    "over",
    "low",
    "plateau",
    "onset",
    "hushed",
)
"""The numbers of a snapshot, in order; `peak` stands beside them."""
_NO_TICK, _NEVER = -(2**62), 2**62
# A fraction of what the methods of an array take.
_largest, _smallest = np.maximum.reduce, np.minimum.reduce


class MovementDetector:
    """Finds movements and plateaus while the ticks come in.

    At rest, a movement starts when the mean of the last `smooth_s` is `on_displacement` away from
    the level of the plateau, or its slope is steeper than `on_speed`, for `on_s`. It ends when the
    slope stays below `off_speed` (or `off_share` of its peak) for `hold_s`. Beginning and end are
    then read from the estimates between: the profile of minimum jerk that passes a quarter and
    three quarters of the way when they do.

    A movement therefore becomes known `hold_s` and half of `smooth_s` after its end, a plateau
    when the next movement does. Two movements without rest of about `hold_s` between them are one,
    and there and back without rest is none.

    Quiet ticks are watched, so that movements right before and after them are found, but are never
    part of a segment: a plateau ends before them, a movement that reaches into them is dropped.
    After an estimate that is not finite, and where ticks are missing, everything starts anew.

    Parameters
    ----------
    settings : DetectorSettings
    n_dofs : int
    tick_rate : float
        Ticks per second [Hz].

    Raises
    ------
    UserError
        When there is no DOF, or the tick rate is not positive.
    """

    def __init__(self, settings: DetectorSettings, n_dofs: int, tick_rate: float) -> None:
        if n_dofs < 1 or not 0.0 < tick_rate < math.inf:
            raise UserError("movement detector: needs at least one DOF and a positive tick rate")
        self.settings = settings
        self.n_dofs = n_dofs
        self.tick_rate = tick_rate

        def ticks(seconds: float, least: int = 1) -> int:
            return max(least, round(seconds * tick_rate))

        # Odd, so that its middle is a tick.
        self._delay = round((settings.smooth_s * tick_rate - 1.0) / 2.0)
        self._delay = max(1, self._delay)
        self._window = 2 * self._delay + 1
        since = np.arange(self._window) - float(self._delay)
        slope = since * (tick_rate / float(since @ since))
        self._weights = np.stack([np.full(self._window, 1.0 / self._window), slope])
        self._on, self._hold = ticks(settings.on_s), ticks(settings.hold_s)
        self._pre = ticks(settings.pre_roll_s, 0)
        self._keep = 1.0 / (settings.level_s * tick_rate)
        before = self._pre + self._delay + self._on + self._hold
        self._n = ticks(settings.longest_s) + before + self._hold + self._window
        # Every estimate is kept twice, n rows apart: the last ones are always one block.
        self._rows = np.zeros((2 * self._n, n_dofs))
        self._now = np.zeros((2, n_dofs))
        self._way = np.zeros(n_dofs)
        self._tick, self._place, self._count = _NO_TICK, -1, 0
        self._moving = True
        self._level, self._x0, self._settled = (np.zeros(n_dofs) for _ in range(3))
        self._forget()

    def step(self, tick: int, x_hat: Floats, quiet: bool = False) -> list[Segment]:
        """Take one tick.

        Parameters
        ----------
        tick : int
            Number of the tick.
        x_hat : ndarray, shape (n_dofs,)
            Raw estimate; not kept.
        quiet : bool
            Not to be learned from: an announced movement (PROMPT), an emergency stop. A tick
            without an estimate, as of a bad signal, is left out altogether.

        Returns
        -------
        list of Segment
            What has become known, in order of time; mostly empty.

        Raises
        ------
        UserError
            When the estimate has another shape.
        """
        if x_hat.shape != self._way.shape:
            raise UserError(
                f"movement detector: expected {self.n_dofs} DOFs, got an array of {x_hat.shape}"
            )
        # Not so where one is NaN, either.
        if not (_largest(x_hat) < LARGEST and _smallest(x_hat) > -LARGEST):
            return self.finish()
        found: list[Segment] = []
        if tick != self._tick + 1:
            found = self.finish()
            self._first = tick
        elif quiet and not self._moving:
            self._close(found)
        self._tick = tick
        self._place = place = (self._place + 1) % self._n
        self._rows[place] = x_hat
        self._rows[place + self._n] = x_hat
        self._count += 1
        if self._count >= self._window:
            end = place + self._n + 1
            np.dot(self._weights, self._rows[end - self._window : end], out=self._now)
            mean, slope = self._now
            speed = max(_largest(slope), -_smallest(slope))
            if self._moving:
                self._move(speed, found)
            else:
                self._rest(mean, speed)
        if quiet:
            self._hide()
        return found

    def finish(self) -> list[Segment]:
        """End of the ticks: the plateau that lasted until now, if there is one.

        What follows starts anew.
        """
        found: list[Segment] = []
        self._close(found)
        self._forget()
        return found

    def snapshot(self) -> State:
        """Everything carried from tick to tick, as plain arrays."""
        return {
            "rows": self._rows[: self._n].copy(),
            "level": self._level.copy(),
            "x0": self._x0.copy(),
            "settled": self._settled.copy(),
            "numbers": np.array([int(getattr(self, f"_{w}")) for w in _WORDS], np.int64),
            "peak": np.array([self._peak]),
        }

    def restore(self, snapshot: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from the snapshot of a detector with the same settings, bit for bit.

        Raises
        ------
        UserError
            When the snapshot is that of another one; the state is then unchanged.
        """
        for name, own in self.snapshot().items():
            given = snapshot.get(name)
            if given is None or given.shape != own.shape or given.dtype != own.dtype:
                raise UserError(f"snapshot of the movement detector: {name} does not fit")
        numbers = dict(zip(_WORDS, map(int, snapshot["numbers"]), strict=True))
        if not -1 <= numbers["place"] < self._n:
            raise UserError("snapshot of the movement detector: numbers do not fit")
        self._rows[: self._n] = self._rows[self._n :] = snapshot["rows"]
        self._level = np.array(snapshot["level"], np.float64)
        self._x0 = np.array(snapshot["x0"], np.float64)
        self._settled = np.array(snapshot["settled"], np.float64)
        self._peak = float(snapshot["peak"][0])
        for name, value in numbers.items():
            setattr(self, f"_{name}", bool(value) if name in ("moving", "known") else value)

    def _forget(self) -> None:
        """As if the hand were on its way from nobody knows where."""
        self._count = self._over = self._low = self._first = 0
        self._moving, self._known = True, False
        self._plateau = self._onset = 0
        self._hushed = _NEVER
        self._peak = 0.0
        # No tick follows on it.
        self._tick = _NO_TICK

    def _close(self, found: list[Segment]) -> None:
        """The plateau that lasts until the last tick, or until the movement under way."""
        if self._moving:
            if self._known:
                self._add_plateau(found, self._earliest, self._x0)
        elif self._plateau <= self._tick:
            first = max(self._plateau, self._tick + 1 - self._hold)
            self._add_plateau(found, self._tick, self._median(first, self._tick + 1))

    def _hide(self) -> None:
        """The last tick is not to be part of anything."""
        self._first = self._tick + 1
        if self._moving:
            self._hushed = min(self._hushed, self._tick)
        else:
            self._plateau = self._first
            self._settled = self._level.copy()

    def _rest(self, mean: Floats, speed: float) -> None:
        np.subtract(mean, self._level, out=self._way)
        away = max(_largest(self._way), -_smallest(self._way))
        if speed <= self.settings.on_speed and away <= self.settings.on_displacement:
            self._over = 0
            self._way *= self._keep
            self._level += self._way
            return
        self._over += 1
        if self._over < self._on:
            return
        self._low = 0
        self._hushed = _NEVER
        self._peak = speed
        self._onset = self._tick - self._delay - self._on + 1
        self._moving = True
        self._known = self._onset >= self._first
        if not self._known:
            return
        begin = self._earliest
        first = max(begin - self._hold, self._plateau)
        # A plateau too short to be measured is where the last movement came to.
        measured = 2 * (begin - first) >= self._hold
        self._x0 = self._median(first, begin) if measured else self._settled

    def _move(self, speed: float, found: list[Segment]) -> None:
        self._peak = max(self._peak, speed)
        limit = self.settings.off_speed
        if self._known:
            limit = max(limit, self.settings.off_share * self._peak)
        self._low = self._low + 1 if speed < limit else 0
        if self._low >= self._hold:
            self._settle(found)
        elif self._known and self._tick - self._earliest + self._hold >= self._n:
            # Far too long: what it began from will soon be overwritten.
            self._add_plateau(found, self._earliest, self._x0)
            self._known = False
            self._peak = 0.0

    def _settle(self, found: list[Segment]) -> None:
        """The hand has come to rest."""
        x_f = self._median(self._tick + 1 - self._hold, self._tick + 1)
        begin = self._tick + 1 - self._hold - self._delay
        if self._known:
            movement = self._movement(min(self._tick + 1, self._hushed))
            if movement is None:
                self._add_plateau(found, self._earliest, self._x0)
            else:
                self._add_plateau(found, movement.t0_tick, self._x0)
                found.append(movement)
                begin = movement.t1_tick
        self._plateau = max(begin, self._first)
        self._settled = x_f
        self._level = x_f.copy()
        self._moving = False
        self._over = 0

    def _movement(self, end: int) -> Segment | None:
        """What has just ended, unless it is too small, too short or too long.

        Nothing is taken from the ticks from `end` on; a movement that lasts until then is none.
        """
        s, first = self.settings, self._tick + 1 - self._hold
        if end <= first:
            return None
        x_f = self._median(first, end)
        change = x_f - self._x0
        size = np.abs(change)
        farthest = float(size.max())
        if farthest <= s.displacement:
            return None
        begin = self._earliest
        course = self._since(begin)[: end - begin] - self._x0
        fit = fit_profile(np.dot(course, change / float(np.dot(change, change))))
        if not s.shortest_s <= (fit.end - fit.begin) / self.tick_rate <= s.longest_s:
            return None
        t0 = begin + max(0, round(fit.begin))
        t1 = max(t0 + 1, begin + round(fit.end))
        if t1 >= end:
            if end <= self._tick:
                return None
            t1 = self._tick
        # The farthest one always does.
        moving = size >= min(farthest, max(s.moving_displacement, s.moving_share * farthest))
        return Segment("movement", t0, t1, self._x0, x_f, moving)

    @property
    def _earliest(self) -> int:
        """First tick at which the movement under way may have begun."""
        return max(self._onset - self._pre, self._plateau)

    def _add_plateau(self, found: list[Segment], last: int, x_f: Floats) -> None:
        if last - self._plateau >= self.settings.plateau_s * self.tick_rate:
            still = np.zeros(self.n_dofs, dtype=np.bool_)
            found.append(Segment("plateau", self._plateau, last, self._settled, x_f, still))

    def _since(self, first: int) -> Floats:
        """Estimates from the tick `first` to the last one."""
        end = self._place + self._n + 1
        return self._rows[end - (self._tick - first + 1) : end]

    def _median(self, first: int, end: int) -> Floats:
        """Median of each DOF over the ticks from `first` to before `end`."""
        rows = np.sort(self._since(first)[: end - first], axis=0)
        middle = len(rows) // 2
        return rows[middle].copy() if len(rows) % 2 else (rows[middle - 1] + rows[middle]) / 2.0


def detect(
    x_hat: Floats,
    ticks: Ints,
    settings: DetectorSettings,
    tick_rate: float,
    quiet: Bools | None = None,
) -> list[Segment]:
    """Movements and plateaus of what was recorded: the same detector, one tick after the other.

    Parameters
    ----------
    x_hat : ndarray, shape (m, n_dofs)
    ticks : ndarray of int, shape (m,)
    settings : DetectorSettings
    tick_rate : float
        Ticks per second [Hz].
    quiet : ndarray of bool, shape (m,), optional

    Returns
    -------
    list of Segment
        In order of time.

    Raises
    ------
    UserError
        When the arrays do not fit each other.
    """
    x_hat = np.asarray(x_hat, np.float64)
    still = np.zeros(len(ticks), dtype=np.bool_) if quiet is None else quiet
    if x_hat.ndim != 2 or not len(x_hat) == len(ticks) == len(still):
        raise UserError("movement detector: estimates and ticks are not equally long")
    detector = MovementDetector(settings, x_hat.shape[1], tick_rate)
    found = []
    for tick, x, silent in zip(np.asarray(ticks).tolist(), x_hat, still.tolist(), strict=True):
        found += detector.step(tick, x, silent)
    return found + detector.finish()
