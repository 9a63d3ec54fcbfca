"""A report: what was found in the sources as sections with figures, tables and captions."""

from __future__ import annotations

from emghand.errors import UserError
from emghand.evaluate.results import Result
from emghand.report.adaptation_section import adaptation_section
from emghand.report.html import Cell, Picture, Section, Table
from emghand.report.movement_section import movement_section
from emghand.report.parts import Choice, tracking_columns
from emghand.report.progress_section import progress_sections
from emghand.report.provenance import provenance_section
from emghand.report.score_figures import mean_of
from emghand.report.score_sections import score_sections
from emghand.report.signal_quality import missing_samples
from emghand.report.signal_sections import latency_section, signal_section
from emghand.report.sources import Material, plain, slug
from emghand.report.tracking import Column, spans_of_periods, tracking_figure
from emghand.storage.recording import Recording
from emghand.version import code_version

OVERVIEW_S = 90.0
"""A recording longer than this gets a close-up as well."""
CLOSE_UP_S = 30.0


def build(material: Material, choice: Choice) -> list[Section]:
    """Sections of the report, those that have nothing to show left empty.

    What cannot be drawn is noted in `material` and named in a section of its own.
    """
    sections = [
        _summary(material, choice),
        _over_time(material, choice),
        movement_section(material),
        adaptation_section(material),
        *score_sections(material, choice),
        latency_section(material),
        signal_section(material),
        *progress_sections(material),
    ]
    return [*sections, _left_out(material), provenance_section(material)]


def title(material: Material) -> str:
    """What the report is about."""
    named = [plain(s.path.resolve().name) for s in material.sessions]
    return f"Report: {', '.join(named or material.results or material.models or material.files)}"


def subtitle(material: Material) -> str:
    """Who made the data, with what."""
    subjects = dict.fromkeys(plain(s.subject) for s in material.sessions)
    who = f"Subject {', '.join(subjects)}. " if subjects else ""
    return f"{who}Made by emghand {code_version()}."


def _summary(material: Material, choice: Choice) -> Section:
    section = Section("Summary")
    for name, result in material.results.items():
        for source in result.sources:
            if source.digest in result.trained_on:
                section.warnings.append(
                    f"{name} was trained on {material.short_file(source.name)}; its scores "
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
    return [
        name,
        (last.stamp_ns - first.stamp_ns) * 1e-9 + len(last.samples) / rate,
        recording.stream.n_channels,
        rate,
        plain(recording.stream.device),
        missing_samples(recording.blocks),
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


def _left_out(material: Material) -> Section:
    section = Section("Left out")
    if material.left_out:
        items = dict.fromkeys((item.what, item.why) for item in material.left_out)
        section.tables.append(Table("Not drawn, and why", ("", "reason"), [list(i) for i in items]))
    return section
