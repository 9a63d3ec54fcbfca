"""Fit of a decoder to examples, and the model made of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.control.settings import OutputSettings
from emghand.decoders.base import Decoder
from emghand.decoders.normaliser import BASELINES, Normaliser
from emghand.decoders.registry import decoder_class
from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.storage.models import Model
from emghand.storage.recording import PeriodKind
from emghand.training.alignment import MAX_LAG_S, find_lag, shifted
from emghand.training.dataset import Dataset
from emghand.version import code_version

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrainSettings:
    """How a decoder is trained."""

    decoder: str = setting("kalman", "Kind of decoder.")
    delays: tuple[int, ...] = setting(
        (), "Features of so many ticks ago are added to those of now.", unit="ticks"
    )
    baseline: str = setting(
        "mean", "What is subtracted from the features: mean, rest or none.", choices=BASELINES
    )
    max_lag_s: float = setting(
        MAX_LAG_S,
        "Largest lag between labels and features that is looked for; 0: no alignment.",
        unit="s",
        low=0.0,
        high=5.0,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Fitted:
    """A decoder with what was learned around it.

    Parameters
    ----------
    decoder : Decoder
    normaliser : Normaliser
    lag_s : float
        By how much the features follow `x_d` [s].
    """

    decoder: Decoder
    normaliser: Normaliser
    lag_s: float

    def predict(self, dataset: Dataset) -> Floats:
        """`x_hat` of every row, shape (m, n_dofs)."""
        return self.decoder.predict(self.normaliser.apply(dataset.Z), dataset.segment)


def fit(dataset: Dataset, settings: TrainSettings) -> Fitted:
    """Learn lag, normalisation and decoder from all rows of a data set that are in use.

    Raises
    ------
    UserError
        When the data do not determine a decoder.
    """
    use = dataset.use
    if not use.any():
        raise UserError("no example to learn from: every tick is unlabelled or in a PROMPT")
    lag_s = find_lag(dataset, settings.max_lag_s) if settings.max_lag_s > 0.0 else 0.0
    rest = (dataset.period[use] == PeriodKind.REST) & ~dataset.X[use].any(axis=1)
    normaliser = Normaliser.fit(dataset.Z[use], rest, settings.baseline)
    decoder = _make(dataset, settings).fit(
        normaliser.apply(dataset.Z),
        shifted(dataset, lag_s),
        dataset.groups,
        segments=dataset.segment,
        use=use,
    )
    return Fitted(decoder, normaliser, lag_s)


def train(
    dataset: Dataset,
    settings: TrainSettings | None = None,
    output: OutputSettings | None = None,
    scores: dict[str, Any] | None = None,
) -> Model:
    """Final fit on a whole data set, as a model.

    Parameters
    ----------
    dataset : Dataset
    settings : TrainSettings, optional
    output : OutputSettings, optional
        Output filters that go with the model.
    scores : dict, optional
        Plain numbers to keep in the model file, beside the digests of the recordings.
    """
    fitted = fit(dataset, settings or TrainSettings())
    stream = dataset.stream
    return Model(
        decoder=fitted.decoder,
        normaliser=fitted.normaliser,
        dofs=dataset.dofs,
        features=dataset.feature_settings,
        n_channels=stream.n_channels,
        rate=stream.rate,
        channel_names=stream.channel_names,
        unit=stream.unit,
        output=output or OutputSettings(),
        lag_s=fitted.lag_s,
        training_hash=dataset.digest,
        scores={"recordings": list(dataset.digests)} | (scores or {}),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        code_version=code_version(),
    )


def _make(dataset: Dataset, settings: TrainSettings) -> Decoder:
    cls = decoder_class(settings.decoder)
    decoder = cls()
    params: dict[str, Any] = {"delays": settings.delays}
    if "low" in decoder.get_params():
        params["low"] = tuple(d.low for d in dataset.dofs)
        params["high"] = tuple(d.high for d in dataset.dofs)
    decoder.set_params(**params)
    return decoder
