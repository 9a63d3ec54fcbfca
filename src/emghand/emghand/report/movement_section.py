"""Section of a report about the movements that were found."""

from __future__ import annotations

from dataclasses import replace

from emghand.errors import UserError
from emghand.report.detected import found_movements
from emghand.report.html import Cell, Picture, Section, Table
from emghand.report.parts import tracking_columns
from emghand.report.sources import Material, plain, slug
from emghand.report.tracking import Column, tracking_figure

CLOSE_UP_S = 30.0


def movement_section(material: Material) -> Section:
    """Movements drawn over the estimate, and how many of the prompted ones were found."""
    section = Section("Detected movements")
    try:
        found = found_movements(material)
        columns = tracking_columns(material, "x_hat", found)
    except UserError as error:
        material.leave_out("detected movements", error)
        return section
    for column in columns:
        picture = _picture(material, column)
        if picture is not None:
            section.pictures.append(picture)
    rows: list[list[Cell]] = []
    for by_series in found.values():
        for name, one in by_series.items():
            row: list[Cell] = [f"{name} · {material.short_file(one.source)}"]
            row += [len(one.movements), len(one.segments) - len(one.movements)]
            s = one.scores
            if s is not None:
                counts: list[Cell] = [s.hits + s.missed, s.precision, s.recall, s.f1]
                row += [*counts, s.error_s * 1e3, s.bias_s * 1e3, one.lag_s * 1e3]
            else:
                row += [None] * 7
            rows.append(row)
    if rows:
        counted = ("", "movements", "plateaus", "prompted", "precision", "recall", "F1")
        head = (*counted, "onset error [ms]", "onset bias [ms]", "lag taken off [ms]")
        section.tables.append(Table("Movements in x_hat", head, rows, key="detected"))
    return section


def _picture(material: Material, column: Column) -> Picture | None:
    first = next((m.series for m in column.marks), None)
    if first is None:
        return None
    marks = [m for m in column.marks if m.series == first]
    lines = {name: v for name, v in column.lines.items() if name == first} or column.lines
    view = replace(column, lines=lines, marks=marks).liveliest(CLOSE_UP_S)
    try:
        figure = tracking_figure([view])
    except UserError as error:
        material.leave_out(f"detected movements of {column.title}", error)
        return None
    return Picture(
        f"detected_{slug(column.title)}",
        figure,
        f"{column.title}, {view.seconds[0]:.0f} s to {view.seconds[-1]:.0f} s: movements that the "
        f"detector found in x_hat (raw) of {plain(first)}, shaded in the rows of the DOFs that "
        "take part; the grey area is what was asked for (x_d).",
        f"Time courses of {len(view.dofs)} DOFs in {column.title} with {len(marks)} movements.",
    )
