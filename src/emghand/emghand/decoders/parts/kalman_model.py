"""The state-space model of the Kalman decoders: its fit, its gains, its recursion.

x_t = A x_{t-1} + a + w, w ~ N(0, W), and z_t = H x_t + h + q, q ~ N(0, Q). The offsets are those of
the usual constant-1 state, kept apart because that state has no noise: the Riccati equation then
has its stabilising solution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import Arrays, Bools, Floats, Ints
from emghand.errors import UserError

FLOOR = 1e-6
"""Least process noise, relative to the variance of a DOF, and least observation noise."""

UNCERTAIN = 1e12
"""Bound of the error covariance: without observations that of an unstable model grows for ever."""


@dataclass(frozen=True)
class Transition:
    """How the DOFs move: `A`, shape (d, d), `a`, shape (d,), and `W`, shape (d, d)."""

    A: Floats
    a: Floats
    W: Floats


@dataclass(frozen=True)
class Observation:
    """How the features follow from the DOFs.

    Parameters
    ----------
    H : ndarray, shape (f, d)
    h : ndarray, shape (f,)
    weights : ndarray, shape (d, f)
        H' Q^-1: all the filter needs of Q.
    """

    H: Floats
    h: Floats
    weights: Floats

    @property
    def information(self) -> Floats:
        """H' Q^-1 H: what one tick says about the state, shape (d, d)."""
        S = self.weights @ self.H
        return (S + S.T) / 2.0


def fit_transition(X: Floats, follows: Bools) -> Transition:
    """Least squares; W is at least 1e-6 of the variance of its DOF.

    Parameters
    ----------
    X : ndarray, shape (m, d)
    follows : ndarray of bool, shape (m,)
        Whether the row before is the predecessor in time.
    """
    now = np.flatnonzero(follows)
    if len(now) < 2:
        raise UserError("kalman decoder: needs at least 3 consecutive examples")
    before = np.hstack([X, np.ones((len(X), 1))])[now - 1]
    solution: Floats = np.linalg.lstsq(before, X[now], rcond=None)[0].astype(np.float64)
    w = X[now] - before @ solution
    W = w.T @ w / (len(now) - 1)
    W = (W + W.T) / 2.0 + np.diag(FLOOR * np.maximum(X.var(axis=0), FLOOR))
    return Transition(solution[:-1].T, solution[-1], W)


def fit_observation(Z: Floats, X: Floats) -> Observation:
    """Least squares; Q is shrunk towards a multiple of the identity (Ledoit and Wolf 2004).

    So it can be inverted with more features than examples.

    Parameters
    ----------
    Z : ndarray, shape (m, f)
    X : ndarray, shape (m, d)
    """
    from sklearn.covariance import ledoit_wolf

    design = np.hstack([X, np.ones((len(X), 1))])
    solution: Floats = np.linalg.lstsq(design, Z, rcond=None)[0].astype(np.float64)
    Q = ledoit_wolf(Z - design @ solution, assume_centered=True)[0]
    Q[np.diag_indices_from(Q)] += FLOOR
    H = solution[:-1].T
    return Observation(H, solution[-1], np.linalg.solve(Q, H).T)


def choose_process_gain(
    Z: Floats,
    X: Floats,
    groups: Ints,
    follows: Bools,
    process_gains: Floats,
    low: Floats,
    high: Floats,
) -> float:
    """The factor of W with the least error on the group left out, relative to the variance.

    Parameters
    ----------
    Z : ndarray, shape (m, f)
    X : ndarray, shape (m, d)
    groups : ndarray of int, shape (m,)
    follows : ndarray of bool, shape (m,)
    process_gains : ndarray, shape (k,)
        To choose from.
    low, high : ndarray, shape (d,)

    Raises
    ------
    UserError
        When there is no second group to choose by.
    """
    if len(process_gains) == 1:
        return float(process_gains[0])
    names = np.unique(groups)
    if len(names) < 2:
        raise UserError(
            "kalman decoder: choosing process_gains needs at least 2 repetitions; record more, or "
            "give one"
        )
    variance = X.var(axis=0)
    weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0.0)
    error = np.zeros(len(process_gains))
    for name in names:
        out = groups == name
        joined = follows & np.concatenate([[False], ~out[:-1]])
        transition = fit_transition(X[~out], joined[~out])
        observation = fit_observation(Z[~out], X[~out])
        for i, process_gain in enumerate(process_gains.tolist()):
            try:
                F, K, c = steady_state(transition, observation, process_gain)
            except UserError:
                error[i] = np.inf
                continue
            x_hat = roll_out(F, Z[out] @ K.T + c, follows[out], low, high)
            error[i] += ((x_hat - X[out]) ** 2 @ weight).sum()
    return float(process_gains[int(np.argmin(error))])


def roll_out(F: Floats, driven: Floats, follows: Bools, low: Floats, high: Floats) -> Floats:
    """Estimates of the steady-state filter; `driven`, shape (m, d), is K z + c of every row.

    Where a row does not follow the one before, the filter starts from rest.
    """
    x_hat = np.empty_like(driven)
    x = np.zeros(driven.shape[1])
    for i, (u, goes_on) in enumerate(zip(driven, follows, strict=True)):
        x = np.minimum(np.maximum((F @ x if goes_on else 0.0) + u, low), high)
        x_hat[i] = x
    return x_hat


