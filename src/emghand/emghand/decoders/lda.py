"""Linear discriminant analysis of postures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from emghand.decoders.base import Bools, Decoder, Floats, Ints
from emghand.decoders.parts.postures import OUTPUTS, PostureChoice, find_postures


class LdaDecoder(Decoder):
    """Linear discriminant analysis: which posture is meant (Hudgins, Parker and Scott 1993).

    The classes are the distinct postures of the training data, told apart by which DOFs are away
    from rest and to which side. The output is the posture itself: the hand goes from one to
    another, with no amplitude in between unless `output` is ``weighted``.

    Parameters
    ----------
    delays : sequence of int
        See `Decoder`.
    shrinkage : str or float
        Of the common covariance towards the identity, 0 to 1; ``auto`` as Ledoit and Wolf (2004).
    output : str
        ``posture``: the most probable one; ``weighted``: their mean, by probability.
    min_probability : float
        Below it a decision is rejected and the last one holds; 0: never.
    rest_zone : float
        A DOF up to this far from rest counts as at rest.
    min_examples : int
        Postures with fewer rows are left out.

    Attributes
    ----------
    coef_ : ndarray, shape (k, f)
    intercept_ : ndarray, shape (k,)
        Log-likelihood of posture k: coef_[k] z + intercept_[k], up to a constant.
    targets_ : ndarray, shape (k, d)
    """

    kind = "lda"
    learned: ClassVar[dict[str, str]] = {"coef_": "kf", "intercept_": "k", "targets_": "kd"}

    def __init__(
        self,
        delays: tuple[int, ...] = (),
        shrinkage: str | float = "auto",
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
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        if self.shrinkage != "auto":
            self._number("shrinkage", low=0.0, high=1.0)
        rest_zone = self._number("rest_zone", low=0.0)
        least = int(self._number("min_examples", low=2, whole=True))
        labels, self.targets_ = find_postures(X, rest_zone, least)
        known = labels >= 0
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=self.shrinkage)
        model.fit(Z[known], labels[known])
        if len(self.targets_) == 2:
            # Of two classes scikit-learn keeps the difference only.
            zero = np.zeros_like(model.coef_)
            self.coef_ = np.concatenate([zero, model.coef_])
            self.intercept_ = np.concatenate([[0.0], model.intercept_])
        else:
            self.coef_, self.intercept_ = np.array(model.coef_), np.array(model.intercept_)

    def _estimate(self, z: Floats) -> Floats:
        return self._choose.step(np.einsum("kf,f->k", self.coef_, z) + self.intercept_)

    def _prepare(self) -> None:
        super()._prepare()
        output = self._choice("output", OUTPUTS)
        least = self._number("min_probability", low=0.0, high=1.0)
        self._choose = PostureChoice(self.targets_, output, least)
        self._carried.append(self._choose)


DECODER = LdaDecoder
