"""ReFIT: a Kalman filter refitted to what the user meant."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.decoders.kalman import PROCESS_GAINS
from emghand.decoders.parts import kalman_model


def intended(x_hat: Floats, target: Floats, follows: Bools) -> Floats:
    """What the user meant: every step of the estimate, turned to head for the target.

    A step keeps its length and goes straight from the estimate before it towards the target, but
    not beyond (Gilja et al. 2012, doi 10.1038/nn.3265, with positions for velocities). Whoever is
    at the target means to stay.

    Parameters
    ----------
    x_hat, target : ndarray, shape (m, d)
    follows : ndarray of bool, shape (m,)
        Whether the row before is the predecessor in time; else the target is what was meant.

    Returns
    -------
    ndarray, shape (m, d)
    """
    before = np.roll(x_hat, 1, axis=0)
    length = np.linalg.norm(x_hat - before, axis=1)
    ahead = target - before
    distance = np.linalg.norm(ahead, axis=1)
    part = np.divide(length, distance, out=np.ones_like(length), where=distance > length)
    return np.where(
        follows[:, None] & (part < 1.0)[:, None], before + part[:, None] * ahead, target
    )


class RefitDecoder(Decoder):
    """Recalibrated feedback intention-trained Kalman filter (ReFIT; Gilja et al. 2012).

    A Kalman filter is fitted and run over the training data; its estimates are relabelled with
    `intended`, `x_d` being the target; H and Q are fitted to these, A and W stay. The steady-state
    filter of the new model is what runs.

    Parameters
    ----------
    delays, low, high, process_gains
        See `KalmanDecoder`.

    Attributes
    ----------
    gain_, transition_, offset_ : ndarray, shapes (d, f), (d, d), (d,)
        K, F and c.
    motion_, motion_offset_, noise_ : ndarray, shapes (d, d), (d,), (d, d)
        A, a and W of the first filter, for another refit.
    process_gain_ : ndarray, shape (1,)
        Factor of W that was chosen for the first filter.
    """

    kind = "refit"
    learned: ClassVar[dict[str, str]] = {
        "gain_": "df",
        "transition_": "dd",
        "offset_": "d",
        "motion_": "dd",
        "motion_offset_": "d",
        "noise_": "dd",
        "process_gain_": "1",
    }

    def __init__(
        self,
        delays: tuple[int, ...] = (),
        low: tuple[float, ...] = (-1.0,),
        high: tuple[float, ...] = (1.0,),
        process_gains: tuple[float, ...] = PROCESS_GAINS,
    ) -> None:
        super().__init__(delays)
        self.low = low
        self.high = high
        self.process_gains = process_gains

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        low, high = self._ranges()
        factor = kalman_model.choose_process_gain(
            Z, X, groups, follows, self._positive("process_gains"), low, high
        )
        transition = kalman_model.fit_transition(X, follows)
        observation = kalman_model.fit_observation(Z, X)
        F, K, c = kalman_model.steady_state(transition, observation, factor)
        x_hat = kalman_model.roll_out(F, Z @ K.T + c, follows, low, high)
        self.motion_, self.motion_offset_ = transition.A, transition.a
        self.noise_, self.process_gain_ = transition.W, np.array([factor])
        self.refit(Z, intended(x_hat, X, follows))

    def refit(self, Z: Floats, intent: Floats) -> None:
        """Fit H and Q anew, keep A and W; the filter starts from rest.

        Parameters
        ----------
        Z : ndarray, shape (m, f)
            Normalised features with their delayed copies.
        intent : ndarray, shape (m, d)
            What the user meant, as from `intended`.
        """
        transition = kalman_model.Transition(self.motion_, self.motion_offset_, self.noise_)
        observation = kalman_model.fit_observation(Z, intent)
        self.transition_, self.gain_, self.offset_ = kalman_model.steady_state(
            transition, observation, float(self.process_gain_[0])
        )
        self._prepare()

    def _prepare(self) -> None:
        super()._prepare()
        self._filter = kalman_model.SteadyFilter(
            self.transition_, self.gain_, self.offset_, *self._ranges()
        )
        self._carried.append(self._filter)

    def _estimate(self, z: Floats) -> Floats:
        return self._filter.step(z)


DECODER = RefitDecoder
