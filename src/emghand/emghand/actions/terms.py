"""What is measured of actions and of pairs of them, each from a cross-validation of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.decoders.normaliser import Normaliser
from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import AT_REST, score
from emghand.storage.recording import PeriodKind
from emghand.sweep.crossval import cross_validate
from emghand.training import Dataset, TrainSettings, fit, shifted


def trials_of(dataset: Dataset, actions: Sequence[str]) -> Dataset:
    """The trials in which some of these actions are made and no other; one DOF per action.

    Rest counts to the trial before it.

    Raises
    ------
    UserError
        When the recording has no prompted trials of one of the actions.
    """
    names = dof_names(dataset.dofs)
    for action in actions:
        if action not in names:
            raise UserError(f"{action}: was not recorded, only: {', '.join(names)}")
    columns = [names.index(a) for a in actions]
    _, trial = np.unique(
        np.column_stack([dataset.recording, dataset.trial]), axis=0, return_inverse=True
    )
    trial = trial.reshape(-1)
    peak = np.zeros((trial.max(initial=-1) + 1, len(names)))
    np.maximum.at(peak, trial, np.where(dataset.trial[:, None] < 0, 0.0, np.abs(dataset.X)))
    made = peak > AT_REST
    for action, column in zip(actions, columns, strict=True):
        if not made[:, column].any():
            raise UserError(f"{action}: there is no trial of it")
    others = np.delete(made, columns, axis=1).any(axis=1)
    wanted = made.any(axis=1) & np.logical_not(others)
    kept = dataset.rows(wanted[trial])
    return replace(kept, X=kept.X[:, columns].copy(), dofs=tuple(dataset.dofs[c] for c in columns))


def first_order(dataset: Dataset, action: str, settings: TrainSettings) -> float:
    """Error of an action alone: cross-validated RMSE of a decoder for nothing but it."""
    scores = cross_validate(trials_of(dataset, [action]), settings).compensated
    return float(scores.rmse[0])


def second_order(dataset: Dataset, a: str, b: str, settings: TrainSettings) -> float:
    """Confusion of two actions, from a cross-validated decoder for these two.

    The mean of two root mean squares: of the estimate of `b` while only `a` is made, and of the
    estimate of `a` while only `b` is made.
    """
    scores = cross_validate(trials_of(dataset, [a, b]), settings).compensated
    return float(scores.unintended.mean())


def strength(dataset: Dataset, action: str) -> float:
    """Mean feature while the action is held minus that at rest; z-scored, norm over features."""
    used = dataset.rows(dataset.use)
    rest = (used.period == PeriodKind.REST) & ~used.X.any(axis=1)
    column = dof_names(used.dofs).index(action)
    held = (used.period == PeriodKind.HOLD) & (used.X[:, column] > AT_REST)
    if not rest.any() or not held.any():
        raise UserError(f"{action}: its strength needs ticks of HOLD and of REST")
    # Scale by all ticks: the deviation at rest alone would favour the least noisy electrodes.
    Z: NDArray[np.float64] = Normaliser.fit(used.Z, rest, "none").apply(used.Z)
    return float(np.linalg.norm(Z[held].mean(axis=0) - Z[rest].mean(axis=0)))


def unseen_scores(
    screening: Dataset, unseen: Dataset, actions: Sequence[str], settings: TrainSettings
) -> dict[str, Any]:
    """Scores of a decoder for these actions, trained on the screening, on another recording.

    Returns
    -------
    dict
        ``r2`` (mean over actions), ``rmse``, ``intended`` and ``unintended`` (means), against
        `x_d` before the lag of the training part, and ``compensated``: all measures per action.
    """
    fitted = fit(trials_of(screening, actions), settings)
    test = trials_of(unseen, actions)
    use = test.use
    # Trials begin and end at rest, so that a shift within the kept trials is one within all.
    found = score(shifted(test, fitted.lag_s)[use], fitted.predict(test)[use], actions)
    return {
        "r2": found.mean_r2,
        "rmse": float(found.rmse.mean()),
        "intended": float(np.nanmean(found.intended)),
        "unintended": float(np.nanmean(found.unintended)),
        "lag_s": fitted.lag_s,
        "compensated": found.as_dict(),
    }
