"""What a rule is made from where it runs: the files of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.companion import companion_path, load_companion
from emghand.adapt.registry import RuleOptions
from emghand.adapt.rules import make_rule
from emghand.adapt.rules.base import LinearRule, Score
from emghand.adapt.rules.labels import prompt_labels, runs, usable
from emghand.adapt.window import Window
from emghand.errors import UserError
from emghand.storage.models import Model, load_model
from emghand.training.dataset import Dataset

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibrated:
    """A calibration as its files hold it.

    Parameters
    ----------
    model : Model
    dataset : Dataset
        What it was fitted to.
    score : callable
        Plausibility of a model's output for this person.
    """

    model: Model
    dataset: Dataset
    score: Score


def calibrated(uri: str) -> Calibrated:
    """Calibration and own use from a model file and its companion.

    Raises
    ------
    UserError
        When one of the files cannot be read, or something is missing in the companion.
    """
    # Here, because only a rule that runs for a person needs it.
    from emghand.adapt.holds import find_holds
    from emghand.adapt.plausibility import plausibility
    from emghand.adapt.reference import Reference

    model = load_model(uri)
    path = companion_path(uri)
    companion = load_companion(path, model)
    if companion.calibration is None or companion.reference is None:
        raise UserError(f"companion {path}: has {companion.missing[0]}")
    reference = Reference.from_arrays(companion.reference, model.n_features, len(model.dofs))

    def score(candidate: Model, window: Window) -> float:
        use = window.usable()
        follows = np.diff(use.ticks, prepend=use.ticks[:1] - 1) == 1
        held = find_holds(use.x_hat, use.tick_rate, follows)
        return plausibility(held.means(candidate.estimates(use.Z, runs(use.ticks))), reference)

    return Calibrated(model, companion.calibration.dataset, score)


def for_model(uri: str, options: RuleOptions) -> LinearRule[Any]:
    """One of the simpler rules, from the files of a model; see `emghand.adapt.registry`.

    The supervised one is measured by its labels instead of by plausibility: prompts tell more.

    Raises
    ------
    UserError
        As `calibrated`; for a decoder that the rule cannot adapt.
    """
    files = calibrated(uri)
    model, dataset = files.model, files.dataset
    values: dict[str, Any] = {"moving_dofs_only": options.moving_dofs_only}
    if options.mode == "supervised":
        values["calibration_weight"] = 0.3
        return make_rule(options.mode, model, dataset, values, score=_agreement, margin=0.0)
    values["labels"] = options.labels
    return make_rule(options.mode, model, dataset, values, score=files.score, margin=options.margin)


def _agreement(candidate: Model, window: Window) -> float:
    """Minus the RMSE of a model's output against `x_d`."""
    truth = prompt_labels(window, candidate.lag_s)
    use = usable(window)
    rows = (np.cumsum(use) - 1)[truth.rows]
    x_hat = candidate.estimates(window.Z[use], runs(window.ticks[use]))
    error = x_hat[rows] - truth.X
    return -float(np.sqrt(np.mean(error**2)))
