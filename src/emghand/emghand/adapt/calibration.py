"""Calibration examples as plain arrays and a document, and back, with every value checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.base import LARGEST
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.settings import from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import PeriodKind, Source, Stream
from emghand.training.dataset import Dataset

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT = 2**53
"""Whole numbers up to this are exact in a float64."""
_VECTORS = ("stamps", "use", "period", "movement", "repetition", "trial", "recording", "segment")
ARRAYS = ("features", "labels", *_VECTORS)
"""Names of the arrays; all have one row per tick."""


def to_parts(dataset: Dataset) -> tuple[dict[str, Any], dict[str, Floats]]:
    """A data set as a plain document and float64 arrays: those of `ARRAYS`.

    A stamp of today, in ns, is too large for a float64: what is kept is the time since the first
    of its recording, and that one in the document.
    """
    stamps = [dataset.stamps_ns[dataset.recording == r] for r in range(len(dataset.digests))]
    firsts = [int(s.min()) if len(s) else 0 for s in stamps]
    names, places = np.unique(dataset.movement, return_inverse=True)
    vectors = (
        dataset.stamps_ns - np.array(firsts, dtype=np.int64)[dataset.recording],
        *(dataset.use, dataset.period, places, dataset.repetition, dataset.trial),
        *(dataset.recording, dataset.segment),
    )
    arrays = {"features": dataset.Z, "labels": dataset.X}
    arrays |= {k: v.astype(np.float64) for k, v in zip(_VECTORS, vectors, strict=True)}
    document = {
        "dofs": [dataclasses.asdict(d) for d in dataset.dofs],
        "dofs_inferred": dataset.dofs_inferred,
        "feature_settings": dataclasses.asdict(dataset.feature_settings),
        "stream": dataclasses.asdict(dataset.stream),
        "digests": list(dataset.digests),
        "sources": [dataclasses.asdict(s) for s in dataset.sources],
        "movements": [str(n) for n in names],
        "first_stamps_ns": firsts,
    }
    return document, arrays


def from_parts(document: Mapping[str, Any], arrays: Mapping[str, Floats]) -> Dataset:
    """The data set of which `to_parts` made these.

    Raises
    ------
    UserError
        When an array is missing, of a wrong shape, or holds what no data set can hold.
    KeyError, TypeError, ValueError, AttributeError
        When the document is incomplete or malformed.
    """
    if set(arrays) != set(ARRAYS):
        raise UserError(f"calibration: expects the arrays {', '.join(sorted(ARRAYS))}")
    Z, X = arrays["features"], arrays["labels"]
    dofs = tuple(Dof(str(d["name"]), float(d["low"]), float(d["high"])) for d in document["dofs"])
    if Z.ndim != 2 or not Z.size or X.shape != (len(Z), len(dofs)):
        raise UserError(
            f"calibration: features {Z.shape} and labels {X.shape} of {len(dofs)} DOFs do not fit"
        )
    if not (np.abs(Z) < LARGEST).all() or not (np.abs(X) < LARGEST).all():
        raise UserError("calibration: features and labels must be finite")
    digests = tuple(str(d) for d in document["digests"])
    movements = np.array([str(name) for name in document["movements"]], dtype=np.str_)
    firsts = np.array([_stamp(value) for value in document["first_stamps_ns"]], dtype=np.int64)
    if len(firsts) != len(digests):
        raise UserError("calibration: needs one first stamp for each recording")
    bounds = {
        "stamps": (0, EXACT),
        "use": (0, 1),
        "period": (min(PeriodKind), max(PeriodKind)),
        "movement": (0, len(movements) - 1),
        "repetition": (-1, EXACT),
        "trial": (-1, EXACT),
        "recording": (0, len(digests) - 1),
        "segment": (0, EXACT),
    }
    whole = {k: _whole(k, arrays[k], len(Z), *bounds[k]) for k in _VECTORS}
    return Dataset(
        Z=Z,
        X=X,
        stamps_ns=firsts[whole["recording"]] + whole["stamps"],
        use=whole["use"].astype(np.bool_),
        period=whole["period"],
        movement=movements[whole["movement"]],
        repetition=whole["repetition"],
        trial=whole["trial"],
        recording=whole["recording"],
        segment=whole["segment"],
        dofs=dofs,
        feature_settings=from_mapping(FeatureSettings, document["feature_settings"]),
        stream=_stream(document["stream"]),
        digests=digests,
        sources=tuple(Source(**{k: str(v) for k, v in s.items()}) for s in document["sources"]),
        dofs_inferred=bool(document["dofs_inferred"]),
    )


def _whole(name: str, value: Floats, length: int, low: int, high: int) -> Ints:
    if value.shape != (length,):
        raise UserError(f"calibration: {name} has shape {value.shape}, not ({length},)")
    # NaN fails each comparison.
    if not ((value >= low) & (value <= high) & (np.floor(value) == value)).all():
        raise UserError(f"calibration: {name} must hold whole numbers from {low} to {high}")
    return value.astype(np.int64)


def _stamp(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise UserError("calibration: a first stamp is no time in ns")
    return value


def _stream(values: Mapping[str, Any]) -> Stream:
    stream = Stream(
        device=str(values["device"]),
        stream=str(values["stream"]),
        channel_names=tuple(str(n) for n in values["channel_names"]),
        rate=float(values["rate"]),
        block_size=int(values["block_size"]),
        unit=str(values["unit"]),
        full_scale=float(values["full_scale"]),
    )
    if not (math.isfinite(stream.rate) and stream.rate > 0.0 and math.isfinite(stream.full_scale)):
        raise UserError("calibration: its stream states no rate")
    return stream
