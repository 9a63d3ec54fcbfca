"""Search for hyper-parameters by leaving one repetition out.

scikit-learn walks the grid and the splits; what it fits is the whole way from features to `x_hat`,
so that normaliser, lag and decoder are learned anew from the training part of every split. This
module is imported only where something is searched: scikit-learn takes a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, ParameterGrid

from emghand.errors import UserError
from emghand.evaluate.splits import split
from emghand.training.alignment import shifted
from emghand.training.dataset import Dataset
from emghand.training.fitting import (
    NOTHING_GIVEN,
    Candidate,
    Fitted,
    Given,
    TrainSettings,
    fit,
)

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


class DatasetEstimator(BaseEstimator):
    """`fit` of a data set as an estimator of scikit-learn, whose samples are row numbers.

    Parameters
    ----------
    dataset : Dataset
    settings : TrainSettings
        Without a search.
    unlabelled : ndarray, optional
        See `fit`.
    given : Given, optional
        See `fit`.
    params : mapping, optional
        Parameters of the decoder, beside those of the settings.

    Attributes
    ----------
    fitted_ : Fitted
    variance_ : ndarray, shape (n_dofs,)
        Of each DOF in the rows learned from.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: TrainSettings,
        unlabelled: Floats | None = None,
        given: Given = NOTHING_GIVEN,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.dataset = dataset
        self.settings = settings
        self.unlabelled = unlabelled
        self.given = given
        self.params = params

    def __sklearn_clone__(self) -> DatasetEstimator:
        # The data are read only; scikit-learn would copy them for every split.
        return DatasetEstimator(
            self.dataset, self.settings, self.unlabelled, self.given, self.params
        )

    def fit(self, rows: Rows, y: None = None) -> DatasetEstimator:
        """Learn from these rows, shape (m, 1)."""
        part = self.dataset.rows(self._mask(rows))
        params = {**self.settings.params, **(self.params or {})}
        settings = replace(self.settings, params=params)
        self.fitted_: Fitted = fit(part, settings, self.unlabelled, self.given)
        self.variance_ = part.X[part.use].var(axis=0)
        return self

    def score(self, rows: Rows, y: None = None) -> float:
        """Minus the squared error, relative to the variance and averaged over the DOFs that move.

        Against `x_d` as it was the lag of the training part ago.
        """
        mask = self._mask(rows)
        part = self.dataset.rows(mask)
        target = shifted(self.dataset, self.fitted_.lag_s)[mask][part.use]
        error = ((self.fitted_.predict(part)[part.use] - target) ** 2).mean(axis=0)
        moves = self.variance_ > 0.0
        if not moves.any():
            raise UserError("search: no DOF moves in the training data")
        return -float((error[moves] / self.variance_[moves]).mean())

    def _mask(self, rows: Rows) -> NDArray[np.bool_]:
        mask = np.zeros(len(self.dataset), dtype=np.bool_)
        mask[np.ravel(rows)] = True
        return mask


def search(
    dataset: Dataset,
    settings: TrainSettings,
    unlabelled: Floats | None = None,
    given: Given = NOTHING_GIVEN,
) -> tuple[Candidate, ...]:
    """Try every combination of the values in `settings.search`.

    Parameters
    ----------
    dataset : Dataset
        The training part only; it is split by repetition, with the guard of
        `emghand.evaluate.splits`.
    settings : TrainSettings
    unlabelled : ndarray, optional
        See `fit`.
    given : Given, optional
        See `fit`.

    Returns
    -------
    tuple of Candidate
        The best first; of equal ones that which comes first in the grid.

    Raises
    ------
    UserError
        When a parameter is unknown or a split cannot be fitted.
    """
    splits = split(dataset, "repetition", settings.longest_lag_s)
    grid = list(ParameterGrid({name: list(v) for name, v in settings.search.items()}))
    found = GridSearchCV(
        DatasetEstimator(dataset, replace(settings, search={}), unlabelled, given),
        {"params": grid},
        # Rows that are not in use have no label, but are the past of others.
        cv=[(np.flatnonzero(s.train), np.flatnonzero(s.test)) for s in splits],
        refit=False,
        error_score="raise",
    ).fit(np.arange(len(dataset))[:, None])
    errors = -found.cv_results_["mean_test_score"]
    order = np.argsort(errors, kind="stable")
    return tuple(Candidate(grid[i], float(errors[i])) for i in order)
