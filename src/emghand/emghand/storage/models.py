"""Model files: a zip of ``model.json`` and ``arrays/*.npy``, safe to load from anyone.

The reader is that of `emghand.storage.archive`. Nothing in a file is executed: decoders come from
the registry by kind, settings are checked like typed ones.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.control.chain import OutputChain
from emghand.control.settings import OutputSettings
from emghand.decoders.base import Decoder
from emghand.decoders.normaliser import Normaliser
from emghand.decoders.registry import decoder_class
from emghand.dofs import Dof, dof_names
from emghand.encoders import Encoder, encoder_class
from emghand.errors import UserError
from emghand.settings import from_mapping, to_json
from emghand.signal.settings import FeatureSettings
from emghand.storage.archive import ArchiveFormat, pack, read
from emghand.storage.files import write_file

EXTENSION = ".emgmodel"
ADAPTED = "adapted"
"""Folder beside a calibration model for the models that adaptation made of it."""
VERSION = 2
"""2 added the encoder; a file of version 1 has none."""
MAX_BYTES = 256 * 2**20
FORMAT = ArchiveFormat("model", VERSION, MAX_BYTES)
MAX_COLUMNS = 2**18
"""Most channels and pairs of channels that features are made of."""
MAX_WINDOW = 2**24
"""Most samples in the feature window, all channels together."""
_SETTINGS = {
    *("kind", "params", "dofs", "features", "n_channels", "rate", "channel_names", "unit"),
    *("output", "lag_s", "encoder"),
}

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """A trained decoder with everything needed to run it.

    Parameters
    ----------
    decoder : Decoder
        Fitted.
    normaliser : Normaliser
        Between the features and the encoder or, without one, the decoder.
    dofs : tuple of Dof
        What it estimates, in the order of `x_hat`.
    features : FeatureSettings
        How its features are computed.
    n_channels : int
        Of the raw EMG.
    rate : float
        Of the raw EMG [Hz].
    channel_names : tuple of str
    unit : str
        Of the raw EMG, ``V`` or ``count``.
    output : OutputSettings
        Output filters it was tuned with.
    lag_s : float
        By how much the features follow `x_d` in the training part [s].
    training_hash : str
        SHA-256 of the training data.
    scores : mapping
        Plain numbers for a person, from training.
    created : str
        ISO 8601, UTC.
    code_version : str
    encoder : Encoder, optional
        Between the normaliser and the decoder.
    stored : tuple of str
        Of a model from a file: its settings as they are understood, and as the file holds them.
        While the former are in force, the latter count for its id: settings that later versions
        added do not change it.

    Raises
    ------
    UserError
        When the parts do not fit each other.
    """

    decoder: Decoder
    normaliser: Normaliser
    dofs: tuple[Dof, ...]
    features: FeatureSettings
    n_channels: int
    rate: float
    channel_names: tuple[str, ...]
    unit: str = "V"
    output: OutputSettings = field(default_factory=OutputSettings)
    lag_s: float = 0.0
    training_hash: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    code_version: str = ""
    encoder: Encoder | None = None
    stored: tuple[str, str] = field(default=("", ""), repr=False, compare=False)

    def __post_init__(self) -> None:
        names = dof_names(self.dofs)
        if len(set(names)) != len(names):
            raise UserError("model: a DOF is named twice")
        if self.decoder.n_dofs_ != len(self.dofs):
            raise UserError(
                f"model: the decoder estimates {self.decoder.n_dofs_} DOFs, {len(self.dofs)} are "
                "named"
            )
        given = self.normaliser.n_outputs
        if self.encoder is not None:
            if self.encoder.n_features_ != given:
                raise UserError(
                    "model: encoder and normaliser expect different numbers of features"
                )
            given = self.encoder.size
        if self.decoder.n_features_ != given:
            raise UserError("model: decoder and normaliser expect different numbers of features")
        if not (math.isfinite(self.rate) and self.rate > 0.0) or not math.isfinite(self.lag_s):
            raise UserError("model: rate must be positive, lag_s finite")
        if self.n_channels < 1 or len(self.channel_names) != self.n_channels:
            raise UserError(
                f"model: {self.n_channels} channels but {len(self.channel_names)} channel names"
            )
        pairs = self.n_channels**2 // 2 if self.features.montage != "single" else 0
        window = self.features.window * self.n_channels
        if self.n_channels + pairs > MAX_COLUMNS or window > MAX_WINDOW:
            raise UserError("model: its features are of more channels or samples than can be held")
        OutputChain(self.output, self.dofs, self.tick_rate)

    def codes(self, Z: Floats) -> Floats:
        """What the decoder takes: features normalised and encoded, shape (m, n)."""
        normalised = self.normaliser.apply(Z)
        return normalised if self.encoder is None else self.encoder.transform(normalised)

    def estimates(self, Z: Floats, segments: Ints | None = None) -> Floats:
        """`x_hat` of consecutive ticks, shape (m, n_dofs).

        Parameters
        ----------
        Z : ndarray, shape (m, n_features)
            Features as published.
        segments : ndarray of int, shape (m,), optional
            The decoder starts anew where this changes.
        """
        return self.decoder.predict(self.codes(Z), segments)

    @property
    def tick_rate(self) -> float:
        """Decoder ticks per second [Hz]."""
        return self.rate / self.features.hop

    @property
    def n_features(self) -> int:
        """Length of the feature vector it expects."""
        return self.normaliser.n_features

    @property
    def recordings(self) -> tuple[str, ...]:
        """SHA-256 of the recordings it learned from, in full or in part; its scores name them."""
        found = self.scores.get("recordings")
        return tuple(str(digest) for digest in found) if isinstance(found, list | tuple) else ()

    @functools.cached_property
    def model_id(self) -> str:
        """SHA-256 of the arrays and settings, hexadecimal."""
        digest = hashlib.sha256(self._settings_text().encode())
        for name, value in sorted(_arrays(self).items()):
            digest.update(f"{name}{value.shape}".encode())
            digest.update(value.astype("<f8").tobytes())
        return digest.hexdigest()

    def _settings_text(self) -> str:
        now = to_json(_settings(self))
        return self.stored[1] if now == self.stored[0] else now


def save_model(model: Model, path: str | Path, *, replace: bool = False) -> None:
    """Write a model file; it is there in full or not at all.

    Raises
    ------
    UserError
        When the file exists (and may not be replaced), cannot be written, or the scores are not
        plain values.
    """
    document = {
        "model_id": model.model_id,
        "settings": json.loads(model._settings_text()),
        "training_hash": model.training_hash,
        "scores": dict(model.scores),
        "created": model.created,
        "code_version": model.code_version,
    }
    try:
        content = pack(FORMAT, document, _arrays(model))
    except UserError as error:
        raise UserError(f"model {path}: {error}") from error
    write_file(path, content, replace=replace)


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Raises
    ------
    UserError
        When the file cannot be read, is damaged, is not a model, or is of a newer version.
    """
    return read(FORMAT, path, _checked)