def steady_state(
    transition: Transition, observation: Observation, process_gain: float
) -> tuple[Floats, Floats, Floats]:
    """The recursion x <- F x + K z + c when the gain has settled.

    F = (I - K H) A and c = (I - K H) a - K h. The observation enters the Riccati equation as
    S = H' Q^-1 H = L L', as large as the state and not as the features: L' x seen in unit noise
    carries the same information.

    Parameters
    ----------
    transition : Transition
    observation : Observation
    process_gain : float
        Factor of W.

    Returns
    -------
    F, K, c : ndarray, shapes (d, d), (d, f), (d,)

    Raises
    ------
    UserError
        When there is no stable filter.
    """
    from scipy.linalg import solve_discrete_are

    A, a, W = transition.A, transition.a, transition.W
    n = len(A)
    S = observation.information
    values, vectors = np.linalg.eigh(S)
    L = vectors * np.sqrt(np.maximum(values, 0.0))
    try:
        P = solve_discrete_are(A.T, L, process_gain * W, np.eye(n))
    except (np.linalg.LinAlgError, ValueError) as error:
        raise UserError(
            "kalman decoder: found no stable filter; check that the features follow the "
            f"movements ({error})"
        ) from error
    K = np.linalg.solve(np.eye(n) + P @ S, P @ observation.weights)
    kept = np.eye(n) - K @ observation.H
    return kept @ A, np.ascontiguousarray(K), kept @ a - K @ observation.h


def is_covariance(matrix: Floats) -> bool:
    """Whether it is symmetric, not negative (up to rounding), and not too large to compute with."""
    size = np.abs(matrix).max()
    if not size < UNCERTAIN or np.abs(matrix - matrix.T).max() > 1e-9 * size:
        return False
    return bool(np.linalg.eigvalsh(matrix).min() >= -1e-9 * size)


class SteadyFilter:
    """x <- F x + K z + c, clipped before it recurs; starts from rest.

    Parameters
    ----------
    F, K, c : ndarray, shapes (d, d), (d, f), (d,)
    low, high : ndarray, shape (d,)
    """

    def __init__(self, F: Floats, K: Floats, c: Floats, low: Floats, high: Floats) -> None:
        self._F, self._K, self._c = F, K, c
        self._low, self._high = low, high
        self._x = np.zeros(len(c))

    def step(self, z: Floats) -> Floats:
        """One tick; shapes (f,) -> (d,)."""
        # einsum: unlike a BLAS product, its bits do not depend on the number of threads.
        x = np.einsum("df,f->d", self._K, z)
        x += np.einsum("de,e->d", self._F, self._x)
        x += self._c
        self._x = np.minimum(np.maximum(x, self._low), self._high)
        return self._x.copy()

    def reset(self) -> None:
        """Back to rest."""
        self._x = np.zeros_like(self._x)

    def place(self, x: Floats) -> None:
        """Stand at an estimate, shape (d,), within the range."""
        self._x = x.copy()

    def state(self) -> Arrays:
        """The estimate."""
        return {"x": self._x.copy()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        self._x = np.array(state["x"], dtype=np.float64)


class StandardFilter:
    """The filter with its time-varying gain; starts from rest, which it knows: P = 0.

    In the information form P = (P-^-1 + S)^-1 with S = H' Q^-1 H, and the gain is P H' Q^-1, so
    that a tick costs no matrix as large as the features.

    Parameters
    ----------
    transition : Transition
    weights : ndarray, shape (d, f)
        H' Q^-1.
    offset : ndarray, shape (d,)
        H' Q^-1 h.
    information : ndarray, shape (d, d)
        S.
    low, high : ndarray, shape (d,)
    """

    def __init__(
        self,
        transition: Transition,
        weights: Floats,
        offset: Floats,
        information: Floats,
        low: Floats,
        high: Floats,
    ) -> None:
        self._transition = transition
        self._weights, self._offset, self._S = weights, offset, information
        self._low, self._high = low, high
        self._identity = np.eye(len(offset))
        self._x = np.zeros(len(offset))
        self._P = np.zeros_like(self._identity)

    def step(self, z: Floats) -> Floats:
        """One tick; shapes (f,) -> (d,)."""
        A, a, W = self._transition.A, self._transition.a, self._transition.W
        x = np.einsum("de,e->d", A, self._x) + a
        P = np.einsum("df,gf->dg", np.einsum("de,ef->df", A, self._P), A) + W
        P = np.minimum(np.maximum(P, -UNCERTAIN), UNCERTAIN)
        spread = self._identity + np.einsum("de,ef->df", P, self._S)
        try:
            self._P = np.linalg.solve(spread, P)
        except np.linalg.LinAlgError:
            # Beside very large numbers the identity is lost in rounding.
            self._P = np.linalg.pinv(spread) @ P
        seen = np.einsum("df,f->d", self._weights, z) - self._offset
        seen -= np.einsum("de,e->d", self._S, x)
        x += np.einsum("de,e->d", self._P, seen)
        self._x = np.minimum(np.maximum(x, self._low), self._high)
        return self._x.copy()

    def reset(self) -> None:
        """Back to rest."""
        self._x = np.zeros(len(self._offset))
        self._P = np.zeros_like(self._identity)

    def place(self, x: Floats) -> None:
        """Stand at an estimate, shape (d,), within the range."""
        self._x = x.copy()

    def state(self) -> Arrays:
        """The estimate and its error covariance."""
        return {"x": self._x.copy(), "P": self._P.copy()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        self._x = np.array(state["x"], dtype=np.float64)
        self._P = np.array(state["P"], dtype=np.float64)
