"""Scores of parts of a result: the trials, recordings or people that comparisons draw and pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.evaluate.metrics import measure
from emghand.evaluate.results import Result
from emghand.evaluate.ticks import Ticks
from emghand.storage.recording import Source

PIECE_S = 10.0
"""A recording without trials is cut into pieces of this length, of which each is a unit."""

Floats = NDArray[np.float64]
Units = dict[tuple[str, int], Floats]


def unit_scores(result: Result, metric: str, signal: str, unit: str) -> Units:
    """Score per DOF of each unit of a result, by its owner and its number.

    Raises
    ------
    UserError
        When the ticks of the result are not there, or a source does not say whose it is.
    """
    ticks = result.ticks
    if ticks is None:
        raise UserError(f"{result.name}: its ticks (.npz) are not there, it cannot be compared")
    if unit in ("trial", "repetition"):
        owners = [s.digest for s in result.sources]
        numbers = _numbers(ticks, ticks.trial if unit == "trial" else ticks.repetition)
    else:
        owners = [_owner(s, unit) for s in result.sources]
        numbers = np.zeros(len(ticks), dtype=np.int64)
    labels = np.unique(owners)
    owner = np.searchsorted(labels, owners)[ticks.recording]
    keys = np.stack([owner, numbers], axis=1)
    found: Units = {}
    for key in np.unique(keys[keys[:, 1] >= 0], axis=0):
        keep = (keys == key).all(axis=1)
        if ticks.labelled(signal)[keep].any():
            values = measure(ticks.case(signal, keep), (metric,))[metric]
            found[str(labels[key[0]]), int(key[1])] = values
    return found


def _numbers(ticks: Ticks, prompted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the unit of each tick, -1: none, as before the first trial of a recording.

    A recording that was not prompted is cut into pieces of `PIECE_S`.
    """
    numbers = prompted.copy()
    for recording in np.unique(ticks.recording):
        rows = ticks.recording == recording
        if (prompted[rows] < 0).all():
            stamps = ticks.stamps_ns[rows]
            numbers[rows] = (stamps - stamps.min()) // round(PIECE_S * 1e9)
    return numbers


def _owner(source: Source, unit: str) -> str:
    if unit == "recording":
        return source.digest
    value = str(getattr(source, "date" if unit == "day" else unit))
    if not value:
        raise UserError(f"unit {unit}: {source.name} does not say its {unit}")
    return f"{source.subject} {value}" if unit != "subject" else value


def paired(found: Sequence[Units]) -> tuple[list[Floats], int]:
    """Mean over the DOFs of the units that all have, and the number of those left out."""
    common = [key for key in found[0] if all(key in units for units in found)]
    table = np.array([[units[key] for key in common] for units in found])
    if not table.size:
        return [np.zeros(0) for _ in found], len(set().union(*found))
    defined = np.isfinite(table).all(axis=0)
    kept = defined.any(axis=1)
    values = [
        np.where(defined, of_result, 0.0).sum(axis=1)[kept] / defined.sum(axis=1)[kept]
        for of_result in table
    ]
    return values, len(set().union(*found)) - int(kept.sum())


def unit_means(units: Sequence[Floats]) -> Floats:
    """Mean over the DOFs of each unit for which one is defined."""
    known = [values[np.isfinite(values)] for values in units]
    return np.array([values.mean() for values in known if len(values)])
