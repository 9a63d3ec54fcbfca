"""What is between features and decoder: their levels, and which of them are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.normaliser import Normaliser
from emghand.errors import UserError
from emghand.storage.recording import PeriodKind
from emghand.training.calibration import Calibration
from emghand.training.channel_check import features_of_good_channels
from emghand.training.dataset import Dataset
from emghand.training.selection import select_features

if TYPE_CHECKING:
    from emghand.training.fitting import TrainSettings

Floats = NDArray[np.float64]


def fit_normaliser(
    dataset: Dataset, settings: TrainSettings, calibration: Calibration | None = None
) -> Normaliser:
    """Statistics of all features in the rows in use; which features are used is not decided here.

    Parameters
    ----------
    dataset : Dataset
    settings : TrainSettings
    calibration : Calibration, optional
        Its levels count instead of those of the rows, as far as the settings ask for them.

    Raises
    ------
    UserError
        When no row is in use, it lacks the rest or the movement that the settings ask for, or the
        calibration is of other features.
    """
    use = dataset.use
    moving = np.asarray(dataset.X[use].any(axis=1))
    rest = (dataset.period[use] == PeriodKind.REST) & ~moving
    baseline, scale = settings.baseline, settings.scale
    if calibration is None:
        return Normaliser.fit(dataset.Z[use], rest, baseline, scale, moving)
    calibration.check(dataset.feature_settings, dataset.stream)
    fitted = Normaliser.fit(
        dataset.Z[use],
        rest,
        "none" if baseline == "rest" and calibration.rest is not None else baseline,
        "std" if scale == "contraction" and calibration.contraction is not None else scale,
        moving,
    )
    return calibration.normaliser(fitted, baseline, scale)


def choose_features(
    dataset: Dataset, X: Floats, normaliser: Normaliser, settings: TrainSettings
) -> Normaliser:
    """The normaliser, with the features to use where some are left out."""
    columns = np.arange(normaliser.n_features)
    if settings.bad_channels == "auto":
        columns = columns[features_of_good_channels(dataset)]
    if settings.max_features:
        Z = normaliser.choose(columns).apply(dataset.Z[dataset.use])
        found = select_features(
            Z,
            X[dataset.use],
            settings.max_features,
            settings.selection_stop,
            dataset.feature_settings.window_hops,
        )
        if not len(found.columns):
            raise UserError("no feature varies in the training data: nothing to choose from")
        columns = columns[found.columns]
    return normaliser if len(columns) == normaliser.n_features else normaliser.choose(columns)
