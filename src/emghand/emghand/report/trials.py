"""What box plots and maps are drawn from: scores trial by trial, and who moves with whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.evaluate.metrics import AT_REST, measure
from emghand.evaluate.ticks import Ticks
from emghand.report.sources import plain
from emghand.report.tracking import Span

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PIECE_S = 5.0
"""A recording without trials is cut into pieces of this length."""
PLATEAU = 0.9
"""A movement is at its plateau while `x_d` is at least this share of its largest value."""


@dataclass(frozen=True)
class TrialScores:
    """Scores of every trial.

    Parameters
    ----------
    recording, movement : ndarray of int, shape (k,)
        Index into the sources of the result, and into the movements of its ticks.
    values : dict of str to ndarray, shape (k,)
        By metric: mean over the DOFs for which it is defined, NaN where it is for none.
    """

    recording: Ints
    movement: Ints
    values: dict[str, Floats]


def trial_scores(ticks: Ticks, signal: str, metrics: Sequence[str]) -> TrialScores:
    """Score every trial of a result; recordings without trials in pieces of 5 s.

    Parameters
    ----------
    ticks : Ticks
    signal : str
        One of `emghand.evaluate.ticks.SIGNALS`.
    metrics : sequence of str
    """
    case = ticks.case(signal)
    rows = np.flatnonzero(np.isfinite(target(ticks, signal)).all(axis=1))
    named = np.array([bool(name) for name in ticks.movements])[ticks.movement]
    # Of a prompted recording, what lies between the trials is none.
    prompted = np.isin(ticks.recording, ticks.recording[named])
    piece = (ticks.stamps_ns - ticks.stamps_ns.min(initial=0)) // round(PIECE_S * 1e9)
    trial = np.where(ticks.trial >= 0, ticks.trial, piece)
    keys = np.stack([ticks.fold, ticks.recording, trial, ticks.movement], axis=1)[rows]
    kept = np.flatnonzero((named | ~prompted)[rows])
    found, which = np.unique(keys[kept], axis=0, return_inverse=True)
    order = kept[np.argsort(which.ravel(), kind="stable")]
    ends = np.cumsum(np.bincount(which.ravel(), minlength=len(found)))
    values: dict[str, list[float]] = {m: [] for m in metrics}
    for part in np.split(order, ends[:-1]) if len(found) else ():
        own = dataclasses.replace(
            case, x_d=case.x_d[part], estimate=case.estimate[part], run=case.run[part]
        )
        for metric, per_dof in measure(own, metrics).items():
            known = per_dof[np.isfinite(per_dof)]
            values[metric].append(float(known.mean()) if len(known) else float("nan"))
    return TrialScores(
        recording=found[:, 1],
        movement=found[:, 3],
        values={m: np.array(v) for m, v in values.items()},
    )


def crosstalk(ticks: Ticks, signal: str) -> tuple[list[str], list[str], Floats]:
    """Mean estimate of every DOF at the plateau of every movement.

    Returns
    -------
    movements : list of str
    dofs : list of str
    means : ndarray, shape (n_movements, n_dofs)
    """
    wanted = target(ticks, signal)
    estimate = ticks.out_x_hat if signal.startswith("out_x_hat") else ticks.x_hat
    height = np.abs(np.nan_to_num(wanted)).max(axis=1, initial=0.0)
    names: list[str] = []
    means: list[Floats] = []
    for index, name in enumerate(ticks.movements):
        own = (ticks.movement == index) & (height > AT_REST)
        own &= height >= PLATEAU * height[own].max(initial=0.0)
        if name and own.any():
            names.append(plain(name))
            means.append(estimate[own].mean(axis=0))
    return names, list(ticks.names), np.array(means).reshape(len(names), len(ticks.names))


def movement_spans(ticks: Ticks, recording: int) -> list[Span]:
    """When each trial of a recording asked for movement [s since its first tick]."""
    own = np.flatnonzero(ticks.recording == recording)
    away = (np.abs(np.nan_to_num(ticks.x_d[own])) > AT_REST).any(axis=1) & (ticks.trial[own] >= 0)
    spans = []
    start = ticks.stamps_ns[own].min(initial=np.iinfo(np.int64).max)
    moving = own[away]
    for trial in np.unique(ticks.trial[moving]):
        rows = moving[ticks.trial[moving] == trial]
        left, right = (float(ticks.stamps_ns[i] - start) * 1e-9 for i in (rows[0], rows[-1]))
        name = ticks.movements[ticks.movement[rows[0]]]
        spans.append(Span(left, right, plain(name, 24)))
    return sorted(spans, key=lambda s: s.left)


def target(ticks: Ticks, signal: str) -> Floats:
    """The `x_d` a signal is scored against, shape (m, n_dofs)."""
    return ticks.x_d_before if signal.endswith("_compensated") else ticks.x_d
