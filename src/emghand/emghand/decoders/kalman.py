"""Kalman filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.decoders.parts import kalman_model
from emghand.errors import UserError

PROCESS_GAINS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Default grid of the factor of W."""

FASTEST = 10.0
"""Bound of the velocities of a differential filter [1/s]: no hand is as fast."""

STANDARD = {
    "motion_": "dd",
    "motion_offset_": "d",
    "noise_": "dd",
    "weights_": "df",
    "weighted_offset_": "d",
    "information_": "dd",
    "process_gain_": "1",
}


class KalmanDecoder(Decoder):
    """Kalman filter with the DOFs as state and the features as observation (Wu et al. 2006).

    The model and its regularisation: `emghand.decoders.parts.kalman_model`. At run time the gain is
    the steady-state one, x <- F x + K z + c with F = (I - K H) A, c = (I - K H) a - K h, or the
    time-varying one, and x is clipped to the range of the DOFs before it recurs. After a reset the
    hand is at rest.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    low, high : sequence of float
        Range of the DOFs; one value, or one per DOF.
    process_gains : sequence of float
        Factors of W to choose from, by the error on the group left out. Smooth prompts make W small
        and the filter slow; jumps of a camera make it large and the filter nervous.
    gain : str
        ``steady``, or ``standard``: the gain starts at the certainty of a hand at rest and settles
        within a second or so.
    differential : bool
        The state is the velocity, within +-10 per second, and is integrated to the estimate.
    tick_rate : float
        Ticks per second [Hz]; only a differential decoder needs it.

    Attributes
    ----------
    gain_, transition_, offset_ : ndarray, shapes (d, f), (d, d), (d,)
        K, F and c of the steady filter.
    motion_, motion_offset_, noise_ : ndarray, shapes (d, d), (d,), (d, d)
        A, a and W (times the factor chosen) of the standard filter.
    weights_, weighted_offset_, information_ : ndarray, shapes (d, f), (d,), (d, d)
        H' Q^-1, H' Q^-1 h and H' Q^-1 H of the standard filter.
    process_gain_ : ndarray, shape (1,)
        The factor chosen.
    """

    kind = "kalman"
    learned: ClassVar[dict[str, str]] = {
        "gain_": "df",
        "transition_": "dd",
        "offset_": "d",
        "process_gain_": "1",
    }

    def __init__(
        self,
        delays: tuple[int, ...] = (),
        low: tuple[float, ...] = (-1.0,),
        high: tuple[float, ...] = (1.0,),
        process_gains: tuple[float, ...] = PROCESS_GAINS,
        gain: str = "steady",
        differential: bool = False,
        tick_rate: float = 0.0,
    ) -> None:
        super().__init__(delays)
        self.low = low
        self.high = high
        self.process_gains = process_gains
        self.gain = gain
        self.differential = differential
        self.tick_rate = tick_rate

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        factor = kalman_model.choose_process_gain(
            Z, X, groups, follows, self._positive("process_gains"), *self._bounds()
        )
        transition = kalman_model.fit_transition(X, follows)
        observation = kalman_model.fit_observation(Z, X)
        self.process_gain_ = np.array([factor])
        if self._choice("gain", ("steady", "standard")) == "steady":
            self.transition_, self.gain_, self.offset_ = kalman_model.steady_state(
                transition, observation, factor
            )
            return
        self.motion_, self.motion_offset_ = transition.A, transition.a
        self.noise_ = factor * transition.W
        self.weights_ = observation.weights
        self.weighted_offset_ = observation.weights @ observation.h
        self.information_ = observation.information

    def _bounds(self) -> tuple[Floats, Floats]:
        """Ends of the range of the state, each shape (d,)."""
        if self.differential:
            fastest = np.full(self.n_dofs_, FASTEST)
            return -fastest, fastest
        return self._ranges()

    def _shapes(self) -> Mapping[str, str]:
        return STANDARD if self.gain == "standard" else self.learned

    def _prepare(self) -> None:
        super()._prepare()
        low, high = self._bounds()
        self._filter: kalman_model.SteadyFilter | kalman_model.StandardFilter
        if self._choice("gain", ("steady", "standard")) == "steady":
            self._filter = kalman_model.SteadyFilter(
                self.transition_, self.gain_, self.offset_, low, high
            )
        else:
            motion = kalman_model.Transition(self.motion_, self.motion_offset_, self.noise_)
            self._filter = kalman_model.StandardFilter(
                motion, self.weights_, self.weighted_offset_, self.information_, low, high
            )
        self._carried.append(self._filter)

    def _check_learned(self) -> None:
        super()._check_learned()
        if self.gain == "standard":
            for name in ("noise_", "information_"):
                if not kalman_model.is_covariance(getattr(self, name)):
                    raise UserError(f"{self.kind} decoder: array {name} is no covariance")

    def _estimate(self, z: Floats) -> Floats:
        return self._filter.step(z)


DECODER = KalmanDecoder
