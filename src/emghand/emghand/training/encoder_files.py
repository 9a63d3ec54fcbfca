"""An autoencoder that was learned alone: from any recordings, with labels or not.

``emghand autoencoder`` writes it, ``emghand train --encoder-from FILE`` fits a decoder behind it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from emghand.decoders.normaliser import Normaliser
from emghand.encoders import Encoder, encoder_class, fit_encoder
from emghand.errors import UserError
from emghand.pipeline import feature_ticks
from emghand.settings import from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.steps import step
from emghand.storage.archive import ArchiveFormat, check_digest, content_digest, pack, read
from emghand.storage.files import write_file
from emghand.storage.recording import Recording, Stream

EXTENSION = ".emgencoder"
FORMAT = ArchiveFormat("encoder", version=1, max_bytes=256 * 2**20)

Floats = NDArray[np.float64]


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
    error : float
        Squared error of the features as it gives them back, relative to their variance.
    """

    encoder: Encoder
    normaliser: Normaliser
    features: FeatureSettings
    channel_names: tuple[str, ...]
    rate: float
    unit: str
    recordings: tuple[str, ...]
    error: float

    def __post_init__(self) -> None:
        if self.encoder.n_features_ != self.normaliser.n_outputs:
            raise UserError("encoder and normaliser expect different numbers of features")

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


def learn_encoder(
    recordings: Sequence[Recording], features: FeatureSettings, kind: str, size: int
) -> LearnedEncoder:
    """Encoder of the features of every tick with a good signal; labels are not looked at.

    Parameters
    ----------
    recordings : sequence of Recording
    features : FeatureSettings
    kind : str
        One of `emghand.encoders.ENCODERS`.
    size : int
        Numbers that stand for the features of a tick.

    Raises
    ------
    UserError
        When the recordings differ, hold no good signal, or do not determine an encoder.
    """
    first = recordings[0].stream
    rows, groups = [], []
    for number, recording in enumerate(recordings):
        step("computing features", 0.5 * number / len(recordings))
        stream = recording.stream
        if (stream.channel_names, stream.rate, stream.unit) != (
            first.channel_names,
            first.rate,
            first.unit,
        ):
            raise UserError(
                f"{recording.source}: differs from the others in channels, rate or unit"
            )
        Z = np.array([t.z for _, t in feature_ticks(features, recording) if not t.quality])
        if not len(Z):
            raise UserError(f"{recording.source}: has no tick with a good signal")
        rows.append(Z)
        # Pieces of consecutive ticks, where the fit needs to hold one out.
        groups.append(number * 5 + np.arange(len(Z)) * 5 // len(Z))
    step("learning the encoder", 0.5)
    # The bits of a matrix product depend on the number of threads that share it.
    with threadpool_limits(1):
        Z = np.concatenate(rows)
        normaliser = Normaliser.fit(Z)
        inputs = normaliser.apply(Z)
        encoder = fit_encoder(inputs, kind, size, np.concatenate(groups).astype(np.int64))
        lost = inputs - encoder.reconstruct(encoder.transform(inputs))
    return LearnedEncoder(
        encoder=encoder,
        normaliser=normaliser,
        features=features,
        channel_names=first.channel_names,
        rate=first.rate,
        unit=first.unit,
        recordings=tuple(dict.fromkeys(r.digest for r in recordings)),
        error=float((lost**2).sum() / max(float((inputs**2).sum()), 1e-300)),
    )


def save_encoder(learned: LearnedEncoder, path: str | Path) -> None:
    """Write an encoder file; it is there in full or not at all.

    Raises
    ------
    UserError
        When the file exists or cannot be written.
    """
    arrays: dict[str, Floats] = {}
    for name, part in (("encoder", learned.encoder), ("normaliser", learned.normaliser)):
        for key, value in part.to_arrays().items():
            arrays[f"{name}.{key}"] = np.asarray(value, dtype=np.float64)
    document: dict[str, Any] = {
        "kind": learned.encoder.kind,
        "params": learned.encoder.get_params(),
        "features": dataclasses.asdict(learned.features),
        "channel_names": list(learned.channel_names),
        "rate": learned.rate,
        "unit": learned.unit,
        "recordings": list(learned.recordings),
        "error": learned.error,
    }
    document["digest"] = content_digest(document, arrays)
    try:
        content = pack(FORMAT, document, arrays)
    except UserError as error:
        raise UserError(f"encoder {path}: {error}") from error
    write_file(path, content)


def load_encoder(path: str | Path) -> LearnedEncoder:
    """Read an encoder file.

    Raises
    ------
    UserError
        When it cannot be read, is damaged, or is of a newer version.
    """
    return read(FORMAT, path, _build)


def _build(document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> LearnedEncoder:
    check_digest(document, arrays)
    parts: dict[str, dict[str, Floats]] = {"encoder": {}, "normaliser": {}}
    for name, value in arrays.items():
        part, _, key = name.partition(".")
        if part not in parts:
            raise UserError(f"damaged: unexpected array {name}")
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
        error=float(document["error"]),
    )
