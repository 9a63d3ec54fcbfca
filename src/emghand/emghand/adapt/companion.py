"""The companion of a model: what adaptation needs beside the decoder.

A model file holds what runs. To adapt, one must fit again: the companion, ``NAME.emgadapt`` beside
``NAME.emgmodel``, holds the calibration examples, and the reference once it is learned. It is bound
to its model by the model's id.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.adapt import calibration as parts
from emghand.decoders.base import LARGEST
from emghand.errors import UserError
from emghand.settings import from_mapping
from emghand.storage.archive import ArchiveFormat, check_digest, content_digest, pack, read
from emghand.storage.files import write_file
from emghand.storage.models import Model
from emghand.training.alignment import shifted
from emghand.training.dataset import Dataset
from emghand.training.fitting import TrainSettings
from emghand.training.normalisation import fit_normaliser

Floats = NDArray[np.float64]

EXTENSION = ".emgadapt"
FORMAT = ArchiveFormat("companion", version=1, max_bytes=512 * 2**20)
_MODEL_ID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9_]{1,60}")

NO_CALIBRATION = "no calibration examples: write them with emghand adapt prepare"
NO_REFERENCE = "no reference of the user's own use: learn it with emghand adapt reference"


@dataclass(frozen=True)
class Calibration:
    """What a model was fitted to, and how: enough to fit it again to other features.

    Parameters
    ----------
    dataset : Dataset
        `use` marks the rows that were learned from; labels as shown, not aligned.
    settings : TrainSettings
        With nothing left to search: `params` are those that were chosen.
    lag_s : float
        By how much the features follow the labels [s].
    """

    dataset: Dataset
    settings: TrainSettings
    lag_s: float

    @property
    def labels(self) -> Floats:
        """Labels aligned with the features, shape (m, n_dofs)."""
        return shifted(self.dataset, self.lag_s)


@dataclass(frozen=True)
class Companion:
    """Content of a companion file.

    Parameters
    ----------
    model_id : str
        Of the model it belongs to.
    calibration : Calibration, optional
    reference : mapping of str to ndarray, optional
        Statistics of the user's own use, as `emghand.adapt.reference.Reference.to_arrays` gives
        them: at most 2 axes, finite.

    Raises
    ------
    UserError
        When the id is none, or an array of the reference cannot be kept.
    """

    model_id: str
    calibration: Calibration | None = None
    reference: Mapping[str, Floats] | None = None

    def __post_init__(self) -> None:
        if not _MODEL_ID.fullmatch(self.model_id):
            raise UserError("it names no model")
        if self.reference is None:
            return
        plain = {k: np.array(v, dtype=np.float64) for k, v in self.reference.items()}
        for name, value in plain.items():
            if not _NAME.fullmatch(name) or value.ndim > 2 or not (np.abs(value) < LARGEST).all():
                raise UserError(f"reference: {name[:60]!r} is no plain, finite array with a name")
        object.__setattr__(self, "reference", plain)

    @property
    def missing(self) -> tuple[str, ...]:
        """What it lacks, and how to get it, one sentence each."""
        lacking = []
        if self.calibration is None:
            lacking.append(NO_CALIBRATION)
        if self.reference is None:
            lacking.append(NO_REFERENCE)
        return tuple(lacking)

    def check_model(self, model: Model) -> None:
        """Refuse a model that it does not belong to.

        Raises
        ------
        UserError
        """
        if self.model_id != model.model_id:
            raise UserError(
                f"belongs to the model {self.model_id[:12]}, not to {model.model_id[:12]}; write "
                "one for this model with emghand adapt prepare"
            )
        if self.calibration is not None:
            _check_fit(model, self.calibration.dataset)
            _check_kind(model, self.calibration.settings)


def companion_path(model_path: str | Path) -> Path:
    """Where the companion of a model file lies: beside it, with its own extension."""
    return Path(model_path).with_suffix(EXTENSION)


def companion_of(
    model: Model, dataset: Dataset, settings: TrainSettings | None = None
) -> Companion:
    """Companion of a trained model, without a reference.

    Parameters
    ----------
    model : Model
    dataset : Dataset
        What it was trained on, in the order of training.
    settings : TrainSettings, optional
        How; by default they are found out from the model.

    Raises
    ------
    UserError
        When the model was trained on other examples, or otherwise than settings can say.
    """
    if dataset.digest != model.training_hash:
        raise UserError("the model was trained on other recordings")
    _check_fit(model, dataset)
    settings = _recovered(model, dataset) if settings is None else settings
    if settings.discard_first:
        dataset = replace(dataset, use=dataset.use & (dataset.repetition != 0))
    chosen = model.decoder.get_params()
    params = {**settings.params, **{name: chosen[name] for name in settings.search}}
    settings = replace(settings, params=params, search={}, discard_first=False)
    return Companion(model.model_id, Calibration(dataset, settings, model.lag_s))


def save_companion(companion: Companion, path: str | Path, *, replace: bool = False) -> None:
    """Write a companion file; it is there in full or not at all.

    Raises
    ------
    UserError
        When the file exists (and may not be replaced), cannot be written, or would be too large.
    """
    document: dict[str, Any] = {"model_id": companion.model_id, "calibration": None}
    arrays: dict[str, Floats] = {}
    calibration = companion.calibration
    if calibration is not None:
        described, values = parts.to_parts(calibration.dataset)
        document["calibration"] = {
            "dataset": described,
            "settings": dataclasses.asdict(calibration.settings),
            "lag_s": calibration.lag_s,
        }
        arrays |= {f"calibration.{name}": value for name, value in values.items()}
    reference = companion.reference
    document["has_reference"] = reference is not None
    arrays |= {f"reference.{name}": value for name, value in (reference or {}).items()}
    document["digest"] = content_digest(document, arrays)
    try:
        content = pack(FORMAT, document, arrays)
    except UserError as error:
        raise UserError(f"companion {path}: {error}") from error
    write_file(path, content, replace=replace)


def load_companion(path: str | Path, model: Model | None = None) -> Companion:
    """Read a companion file.

    Parameters
    ----------
    path : path
    model : Model, optional
        That it must belong to.

    Raises
    ------
    UserError
        When the file cannot be read, is damaged, of a newer version, or of another model.
    """

    def checked(document: dict[str, Any], arrays: dict[str, Floats]) -> Companion:
        check_digest(document, arrays)
        companion = _build(document, arrays)
        if model is not None:
            companion.check_model(model)
        return companion

    return read(FORMAT, path, checked)


def _build(document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Companion:
    groups: dict[str, dict[str, Floats]] = {"calibration": {}, "reference": {}}
    for name, value in arrays.items():
        group, _, key = name.partition(".")
        if group not in groups:
            raise UserError(f"unexpected array {name}")
        groups[group][key] = value
    known = document["calibration"]
    calibration = None
    if known is not None:
        lag_s = float(known["lag_s"])
        if not math.isfinite(lag_s):
            raise UserError("calibration: its lag is not finite")
        calibration = Calibration(
            dataset=parts.from_parts(known["dataset"], groups["calibration"]),
            settings=from_mapping(TrainSettings, known["settings"]),
            lag_s=lag_s,
        )
    has_reference = bool(document["has_reference"])
    for name, present in (("calibration", known is not None), ("reference", has_reference)):
        if groups[name] and not present:
            raise UserError(f"arrays of a {name}, but it names none")
    return Companion(
        str(document["model_id"]), calibration, groups["reference"] if has_reference else None
    )


def _check_fit(model: Model, dataset: Dataset) -> None:
    """Refuse examples that are of another kind than those of the model."""
    for text, expected, given in (
        ("DOFs", [d.name for d in model.dofs], [d.name for d in dataset.dofs]),
        ("feature settings", model.features, dataset.feature_settings),
        ("channels", model.channel_names, dataset.stream.channel_names),
        ("samples per second", model.rate, dataset.stream.rate),
        ("number of features", model.n_features, dataset.Z.shape[1]),
    ):
        if expected != given:
            raise UserError(f"calibration: its {text} are not those of the model")


def _check_kind(model: Model, settings: TrainSettings) -> None:
    """Refuse settings that would fit another kind of decoder or encoder."""
    encoder = "none" if model.encoder is None else model.encoder.kind
    if (settings.decoder, settings.encoder) != (model.decoder.kind, encoder):
        raise UserError("calibration: its settings are of another kind of decoder than the model")


def _recovered(model: Model, dataset: Dataset) -> TrainSettings:
    """Settings of the training, from what the model holds.

    Normalisation is not among a model's settings: what gives the same numbers was in force.
    """
    encoder = model.encoder
    common = TrainSettings(
        decoder=model.decoder.kind,
        params=model.decoder.get_params(),
        encoder="none" if encoder is None else encoder.kind,
        encoder_size=8 if encoder is None else encoder.size,
    )
    known = model.normaliser
    for discard_first in (False, True):
        used = dataset.use & (dataset.repetition != 0) if discard_first else dataset.use
        part = replace(dataset, use=used)
        for baseline, scale in (
            *(("mean", "std"), ("rest", "std"), ("none", "std"), ("mean", "contraction")),
            *(("rest", "contraction"), ("none", "contraction")),
        ):
            settings = replace(common, baseline=baseline, scale=scale, discard_first=discard_first)
            try:
                found = fit_normaliser(part, settings)
            except UserError:
                # Rows that this choice needs are not there: it was not the one.
                continue
            if np.allclose(found.mean, known.mean, rtol=1e-9, atol=0.0) and np.allclose(
                found.scale, known.scale, rtol=1e-9, atol=0.0
            ):
                return settings
    raise UserError(
        "the features of these recordings are not normalised as the model does; was it trained by "
        "another version of emghand, or on a part of a recording?"
    )
