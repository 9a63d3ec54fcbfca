"""A small kinematic person at the hand, instead of muscles, EMG and decoder: only its movements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emghand.simulate.study.people import Ability

REACTION_S = 0.25
"""From what is shown to the first movement."""
FOLLOW_S = 0.12
"""Time constant of following what moves."""
TREMOR_S = 0.2
"""Time constant of the tremor."""
CORRECTION_S = 0.6
"""Time constant in which an error of aim is corrected."""
AIM = 2.5
"""Error of aim over tremor."""
STEADY = 0.15
"""Tremor at rest over tremor at full effort."""
ASTRAY = 0.45
"""Where a wrong movement ends, as part of the way, on the other side of rest."""
BLOCK = 4096


class MovingHand:
    """Where the hand of a person is, tick by tick; the same seed gives the same movements.

    When a new target is shown, the person sets out after `REACTION_S`, exponentially with their
    pace, with an error of aim that they correct, and with tremor (an Ornstein-Uhlenbeck process
    that grows with the effort). What shall not move is dragged along by their leak.

    Parameters
    ----------
    ability : Ability
    n_dofs : int
    rate : float
        Ticks per second [Hz].
    seed : sequence of int

    Attributes
    ----------
    push : float
        Is added to the first DOF: a perturbation of the estimate.
    """

    def __init__(self, ability: Ability, n_dofs: int, rate: float, seed: Sequence[int]) -> None:
        self.push = 0.0
        self._ability = ability
        self._rng = np.random.default_rng(list(seed))
        self._normal: list[float] = []
        self._rate = rate
        self._n = n_dofs
        self._keep = math.exp(-1.0 / (rate * TREMOR_S))
        self._fresh = math.sqrt(1.0 - self._keep**2)
        self._near = math.exp(-1.0 / (rate * CORRECTION_S))
        self._shown = [0.0] * n_dofs
        self._aim = [0.0] * n_dofs
        self._error = [0.0] * n_dofs
        self._x = [0.0] * n_dofs
        self._tremor = [0.0] * n_dofs
        self._gain = [1.0 - ability.gain_error * self._rng.uniform(0.5, 1.0) for _ in range(n_dofs)]
        self._wait = 0
        self._aims = True

    def reach(self, target: Sequence[float], lapse: bool) -> None:
        """See a target; one that is shown already changes nothing.

        Parameters
        ----------
        target : sequence of float, length n_dofs
        lapse : bool
            The wrong movement comes out this time.
        """
        if list(target) == self._shown and self._aims:
            return
        self._shown, self._aims = list(target), True
        self._wait = round(REACTION_S * self._rate)
        size = max(abs(v) for v in target)
        self._aim = [-ASTRAY * v for v in target] if lapse else list(target)
        spread = AIM * self._ability.tremor * size
        self._error = [spread * self._draw() if v else 0.0 for v in target]

    def follow(self, target: Sequence[float]) -> None:
        """See where the target is that moves; nothing is corrected."""
        self._shown, self._aims = list(target), False

    def step(self) -> list[float]:
        """Position of each DOF at the next tick."""
        if self._aims:
            self._move(self._ability.pace)
        else:
            self._aim = [g * v for g, v in zip(self._gain, self._shown, strict=True)]
            self._move(FOLLOW_S)
        moved = sum(self._x)
        size = max(map(abs, self._x))
        sd = self._ability.tremor * (STEADY + (1.0 - STEADY) * min(size, 1.0))
        leak = self._ability.leak
        found = []
        for i in range(self._n):
            self._tremor[i] = self._keep * self._tremor[i] + self._fresh * self._draw()
            x = self._x[i] + sd * self._tremor[i]
            if not self._shown[i]:
                x += leak * (moved - self._x[i])
            found.append(min(max(x, -1.0), 1.0))
        found[0] = min(max(found[0] + self.push, -1.0), 1.0)
        return found

    def _move(self, seconds: float) -> None:
        if self._wait:
            self._wait -= 1
            return
        share = 1.0 - math.exp(-1.0 / (self._rate * seconds))
        for i in range(self._n):
            self._error[i] *= self._near
            self._x[i] += share * (self._aim[i] + self._error[i] - self._x[i])

    def _draw(self) -> float:
        if not self._normal:
            self._normal = self._rng.standard_normal(BLOCK).tolist()
        return self._normal.pop()
