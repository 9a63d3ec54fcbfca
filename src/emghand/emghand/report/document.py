"""A report: what was found in the sources as sections with figures, tables and captions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from emghand.errors import UserError
from emghand.evaluate.results import Result
from emghand.evaluate.ticks import SIGNALS
from emghand.report.html import Cell, Picture, Section, Table
from emghand.report.latency import OPTIMUM_MS, STAGES, delays_ms, latency_figure
from emghand.report.parts import (
    BOX_METRICS,
    Choice,
    box_groups,
    draw_scores,
    draw_unintended,
    latencies,
    signal_measures,
    tracking_columns,
    trained_series,
)
from emghand.report.score_figures import (
    MEAN,
    Measures,
    box_figure,
    in_order,
    mean_of,
    title_of,
)
from emghand.report.signal_figure import signal_figure
from emghand.report.signal_quality import SETTLE_S, SignalQuality
from emghand.report.sources import Material, plain
from emghand.report.tracking import Column, spans_of_periods, tracking_figure
from emghand.storage.models import Model
from emghand.storage.recording import Recording
from emghand.version import code_version

OVERVIEW_S = 90.0
"""A recording longer than this gets a close-up as well."""
CLOSE_UP_S = 30.0

SIGNAL_TEXT = {
    "x_hat": "x_hat (raw) against x_d at the same moment",
    "x_hat_compensated": "x_hat (raw) against x_d of the decoder's lag before",
    "out_x_hat": "out_x_hat (filtered) against x_d at the same moment",
    "out_x_hat_compensated": "out_x_hat (filtered) against x_d of the decoder's lag before",
}
MEASURE_TEXT = (
    "RMSE: root mean squared error, in units of the normalised range (0 rest, ±1 full). NRMSE: "
    "RMSE over the range of x_d. R²: share of the variance of x_d explained, at most 1, no lower "
    "bound. Error of intended DOFs: RMSE while the DOF is meant to be away from rest. Unintended "
    "movement: root mean square of the estimate while the DOF is meant to rest and another is not."
)


def build(material: Material, choice: Choice) -> list[Section]:
    """Sections of the report, those that have nothing to show left empty.

    What cannot be drawn is noted in `material` and named in a section of its own.
    """
    sections = [
        _summary(material, choice),
        _over_time(material, choice),
        *_scores(material, choice),
        _latency(material),
        _signal(material),
    ]
    return [*sections, _left_out(material), _provenance(material)]


def title(material: Material) -> str:
    """What the report is about."""
    named = [plain(s.path.resolve().name) for s in material.sessions]
    return f"Report: {', '.join(named or material.results or material.models or material.files)}"


def subtitle(material: Material) -> str:
    """Who made the data, with what."""
    subjects = dict.fromkeys(plain(s.subject) for s in material.sessions)
    who = f"Subject {', '.join(subjects)}. " if subjects else ""
    return f"{who}Made by emghand {code_version()}."


def slug(text: str) -> str:
    """Text as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_").lower() or "figure"


def _summary(material: Material, choice: Choice) -> Section:
    section = Section("Summary")
    for name, result in material.results.items():
        for source in result.sources:
            if source.digest in result.trained_on:
                section.warnings.append(
                    f"{name} was trained on {_file(material, source.name)}; its scores "
                    "there say little about new data."
                )
    if material.results:
        section.tables.append(
            Table(
                "Means over the DOFs",
                (
                    "",
                    "R² of x_hat, lag out",
                    "R² of x_hat",
                    "R² of out_x_hat",
                    "RMSE of out_x_hat",
                    "unintended movement",
                    "lag [ms]",
                    "ticks scored",
                ),
                [_summary_row(name, r) for name, r in material.results.items()],
                key="summary",
            )
        )
        section.text.append(
            "Lag out: scored against x_d of the lag before that was found in training; the other "
            "columns score against x_d at the same moment."
        )
    if material.recordings:
        section.tables.append(
            Table(
                "Recordings",
                ("", "length [s]", "channels", "rate [Hz]", "device", "missing samples", "trials"),
                [_recording_row(name, r) for name, r in material.recordings.items()],
                key="recordings",
            )
        )
    return section


def _summary_row(name: str, result: Result) -> list[Cell]:
    def mean(signal: str, metric: str) -> float:
        return mean_of(result.scores[signal].get(metric, {}))

    return [
        name,
        mean("x_hat_compensated", "r2"),
        mean("x_hat", "r2"),
        mean("out_x_hat", "r2"),
        mean("out_x_hat", "rmse"),
        mean("out_x_hat", "unintended"),
        result.lag_s * 1e3,
        result.n_ticks,
    ]


