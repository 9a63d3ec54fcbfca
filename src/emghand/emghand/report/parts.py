"""From what was found in the sources to what each kind of figure draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.evaluate.metrics import DEFAULT_METRICS
from emghand.report.box_figure import box_figure
from emghand.report.detected import Found, found_movements, marks_of
from emghand.report.latency import Latency, latency_figure, read_latency
from emghand.report.score_figures import Measures, scores_figure, unintended_figure
from emghand.report.signal_figure import signal_figure
from emghand.report.signal_quality import SignalQuality, measure_signal
from emghand.report.sources import Material, plain
from emghand.report.tracking import Column, spans_of_periods, tracking_figure
from emghand.report.trials import crosstalk, movement_spans, trial_scores
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Recording, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

BOX_METRICS = ("rmse", "intended", "unintended")
NO_RESULT = "there are no scores: name a model and a recording with x_d, or a result"


@dataclass(frozen=True)
class Choice:
    """What of the material is drawn.

    Parameters
    ----------
    signal : str
        One of `emghand.evaluate.ticks.SIGNALS`.
    metrics : tuple of str
        Empty: the default ones of each kind of figure.
    start, end : float
        Stretch of time of a tracking figure, from the start of each recording [s].
    marks : bool
        Whether a tracking figure marks the movements that the detector finds.
    """

    signal: str = "out_x_hat"
    metrics: tuple[str, ...] = ()
    start: float = 0.0
    end: float = float("inf")
    marks: bool = False


def tracking_columns(material: Material, signal: str, found: Found | None = None) -> list[Column]:
    """One column per recording, with a line per result; recorded estimates where there is none.

    Parameters
    ----------
    material : Material
    signal : str
        One of `emghand.evaluate.ticks.SIGNALS`.
    found : mapping, optional
        Movements to be marked.
    """
    columns: dict[str, Column] = {}
    starts: dict[str, int] = {}
    for name, result in material.results.items():
        ticks = result.ticks
        if ticks is None:
            material.leave_out(f"{name} over time", UserError("its ticks (.npz) are not there"))
            continue
        estimate = ticks.out_x_hat if signal.startswith("out_x_hat") else ticks.x_hat
        for index, source in enumerate(result.sources):
            rows = np.flatnonzero(ticks.recording == index)
            if not len(rows):
                continue
            # Folds of a cross-validation are not in the order of time.
            rows = rows[np.argsort(ticks.stamps_ns[rows], kind="stable")]
            stamps = ticks.stamps_ns[rows]
            # Other windows begin to be scored at another tick: all lines share the first one's 0 s.
            start = starts.setdefault(source.digest, int(stamps[0]))
            own = Column(
                title=material.short_file(source.name),
                dofs=ticks.names,
                seconds=np.asarray((stamps - start) * 1e-9, np.float64),
                x_d=ticks.x_d[rows],
                lines={name: estimate[rows]},
                movements=movement_spans(ticks, index),
                start_ns=int(stamps[0]),
            )
            key = source.digest
            columns[key] = _with_line(columns[key], own, name) if key in columns else own
    for name, recording in material.recordings.items():
        if recording.digest not in columns:
            column = recorded_column(name, recording, signal)
            if column is None:
                reason = "no model decodes it, and it holds no recorded estimate"
                material.leave_out(f"{name} over time", UserError(reason))
            else:
                columns[recording.digest] = column
    for key, column in columns.items():
        if found is not None and key in found:
            columns[key] = replace(column, marks=marks_of(found[key], column.start_ns))
    return list(columns.values())


def _with_line(column: Column, other: Column, name: str) -> Column:
    if other.dofs != column.dofs:
        raise UserError(f"{name} has other DOFs than the other models: draw it alone")
    values = other.lines[name]
    if not np.array_equal(other.seconds, column.seconds):
        # Other windows make other ticks: the nearest one, at most half a tick away.
        after = np.searchsorted(other.seconds, column.seconds).clip(0, len(values) - 1)
        before = np.maximum(after - 1, 0)
        late, early = other.seconds[after] - column.seconds, column.seconds - other.seconds[before]
        nearest = np.where(np.abs(early) < np.abs(late), before, after)
        tick = float(np.median(np.diff(other.seconds))) if len(values) > 1 else 0.0
        near = np.abs(other.seconds[nearest] - column.seconds) <= 0.51 * tick
        values = np.where(near[:, None], values[nearest], np.nan)
    return replace(column, lines={**column.lines, name: values})


def recorded_column(name: str, recording: Recording, signal: str) -> Column | None:
    """What a decoder published while the recording was made; None where none did."""
    filtered = signal.startswith("out_x_hat")
    estimate = recording.out_x_hat if filtered else recording.x_hat
    if estimate is None or len(estimate.stamps_ns) < 2:
        return None
    start = int(estimate.stamps_ns[0])
    return Column(
        title=name,
        dofs=estimate.names,
        seconds=np.asarray((estimate.stamps_ns - start) * 1e-9, np.float64),
        x_d=_labels(recording.x_d, estimate),
        lines={f"{'out_x_hat' if filtered else 'x_hat'} as recorded": estimate.values},
        movements=spans_of_periods(recording.periods, start),
        start_ns=start,
    )


def _labels(x_d: Series | None, estimate: Series) -> Floats:
    from emghand.training.labels import label_values

    found = np.full(estimate.values.shape, np.nan)
    known = [i for i, name in enumerate(estimate.names) if x_d is not None and name in x_d.names]
    if x_d is not None and known:
        names = [estimate.names[i] for i in known]
        values, labelled = label_values(x_d, names, estimate.stamps_ns)
        values[~labelled] = np.nan
        found[:, known] = values
    return found


def score_series(material: Material, signal: str) -> dict[str, Measures]:
    """Scores by series: models, or the files of a single model, or scores from training."""
    results = material.results
    if len(results) == 1:
        (result,) = results.values()
        rows = result.tables.get("recording", ())
        if len(rows) > 1:
            return {material.short_file(r.name): r.scores[signal] for r in rows}
    if results:
        return {name: result.scores[signal] for name, result in results.items()}
    return trained_series(material)


def trained_series(material: Material) -> dict[str, Measures]:
    """Scores that the models hold from their training, each repetition left out."""
    series: dict[str, Measures] = {}
    for name, model in material.models.items():
        measures = model.scores.get("uncompensated")
        if _is_measures(measures):
            series[f"{name}, cross-validated"] = measures  # type: ignore[assignment]
    return series


def _is_measures(value: Any) -> bool:
    """Whether something from a file has the form of scores."""
    return isinstance(value, Mapping) and all(
        isinstance(by, Mapping)
        and all(v is None or isinstance(v, int | float) for v in by.values())
        for by in value.values()
    )


def box_groups(
    material: Material, signal: str, metrics: Sequence[str], by: str
) -> dict[str, dict[str, dict[str, Floats]]]:
    """Values of every trial by metric, series and group (``movement`` or ``file``).

    Raises
    ------
    UserError
        When there is nothing to group.
    """
    groups: dict[str, dict[str, dict[str, Floats]]] = {m: {} for m in metrics}
    for name, result in material.results.items():
        ticks = result.ticks
        if ticks is None:
            material.leave_out(f"{name} by {by}", UserError("its ticks (.npz) are not there"))
            continue
        trials = trial_scores(ticks, signal, metrics)
        if by == "movement":
            which, labels = trials.movement, [plain(m, 24) if m else "" for m in ticks.movements]
        else:
            which = trials.recording
            labels = [material.short_file(s.name) for s in result.sources]
        for metric in metrics:
            found = {
                label: trials.values[metric][which == i] for i, label in enumerate(labels) if label
            }
            if found:
                groups[metric][name] = found
    if not any(groups.values()):
        what = "no movement is named in the recordings" if by == "movement" else NO_RESULT
        raise UserError(what if material.results else NO_RESULT)
    return groups


def latencies(material: Material) -> list[Latency]:
    """Latencies of the recordings that are bags and hold them; the others are noted."""
    found = []
    for name, path in material.paths.items():
        try:
            if not is_bag(path):
                raise UserError("it is no bag of a live run")
            found.append(read_latency(path, name))
        except UserError as error:
            material.leave_out(f"latency of {name}", error)
    return found


def features_of(material: Material, name: str) -> FeatureSettings:
    """Filters that a recording is judged with: of a model, else those it was recorded with."""
    from emghand.training.recorded import recorded_features

    for model in material.models.values():
        stream = material.recordings[name].stream
        if model.channel_names == stream.channel_names and model.rate == stream.rate:
            return model.features
    path = material.paths[name]
    return (recorded_features(path) if is_bag(path) else None) or FeatureSettings()


def signal_measures(material: Material) -> list[SignalQuality]:
    """Quality of the raw EMG of every recording."""
    return [
        measure_signal(recording, features_of(material, name), name)
        for name, recording in material.recordings.items()
    ]


def draw_tracking(material: Material, choice: Choice) -> Figure:
    """`x_d` against the estimate over time, for all recordings side by side."""
    found = found_movements(material) if choice.marks else None
    columns = tracking_columns(material, choice.signal, found)
    if not columns:
        raise UserError("no estimate to draw: name a model, or a recording of a live run")
    return tracking_figure([c.part(choice.start, choice.end) for c in columns])


def draw_scores(material: Material, choice: Choice) -> Figure:
    """Scores per DOF."""
    series = score_series(material, choice.signal)
    if not series:
        raise UserError(NO_RESULT)
    return scores_figure(series, choice.metrics or DEFAULT_METRICS)


def draw_movements(material: Material, choice: Choice) -> Figure:
    """Box plots by movement."""
    metrics = choice.metrics or BOX_METRICS
    groups = box_groups(material, choice.signal, metrics, "movement")
    return box_figure(groups, "movement", "one trial, mean of its DOFs")


def draw_files(material: Material, choice: Choice) -> Figure:
    """Box plots by file."""
    metrics = choice.metrics or BOX_METRICS
    groups = box_groups(material, choice.signal, metrics, "file")
    return box_figure(groups, "file", "one trial, mean of its DOFs")


def draw_unintended(material: Material, choice: Choice) -> Figure:
    """Intended against unintended movement."""
    series = score_series(material, choice.signal)
    if not series or not all({"intended", "unintended"} <= set(m) for m in series.values()):
        raise UserError(NO_RESULT)
    maps = {
        name: crosstalk(result.ticks, choice.signal)
        for name, result in material.results.items()
        if result.ticks is not None
    }
    return unintended_figure(series, {k: v for k, v in maps.items() if v[0]})


def draw_latency(material: Material, choice: Choice) -> Figure:
    """Histograms of latencies."""
    runs = latencies(material)
    if not runs:
        reasons = "; ".join(dict.fromkeys(item.why for item in material.left_out))
        raise UserError(f"no latency to draw: {reasons or 'name a bag of a live run'}")
    return latency_figure(runs)


def draw_signal(material: Material, choice: Choice) -> Figure:
    """Quality of the raw EMG."""
    measured = signal_measures(material)
    if not measured:
        raise UserError("no raw EMG to draw: name a recording")
    return signal_figure(measured)


KINDS: dict[str, Callable[[Material, Choice], Figure]] = {
    "tracking": draw_tracking,
    "scores": draw_scores,
    "movements": draw_movements,
    "files": draw_files,
    "unintended": draw_unintended,
    "latency": draw_latency,
    "signal": draw_signal,
}
NEED_NO_SCORES = ("latency", "signal")
"""Kinds that are drawn from recordings alone."""


def is_bag(path: Path) -> bool:
    """Whether a path is a bag, as far as can be told without reading it."""
    return path.suffix == ".mcap" or (path.is_dir() and any(path.glob("*.mcap")))
