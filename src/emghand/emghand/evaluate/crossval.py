"""Scores on repetitions that were left out of the training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import Scores, score
from emghand.training.alignment import shifted
from emghand.training.dataset import Dataset

Floats = NDArray[np.float64]


class Predictor(Protocol):
    """What cross-validation asks of a fitted decoder."""

    @property
    def lag_s(self) -> float:
        """By how much the features follow `x_d` in the training part [s]."""
        ...

    def predict(self, dataset: Dataset) -> Floats:
        """`x_hat` of every row, shape (m, n_dofs)."""
        ...


@dataclass(frozen=True)
class CrossValidation:
    """Scores of `x_hat` over all rows, each decoded by a decoder that has not seen its repetition.

    Parameters
    ----------
    compensated : Scores
        Against `x_d` of the lag before; the lag is that of each fold's training part.
    uncompensated : Scores
        Against `x_d` as it was.
    folds : list of float
        Mean compensated R² of each repetition.
    lags_s : list of float
    """

    compensated: Scores
    uncompensated: Scores
    folds: list[float]
    lags_s: list[float]


def leave_one_repetition_out(
    dataset: Dataset, fit: Callable[[Dataset], Predictor]
) -> CrossValidation:
    """Fit without each repetition in turn and score on it.

    Parameters
    ----------
    dataset : Dataset
    fit : callable
        Fits on the data set it is given; whatever it learns, it learns from that.

    Raises
    ------
    UserError
        When there are fewer than two repetitions.
    """
    groups = dataset.groups
    names = np.unique(groups[dataset.use])
    if len(names) < 2:
        raise UserError("leave-one-repetition-out needs at least 2 repetitions; record more")
    dofs = dof_names(dataset.dofs)
    wanted, given, plain = [], [], []
    folds, lags = [], []
    for name in names:
        out = groups == name
        try:
            fitted = fit(dataset.rows(~out))
        except UserError as error:
            if len(names) > 2:
                raise
            raise UserError(
                "one of 2 repetitions is held out for the score, and one alone is too little: "
                f"record at least 3 ({error})"
            ) from error
        test = dataset.rows(out)
        use = test.use
        x_hat = fitted.predict(test)[use]
        target = shifted(dataset, fitted.lag_s)[out][use]
        folds.append(score(target, x_hat, dofs).mean_r2)
        lags.append(fitted.lag_s)
        wanted.append(target)
        given.append(x_hat)
        plain.append(test.X[use])
    together = np.concatenate(given)
    return CrossValidation(
        compensated=score(np.concatenate(wanted), together, dofs),
        uncompensated=score(np.concatenate(plain), together, dofs),
        folds=folds,
        lags_s=lags,
    )