def _recording_row(name: str, recording: Recording) -> list[Cell]:
    first, last = recording.blocks[0], recording.blocks[-1]
    rate = recording.stream.rate
    received = sum(len(b.samples) for b in recording.blocks)
    counted = last.first_sample + len(last.samples) - first.first_sample
    return [
        name,
        (last.stamp_ns - first.stamp_ns) * 1e-9 + len(last.samples) / rate,
        recording.stream.n_channels,
        rate,
        plain(recording.stream.device),
        max(0, counted - received),
        # A latched state from before the recording may name an older trial.
        sum(s.right > 0.0 for s in spans_of_periods(recording.periods, first.stamp_ns)),
    ]


def _over_time(material: Material, choice: Choice) -> Section:
    section = Section("Desired and decoded movement over time")
    try:
        columns = tracking_columns(material, choice.signal)
    except UserError as error:
        material.leave_out("movement over time", error)
        return section
    for column in columns:
        long = len(column.seconds) and column.seconds[-1] - column.seconds[0] > OVERVIEW_S
        views = [("", column)]
        if long:
            views.insert(0, ("_close_up", column.liveliest(CLOSE_UP_S)))
        for suffix, view in views:
            try:
                figure = tracking_figure([view])
            except UserError as error:
                material.leave_out(f"{column.title} over time", error)
                continue
            section.pictures.append(
                Picture(
                    f"tracking_{slug(column.title)}{suffix}",
                    figure,
                    _tracking_caption(view, choice.signal, close=bool(suffix), long=bool(long)),
                    f"Time courses of {len(view.dofs)} DOFs in {column.title}: x_d and "
                    f"{', '.join(view.lines)}.",
                )
            )
    return section


def _tracking_caption(column: Column, signal: str, *, close: bool, long: bool) -> str:
    drawn = "out_x_hat (filtered)" if signal.startswith("out_x_hat") else "x_hat (raw)"
    where = f"{column.title}, {column.seconds[0]:.0f} s to {column.seconds[-1]:.0f} s"
    text = f"{where}: what was asked for (x_d, grey area) and {drawn} of {', '.join(column.lines)}."
    if close:
        return f"{text} A close-up of the {CLOSE_UP_S:.0f} s with the most movement."
    if long:
        text += " The whole recording: smallest and largest value of each short span of time."
    return f"{text} Lines are interrupted where nothing is scored, as in PROMPT periods."


def _scores(material: Material, choice: Choice) -> Iterator[Section]:
    per_dof = Section("Scores per DOF", [MEASURE_TEXT])
    try:
        figure = draw_scores(material, choice)
    except UserError as error:
        material.leave_out("scores", error)
        return
    names = ", ".join(material.results or material.models)
    how = SIGNAL_TEXT[choice.signal] if material.results else "x_hat, each repetition left out"
    per_dof.pictures.append(
        Picture(
            "scores",
            figure,
            f"{names}: scores of {how}, per DOF and their mean (grey row).",
            "Scores per DOF; the numbers stand in the tables below.",
        )
    )
    for name, result in material.results.items():
        for signal in (choice.signal, *(s for s in SIGNALS if s != choice.signal)):
            per_dof.tables.append(
                _score_table(name, signal, result.scores[signal], signal != choice.signal)
            )
    if not material.results:
        for name, measures in trained_series(material).items():
            per_dof.tables.append(_score_table(name, "x_hat", measures, False))
    yield per_dof
    if not material.results:
        return
    yield _boxes(material, choice, "movement")
    if len({source.digest for r in material.results.values() for source in r.sources}) > 1:
        yield _boxes(material, choice, "file")
    unintended = Section("Intended and unintended movement")
    try:
        unintended.pictures.append(
            Picture(
                "unintended",
                draw_unintended(material, choice),
                f"{names}. Above: error of each DOF while it is meant to move (filled) and its "
                "movement while only others are (open). Below: mean estimate while x_d is within "
                "10 % of the largest value of the movement; what stands beside the asked-for DOF "
                "is unintended.",
                "Intended error and unintended movement per DOF, and a map of movements by DOFs.",
            )
        )
    except UserError as error:
        material.leave_out("intended and unintended movement", error)
    yield unintended