def _checked(document: dict[str, Any], arrays: dict[str, Floats]) -> Model:
    model = _build(document, arrays)
    if document.get("model_id") != model.model_id:
        raise UserError("damaged: its content does not match its model_id")
    return model


def _settings(model: Model) -> dict[str, Any]:
    settings = {
        "kind": model.decoder.kind,
        "params": model.decoder.get_params(),
        "dofs": [dataclasses.asdict(d) for d in model.dofs],
        "features": dataclasses.asdict(model.features),
        "n_channels": model.n_channels,
        "rate": model.rate,
        "channel_names": list(model.channel_names),
        "unit": model.unit,
        "output": dataclasses.asdict(model.output),
        "lag_s": model.lag_s,
    }
    # Left out where there is none, so that the id of a model of version 1 stays what it was.
    if model.encoder is not None:
        settings["encoder"] = {"kind": model.encoder.kind, "params": model.encoder.get_params()}
    return settings


def _arrays(model: Model) -> dict[str, Floats]:
    parts = {"decoder": model.decoder.to_arrays(), "normaliser": model.normaliser.to_arrays()}
    if model.encoder is not None:
        parts["encoder"] = model.encoder.to_arrays()
    return {
        f"{part}.{name}": np.asarray(value, dtype=np.float64)
        for part, arrays in parts.items()
        for name, value in arrays.items()
    }


def _build(document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Model:
    parts: dict[str, dict[str, Floats]] = {"decoder": {}, "normaliser": {}, "encoder": {}}
    for name, value in arrays.items():
        part, _, key = name.partition(".")
        if part not in parts:
            raise UserError(f"unexpected array {name}")
        parts[part][key] = value
    settings = document["settings"]
    unknown = set(settings) - _SETTINGS
    if unknown:
        raise UserError(f"damaged: unknown setting {min(unknown)[:80]!r}")
    decoder = decoder_class(str(settings["kind"])).from_arrays(
        dict(settings["params"]), parts["decoder"]
    )
    model = Model(
        decoder=decoder,
        normaliser=Normaliser.from_arrays(parts["normaliser"]),
        dofs=tuple(
            Dof(str(d["name"]), float(d["low"]), float(d["high"])) for d in settings["dofs"]
        ),
        features=from_mapping(FeatureSettings, settings["features"]),
        n_channels=int(settings["n_channels"]),
        rate=float(settings["rate"]),
        channel_names=tuple(str(n) for n in settings["channel_names"]),
        unit=str(settings["unit"]),
        output=from_mapping(OutputSettings, settings["output"]),
        lag_s=float(settings["lag_s"]),
        training_hash=str(document["training_hash"]),
        scores=dict(document["scores"]),
        created=str(document["created"]),
        code_version=str(document["code_version"]),
        encoder=_encoder(document, parts["encoder"]),
    )
    stored = (to_json(_settings(model)), to_json(settings))
    return dataclasses.replace(model, stored=stored)


def _encoder(document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Encoder | None:
    settings = document["settings"].get("encoder")
    if settings is None:
        if arrays:
            raise UserError("arrays of an encoder, but it names none")
        return None
    if document["version"] < 2:
        raise UserError("damaged: a file of version 1 has no encoder")
    return encoder_class(str(settings["kind"])).from_arrays(dict(settings["params"]), arrays)
