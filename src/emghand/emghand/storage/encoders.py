"""Encoder files (``.emgencoder``): the learned half of an autoencoder that runs, without decoder.

The form is that of a model file, see `emghand.storage.archive`: one JSON document and plain arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emghand.decoders.normaliser import Normaliser
from emghand.encoders import Encoder, encoder_class
from emghand.errors import UserError
from emghand.settings import from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.storage.archive import ArchiveFormat, Floats, check_digest, content_digest, pack, read
from emghand.storage.files import write_file
from emghand.storage.models import Model
from emghand.storage.recording import Stream

EXTENSION = ".emgencoder"
VERSION = 1
FORMAT = ArchiveFormat("encoder", VERSION, 256 * 2**20)


@dataclass(frozen=True)
class LearnedEncoder:
    """An encoder with the normaliser before it.

    Parameters
    ----------
    encoder : Encoder
    normaliser : Normaliser
    features : FeatureSettings
        How its features are computed.
    channel_names : tuple of str
        Of the raw EMG.
    rate : float
        Of the raw EMG [Hz].
    unit : str
        Of the raw EMG, ``V`` or ``count``.
    recordings : tuple of str
        SHA-256 of the recordings it was learned from.
    error : float or None
        Squared error of the features as it gives them back, relative to their variance; None: not
        known.

    Raises
    ------
    UserError
        When encoder and normaliser do not fit each other.
    """

    encoder: Encoder
    normaliser: Normaliser
    features: FeatureSettings
    channel_names: tuple[str, ...]
    rate: float
    unit: str
    recordings: tuple[str, ...] = ()
    error: float | None = None

    def __post_init__(self) -> None:
        if self.encoder.n_features_ != self.normaliser.n_outputs:
            raise UserError("encoder and normaliser expect different numbers of features")

    def codes(self, Z: Floats) -> Floats:
        """Codes of features as published, shape (m, size)."""
        return self.encoder.transform(self.normaliser.apply(Z))

    def check(self, features: FeatureSettings, stream: Stream, digests: Sequence[str]) -> None:
        """Refuse examples of other features or channels, and those it was learned from.

        Raises
        ------
        UserError
            A repetition that is left out for a score must not have been learned from.
        """
        for text, expected, given in (
            ("feature settings", self.features, features),
            ("channels", self.channel_names, stream.channel_names),
            ("samples per second", self.rate, stream.rate),
            ("unit", self.unit, stream.unit),
        ):
            if expected != given:
                raise UserError(f"the encoder was learned with other {text} than these recordings")
        if set(digests) & set(self.recordings):
            raise UserError(
                "the encoder was learned from one of these recordings, so that no score would be "
                "honest: learn it from others, or let train learn it (--encoder)"
            )


def encoder_of(model: Model) -> LearnedEncoder:
    """The encoder of a model.

    Raises
    ------
    UserError
        When it has none.
    """
    if model.encoder is None:
        raise UserError("the model has no encoder")
    return LearnedEncoder(
        model.encoder,
        model.normaliser,
        model.features,
        model.channel_names,
        model.rate,
        model.unit,
        model.recordings,
    )


def encoder_bytes(file: LearnedEncoder) -> bytes:
    """Content of an encoder file; the same encoder gives the same bytes.

    Raises
    ------
    UserError
        When it is too large.
    """
    arrays = _arrays(file)
    document = {
        "kind": file.encoder.kind,
        "params": file.encoder.get_params(),
        "features": dataclasses.asdict(file.features),
        "channel_names": list(file.channel_names),
        "rate": file.rate,
        "unit": file.unit,
        "recordings": list(file.recordings),
        "error": file.error,
    }
    return pack(FORMAT, {**document, "digest": content_digest(document, arrays)}, arrays)


def save_encoder(file: LearnedEncoder, path: str | Path, *, replace: bool = False) -> None:
    """Write an encoder file; it is there in full or not at all.

    Raises
    ------
    UserError
        When the file exists (and may not be replaced) or cannot be written.
    """
    write_file(path, encoder_bytes(file), replace=replace)


def load_encoder(path: str | Path) -> LearnedEncoder:
    """Read an encoder file.

    Raises
    ------
    UserError
        When it cannot be read, is damaged, is no encoder, or is of a newer version.
    """
    return read(FORMAT, path, _build)


def _arrays(file: LearnedEncoder) -> dict[str, Floats]:
    parts = {"normaliser": file.normaliser.to_arrays(), "encoder": file.encoder.to_arrays()}
    return {
        f"{part}.{name}": np.asarray(value, dtype=np.float64)
        for part, arrays in parts.items()
        for name, value in arrays.items()
    }


def _build(document: dict[str, Any], arrays: Mapping[str, Floats]) -> LearnedEncoder:
    check_digest(document, arrays)
    parts: dict[str, dict[str, Floats]] = {"normaliser": {}, "encoder": {}}
    for name, value in arrays.items():
        part, _, key = name.partition(".")
        if part not in parts:
            raise UserError(f"unexpected array {name}")
        parts[part][key] = value
    return LearnedEncoder(
        encoder=encoder_class(str(document["kind"])).from_arrays(
            dict(document["params"]), parts["encoder"]
        ),
        normaliser=Normaliser.from_arrays(parts["normaliser"]),
        features=from_mapping(FeatureSettings, document["features"]),
        channel_names=tuple(str(n) for n in document["channel_names"]),
        rate=float(document["rate"]),
        unit=str(document["unit"]),
        recordings=tuple(str(d) for d in document["recordings"]),
        error=None if document["error"] is None else float(document["error"]),
    )
