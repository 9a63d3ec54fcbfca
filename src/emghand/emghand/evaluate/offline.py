"""A model on recordings it has not seen, through the same pipeline as live."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emghand.control.settings import OutputSettings, per_dof
from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import DEFAULT_METRICS, Scores, score_case
from emghand.evaluate.results import Result, make_result
from emghand.evaluate.ticks import SIGNALS, Ticks
from emghand.pipeline import Pipeline
from emghand.storage.models import Model
from emghand.storage.recording import Recording
from emghand.training.labels import label_periods, label_values


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
    ticks, faults = decode(model, recordings, output_settings)
    return Evaluation(
        **{s: score_case(ticks.case(s), ticks.names) for s in SIGNALS},
        lag_s=model.lag_s,
        ticks=int(ticks.labelled("x_hat").sum()),
        faults=faults,
    )


def evaluate_model(
    model: Model,
    recordings: Sequence[Recording],
    output_settings: OutputSettings | None = None,
    *,
    name: str = "",
    metrics: Sequence[str] = DEFAULT_METRICS,
) -> Result:
    """The same as a `Result`, with tables and ticks.

    Parameters
    ----------
    model, recordings, output_settings
        As in `evaluate`.
    name : str
        What tables call the model; by default the kind of its decoder.
    metrics : sequence of str

    Raises
    ------
    UserError
        As `evaluate`.
    """
    ticks, faults = decode(model, recordings, output_settings)
    output = model.output if output_settings is None else output_settings
    return make_result(
        ticks,
        [r.describe() for r in recordings],
        kind="model",
        name=name or model.decoder.kind,
        scheme="given",
        settings={
            "decoder": model.decoder.kind,
            "params": model.decoder.get_params(),
            "features": dataclasses.asdict(model.features),
            "output": dataclasses.asdict(output),
            "training_hash": model.training_hash,
            "code_version": model.code_version,
        },
        lag_s=model.lag_s,
        metrics=metrics,
        model_id=model.model_id,
        faults=faults,
        trained_on=model.recordings,
    )


def decode(
    model: Model, recordings: Sequence[Recording], output_settings: OutputSettings | None = None
) -> tuple[Ticks, dict[str, int]]:
    """Every tick of recordings that `x_d` says something about, decoded from the raw EMG.

    Returns
    -------
    Ticks
    dict of str to int
        Ticks that gave no output, by reason.

    Raises
    ------
    UserError
        As `evaluate`.
    """
    if not recordings:
        raise UserError("no recordings to evaluate on")
    names = dof_names(model.dofs)
    output = model.output if output_settings is None else output_settings
    faults: dict[str, int] = {}
    columns: dict[str, list[NDArray[np.generic]]] = {}
    for number, recording in enumerate(recordings):
        x_d = recording.x_d
        missing = set(names) - set(x_d.names if x_d is not None else ())
        if x_d is None or missing:
            raise UserError(
                f"{recording.source}: has no x_d to score {', '.join(sorted(missing))} with"
            )
        run = Pipeline(model, recording.stream, output).run(recording)
        now, known = label_values(x_d, names, run.stamps_ns)
        before, known_before = label_values(x_d, names, run.stamps_ns - round(model.lag_s * 1e9))
        periods = label_periods(recording.periods, run.stamps_ns)
        use = (known | known_before) & periods.asked
        found = {
            "x_d": np.where(known[:, None], now, np.nan),
            "x_d_before": np.where(known_before[:, None], before, np.nan),
            "x_hat": run.x_hat,
            "out_x_hat": run.out_x_hat,
            "stamps_ns": run.stamps_ns,
            "movement": periods.movement,
            "repetition": periods.repetition,
            "trial": periods.trial,
            "recording": np.full(len(run.stamps_ns), number, dtype=np.int64),
            "fold": np.zeros(len(run.stamps_ns), dtype=np.int64),
        }
        for name, values in found.items():
            columns.setdefault(name, []).append(values[use])
        for fault, count in run.faults.items():
            faults[fault] = faults.get(fault, 0) + count
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    movements, joined["movement"] = np.unique(joined["movement"], return_inverse=True)
    ticks = Ticks(
        dofs=model.dofs,
        tick_rate=model.tick_rate,
        relax_pos=per_dof("relax_pos", output.relax_pos, len(names)),
        movements=tuple(str(name) for name in movements),
        **joined,
    )
    return ticks, faults
