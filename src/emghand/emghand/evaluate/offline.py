"""A model on recordings it has not seen, through the same pipeline as live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.control.settings import OutputSettings, per_dof
from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import Scores, score
from emghand.pipeline import Pipeline
from emghand.storage.models import Model
from emghand.storage.recording import Recording
from emghand.training.labels import label_periods, label_values

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """Scores over all labelled ticks outside of PROMPT periods.

    Parameters
    ----------
    x_hat, out_x_hat : Scores
        Against `x_d` at the same moment; the hand's against `x_d` with ``relax_pos``.
    x_hat_compensated, out_x_hat_compensated : Scores
        Against `x_d` of the model's lag before. The lag is that of the training part.
    lag_s : float
    ticks : int
        Ticks scored.
    faults : dict of str to int
        Ticks that gave no output, by reason.
    """

    x_hat: Scores
    x_hat_compensated: Scores
    out_x_hat: Scores
    out_x_hat_compensated: Scores
    lag_s: float
    ticks: int
    faults: dict[str, int]


def evaluate(
    model: Model, recordings: Sequence[Recording], output_settings: OutputSettings | None = None
) -> Evaluation:
    """Decode recordings from their raw EMG and score the result.

    Parameters
    ----------
    model : Model
    recordings : sequence of Recording
        With `x_d`; scored together.
    output_settings : OutputSettings, optional
        Instead of those of the model.

    Raises
    ------
    UserError
        When a recording has no labels of a DOF, or does not fit the model.
    """
    names = dof_names(model.dofs)
    output = model.output if output_settings is None else output_settings
    faults: dict[str, int] = {}
    parts: dict[str, list[Floats]] = {
        k: [] for k in ("x_hat", "out", "now", "x_hat_late", "out_late", "before")
    }
    for recording in recordings:
        x_d = recording.x_d
        missing = set(names) - set(x_d.names if x_d is not None else ())
        if x_d is None or missing:
            raise UserError(
                f"{recording.source}: has no x_d to score {', '.join(sorted(missing))} with"
            )
        run = Pipeline(model, recording.stream, output).run(recording)
        now, known = label_values(x_d, names, run.stamps_ns)
        before, known_before = label_values(x_d, names, run.stamps_ns - round(model.lag_s * 1e9))
        asked = label_periods(recording.periods, run.stamps_ns).asked
        for keys, target, use in (
            (("x_hat", "out", "now"), now, known & asked),
            (("x_hat_late", "out_late", "before"), before, known_before & asked),
        ):
            for key, values in zip(keys, (run.x_hat, run.out_x_hat, target), strict=True):
                parts[key].append(values[use])
        for fault, count in run.faults.items():
            faults[fault] = faults.get(fault, 0) + count
    if not recordings:
        raise UserError("no recordings to evaluate on")
    x_hat, out, now, x_hat_late, out_late, before = (np.concatenate(v) for v in parts.values())
    relax_pos = np.array(per_dof("relax_pos", output.relax_pos, len(names)))
    low, high = np.array([d.low for d in model.dofs]), np.array([d.high for d in model.dofs])
    rest = np.clip(relax_pos, low, high)
    return Evaluation(
        x_hat=score(now, x_hat, names),
        x_hat_compensated=score(before, x_hat_late, names),
        out_x_hat=score(np.clip(now + relax_pos, low, high), out, names, rest),
        out_x_hat_compensated=score(np.clip(before + relax_pos, low, high), out_late, names, rest),
        lag_s=model.lag_s,
        ticks=len(now),
        faults=faults,
    )
