"""Rest baseline and maximum contraction of one sitting, measured in under a minute.

A decoder normalises its features: (z - baseline) / scale. Both can come from the training data, or
from a calibration: ``emghand train --calibration FILE`` with the baseline ``rest`` and the scale
``contraction``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import LARGEST
from emghand.decoders.normaliser import CONTRACTION_PERCENTILE, Normaliser
from emghand.errors import UserError
from emghand.pipeline import feature_pipeline, feature_ticks
from emghand.settings import from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.storage.archive import ArchiveFormat, check_digest, content_digest, pack, read
from emghand.storage.files import write_file
from emghand.storage.recording import Period, PeriodKind, Recording, Stream
from emghand.training.labels import label_periods

EXTENSION = ".emgcalibration"
FORMAT = ArchiveFormat("calibration", version=1, max_bytes=64 * 2**20)
MOST_S = 60.0
"""A calibration that takes longer is not done before every sitting."""
LEAST_S = 0.5
"""Less of a good signal says nothing about a level."""
WEAK = 2.0
"""A channel whose level at maximum contraction is not so many times that at rest is reported."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """Levels of every feature.

    Parameters
    ----------
    features : FeatureSettings
        How the features are computed.
    names : tuple of str, length n_features
    channel_names : tuple of str
        Of the raw EMG.
    rate : float
        Of the raw EMG [Hz].
    rest : ndarray, shape (n_features,), or None
        Mean at rest; None: was not measured.
    contraction : ndarray, shape (n_features,), or None
        95th percentile of the distance from rest (from 0, where rest was not measured) at maximum
        contraction; None: was not measured.
    rest_ticks, contraction_ticks : int
        Ticks with a good signal that these were computed from.
    source : str
        Where it was measured: a recording, or ``live``.

    Raises
    ------
    UserError
        When the parts do not fit each other.
    """

    features: FeatureSettings
    names: tuple[str, ...]
    channel_names: tuple[str, ...]
    rate: float
    rest: Floats | None
    contraction: Floats | None
    rest_ticks: int = 0
    contraction_ticks: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        if self.rest is None and self.contraction is None:
            raise UserError("calibration: neither rest nor contraction was measured")
        for name in ("rest", "contraction"):
            values = getattr(self, name)
            if values is None:
                continue
            if values.shape != (len(self.names),) or not (np.abs(values) < LARGEST).all():
                raise UserError(f"calibration: {name} must be one finite number per feature")
        if self.contraction is not None and (self.contraction < 0.0).any():
            raise UserError("calibration: contraction must not be negative")

    def check(self, features: FeatureSettings, stream: Stream) -> None:
        """Refuse examples of other features or channels.

        Raises
        ------
        UserError
        """
        for text, expected, given in (
            ("feature settings", self.features, features),
            ("channels", self.channel_names, stream.channel_names),
            ("samples per second", self.rate, stream.rate),
        ):
            if expected != given:
                raise UserError(
                    f"the calibration was measured with other {text} than the training data: "
                    "calibrate again"
                )

    def normaliser(self, fitted: Normaliser, baseline: str, scale: str) -> Normaliser:
        """The normaliser of the training data with the levels of the calibration instead.

        A feature that does not vary in the training data, or was silent at maximum contraction,
        says nothing: its scale is 0.

        Parameters
        ----------
        fitted : Normaliser
            Of the training data.
        baseline, scale : str
            As in `TrainSettings`; only ``rest`` and ``contraction`` are replaced.
        """
        mean, factor = fitted.mean, fitted.scale
        if baseline == "rest" and self.rest is not None:
            mean = self.rest
        if scale == "contraction" and self.contraction is not None:
            heard = (fitted.scale > 0.0) & (self.contraction > 0.0)
            factor = np.divide(1.0, self.contraction, out=np.zeros(len(mean)), where=heard)
        return Normaliser(mean, factor)

    def summary(self) -> dict[str, Any]:
        """Per feature ``rest``, ``contraction`` and their ``ratio``, and what is weak: plain."""
        found: dict[str, Any] = {}
        weak = []
        for i, name in enumerate(self.names):
            rest = None if self.rest is None else float(self.rest[i])
            top = None if self.contraction is None else float(self.contraction[i])
            ratio = None
            if rest is not None and top is not None and rest > 0.0:
                ratio = (rest + top) / rest
                if ratio < WEAK:
                    weak.append(name)
            found[name] = {"rest": rest, "contraction": top, "ratio": ratio}
        return {
            "features": found,
            "weak": weak,
            "rest_ticks": self.rest_ticks,
            "contraction_ticks": self.contraction_ticks,
        }


def measure(
    features: FeatureSettings,
    names: tuple[str, ...],
    stream: Stream,
    stamps_ns: Ints,
    Z: Floats,
    periods: Sequence[Period],
    *,
    rest: bool = True,
    contraction: bool = True,
    source: str = "live",
) -> Calibration:
    """Calibration from features: rest is the period REST, maximum contraction the period HOLD.

    Of each period the first window of the features is left out: it still holds what was before. A
    recording that was not prompted is all rest.

    Parameters
    ----------
    features : FeatureSettings
    names : tuple of str, length n_features
    stream : Stream
        The raw EMG that they are of.
    stamps_ns : ndarray of int, shape (m,)
    Z : ndarray, shape (m, n_features)
        Ticks with a good signal.
    periods : sequence of Period
    rest, contraction : bool
        What to measure.
    source : str
        Where it was measured, for messages and for the file.

    Raises
    ------
    UserError
        When too little of what is asked for is there, or nothing is.
    """
    window_ns = round(features.window / stream.rate * 1e9)
    now = label_periods(periods, stamps_ns).kind
    before = label_periods(periods, stamps_ns - window_ns).kind
    prompted = any(p.kind is not PeriodKind.IDLE for p in periods)
    resting = (now == PeriodKind.REST) & (before == PeriodKind.REST)
    if not prompted:
        resting[:] = True
    held = (now == PeriodKind.HOLD) & (before == PeriodKind.HOLD)
    needed = LEAST_S * stream.rate / features.hop
    for name, wanted, rows in (("rest", rest, resting), ("maximum contraction", contraction, held)):
        if wanted and rows.sum() < needed:
            raise UserError(
                f"{source}: {rows.sum() / needed * LEAST_S:.2f} s of {name} with a good signal, "
                f"{LEAST_S:g} s are needed: check the electrodes, or leave out {name}"
            )
    base = Z[resting].mean(axis=0) if rest else None
    level = None
    if contraction:
        away = np.abs(Z[held] - (0.0 if base is None else base))
        level = np.percentile(away, CONTRACTION_PERCENTILE, axis=0)
    return Calibration(
        features=features,
        names=names,
        channel_names=stream.channel_names,
        rate=stream.rate,
        rest=base,
        contraction=level,
        rest_ticks=int(resting.sum()) if rest else 0,
        contraction_ticks=int(held.sum()) if contraction else 0,
        source=source,
    )


def measure_recording(
    recording: Recording,
    features: FeatureSettings,
    *,
    rest: bool = True,
    contraction: bool = True,
) -> Calibration:
    """Calibration from a stored recording; see `measure`.

    Raises
    ------
    UserError
        When the recording lacks what is asked for.
    """
    found = [(stamp, t.z) for stamp, t in feature_ticks(features, recording) if not t.quality]
    if not found:
        raise UserError(f"{recording.source}: has no tick with a good signal")
    return measure(
        features,
        tuple(feature_pipeline(features, recording.stream).names),
        recording.stream,
        np.array([stamp for stamp, _ in found], dtype=np.int64),
        np.array([z for _, z in found]),
        recording.periods,
        rest=rest,
        contraction=contraction,
        source=recording.source,
    )


def save_calibration(calibration: Calibration, path: str | Path) -> None:
    """Write a calibration file; it is there in full or not at all.

    Raises
    ------
    UserError
        When the file exists or cannot be written.
    """
    arrays = {
        name: values
        for name in ("rest", "contraction")
        if (values := getattr(calibration, name)) is not None
    }
    document: dict[str, Any] = {
        "features": dataclasses.asdict(calibration.features),
        "names": list(calibration.names),
        "channel_names": list(calibration.channel_names),
        "rate": calibration.rate,
        "rest_ticks": calibration.rest_ticks,
        "contraction_ticks": calibration.contraction_ticks,
        "source": calibration.source,
    }
    document["digest"] = content_digest(document, arrays)
    try:
        content = pack(FORMAT, document, arrays)
    except UserError as error:
        raise UserError(f"calibration {path}: {error}") from error
    write_file(path, content)


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration file.

    Raises
    ------
    UserError
        When it cannot be read, is damaged, or is of a newer version.
    """
    return read(FORMAT, path, _build)


def _build(document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Calibration:
    check_digest(document, arrays)
    unknown = set(arrays) - {"rest", "contraction"}
    if unknown:
        raise UserError(f"damaged: unexpected array {min(unknown)}")
    return Calibration(
        features=from_mapping(FeatureSettings, document["features"]),
        names=tuple(str(n) for n in document["names"]),
        channel_names=tuple(str(n) for n in document["channel_names"]),
        rate=float(document["rate"]),
        rest=arrays.get("rest"),
        contraction=arrays.get("contraction"),
        rest_ticks=int(document["rest_ticks"]),
        contraction_ticks=int(document["contraction_ticks"]),
        source=str(document["source"]),
    )
