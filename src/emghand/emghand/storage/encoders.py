"""Encoder files (``.emgencoder``): the learned half of an autoencoder that runs, without decoder.

The form is that of a model file, see `emghand.storage.archive`: one JSON document and plain arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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

EXTENSION = ".emgencoder"
VERSION = 1
FORMAT = ArchiveFormat("encoder", VERSION, 256 * 2**20)


@dataclass(frozen=True)
class EncoderFile:
    """A trained encoder with what it was trained on.

    Parameters
    ----------
    encoder : Encoder
        Fitted.
    normaliser : Normaliser
        Between features and encoder.
    features : FeatureSettings
        Of the features it takes.
    channel_names : tuple of str
        Of the raw EMG.
    rate : float
        Of the raw EMG [Hz].
    unit : str
        Of the raw EMG.
    training_hash : str
        SHA-256 of the training data.

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
    unit: str = "V"
    training_hash: str = ""

    def __post_init__(self) -> None:
        if self.encoder.n_features_ != self.normaliser.n_outputs:
            raise UserError("encoder and normaliser expect different numbers of features")

    def codes(self, Z: Floats) -> Floats:
        """Codes of features as published, shape (m, size)."""
        return self.encoder.transform(self.normaliser.apply(Z))


def encoder_of(model: Model) -> EncoderFile:
    """The encoder of a model.

    Raises
    ------
    UserError
        When it has none.
    """
    if model.encoder is None:
        raise UserError("the model has no encoder")
    return EncoderFile(
        model.encoder,
        model.normaliser,
        model.features,
        model.channel_names,
        model.rate,
        model.unit,
        model.training_hash,
    )


def encoder_bytes(file: EncoderFile) -> bytes:
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
        "training_hash": file.training_hash,
    }
    return pack(FORMAT, {**document, "digest": content_digest(document, arrays)}, arrays)


def save_encoder(file: EncoderFile, path: str | Path, *, replace: bool = False) -> None:
    """Write an encoder file; it is there in full or not at all.

    Raises
    ------
    UserError
        When the file exists (and may not be replaced) or cannot be written.
    """
    write_file(path, encoder_bytes(file), replace=replace)


def load_encoder(path: str | Path) -> EncoderFile:
    """Read an encoder file.

    Raises
    ------
    UserError
        When it cannot be read, is damaged, is no encoder, or is of a newer version.
    """
    return read(FORMAT, path, _build)


def _arrays(file: EncoderFile) -> dict[str, Floats]:
    parts = {"normaliser": file.normaliser.to_arrays(), "encoder": file.encoder.to_arrays()}
    return {
        f"{part}.{name}": np.asarray(value, dtype=np.float64)
        for part, arrays in parts.items()
        for name, value in arrays.items()
    }


def _build(document: dict[str, Any], arrays: Mapping[str, Floats]) -> EncoderFile:
    check_digest(document, arrays)
    parts: dict[str, dict[str, Floats]] = {"normaliser": {}, "encoder": {}}
    for name, value in arrays.items():
        part, _, key = name.partition(".")
        if part not in parts:
            raise UserError(f"unexpected array {name}")
        parts[part][key] = value
    return EncoderFile(
        encoder=encoder_class(str(document["kind"])).from_arrays(
            dict(document["params"]), parts["encoder"]
        ),
        normaliser=Normaliser.from_arrays(parts["normaliser"]),
        features=from_mapping(FeatureSettings, document["features"]),
        channel_names=tuple(str(n) for n in document["channel_names"]),
        rate=float(document["rate"]),
        unit=str(document["unit"]),
        training_hash=str(document["training_hash"]),
    )
