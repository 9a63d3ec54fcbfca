"""Fit of a decoder to examples, and the model made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from emghand.control.settings import OutputSettings
from emghand.decoders.base import Decoder
from emghand.decoders.normaliser import BASELINES, SCALES, Normaliser
from emghand.decoders.registry import decoder_class
from emghand.encoders import ENCODERS, Encoder, fit_encoder
from emghand.encoders.base import MAX_CODES
from emghand.errors import UserError
from emghand.settings import SettingsError, check, setting
from emghand.storage.encoders import LearnedEncoder
from emghand.storage.models import Model
from emghand.training.alignment import MAX_LAG_S, align_trials, find_lag, shifted
from emghand.training.calibration import Calibration
from emghand.training.dataset import Dataset
from emghand.training.normalisation import choose_features, fit_normaliser
from emghand.training.selection import MOST, STOPS
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
    encoder: str = setting(
        "none",
        "Autoencoder between features and decoder: none, linear or nonlinear.",
        choices=("none", *ENCODERS),
    )
    encoder_size: int = setting(
        8, "Numbers that the encoder makes of the features.", low=1, high=MAX_CODES
    )

    trial_lag_s: float = setting(
        0.0,
        "Largest lag of a single trial beside the one of all that is looked for, 0.2 is usual; "
        "0: none.",
        unit="s",
        low=0.0,
        high=1.0,
    )
    discard_first: bool = setting(
        False, "Do not learn from the first repetition of each movement of a recording."
    )
    scale: str = setting(
        "std",
        "What features are divided by: std, or contraction: their level at maximum contraction.",
        choices=SCALES,
    )
    bad_channels: str = setting(
        "keep",
        "auto: channels that are flat or noisy in the training rows are left out.",
        choices=("keep", "auto"),
    )
    max_features: int = setting(
        0,
        "Most features that are chosen by Gram-Schmidt selection; 0: all are used.",
        low=0,
        high=MOST,
    )
    selection_stop: str = setting(
        "none", "Criterion that ends the selection earlier.", choices=STOPS
    )

    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the decoder, by name."""
    search: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Parameters of the decoder and the values to choose from, by leaving one repetition out."""

    def __post_init__(self) -> None:
        check(self)
        if self.selection_stop != "none" and not self.max_features:
            raise SettingsError("selection_stop: set max_features above 0, for example 48")
        for name in ("params", "search"):
            if not isinstance(getattr(self, name), Mapping):
                raise SettingsError(f"{name}: expected names with values, as {{cost: 3}}")
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

    @property
    def longest_lag_s(self) -> float:
        """How far from its tick a label may be taken [s]: that of a trial adds to that of all."""
        return self.max_lag_s + self.trial_lag_s


@dataclass(frozen=True)
class Given:
    """What a training takes as it is, instead of learning it from the examples.

    Parameters
    ----------
    calibration : Calibration, optional
        Rest and maximum contraction, for the baseline ``rest`` and the scale ``contraction``.
    encoder : LearnedEncoder, optional
        With its own normaliser.
    """

    calibration: Calibration | None = None
    encoder: LearnedEncoder | None = None


NOTHING_GIVEN = Given()


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
    encoder : Encoder, optional
        Between normaliser and decoder.
    searched : tuple of Candidate
        What was tried when hyper-parameters were searched, the best first.
    """

    decoder: Decoder
    normaliser: Normaliser
    lag_s: float
    encoder: Encoder | None = None
    searched: tuple[Candidate, ...] = ()

    def predict(self, dataset: Dataset) -> Floats:
        """`x_hat` of every row, shape (m, n_dofs)."""
        inputs = _encoded(self.encoder, self.normaliser.apply(dataset.Z))
        return self.decoder.predict(inputs, dataset.segment)


def fit(
    dataset: Dataset,
    settings: TrainSettings,
    unlabelled: Floats | None = None,
    given: Given = NOTHING_GIVEN,
) -> Fitted:
    """Learn lag, normalisation, encoder and decoder from the rows of a data set that are in use.

    The same data and settings give the same bits, whatever the number of threads.

    Parameters
    ----------
    dataset : Dataset
    settings : TrainSettings
    unlabelled : ndarray, shape (k, n_features), optional
        Features, not normalised, of other recordings, from which the encoder learns as well.
    given : Given, optional
        What is not learned.

    Raises
    ------
    UserError
        When the data do not determine a decoder, a parameter is none of its, or what is given does
        not fit the data.
    """
    # The bits of a matrix product depend on the number of threads that share it.
    with threadpool_limits(1):
        return _fit(dataset, settings, unlabelled, given)


def _fit(
    dataset: Dataset, settings: TrainSettings, unlabelled: Floats | None, given: Given
) -> Fitted:
    searched: tuple[Candidate, ...] = ()
    if settings.search:
        # Here, because it imports scikit-learn, and because it fits.
        from emghand.training.search import search

        searched = search(dataset, settings, unlabelled, given)
        chosen = {**settings.params, **searched[0].params}
        settings = replace(settings, params=chosen, search={})
    if settings.discard_first:
        # A training part that holds no first repetition loses nothing.
        dataset = replace(dataset, use=dataset.use & (dataset.repetition != 0))
    use = dataset.use
    if not use.any():
        raise UserError(
            "no example to learn from: every tick is unlabelled, in a PROMPT, or of a first "
            "repetition that is discarded"
        )
    lag_s = find_lag(dataset, settings.max_lag_s) if settings.max_lag_s > 0.0 else 0.0
    if given.encoder is None:
        normaliser = fit_normaliser(dataset, settings, given.calibration)
    else:
        given.encoder.check(dataset.feature_settings, dataset.stream, dataset.digests)
        normaliser = given.encoder.normaliser
    X = shifted(dataset, lag_s)
    if settings.trial_lag_s > 0.0:
        trials = align_trials(dataset, normaliser.apply(dataset.Z), lag_s, settings.trial_lag_s)
        X = trials.X
        lag_s += float(np.median(trials.lags_s)) if len(trials.lags_s) else 0.0
    if given.encoder is None:
        normaliser = choose_features(dataset, X, normaliser, settings)
    inputs = normaliser.apply(dataset.Z)
    encoder = None if given.encoder is None else given.encoder.encoder
    if settings.encoder != "none":
        Z, groups = inputs[use], dataset.groups[use]
        if unlabelled is not None:
            # Held out, where the encoder needs that, is a repetition of the data set.
            Z = np.vstack([normaliser.apply(unlabelled), Z])
            groups = np.concatenate([np.full(len(unlabelled), -1), groups])
        encoder = fit_encoder(Z, settings.encoder, settings.encoder_size, groups)
    decoder = _make(dataset, settings).fit(
        _encoded(encoder, inputs),
        X,
        dataset.groups,
        segments=dataset.segment,
        use=use,
    )
    return Fitted(decoder, normaliser, lag_s, encoder, searched)


def _encoded(encoder: Encoder | None, Z: Floats) -> Floats:
    return Z if encoder is None else encoder.transform(Z)


def train(
    dataset: Dataset,
    settings: TrainSettings | None = None,
    output: OutputSettings | None = None,
    scores: dict[str, Any] | None = None,
    unlabelled: Floats | None = None,
    given: Given = NOTHING_GIVEN,
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
    unlabelled : ndarray, optional
        See `fit`.
    given : Given, optional
        See `fit`.
    """
    fitted = fit(dataset, settings or TrainSettings(), unlabelled, given)
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
        encoder=fitted.encoder,
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
