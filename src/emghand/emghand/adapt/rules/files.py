"""What a rule is made from where it runs: the files of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.holds import find_holds
from emghand.adapt.plausibility import plausibility
from emghand.adapt.reference import load_calibrated
from emghand.adapt.registry import RuleOptions
from emghand.adapt.rules import make_rule
from emghand.adapt.rules.base import LinearRule
from emghand.adapt.rules.labels import prompt_labels, runs, usable
from emghand.adapt.window import Window
from emghand.storage.models import Model

Floats = NDArray[np.float64]


def for_model(uri: str, options: RuleOptions) -> LinearRule[Any]:
    """One of the simpler rules, from the files of a model; see `emghand.adapt.registry`.

    The supervised one is measured by its labels instead of by plausibility: prompts tell more.

    Raises
    ------
    UserError
        As `emghand.adapt.reference.load_calibrated`; for a decoder that the rule cannot adapt.
    """
    model, calibration, reference = load_calibrated(uri)
    dataset = calibration.dataset
    values: dict[str, Any] = {"moving_dofs_only": options.moving_dofs_only}
    if options.mode == "supervised":
        values["calibration_weight"] = 0.3
        return make_rule(options.mode, model, dataset, values, score=_agreement, margin=0.0)
    values["labels"] = options.labels

    def score(candidate: Model, window: Window) -> float:
        use = window.usable()
        follows = np.diff(use.ticks, prepend=use.ticks[:1] - 1) == 1
        held = find_holds(use.x_hat, use.tick_rate, follows)
        return plausibility(held.means(candidate.estimates(use.Z, runs(use.ticks))), reference)

    return make_rule(options.mode, model, dataset, values, score=score, margin=options.margin)


def _agreement(candidate: Model, window: Window) -> float:
    """Minus the RMSE of a model's output against `x_d`."""
    truth = prompt_labels(window, candidate.lag_s)
    use = usable(window)
    rows = (np.cumsum(use) - 1)[truth.rows]
    x_hat = candidate.estimates(window.Z[use], runs(window.ticks[use]))
    error = x_hat[rows] - truth.X
    return -float(np.sqrt(np.mean(error**2)))
