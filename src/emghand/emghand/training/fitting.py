"""Fit of a decoder to examples, and the model made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
        (),
        "Features of so many ticks ago are added to those of now; empty: the decoder's default.",
        unit="ticks",
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

    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the decoder, by name."""
    search: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Parameters of the decoder and the values to choose from, by leaving one repetition out."""

    def __post_init__(self) -> None:
        check(self)
        # Lists, as from YAML, become tuples: that is what decoders take.
        params = {name: _as_tuples(value) for name, value in self.params.items()}
        grid = {name: _as_tuples(values) for name, values in self.search.items()}
        for name, values in grid.items():
            if not isinstance(values, tuple) or not values:
                raise UserError(f"search {name}: needs a list of values to choose from")
            if name in params:
                raise UserError(f"{name}: either give its value or search for it, not both")
        object.__setattr__(self, "params", params)
        object.__setattr__(self, "search", grid)


@dataclass(frozen=True)
class Candidate:
    """Values that were tried in a search.

    Parameters
    ----------
    params : mapping
        Of the decoder.
    error : float
        Squared error of the repetitions left out, relative to the variance: about 1 - R².
    """

    params: Mapping[str, Any]
    error: float


@dataclass(frozen=True)
class Fitted:
    """A decoder with what was learned around it.

    Parameters
    ----------
    decoder : Decoder
    normaliser : Normaliser
    lag_s : float
        By how much the features follow `x_d` [s].
    searched : tuple of Candidate
        What was tried when hyper-parameters were searched, the best first.
    """

    decoder: Decoder
    normaliser: Normaliser
    lag_s: float
    searched: tuple[Candidate, ...] = ()

    def predict(self, dataset: Dataset) -> Floats:
        """`x_hat` of every row, shape (m, n_dofs)."""
        return self.decoder.predict(self.normaliser.apply(dataset.Z), dataset.segment)


def fit(dataset: Dataset, settings: TrainSettings) -> Fitted:
    """Learn lag, normalisation and decoder from all rows of a data set that are in use.

    Raises
    ------
    UserError
        When the data do not determine a decoder, or a parameter is none of its.
    """
    searched: tuple[Candidate, ...] = ()
    if settings.search:
        # Here, because it imports scikit-learn, and because it fits.
        from emghand.training.search import search

        searched = search(dataset, settings)
        chosen = {**settings.params, **searched[0].params}
        settings = replace(settings, params=chosen, search={})
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
    return Fitted(decoder, normaliser, lag_s, searched)


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
        scores={"recordings": list(dataset.digests)} | _tried(fitted) | (scores or {}),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        code_version=code_version(),
    )


def _make(dataset: Dataset, settings: TrainSettings) -> Decoder:
    decoder = decoder_class(settings.decoder)()
    known = decoder.get_params()
    params: dict[str, Any] = {"delays": settings.delays} if settings.delays else {}
    if "low" in known:
        params["low"] = tuple(d.low for d in dataset.dofs)
        params["high"] = tuple(d.high for d in dataset.dofs)
    if "tick_rate" in known:
        params["tick_rate"] = dataset.tick_rate
    return decoder.set_params(**{**params, **settings.params})


def _tried(fitted: Fitted) -> dict[str, Any]:
    """What a search tried, for the model file."""
    if not fitted.searched:
        return {}
    return {"search": [{"params": dict(c.params), "error": c.error} for c in fitted.searched]}


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(v) for v in value) if isinstance(value, list | tuple) else value