def _score_table(name: str, signal: str, measures: Measures, folded: bool) -> Table:
    metrics = in_order(measures)
    dofs = list(dict.fromkeys(d for by in measures.values() for d in by))
    rows: list[list[Cell]] = [[d, *(measures[m].get(d) for m in metrics)] for d in dofs]
    rows.append([MEAN, *(mean_of(measures[m]) for m in metrics)])
    return Table(
        f"{name}: {SIGNAL_TEXT[signal]}",
        ("DOF", *(title_of(m) for m in metrics)),
        rows,
        key=f"scores/{name}/{signal}",
        folded=folded,
    )


def _boxes(material: Material, choice: Choice, by: str) -> Section:
    plural = {"movement": "movements", "file": "files"}[by]
    names = ", ".join(material.results)
    section = Section(f"By {by}")
    metrics = choice.metrics or BOX_METRICS
    try:
        groups = box_groups(material, choice.signal, metrics, by)
        section.pictures.append(
            Picture(
                plural,
                box_figure(groups, by, "one trial, mean of its DOFs"),
                f"{names}: scores of {SIGNAL_TEXT[choice.signal]}, by {by}. A point is one trial "
                "(or 5 s of a recording without trials), the mean over the DOFs for which the "
                "score is defined; of more than 60 only those beyond the whiskers. A box, where "
                "there are five or more, spans the quartiles with the median; whiskers reach to "
                "the last value within 1.5 times its height.",
                f"Box plots of trials by {by}.",
            )
        )
    except UserError as error:
        material.leave_out(f"scores by {by}", error)
    table = "movement" if by == "movement" else "recording"
    for name, result in material.results.items():
        rows = result.tables.get(table, ())
        if not rows:
            continue
        # Within one movement most DOFs rest: the mean of their R² says nothing.
        averaged = [m for m in result.metrics if m not in ("r2", "correlation")]
        cells: list[list[Cell]] = []
        for row in rows:
            shown = _file(material, row.name) if by == "file" else plain(row.name)
            measures = row.scores[choice.signal]
            cells.append([shown, row.ticks, *(mean_of(measures[m]) for m in averaged)])
        section.tables.append(
            Table(
                f"{name}: means over the DOFs",
                (by, "ticks", *(title_of(m) for m in averaged)),
                cells,
                key=f"{table}/{name}/{choice.signal}",
            )
        )
        section.tables.append(_detail(name, result, table, choice.signal))
    return section


def _detail(name: str, result: Result, table: str, signal: str) -> Table:
    """Every number of a table of a result."""
    rows: list[list[Cell]] = [
        [f"{row.name} · {dof}", *(row.scores[signal][m][dof] for m in result.metrics)]
        for row in result.tables[table]
        for dof in next(iter(row.scores[signal].values()), {})
    ]
    return Table(
        f"{name}: every DOF",
        (f"{table} · DOF", *(title_of(m) for m in result.metrics)),
        rows,
        key=f"{table} per DOF/{name}/{signal}",
        folded=True,
    )


def _latency(material: Material) -> Section:
    section = Section("Latency")
    runs = latencies(material)
    if runs:
        section.pictures.append(
            Picture(
                "latency",
                latency_figure(runs),
                "Latency of every stage of the live run on logarithmic axes; lines: median, dots: "
                "99th percentile. The sample is the last one of a tick, at its acquisition; "
                "received: by the recorder.",
                "Histograms of latencies by stage; percentiles stand in the table.",
            )
        )
        rows: list[list[Cell]] = []
        for run in runs:
            prefix = f"{run.label}: " if len(runs) > 1 else ""
            for stage, found in run.percentiles().items():
                rows.append(
                    [
                        f"{prefix}{STAGES[stage]}",
                        found["p50"],
                        found["p99"],
                        found["max"],
                        len(run.stages_ms[stage]),
                    ]
                )
            section.text.append(f"{run.label}: {run.missed} ticks were missed.")
        section.tables.append(
            Table("Latency [ms]", ("", "median", "99 %", "largest", "ticks"), rows, key="latency")
        )
    budgets = [_budget(name, model, runs) for name, model in material.models.items()]
    if budgets:
        section.tables.append(
            Table(
                "Delay from muscle to command [ms]",
                ("", "band-pass", "notches", "window", "wait for the tick", "computing", "sum"),
                budgets,
                key="delay",
            )
        )
        low, high = OPTIMUM_MS
        section.text.append(
            "Delay of the filters: group delay at 80 Hz (an eighth of the rate for slower "
            "streams); of the window: half its length; computing: median from sample to "
            f"command. The best total delay of a prosthesis is {low:.0f} to {high:.0f} ms (Farrell "
            "and Weir 2007)."
        )
    return section


