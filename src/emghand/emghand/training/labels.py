"""What a recording says about any moment: desired DOFs, and what the subject was asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.storage.recording import Period, PeriodKind, Series

MAX_LABEL_GAP_S = 0.5
"""A moment between two labels further apart than this has no label."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def label_values(x_d: Series, names: Sequence[str], stamps_ns: Ints) -> tuple[Floats, Bools]:
    """Desired DOFs at the stamps, interpolated between the labels.

    Parameters
    ----------
    x_d : Series
        Rows with a value that is not finite are left out.
    names : sequence of str, length n_dofs
        DOFs of `x_d`.
    stamps_ns : ndarray of int, shape (m,)

    Returns
    -------
    X : ndarray, shape (m, n_dofs)
        Before the first and after the last label: that label.
    known : ndarray of bool, shape (m,)
        Whether the stamp lies between two labels that are close enough to each other.
    """
    values = x_d.values[:, [x_d.names.index(n) for n in names]]
    finite = np.isfinite(values).all(axis=1)
    at, values = x_d.stamps_ns[finite], values[finite]
    if len(at) < 2:
        return np.zeros((len(stamps_ns), len(names))), np.zeros(len(stamps_ns), dtype=np.bool_)
    order = np.argsort(at, kind="stable")
    at, values = at[order], values[order]
    # Relative to the first label: a double does not hold the nanoseconds of a date.
    t, t_x = (stamps_ns - at[0]).astype(np.float64), (at - at[0]).astype(np.float64)
    X = np.column_stack([np.interp(t, t_x, column) for column in values.T])
    after = np.clip(np.searchsorted(at, stamps_ns), 1, len(at) - 1)
    near = (at[after] - at[after - 1]) <= MAX_LABEL_GAP_S * 1e9
    return X, near & (stamps_ns >= at[0]) & (stamps_ns <= at[-1])


@dataclass(frozen=True)
class Periods:
    """What the subject was asked to do at each of m stamps.

    Parameters
    ----------
    kind : ndarray of int, shape (m,)
        `PeriodKind`.
    movement : ndarray of str, shape (m,)
        Empty outside of trials.
    repetition, trial : ndarray of int, shape (m,)
        -1 before the first period, and throughout a recording that was not prompted.
    asked : ndarray of bool, shape (m,)
        Whether `x_d` tells what the subject does: not while a movement is announced (PROMPT), nor
        before and after the trials (IDLE). A recording that was not prompted: everywhere.
    """

    kind: Ints
    movement: NDArray[np.str_]
    repetition: Ints
    trial: Ints
    asked: Bools


def label_periods(periods: Sequence[Period], stamps_ns: Ints) -> Periods:
    """Period that each stamp, shape (m,), lies in."""
    ordered = sorted(periods, key=lambda p: p.stamp_ns)
    starts = np.array([p.stamp_ns for p in ordered], dtype=np.int64)
    held = [Period(0, PeriodKind.IDLE, repetition=-1, trial=-1), *ordered]
    found = [held[i] for i in np.searchsorted(starts, stamps_ns, side="right")]
    kind = np.array([p.kind for p in found], dtype=np.int64)
    asked = (kind != PeriodKind.PROMPT) & (kind != PeriodKind.IDLE)
    return Periods(
        kind=kind,
        movement=np.array([p.movement for p in found], dtype=np.str_),
        repetition=np.array([p.repetition for p in found], dtype=np.int64),
        trial=np.array([p.trial for p in found], dtype=np.int64),
        asked=asked if periods else np.ones(len(kind), dtype=np.bool_),
    )
