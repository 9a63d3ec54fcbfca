"""A person at the hand: sees it late, moves it with noise, corrects it, and learns."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.settings import check, setting

Floats = NDArray[np.float64]

DELAY_S = (0.15, 0.25)
"""Delays of people, from what is seen to the muscles."""
TREMOR_S = 0.2
"""Time constant of the motor noise: what is faster, muscles do not follow."""
RELAX_S = 0.15
"""Time constant with which a correction is let go of at rest."""


@dataclass(frozen=True)
class UserSettings:
    """How a simulated person uses the hand. `drawn` gives people who differ."""

    seed: int = setting(1, "Makes the noise of the movements", low=0, live=False)
    delay_s: float = setting(
        0.2,
        "From what is seen, target and hand, to the muscles",
        unit="s",
        low=0.0,
        high=1.0,
        live=False,
    )
    movement_s: float = setting(
        0.06,
        "Time constant of a movement to a new target (two equal poles)",
        unit="s",
        low=0.01,
        high=1.0,
        live=False,
    )
    loop_s: float = setting(
        0.25,
        "Delay from the muscles to the hand that the user is used to",
        unit="s",
        low=0.0,
        high=2.0,
        live=False,
    )
    correction: float = setting(
        2.0,
        "Share of a seen error that is corrected per second; 0: the user does not look",
        unit="1/s",
        low=0.0,
        high=20.0,
        live=False,
    )
    care: float = setting(
        0.15,
        "Smaller errors of a DOF are corrected the more gently the smaller they are",
        low=0.0,
        high=1.0,
        live=False,
    )
    noise: float = setting(
        0.02,
        "Standard deviation of the motor noise of a practised user, relative to the effort; the "
        "synthetic muscles have their own unsteadiness beside",
        low=0.0,
        high=1.0,
        live=False,
    )
    novice: float = setting(
        1.0,
        "How much larger the noise is before any practice: 1 is twice as large",
        low=0.0,
        high=10.0,
        live=False,
    )
    practice_trials: float = setting(
        15.0, "Trials in which that falls to 37 %", low=0.1, high=1e6, live=False
    )
    learning_rate: float = setting(
        0.15,
        "Share of the correction in a trial that the user makes from the start the next time",
        low=0.0,
        high=1.0,
        live=False,
    )

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def drawn(cls, seed: int) -> UserSettings:
        """A person of their own: delay, pace, care and noise vary about the defaults."""
        rng = np.random.default_rng([seed, 80])

        def about(value: float, spread: float) -> float:
            return float(value * np.exp(np.clip(rng.normal(0.0, spread), -2 * spread, 2 * spread)))

        return cls(
            seed=seed,
            delay_s=float(rng.uniform(*DELAY_S)),
            movement_s=about(cls.movement_s, 0.2),
            loop_s=about(cls.loop_s, 0.15),
            correction=about(cls.correction, 0.25),
            care=about(cls.care, 0.25),
            noise=about(cls.noise, 0.3),
            novice=about(cls.novice, 0.3),
            practice_trials=about(cls.practice_trials, 0.3),
            learning_rate=about(cls.learning_rate, 0.3),
        )


class SimulatedUser:
    """Intention of a person who wants the hand where the target is.

    Everything is seen `delay_s` late. The user then moves towards the target by what they know of
    the hand (`known`), and corrects what they see to be wrong: of the difference between where
    they meant the hand to be and where it is seen, less what was already corrected but cannot be
    seen yet, `correction` per second. That is a Smith predictor around an integrator, as proposed
    for the cerebellum (Miall, Weir, Wolpert and Stein 1993,
    doi 10.1080/00222895.1993.9942050). Motor noise grows with the effort (Harris and Wolpert 1998,
    doi 10.1038/29528). When nothing is asked the user relaxes.

    After each trial `learn` moves `known` by `learning_rate` of what had to be corrected (as in
    state-space models of motor learning: Thoroughman and Shadmehr 2000, doi 10.1038/35037588), and
    practice makes the user more exact.

    The same steps give the same bits.

    Parameters
    ----------
    settings : UserSettings
    n_dofs : int
    tick_rate : float
        Steps per second [Hz].

    Attributes
    ----------
    known : ndarray, shape (n_dofs, n_dofs)
        Intention that the user takes to bring the hand to a posture.
    trials : int
        Practised so far.
    """

    def __init__(self, settings: UserSettings, n_dofs: int, tick_rate: float) -> None:
        if n_dofs < 1 or not tick_rate > 0.0:
            raise UserError("simulated user: needs at least one DOF and a positive tick rate")
        self.settings = settings
        self.n_dofs = n_dofs
        self.tick_rate = tick_rate
        self.known = np.eye(n_dofs)
        self.trials = 0
        self._rng = np.random.default_rng([settings.seed, 81])
        self._pole = float(np.exp(-1.0 / (settings.movement_s * tick_rate)))
        self._steady = float(np.exp(-1.0 / (TREMOR_S * tick_rate)))
        self._relax = float(np.exp(-1.0 / (RELAX_S * tick_rate)))
        self._pace = settings.correction / tick_rate
        self._tremor = np.zeros(n_dofs)
        self.relax()

    @property
    def clumsiness(self) -> float:
        """Factor of the noise: 1 with all practice, `1 + novice` with none."""
        s = self.settings
        return 1.0 + s.novice * float(np.exp(-self.trials / s.practice_trials))

    def relax(self) -> None:
        """Forget what is seen and under way, not what was learned."""
        n, zero = self.n_dofs, np.zeros(self.n_dofs)
        delay = round(self.settings.delay_s * self.tick_rate)
        loop = round(self.settings.loop_s * self.tick_rate)
        self._seen: deque[tuple[Floats, Floats | None]] = deque([(zero, None)] * delay)
        self._under_way = deque([(zero, zero)] * (delay + loop))
        self._planned = np.zeros((2, n))
        self._correction = np.zeros(n)
        self._wanted = np.zeros(n)

    def step(self, target: Floats, hand: Floats | None = None) -> Floats:
        """Intention of the next tick.

        Parameters
        ----------
        target : ndarray, shape (n_dofs,)
            What is shown now; all 0: nothing, the user relaxes.
        hand : ndarray, shape (n_dofs,), optional
            Where the hand is now; None: there is none to see, and nothing to correct.

        Returns
        -------
        ndarray, shape (n_dofs,)
            In [-1, 1].
        """
        self._seen.append(
            (_copy(target, self.n_dofs), None if hand is None else _copy(hand, self.n_dofs))
        )
        wanted, seen = self._seen.popleft()
        self._wanted = wanted
        first, second = self._planned
        first += (1.0 - self._pole) * (wanted - first)
        second += (1.0 - self._pole) * (first - second)
        expected, corrected = self._under_way.popleft() if self._under_way else (second, 0.0)
        if not wanted.any():
            self._correction = self._correction * self._relax
        elif seen is not None:
            error = expected - seen - (self._correction - corrected)
            urgency = np.minimum(np.abs(error) / max(self.settings.care, 1e-9), 1.0)
            self._correction = self._correction + self._pace * urgency * error
        effort = self.known @ second + self._correction
        within = np.clip(effort, -1.0, 1.0)
        # Nobody goes on pressing harder than they can.
        self._correction = self._correction + (within - effort)
        self._under_way.append((second.copy(), self._correction))
        return np.clip(within + self._noise(within), -1.0, 1.0)

    def follow(self, prompts: Floats) -> Floats:
        """Intention while prompts are followed without a hand to see, shape (n, n_dofs)."""
        return np.array([self.step(x_d) for x_d in prompts]).reshape(-1, self.n_dofs)

    def learn(self) -> None:
        """A trial has ended: keep a part of what had to be corrected for its target."""
        self.trials += 1
        goal = self._wanted
        size = float(goal @ goal)
        if size > 0.0:
            share = self.settings.learning_rate / size
            self.known = self.known + share * np.outer(self._correction, goal)

    def _noise(self, effort: Floats) -> Floats:
        fresh = self._rng.standard_normal(self.n_dofs)
        self._tremor = self._steady * self._tremor + np.sqrt(1.0 - self._steady**2) * fresh
        return self.settings.noise * self.clumsiness * np.abs(effort) * self._tremor


def _copy(values: Floats, n_dofs: int) -> Floats:
    found = np.array(values, np.float64)
    if found.shape != (n_dofs,) or not np.isfinite(found).all():
        raise UserError(f"simulated user: expected {n_dofs} finite DOFs, got {found}")
    return found
