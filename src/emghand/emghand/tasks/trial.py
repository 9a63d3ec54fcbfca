"""The course of one trial, tick by tick: live, offline and in simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emghand.tasks.spec import ACQUIRE, EPSILON_S, Floats, TrialSpec

COMPLETED, TIMEOUT, VIOLATION, CANCELLED = "completed", "timeout", "violation", "cancelled"


@dataclass(frozen=True)
class Acquisition:
    """How the start posture is taken up before a trial.

    Parameters
    ----------
    limit : float
        After so long the trial is given up [s].
    hold : float
        So long the posture has to be kept within the radius before the trial starts [s].
    """

    limit: float
    hold: float


@dataclass(frozen=True)
class Progress:
    """Where a trial is after a tick.

    Parameters
    ----------
    epoch : str
        `ACQUIRE` or one of the spec's.
    target_on : bool
        The goal is shown.
    hold : bool
        The start (or, in a hold task, the goal) must be kept.
    distance : float
        To the target, or in `ACQUIRE` to the start [normalised position].
    done : bool
    outcome : str
        ``completed``, ``timeout``, ``violation`` or ``cancelled``; empty until it is done.
    started : bool
        The trial starts with this tick.
    elapsed : float
        Since the start of the trial, or in `ACQUIRE` of that [s].
    goal : tuple of float, shape (n_dofs,)
        Posture to be in now.
    """

    epoch: str
    target_on: bool
    hold: bool
    distance: float
    done: bool
    outcome: str
    started: bool
    elapsed: float
    goal: tuple[float, ...]


class TrialRun:
    """State machine of one trial.

    A trial ends when the target was kept for the dwell, or at its time limit. Moving in an epoch
    that asks for stillness is counted, the trial goes on, and its outcome is ``violation``
    whatever follows. A hold task always runs to its end.

    Parameters
    ----------
    spec : TrialSpec
    tick_rate : float
        Ticks per second, for steps without a stamp [Hz].
    acquire : Acquisition, optional
        Take up the start posture first; when that does not succeed the outcome is ``cancelled``,
        with no scored tick. Without it the trial starts with the first tick.

    Attributes
    ----------
    times : list of float
        Of the ticks of the trial, since its start [s].
    positions : list of ndarray, shape (n_dofs,)
        What was given for them.
    entered : float or None
        When the target was entered for the stay that lasts now, or that completed the trial [s].
    violations : int
        Excursions from a posture that was to be kept.
    start_ns : int or None
        Stamp of the first tick of the trial; None: it has not started.
    """

    def __init__(
        self, spec: TrialSpec, tick_rate: float, acquire: Acquisition | None = None
    ) -> None:
        self.spec = spec
        self.outcome = ""
        self.times: list[float] = []
        self.positions: list[Floats] = []
        self.entered: float | None = None
        self.violations = 0
        self.start_ns: int | None = None
        self._rate = tick_rate
        self._acquire = acquire
        self._count = 0
        self._now = 0
        self._origin: int | None = None
        self._still_since: int | None = None
        self._away = False

    @property
    def acquired(self) -> bool:
        """The trial has started."""
        return self.start_ns is not None

    def step(self, x: Floats, stamp_ns: int | None = None) -> Progress:
        """Take the position of the hand at one tick.

        Parameters
        ----------
        x : ndarray, shape (n_dofs,)
            In the order of the spec's DOFs.
        stamp_ns : int, optional
            Of this tick on any clock; default: ticks of the rate, from 0 on.

        Raises
        ------
        ValueError
            When `x` has another length or is not finite, stamps do not rise, or the trial is done.
        """
        x = np.array(x, np.float64)
        if x.shape != (len(self.spec.dofs),) or not np.isfinite(x).all():
            raise ValueError(f"expected {len(self.spec.dofs)} finite positions, got {x}")
        now = round(self._count * 1e9 / self._rate) if stamp_ns is None else stamp_ns
        if self.outcome or (self._origin is not None and now <= self._now):
            raise ValueError("the trial is done, or time went back")
        self._now = now
        self._count += 1
        if self._origin is None:
            self._origin = now
        started = False
        if self.start_ns is None:
            if not self._has_acquired(x, now):
                return self._waiting(x, now)
            self.start_ns, started = now, True
        return self._advance(x, (now - self.start_ns) * 1e-9, started)

    def cancel(self, *, void: bool = False) -> None:
        """End the trial as it is; one that is done stays as it ended, unless it is `void`.

        Parameters
        ----------
        void : bool
            It does not count, however it ended: its recording lacks its end.
        """
        self.outcome = CANCELLED if void else self.outcome or CANCELLED

    def _has_acquired(self, x: Floats, now: int) -> bool:
        if self._acquire is None:
            return True
        if self.spec.deviation(x, self.spec.start) > self.spec.radius:
            self._still_since = None
            return False
        if self._still_since is None:
            self._still_since = now
        return (now - self._still_since) * 1e-9 >= self._acquire.hold - EPSILON_S

    def _waiting(self, x: Floats, now: int) -> Progress:
        assert self._acquire is not None and self._origin is not None
        elapsed = (now - self._origin) * 1e-9
        if elapsed >= self._acquire.limit - EPSILON_S:
            self.outcome = CANCELLED
        distance = float(self.spec.deviation(x, self.spec.start))
        return self._progress(ACQUIRE, distance, False, elapsed)

    def _advance(self, x: Floats, t: float, started: bool) -> Progress:
        spec = self.spec
        self.times.append(t)
        self.positions.append(x)
        epoch = spec.epoch_at(t)
        distance = spec.distance(x)
        inside = bool(spec.reached(distance))
        if spec.hold(epoch):
            away = not inside
            if spec.kind != "hold":
                away = float(spec.deviation(x, spec.start)) > spec.radius
            self.violations += away and not self._away
            self._away = away
        if epoch == spec.epochs[-1] and spec.kind != "hold":
            if not inside:
                self.entered = None
            elif self.entered is None:
                self.entered = t
            if self.entered is not None and t - self.entered >= spec.dwell - EPSILON_S:
                self.outcome = VIOLATION if self.violations else COMPLETED
        if not self.outcome and t >= spec.time_limit - EPSILON_S:
            kept = COMPLETED if spec.kind == "hold" else TIMEOUT
            self.outcome = VIOLATION if self.violations else kept
        return self._progress(epoch, float(distance), started, t)

    def _progress(self, epoch: str, distance: float, started: bool, elapsed: float) -> Progress:
        spec = self.spec
        return Progress(
            epoch=epoch,
            target_on=spec.target_on(epoch),
            hold=spec.hold(epoch) and epoch != ACQUIRE,
            distance=distance,
            done=bool(self.outcome),
            outcome=self.outcome,
            started=started,
            elapsed=elapsed,
            goal=spec.goal_of(epoch),
        )


def play(run: TrialRun, hand: Callable[[Progress | None], Floats]) -> TrialRun:
    """Run a trial to its end in closed loop, as fast as it goes.

    Parameters
    ----------
    run : TrialRun
    hand : callable
        Gets where the trial is (None before its first tick) and returns the position of the hand
        at the next tick, shape (n_dofs,): a simulated user with everything behind it.
    """
    progress = None
    while not run.outcome:
        progress = run.step(hand(progress))
    return run
