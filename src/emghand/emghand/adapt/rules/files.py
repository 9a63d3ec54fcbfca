"""What a rule is made from where it runs: the files of a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.companion import companion_path, load_companion
from emghand.adapt.rules.base import Score
from emghand.adapt.rules.labels import runs
from emghand.adapt.rules.linear import codes
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
        return plausibility(held.means(decoded(candidate, use)), reference)

    return Calibrated(model, companion.calibration.dataset, score)


def decoded(model: Model, window: Window) -> Floats:
    """`x_hat` of a model for the ticks of a window, shape (m, n_dofs); it starts anew at gaps."""
    segments = runs(window.ticks)
    return model.decoder.predict(codes(model, window.Z), segments)
