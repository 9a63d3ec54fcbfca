"""Quadratic discriminant analysis of postures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.decoders.parts.postures import OUTPUTS, PostureChoice, find_postures
from emghand.errors import UserError


class QdaDecoder(Decoder):
    """Quadratic discriminant analysis: like `LdaDecoder`, each posture with its own covariance.

    Strong contractions vary more than rest does, which a common covariance cannot say; in return
    every posture must be recorded long enough for a covariance of its own.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    shrinkage : float
        Of each covariance (maximum likelihood) towards the identity, 0 to 1; above 0 when a
        posture has fewer rows than there are features.
    output, min_probability, rest_zone, min_examples
        See `LdaDecoder`.

    Attributes
    ----------
    whitening_ : ndarray, shape (k * f, f)
        Of each posture: from features to unit covariance.
    means_ : ndarray, shape (k, f)
    constant_ : ndarray, shape (k,)
        Log-likelihood of posture k: constant_[k] - |whitening_[k] (z - means_[k])|^2 / 2.
    targets_ : ndarray, shape (k, d)
    """

    kind = "qda"
    learned: ClassVar[dict[str, str]] = {
        "whitening_": "wf",
        "means_": "kf",
        "constant_": "k",
        "targets_": "kd",
    }

    def __init__(
        self,
        delays: tuple[int, ...] = (),
        shrinkage: float = 0.1,
        output: str = "posture",
        min_probability: float = 0.0,
        rest_zone: float = 0.25,
        min_examples: int = 30,
    ) -> None:
        super().__init__(delays)
        self.shrinkage = shrinkage
        self.output = output
        self.min_probability = min_probability
        self.rest_zone = rest_zone
        self.min_examples = min_examples

    def _fit(self, Z: Floats, X: Floats, groups: Ints, follows: Bools) -> None:
        shrinkage = self._number("shrinkage", low=0.0, high=1.0)
        rest_zone = self._number("rest_zone", low=0.0)
        least = int(self._number("min_examples", low=2, whole=True))
        labels, self.targets_ = find_postures(X, rest_zone, least)
        counts = np.bincount(labels[labels >= 0])
        f = Z.shape[1]
        if shrinkage == 0.0 and counts.min() <= f:
            raise UserError("qda decoder: a posture has too few rows, give a shrinkage above 0")
        # Not scikit-learn's: that has no covariance of a posture with fewer rows than features.
        whitening = np.empty((len(counts), f, f))
        log_volume = np.empty(len(counts))
        for k in range(len(counts)):
            covariance = np.atleast_2d(np.cov(Z[labels == k], rowvar=False, bias=True))
            shrunk = (1.0 - shrinkage) * covariance + shrinkage * np.eye(f)
            variances, axes = np.linalg.eigh(shrunk)
            if variances[0] <= 1e-10 * variances[-1]:
                raise UserError("qda decoder: features do not vary, give a shrinkage above 0")
            whitening[k] = (axes / np.sqrt(variances)).T
            log_volume[k] = np.log(variances).sum()
        self.whitening_ = whitening.reshape(-1, f)
        self.means_ = np.array([Z[labels == k].mean(axis=0) for k in range(len(counts))])
        self.constant_ = np.log(counts / counts.sum()) - log_volume / 2.0

    def _estimate(self, z: Floats) -> Floats:
        white = np.einsum("kgf,kf->kg", self._whitening, z - self.means_)
        return self._choose.step(self.constant_ - np.einsum("kg,kg->k", white, white) / 2.0)

    def _prepare(self) -> None:
        super()._prepare()
        self._whitening = self.whitening_.reshape(*self.means_.shape, self.means_.shape[1])
        output = self._choice("output", OUTPUTS)
        least = self._number("min_probability", low=0.0, high=1.0)
        self._choose = PostureChoice(self.targets_, output, least)
        self._carried.append(self._choose)

    def _check_learned(self) -> None:
        super()._check_learned()
        if len(self.whitening_) != self.means_.size:
            raise UserError(f"{self.kind} decoder: array whitening_ does not fit means_")


DECODER = QdaDecoder
