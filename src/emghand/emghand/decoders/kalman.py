"""Steady-state Kalman filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import Arrays, Bools, Decoder, Floats, Ints
from emghand.errors import UserError

FLOOR = 1e-6
"""Least process noise, relative to the variance of a DOF, and least observation noise."""


PROCESS_GAINS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Default grid of the factor of W."""


class KalmanDecoder(Decoder):
    """Kalman filter with the DOFs as state and the features as observation (Wu et al. 2006).

    x_t = A x_{t-1} + a + w, w ~ N(0, W), and z_t = H x_t + h + q, q ~ N(0, Q). The offsets are
    those of the usual constant-1 state, kept apart because that state has no noise: the Riccati
    equation then has its stabilising solution. At run time the gain is the steady-state one,

    x <- F x + K z + c with F = (I - K H) A, c = (I - K H) a - K h,

    and x is clipped to the range of the DOFs before it recurs.

    Regularisation: A, W, H by least squares with pseudo-inverses; W is at least 1e-6 of the
    variance of its DOF; Q is shrunk towards a multiple of the identity as much as Ledoit and Wolf
    (2004) find best, so that it can be inverted with more features than examples.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    low, high : sequence of float
        Range of the DOFs; one value, or one per DOF.
    process_gains : sequence of float
        Factors of W to choose from, by the error on the group left out. Smooth prompts make W small
        and the filter slow; jumps of a camera make it large and the filter nervous.

    Attributes
    ----------
    gain_ : ndarray, shape (d, f)
        K.
    transition_ : ndarray, shape (d, d)
        F.
    offset_ : ndarray, shape (d,)
        c.
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
    ) -> None:
        super().__init__(delays)
        self.low = low
        self.high = high
        self.process_gains = process_gains

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        gains = np.array(self.process_gains, dtype=np.float64)
        if gains.ndim != 1 or not len(gains) or not (gains > 0.0).all():
            raise UserError("kalman decoder: process_gains must be positive numbers, at least one")
        best = 0
        if len(gains) > 1:
            best = int(np.argmin(self._held_out_error(Z, X, groups, follows, gains)))
        model = _Model(Z, X, follows)
        self.transition_, self.gain_, self.offset_ = model.steady_state(gains[best])
        self.process_gain_ = gains[best : best + 1]

    def _held_out_error(
        self, Z: Floats, X: Floats, groups: Ints, follows: Bools, gains: Floats
    ) -> Floats:
        names = np.unique(groups)
        if len(names) < 2:
            raise UserError(
                "kalman decoder: choosing process_gains needs at least 2 repetitions; record more, "
                "or give one"
            )
        variance = X.var(axis=0)
        weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0.0)
        low, high = _ranges(self.low, self.high, X.shape[1])
        error = np.zeros(len(gains))
        for name in names:
            out = groups == name
            joined = follows & np.concatenate([[False], ~out[:-1]])
            model = _Model(Z[~out], X[~out], joined[~out])
            for i, process_gain in enumerate(gains):
                try:
                    F, K, c = model.steady_state(process_gain)
                except UserError:
                    error[i] = np.inf
                    continue
                driven = Z[out] @ K.T + c
                x = np.zeros(X.shape[1])
                for u, target, goes_on in zip(driven, X[out], follows[out], strict=True):
                    x = (F @ x if goes_on else 0.0) + u
                    x = np.minimum(np.maximum(x, low), high)
                    error[i] += ((x - target) ** 2 * weight).sum()
        return error

    def _prepare(self) -> None:
        super()._prepare()
        self._low, self._high = _ranges(self.low, self.high, self.n_dofs_)
        self._x = np.zeros(self.n_dofs_)

    def reset(self) -> None:
        """Forget the past; the state starts from rest."""
        super().reset()
        self._x = np.zeros(self.n_dofs_)

    def _estimate(self, z: Floats) -> Floats:
        # einsum: unlike a BLAS product, its bits do not depend on the number of threads.
        x = np.einsum("df,f->d", self.gain_, z)
        x += np.einsum("de,e->d", self.transition_, self._x)
        x += self.offset_
        self._x = np.minimum(np.maximum(x, self._low), self._high)
        return self._x.copy()

    def state(self) -> Arrays:
        """Delayed features and the estimate."""
        return super().state() | {"x": self._x.copy()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        super().set_state(state)
        self._x = np.array(state["x"], dtype=np.float64)


class _Model:
    """Transition and observation model, fitted by least squares."""

    def __init__(self, Z: Floats, X: Floats, follows: Bools) -> None:
        from sklearn.covariance import ledoit_wolf

        now = np.flatnonzero(follows)
        if len(now) < 2:
            raise UserError("kalman decoder: needs at least 3 consecutive examples")
        ones = np.ones((len(X), 1))
        before = np.hstack([X, ones])[now - 1]
        after = X[now]
        transition = np.linalg.lstsq(before, after, rcond=None)[0]
        w = after - before @ transition
        W = w.T @ w / (len(now) - 1)
        W = (W + W.T) / 2.0 + np.diag(FLOOR * np.maximum(X.var(axis=0), FLOOR))
        design = np.hstack([X, ones])
        observation = np.linalg.lstsq(design, Z, rcond=None)[0]
        Q = ledoit_wolf(Z - design @ observation, assume_centered=True)[0]
        Q[np.diag_indices_from(Q)] += FLOOR
        self.A, self.a, self.W = transition[:-1].T, transition[-1], W
        self.H, self.h = observation[:-1].T, observation[-1]
        self._HtQi = np.linalg.solve(Q, self.H).T

    def steady_state(self, process_gain: float) -> tuple[Floats, Floats, Floats]:
        """F, K and c of the run time.

        The observation enters the Riccati equation as S = H' Q^-1 H = L L', as large as the state
        and not as the features: L' x seen in unit noise carries the same information.
        """
        from scipy.linalg import solve_discrete_are

        n = len(self.A)
        S = self._HtQi @ self.H
        values, vectors = np.linalg.eigh((S + S.T) / 2.0)
        L = vectors * np.sqrt(np.maximum(values, 0.0))
        try:
            P = solve_discrete_are(self.A.T, L, process_gain * self.W, np.eye(n))
        except (np.linalg.LinAlgError, ValueError) as error:
            raise UserError(
                "kalman decoder: found no stable filter; check that the features follow the "
                f"movements ({error})"
            ) from error
        K = np.linalg.solve(np.eye(n) + P @ S, P @ self._HtQi)
        kept = np.eye(n) - K @ self.H
        return kept @ self.A, np.ascontiguousarray(K), kept @ self.a - K @ self.h


def _ranges(low: tuple[float, ...], high: tuple[float, ...], n_dofs: int) -> tuple[Floats, Floats]:
    """Ends of the ranges, each shape (n_dofs,)."""
    try:
        lows = np.broadcast_to(np.array(low, dtype=np.float64), (n_dofs,))
        highs = np.broadcast_to(np.array(high, dtype=np.float64), (n_dofs,))
    except (ValueError, TypeError):
        raise UserError(f"kalman decoder: low and high must hold 1 or {n_dofs} numbers") from None
    if not (np.isfinite(lows) & np.isfinite(highs) & (lows <= 0.0) & (highs >= 0.0)).all():
        raise UserError("kalman decoder: low must not be above 0, high not below")
    return lows, highs


DECODER = KalmanDecoder
