"""Postures: from desired DOFs to classes, and from classes back to DOFs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import Arrays, Floats, Ints
from emghand.errors import UserError

OUTPUTS = ("posture", "weighted")


def find_postures(X: Floats, rest_zone: float, min_examples: int) -> tuple[Ints, Floats]:
    """The distinct postures asked for: which DOFs are away from rest, and to which side.

    Parameters
    ----------
    X : ndarray, shape (m, d)
    rest_zone : float
        A DOF up to this far from rest counts as at rest.
    min_examples : int
        Postures with fewer rows are left out: mostly those that are passed through on the way.

    Returns
    -------
    labels : ndarray of int, shape (m,)
        Number of the posture; -1 for one that is left out.
    targets : ndarray, shape (k, d)
        Median of each DOF in the posture, 0 where it is at rest.

    Raises
    ------
    UserError
        When fewer than two postures are left.
    """
    signs = np.where(np.abs(X) > rest_zone, np.sign(X), 0.0)
    patterns, found, counts = np.unique(signs, axis=0, return_inverse=True, return_counts=True)
    found = found.reshape(-1)
    kept = np.flatnonzero(counts >= min_examples)
    if len(kept) < 2:
        raise UserError(
            f"postures: {len(kept)} of the {len(counts)} postures in the training data have at "
            f"least {min_examples} examples, 2 are needed; record more or lower min_examples"
        )
    numbers = np.full(len(counts), -1)
    numbers[kept] = np.arange(len(kept))
    targets = np.array([np.median(X[found == k], axis=0) for k in kept])
    return numbers[found], np.where(patterns[kept] == 0.0, 0.0, targets)


class PostureChoice:
    """From the log-likelihoods of the postures to DOFs.

    Parameters
    ----------
    targets : ndarray, shape (k, d)
    output : str
        ``posture``: the target of the most probable posture; ``weighted``: the mean of all targets,
        weighted by their probabilities.
    min_probability : float
        Below it, the most probable posture is rejected and the last output holds.
    """

    def __init__(self, targets: Floats, output: str, min_probability: float) -> None:
        self._targets = targets
        self._weighted = output == "weighted"
        self._min_probability = min_probability
        self._x = np.zeros(targets.shape[1])

    def step(self, likelihood: Floats) -> Floats:
        """One tick; `likelihood`, shape (k,), up to a constant; returns shape (d,)."""
        best = int(np.argmax(likelihood))
        probability = np.exp(likelihood - likelihood[best])
        probability /= probability.sum()
        if probability[best] >= self._min_probability:
            if self._weighted:
                self._x = np.einsum("k,kd->d", probability, self._targets)
            else:
                self._x = self._targets[best]
        return self._x.copy()

    def reset(self) -> None:
        """Back to rest."""
        self._x = np.zeros(self._targets.shape[1])

    def state(self) -> Arrays:
        """The last output."""
        return {"posture": self._x.copy()}

    def set_state(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue from what `state` returned."""
        self._x = np.array(state["posture"], dtype=np.float64)