def _budget(name: str, model: Model, runs: Sequence[Any]) -> list[Cell]:
    delays = delays_ms(model.features, model.rate)
    totals = [float(np.median(run.stages_ms["total"])) for run in runs]
    computing = float(np.median(totals)) if totals else None
    known: list[Cell] = list(delays.values())
    return [name, *known, computing, sum(delays.values()) + (computing or 0.0)]


def _signal(material: Material) -> Section:
    section = Section("Signal quality")
    for name, recording in material.recordings.items():
        one = Material(recordings={name: recording}, paths=material.paths, models=material.models)
        try:
            (measured,) = signal_measures(one)
        except UserError as error:
            material.leave_out(f"signal of {name}", error)
            continue
        section.pictures.append(
            Picture(
                f"signal_{slug(name)}",
                signal_figure([measured]),
                f"{name}: RMS of every channel after the filters while movement and rest are asked "
                f"for (rest from {SETTLE_S:g} s after a movement on), their ratio, the spectrum "
                "before the filters with the mains frequency marked, and faults of channels over "
                f"time ({'some found' if measured.faults.any() else 'none found'}).",
                f"Signal quality of {name}; levels per channel stand in the table.",
            )
        )
        section.tables.append(_channel_table(name, measured))
        section.text.append(f"{name}: {measured.missing} samples missing.")
    return section


def _channel_table(name: str, measured: SignalQuality) -> Table:
    factor, unit = (1e6, "µV") if measured.unit == "V" else (1.0, "counts")
    columns = (
        measured.rms_move * factor,
        measured.rms_rest * factor,
        measured.snr_db,
        measured.mains_share * 100.0,
        measured.fault_share * 100.0,
    )
    rows: list[list[Cell]] = [
        [plain(channel), *(float(c[i]) for c in columns)]
        for i, channel in enumerate(measured.channels)
    ]
    return Table(
        f"{name}: channels",
        (
            "",
            f"movement [{unit}]",
            f"rest [{unit}]",
            "SNR [dB]",
            "mains [% of power]",
            "faulty [% of time]",
        ),
        rows,
        key=f"signal/{name}",
        folded=True,
    )


def _left_out(material: Material) -> Section:
    section = Section("Left out")
    if material.left_out:
        items = dict.fromkeys((item.what, item.why) for item in material.left_out)
        section.tables.append(Table("Not drawn, and why", ("", "reason"), [list(i) for i in items]))
    return section


def _provenance(material: Material) -> Section:
    section = Section("Settings, hashes and versions")
    tables = section.tables
    for name, recording in material.recordings.items():
        tables.append(
            _facts(
                f"Recording {name}", {"read from": recording.source, "SHA-256": recording.digest}
            )
        )
    for session in material.sessions:
        facts = {k: session.manifest.get(k, "") for k in ("subject", "created", "code_version")}
        facts |= {"settings": session.manifest.get("settings", {})}
        tables.append(_facts(f"Session {plain(session.path.resolve().name)}", facts))
    for name, model in material.models.items():
        facts = {
            "model_id": model.model_id,
            "training data": model.training_hash,
            "decoder": {model.decoder.kind: model.decoder.get_params()},
            "features": vars(model.features),
            "output": vars(model.output),
            "lag_s": model.lag_s,
            "created": model.created,
            "code_version": model.code_version,
        }
        tables.append(_facts(f"Model {name}", facts))
    for name, result in material.results.items():
        facts = {
            "digest": result.digest,
            "kind": result.kind,
            "scheme": result.scheme,
            "seed": result.seed,
            "model_id": result.model_id,
            "code_version": result.code_version,
            "refused ticks": dict(result.faults),
            "settings": result.settings,
            "scored on": {s.name: s.digest for s in result.sources},
        }
        tables.append(_facts(f"Result {name}", facts))
    section.tables.append(_facts("This report", {"code_version": code_version()}))
    return section


def _facts(caption: str, facts: dict[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for key, value in facts.items():
        if isinstance(value, dict) and all(isinstance(k, str) for k in value):
            rows += [[f"{key}: {k}", _text(v)] for k, v in value.items()]
        else:
            rows.append([key, _text(value)])
    return Table(caption, ("", "value"), [r for r in rows if r[1] != ""], folded=True)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)


def _file(material: Material, name: str) -> str:
    return material.files.get(name, plain(name))
