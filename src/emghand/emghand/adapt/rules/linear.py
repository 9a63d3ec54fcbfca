"""Ridge and Kalman decoders as functions of weighted second moments of their examples.

Every rule here fits from sums over examples, so that windows, calibration data and the past can be
added, weighted and forgotten without keeping a row of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import Decoder
from emghand.decoders.delays import same_segment, stack_delays
from emghand.decoders.kalman import KalmanDecoder
from emghand.decoders.parts import kalman_model
from emghand.decoders.ridge import RidgeDecoder
from emghand.errors import UserError
from emghand.storage.models import Model
from emghand.training.alignment import shifted
from emghand.training.dataset import Dataset

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Parameters = Mapping[str, Floats]

STILL = 1e-6
"""A DOF whose labels vary less than this (variance) was not seen to move."""


@dataclass(frozen=True)
class Moments:
    """Weighted sums over examples, with a 1 beside features and labels.

    Parameters
    ----------
    zz : ndarray, shape (f + 1, f + 1)
        Of [z, 1] with itself; the last corner is the sum of the weights.
    zx : ndarray, shape (f + 1, d + 1)
        Of [z, 1] with [x, 1].
    xx : ndarray, shape (d + 1, d + 1)
        Of [x, 1] with itself.
    """

    zz: Floats
    zx: Floats
    xx: Floats

    @classmethod
    def of(cls, Z: Floats, X: Floats, weights: Floats | None = None) -> Moments:
        """Of examples, shapes (m, f) and (m, d), each with its weight, shape (m,), or 1."""
        one = np.ones((len(Z), 1))
        U, V = np.hstack([Z, one]), np.hstack([X, one])
        weighted = U if weights is None else U * weights[:, None]
        heavy = V if weights is None else V * weights[:, None]
        return cls(weighted.T @ U, weighted.T @ V, heavy.T @ V)

    @property
    def weight(self) -> float:
        """Sum of the weights: so many examples."""
        return float(self.xx[-1, -1])

    @property
    def seen(self) -> Bools:
        """DOFs whose labels vary, shape (d,)."""
        mean = self.xx[:-1, -1] / self.weight
        return np.asarray(np.diag(self.xx)[:-1] / self.weight - mean**2 > STILL)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.zz + other.zz, self.zx + other.zx, self.xx + other.xx)

    def scaled(self, factor: float) -> Moments:
        """With all weights multiplied."""
        return Moments(self.zz * factor, self.zx * factor, self.xx * factor)


class Linear(Protocol):
    """How a kind of decoder follows from moments."""

    calibration: Moments
    start: Parameters
    rows: tuple[str, ...]
    """Learned arrays of the decoder with a row for each DOF, which make all of it."""

    def solve(self, moments: Moments, old: Parameters, fitted: Bools) -> Parameters:
        """Parameters that fit; those of DOFs not in `fitted`, shape (d,), stay."""
        ...

    def decoder(self, parameters: Parameters) -> Decoder:
        """The decoder with these parameters."""
        ...


def linear_of(rule: str, model: Model, dataset: Dataset) -> Linear:
    """How the decoder of a model follows from moments.

    Parameters
    ----------
    rule : str
        For messages.
    model : Model
        The calibration.
    dataset : Dataset
        What it was fitted to.

    Raises
    ------
    UserError
        For a decoder of another kind, or one that estimates velocities.
    """
    decoder = model.decoder
    if decoder.differential or not isinstance(decoder, RidgeDecoder | KalmanDecoder):
        kind = f"differential {decoder.kind}" if decoder.differential else decoder.kind
        raise UserError(f"the rule {rule} adapts ridge and kalman decoders, not a {kind} decoder")
    X, use = shifted(dataset, model.lag_s), dataset.use
    delayed = inputs(model, dataset.Z, dataset.segment)
    if isinstance(decoder, RidgeDecoder):
        return RidgeLinear(decoder, delayed[use], X[use])
    follows = np.concatenate([[False], use[1:] & use[:-1] & same_segment(dataset.segment)])
    return KalmanLinear(decoder, delayed[use], X[use], follows[use])


def inputs(model: Model, Z: Floats, segments: Ints) -> Floats:
    """What the decoder of a model computes with: codes and their delayed copies, shape (m, f)."""
    return stack_delays(model.codes(Z), model.decoder.delays, segments)


class RidgeLinear:
    """Ridge regression: coefficients and intercepts, with the penalty of the calibration."""

    rows: tuple[str, ...] = ("coef_", "intercept_")

    def __init__(self, decoder: RidgeDecoder, Z: Floats, X: Floats) -> None:
        self._decoder = decoder
        self.calibration = Moments.of(Z, X)
        self.start: Parameters = {"coef_": decoder.coef_, "intercept_": decoder.intercept_}

    def solve(self, moments: Moments, old: Parameters, fitted: Bools) -> Parameters:
        """See `Linear.solve`; the penalty is one per example, as in `fit_ridge`.

        Raises
        ------
        UserError
            When a DOF that is to be fitted was not seen to move.
        """
        _check_seen(moments, fitted)
        f = len(moments.zz) - 1
        penalty = np.zeros(f + 1)
        penalty[:f] = float(self._decoder.lambda_[0]) * moments.weight
        solution = np.linalg.solve(moments.zz + np.diag(penalty), moments.zx[:, :-1]).T
        return {
            "coef_": np.where(fitted[:, None], solution[:, :f], old["coef_"]),
            "intercept_": np.where(fitted, solution[:, f], old["intercept_"]),
        }

    def decoder(self, parameters: Parameters) -> Decoder:
        """See `Linear.decoder`."""
        arrays = {**parameters, "lambda_": self._decoder.lambda_}
        return _rebuilt(self._decoder, arrays)


class KalmanLinear:
    """Kalman filter: observation model and its noise; the motion model is that of the calibration.

    The noise is shrunk as strongly as in the calibration (Ledoit and Wolf 2004).
    """

    rows: tuple[str, ...] = ("gain_", "transition_", "offset_")

    def __init__(self, decoder: KalmanDecoder, Z: Floats, X: Floats, follows: Bools) -> None:
        from sklearn.covariance import ledoit_wolf

        self._decoder = decoder
        self.steady = decoder.gain == "steady"
        self._motion = kalman_model.fit_transition(X, follows)
        self.calibration = Moments.of(Z, X)
        design = np.hstack([X, np.ones((len(X), 1))])
        solution: Floats = np.linalg.lstsq(design, Z, rcond=None)[0].astype(np.float64)
        self._shrinkage = float(ledoit_wolf(Z - design @ solution, assume_centered=True)[1])
        d = X.shape[1]
        nothing = {"H": np.zeros((Z.shape[1], d)), "h": np.zeros(Z.shape[1])}
        self.start: Parameters = self.solve(self.calibration, nothing, np.ones(d, dtype=np.bool_))

    def solve(self, moments: Moments, old: Parameters, fitted: Bools) -> Parameters:
        """See `Linear.solve`: columns of H of the DOFs that are not fitted stay.

        Raises
        ------
        UserError
            When a DOF that is to be fitted was not seen to move.
        """
        _check_seen(moments, fitted)
        f = len(moments.zz) - 1
        free = np.append(fitted, True)
        theta = np.column_stack([old["H"], old["h"]])
        zx, xx = moments.zx[:f], moments.xx
        rest = zx[:, free] - theta[:, ~free] @ xx[np.ix_(~free, free)]
        theta[:, free] = np.linalg.solve(xx[np.ix_(free, free)], rest.T).T
        cross = theta @ zx.T
        Q = (moments.zz[:f, :f] - cross - cross.T + theta @ xx @ theta.T) / moments.weight
        level = self._shrinkage * float(np.trace(Q)) / f
        Q = (1.0 - self._shrinkage) * (Q + Q.T) / 2.0
        Q[np.diag_indices_from(Q)] += level + kalman_model.FLOOR
        return {"H": theta[:, :-1].copy(), "h": theta[:, -1].copy(), "Q": Q}

    def decoder(self, parameters: Parameters) -> Decoder:
        """See `Linear.decoder`."""
        H, h = parameters["H"], parameters["h"]
        weights: Floats = np.linalg.solve(parameters["Q"], H).T.astype(np.float64)
        observation = kalman_model.Observation(H, h, weights)
        factor = float(self._decoder.process_gain_[0])
        if self.steady:
            F, K, c = kalman_model.steady_state(self._motion, observation, factor)
            arrays = {"transition_": F, "gain_": K, "offset_": c}
        else:
            arrays = {
                "motion_": self._motion.A,
                "motion_offset_": self._motion.a,
                "noise_": factor * self._motion.W,
                "weights_": weights,
                "weighted_offset_": weights @ h,
                "information_": observation.information,
            }
        return _rebuilt(self._decoder, {**arrays, "process_gain_": self._decoder.process_gain_})


def with_rows(new: Decoder, old: Decoder, names: tuple[str, ...], changed: Bools) -> Decoder:
    """The new decoder, but bit for bit the old rows of DOFs that are not in `changed`, shape (d,).

    Parameters
    ----------
    new, old : Decoder
        Of one kind.
    names : tuple of str
        Learned arrays with a row for each DOF.
    changed : ndarray of bool, shape (d,)
    """
    arrays = dict(new.to_arrays())
    for name in names:
        rows = np.array(arrays[name])
        rows[~changed] = old.to_arrays()[name][~changed]
        arrays[name] = rows
    return _rebuilt(old, arrays)


def check_stable(decoder: Decoder) -> None:
    """Refuse a steady Kalman filter whose estimates would run away.

    Raises
    ------
    UserError
    """
    if isinstance(decoder, KalmanDecoder) and decoder.gain == "steady":
        fastest = float(np.abs(np.linalg.eigvals(decoder.transition_)).max())
        if not fastest < 1.0:
            raise UserError(f"the filter would not be stable (its largest pole is {fastest:.3f})")


def _rebuilt(decoder: Decoder, arrays: Mapping[str, NDArray[np.generic]]) -> Decoder:
    return type(decoder).from_arrays(decoder.get_params(), arrays)


def _check_seen(moments: Moments, fitted: Bools) -> None:
    """A DOF that always was at rest would be unlearned."""
    if (fitted & ~moments.seen).any():
        raise UserError(
            "a DOF did not move in what was seen; give calibration data a weight, or let only the "
            "rows of moving DOFs change"
        )
