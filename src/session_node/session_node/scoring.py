"""How far the hand's command was from the prompt, trial by trial, while it happens. No ROS."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray


class TrialScore:
    """Sums the squared error of `out_x_hat` against `x_d` over one trial.

    Parameters
    ----------
    n_dofs : int
    """

    def __init__(self, n_dofs: int) -> None:
        self._lock = threading.Lock()
        self._x_d = np.zeros(n_dofs)
        self._sum = np.zeros(n_dofs)
        self._count = 0

    def prompt(self, x_d: NDArray[np.float64]) -> None:
        """Set the target from now on, shape (n_dofs,)."""
        with self._lock:
            self._x_d = x_d

    def output(self, out_x_hat: NDArray[np.float64]) -> None:
        """Take one command, shape (n_dofs,)."""
        with self._lock:
            error = out_x_hat - self._x_d
            self._sum += error * error
            self._count += 1

    def start(self) -> None:
        """Begin a trial."""
        with self._lock:
            self._sum[:] = 0.0
            self._count = 0

    def rmse(self) -> NDArray[np.float64]:
        """RMSE per DOF since `start`; empty where nothing was decoded."""
        with self._lock:
            return np.sqrt(self._sum / self._count) if self._count else np.zeros(0)
