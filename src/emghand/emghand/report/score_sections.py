"""Sections of a report about scores: per DOF, by movement, by file, intended and unintended."""

from __future__ import annotations

from collections.abc import Iterator

from emghand.errors import UserError
from emghand.evaluate.results import Result
from emghand.evaluate.ticks import SIGNALS
from emghand.report.box_figure import box_figure
from emghand.report.html import Cell, Picture, Section, Table
from emghand.report.parts import (
    BOX_METRICS,
    Choice,
    box_groups,
    draw_scores,
    draw_unintended,
    trained_series,
)
from emghand.report.score_figures import MEAN, MOST_MAPS, Measures, in_order, mean_of, title_of
from emghand.report.sources import Material, plain

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


def score_sections(material: Material, choice: Choice) -> Iterator[Section]:
    """Sections of all scores; none when there are no scores."""
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
                f"is unintended.{_maps_left_out(material)}",
                "Intended error and unintended movement per DOF, and a map of movements by DOFs.",
            )
        )
    except UserError as error:
        material.leave_out("intended and unintended movement", error)
    yield unintended


def _maps_left_out(material: Material) -> str:
    if len(material.results) <= MOST_MAPS:
        return ""
    return f" Of the {len(material.results)} results the first {MOST_MAPS} have a map."


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
            shown = material.short_file(row.name) if by == "file" else plain(row.name)
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
