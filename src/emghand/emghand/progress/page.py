"""Reports of progress: a page of one subject, and one of a whole study."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError
from emghand.progress.curve import PARAMETERS
from emghand.progress.curve_figures import curve_figure, parameters_figure, window_curves
from emghand.progress.figures import (
    performance_figure,
    practice_figure,
    size_figure,
    status_figure,
)
from emghand.progress.levels import EARNED, LEVELS, MEANING, plain_name
from emghand.progress.overview import overview_figure
from emghand.progress.status import first_reached, missing_of
from emghand.report import style
from emghand.report.figures import save_figure
from emghand.report.files import check_free
from emghand.report.html import Cell, Picture, Section, Table, page
from emghand.report.sources import plain, slug
from emghand.storage.files import make_folder, write_file
from emghand.version import code_version

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SHOWN = {
    "n_trials": "trials",
    "completion_single": "one DOF reached",
    "completion_pair": "two DOFs reached",
    "time_to_target": "time to target [s]",
    "path_efficiency": "path efficiency",
    "overshoots": "overshoots",
    "hold": "hold [s]",
    "nrmse": "NRMSE",
    "unintended": "unintended",
}
_LINES = " Lines: where each level was first reached."


def subject_sections(
    dates: pd.DataFrame, sessions: pd.DataFrame, trials: pd.DataFrame
) -> list[Section]:
    """Sections about one subject, for a page of its own or as part of a report.

    Parameters
    ----------
    dates : DataFrame
        From `emghand.progress.status.compute_status`, at least one row.
    sessions, trials : DataFrame
        Of the same subject.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no session.
    """
    if dates.empty:
        raise UserError("there is no session to report")
    left_out = Section("Left out")
    curves = window_curves(dates, sessions, trials)
    figures: dict[str, tuple[str, Callable[[], Figure], str, str]] = {
        "status": (
            "Status",
            lambda: status_figure(dates),
            "Status of each date. Points: the raw status, what the date and its window say by "
            "themselves. Line: the highest one so far. Where a point lies below the line the "
            "person has gone back.",
            "Raw and monotone status by day.",
        ),
        "practice": (
            "Practice",
            lambda: practice_figure(dates, sessions),
            "Scored trials by day and by how many DOFs count, and minutes by day and place."
            + _LINES,
            "Bars of trials and of minutes by day.",
        ),
        "performance": (
            "Success and time",
            lambda: performance_figure(dates, sessions, trials),
            "Share of targets that were reached, and time to target of these: median and "
            "quartiles." + _LINES,
            "Success and time to target by day.",
        ),
        "sizes": (
            "Target size",
            lambda: size_figure(dates, sessions, trials),
            "Share of targets that were reached, by their radius and day." + _LINES,
            "Map of success by target size and day.",
        ),
        "curve": (
            "Success against difficulty",
            lambda: curve_figure(curves),
            "Share of targets that were reached against index of difficulty, in the first window "
            "and in the latest one: measured with intervals of 95 % (Wilson), and the curve of "
            "maximum likelihood with its band of 95 % (profile likelihood).",
            "Success against index of difficulty with a fitted curve.",
        ),
        "parameters": (
            "The curve over days",
            lambda: parameters_figure(dates, curves),
            "What was fitted to the window of each date, with intervals of 95 %. Arrows and hollow "
            "points: the trials do not say how far up, for instance because none was so hard."
            + _LINES,
            "Bias, threshold and lapses over days.",
        ),
    }
    drawn = [_drawn(name, *how, left_out) for name, how in figures.items()]
    drawn[-1].tables.append(_curve_table(curves))
    return [
        _standing(dates),
        *drawn,
        Section("Dates", tables=[_date_table(dates)]),
        left_out,
    ]


def study_sections(subjects: Mapping[str, pd.DataFrame]) -> list[Section]:
    """Sections about all subjects of a study.

    Parameters
    ----------
    subjects : mapping of str to DataFrame
        From `emghand.progress.status.compute_status`.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no subject with a session.
    """
    overview = Section("All subjects")
    caption = (
        "A row for each subject. Height and colour: the status, the highest one so far. Line: the "
        "raw status; where it runs lower, the person has gone back."
    )
    overview.pictures.append(
        Picture("study", overview_figure(subjects), caption, "Status of every subject over days.")
    )
    rows: list[list[Cell]] = []
    asked: list[list[Cell]] = []
    advised = []
    for name, dates in subjects.items():
        if dates.empty:
            continue
        last = dates.iloc[-1]
        asked += [[plain(name), text] for text in missing_of(last)[:1]]
        rows.append(
            [
                plain(name),
                plain_name(last["status"]),
                plain_name(last["raw_status"]),
                last["date"].isoformat(),
                int(dates["n_sessions"].sum()),
                int(dates["n_trials"].sum()),
            ]
        )
        if last["advice"]:
            advised.append(f"{plain(name)}: {last['advice']}")
    head = ("", "status", "raw status", "last date", "sessions", "trials")
    overview.tables.append(Table("Where they stand", head, rows, key="study"))
    overview.tables.append(
        Table("First that is missing for the next level", ("", ""), asked, key="missing")
    )
    overview.warnings += advised
    return [overview]


def write_page(
    title: str,
    sections: list[Section],
    output: str | Path | None,
    *,
    figures: str | Path | None = None,
    formats: tuple[str, ...] = style.FORMATS,
    replace: bool = False,
) -> list[Path]:
    """Write sections as one HTML file that opens offline, and their figures where asked for.

    Parameters
    ----------
    title : str
    sections : list of Section
    output : path or None
        HTML file; None: only the figures.
    figures : path, optional
        Folder for the figures.
    formats : tuple of str
        Of these.
    replace : bool
        Whether files that exist may be replaced.

    Raises
    ------
    UserError
        When a file exists or cannot be written, or a format is unknown.
    """
    pages = [] if output is None else [Path(output)]
    pictures = [p for s in sections for p in s.pictures]
    files = {}
    if figures is not None:
        files = {Path(figures) / f"{slug(p.name)}.{k}": p for p in pictures for k in formats}
    check_free([*pages, *files], replace)
    for path in pages:
        html = page(title, f"Made by emghand {code_version()}.", sections)
        write_file(path, html.encode(), replace=replace)
    if figures is not None:
        make_folder(figures)
    for path, picture in files.items():
        save_figure(picture.figure, path, replace=replace)
    return [*pages, *files]


def _drawn(
    name: str, title: str, draw: Callable[[], Figure], caption: str, alt: str, left_out: Section
) -> Section:
    section = Section(title)
    try:
        section.pictures.append(Picture(name, draw(), caption, alt))
    except UserError as error:
        left_out.text.append(f"{title}: {error}")
    return section


def _standing(dates: pd.DataFrame) -> Section:
    last = dates.iloc[-1]
    status, raw = last["status"], last["raw_status"]
    section = Section("Where this person stands")
    section.text.append(f"On {last['date'].isoformat()}: {plain_name(status)} ({MEANING[status]}).")
    if last["advice"]:
        section.warnings.append(last["advice"])
    elif raw != status:
        section.warnings.append(
            f"This is the highest level so far. By itself this date stands at {plain_name(raw)} "
            f"({MEANING[raw]})."
        )
    missing = missing_of(last)
    if missing:
        level = plain_name(json.loads(last["missing"])[0]["level"])
        section.text.append(f"Missing for {level}: {len(missing)} of its criteria.")
    section.tables.append(_criteria_table(json.loads(last["criteria"])))
    rows: list[list[Cell]] = [
        [plain_name(level), day.isoformat(), session]
        for level, (day, session) in first_reached(dates).items()
    ]
    section.tables.append(
        Table(
            "Levels and when they were first reached", ("", "date", "session"), rows, key="levels"
        )
    )
    return section


def _criteria_table(criteria: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for level in EARNED:
        for entry in criteria.values():
            if entry["level"] == level:
                needs = f"{entry['comparison']} {_word(entry['threshold'])}"
                value = entry["value"]
                known = value if isinstance(value, float | int | None) else str(value)
                rows.append(
                    [
                        plain_name(level),
                        entry["text"],
                        _word(value) if isinstance(value, bool) else known,
                        needs.removeprefix("== "),
                        "yes" if entry["pass"] else "no",
                        entry["why"],
                    ]
                )
    head = ("", "criterion", "value", "needs", "passed", "")
    return Table("Criteria on this date", head, rows, key="criteria")


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "passed" if value else "failed"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _date_table(dates: pd.DataFrame) -> Table:
    known = dates.astype("object").where(dates.notna(), None)
    rows: list[list[Cell]] = [
        [
            row["date"].isoformat(),
            plain_name(row["status"]),
            plain_name(row["raw_status"]),
            row["n_sessions"],
            *(row[name] for name in _SHOWN),
        ]
        for row in known.to_dict("records")
    ]
    head = ("", "status", "raw status", "sessions", *_SHOWN.values())
    return Table("Every date", head, rows, key="dates", folded=len(rows) > len(LEVELS))


def _curve_table(curves: Mapping[Any, Any]) -> Table:
    rows: list[list[Cell]] = []
    for day, window in curves.items():
        cells: list[Cell] = []
        for name in PARAMETERS:
            known = window.curve is not None
            cells += [getattr(window.curve, name), *window.curve.intervals[name]] if known else []
        rows.append([day.isoformat(), len(window.reached), *(cells or [None] * 12), window.why])
    names = [n.replace("_", " ") for n in PARAMETERS]
    head = ("", "trials", *(h for n in names for h in (n, "from", "to")), "")
    return Table("Curve of each window", head, rows, key="curves", folded=True)
