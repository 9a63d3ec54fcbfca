"""The error of the decoded hand against the prompt, trial by trial."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emghand.tasks.movements import Schedule, Trial


class TrialErrors:
    """Gathers `out_x_hat` and gives its RMSE over each trial, from MOVE to the end of its fall.

    Estimates may come from another thread than the one that asks.

    Parameters
    ----------
    schedule : Schedule
    start_ns : int
        ROS time at which the schedule starts.
    """

    def __init__(self, schedule: Schedule, start_ns: int) -> None:
        self._schedule = schedule
        self._start_ns = start_ns
        self._column = {name: i for i, name in enumerate(schedule.dofs)}
        self._squares: dict[int, NDArray[np.float64]] = {}
        self._counts: dict[int, NDArray[np.int64]] = {}
        self._lock = threading.Lock()

    def add(self, stamp_ns: int, names: Sequence[str], values: Sequence[float]) -> None:
        """Take one estimate; DOFs that the schedule does not know are passed over."""
        prompt = self._schedule.at((stamp_ns - self._start_ns) * 1e-9)
        trial = prompt.trial
        elapsed = (stamp_ns - self._start_ns) * 1e-9
        if trial is None or not trial.move <= elapsed < trial.end:
            return
        n = len(self._column)
        with self._lock:
            squares = self._squares.setdefault(trial.index, np.zeros(n))
            counts = self._counts.setdefault(trial.index, np.zeros(n, np.int64))
            for name, value in zip(names, values, strict=False):
                i = self._column.get(name)
                if i is not None:
                    squares[i] += (value - prompt.x_d[i]) ** 2
                    counts[i] += 1

    def rmse(self, trial: Trial) -> NDArray[np.float64]:
        """RMSE per DOF; NaN for a DOF that is not decoded; empty when nothing was decoded."""
        with self._lock:
            squares = self._squares.pop(trial.index, None)
            counts = self._counts.pop(trial.index, None)
        if squares is None or counts is None:
            return np.zeros(0)
        with np.errstate(invalid="ignore"):
            return np.sqrt(squares / counts)
