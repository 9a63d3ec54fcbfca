"""What `emghand progress` prints and writes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emghand.cli.scoring import number_table, print_json, shown
from emghand.cli.studies import changed
from emghand.errors import UserError

if TYPE_CHECKING:
    from emghand.progress.standing import Standing
    from emghand.progress.study import Study
    from emghand.progress.upkeep import Update
    from emghand.report.html import Section

_COLUMNS = {
    "trials": "n_trials",
    "1 DOF": "completion_single",
    "2 DOFs": "completion_pair",
    "time \\[s]": "time_to_target",
    "NRMSE": "nrmse",
}


def day(text: str | None) -> date | None:
    """A date of the command line.

    Raises
    ------
    UserError
        When it makes no sense.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserError(f"--date {text}: write it as 2026-03-04") from None


def check_files(args: argparse.Namespace) -> None:
    """Refuse names of files before anything is read.

    Raises
    ------
    UserError
        When one exists, or is no HTML file, or a figure cannot be drawn.
    """
    if args.last < 1:
        raise UserError(f"--last {args.last}: give 1 or more")
    if args.page is None and args.figures is None:
        return
    from emghand.report import style
    from emghand.report.files import check_free
    from emghand.storage.files import check_new

    if args.page is not None:
        if Path(args.page).suffix.lower() not in (".html", ".htm"):
            raise UserError(f"{args.page}: name the page .html")
        check_new(args.page, replace=True)
        check_free([Path(args.page)], args.replace)
    for kind in _formats(args):
        if kind not in style.FORMATS:
            raise UserError(f"{kind!r} is no format, choose from: {', '.join(style.FORMATS)}")
    with style.drawing():
        pass


def show_subject(
    study: Study, on: date | None, updates: Sequence[Update], args: argparse.Namespace
) -> int:
    """Print where one subject stands."""
    from emghand.progress.standing import plain_dates, standing

    name: str = args.subject
    _check_known(study, name)
    found = standing(study.store.dates(name), on)
    written = []
    if args.page or args.figures:
        from emghand.progress.page import subject_sections

        sessions, trials = study.store.sessions(name), study.store.trials(name)
        sessions = sessions[sessions["date"] <= found.day]
        trials = trials[trials["session_id"].isin(sessions["session_id"])]
        written = _write(
            f"Progress of {name}", subject_sections(found.dates, sessions, trials), args
        )
    if args.json:
        said = {"study": str(study.path), **found.document(), "dates": plain_dates(found.dates)}
        said["update"] = changed(updates[0]) if updates else None
        print_json(said | {"files": written})
        return 0
    _print_subject(found, args.last)
    _print_done(updates, written)
    return 0


def show_study(
    study: Study, on: date | None, updates: Sequence[Update], args: argparse.Namespace
) -> int:
    """Print where everybody stands."""
    from emghand.progress.standing import standing

    everybody = {}
    for name in study.store.subjects():
        dates = study.store.dates(name)
        if on is None or dates["date"].iloc[0] <= on:
            everybody[name] = standing(dates, on)
    if not everybody:
        raise UserError(f"study {study.path}: there is no session" + (f" up to {on}" if on else ""))
    written = []
    if args.page or args.figures:
        from emghand.progress.page import study_sections

        sections = study_sections({name: found.dates for name, found in everybody.items()})
        written = _write(f"Progress in {study.path.name}", sections, args)
    if args.json:
        done = {update.subject: changed(update) for update in updates}
        subjects = {n: s.document() | {"update": done.get(n)} for n, s in everybody.items()}
        print_json({"study": str(study.path), "subjects": subjects, "files": written})
        return 0
    _print_study(study.path, list(everybody.values()))
    _print_done(updates, written)
    return 0


def _check_known(study: Study, name: str) -> None:
    known = study.store.subjects()
    if name not in known:
        raise UserError(
            f"subject {name}: has no session in {study.path}; known: {', '.join(known) or 'nobody'}"
        )


def _formats(args: argparse.Namespace) -> tuple[str, ...]:
    return tuple(f.strip() for f in args.formats.split(",") if f.strip())


def _write(title: str, sections: list[Section], args: argparse.Namespace) -> list[str]:
    from emghand.progress.page import write_page

    written = write_page(
        title,
        sections,
        args.page,
        figures=args.figures,
        formats=_formats(args),
        replace=args.replace,
    )
    return [str(path) for path in written]


def _print_done(updates: Sequence[Update], written: Sequence[str]) -> None:
    read = sum(len(u.put) for u in updates)
    removed = sum(len(u.removed) for u in updates)
    dates = sum(u.dates for u in updates)
    if read or removed or dates:
        print(f"tables: {read} sessions read, {removed} removed, {dates} dates computed")
    for path in written:
        print(f"wrote {path}")


def _print_subject(found: Standing, last: int) -> None:
    from rich.console import Console

    from emghand.progress.levels import MEANING, plain_name

    console = Console()
    console.print(
        f"{found.subject} on {found.day}: [bold]{plain_name(found.status)}[/] "
        f"({MEANING[found.status]})",
        highlight=False,
        soft_wrap=True,
    )
    if found.raw_status != found.status:
        console.print(
            f"raw status: [bold]{plain_name(found.raw_status)}[/], which is what this date and its "
            "window say by themselves",
            highlight=False,
            soft_wrap=True,
        )
    if found.advice:
        console.print(f"advice: {found.advice}", highlight=False, soft_wrap=True)
    _print_missing(found)
    table = number_table("First reached", "level", ("date", "session"))
    for level, (first, session) in found.reached.items():
        table.add_row(plain_name(level), first.isoformat(), session[:12])
    console.print(table)
    _print_dates(found, last)


def _print_missing(found: Standing) -> None:
    from rich.console import Console
    from rich.markup import escape

    from emghand.progress.levels import plain_name
    from emghand.progress.status import shown_value

    if not found.missing:
        Console().print("Nothing is missing: this is the highest level.")
        return
    title = f"Missing for {plain_name(found.next_level)}"
    table = number_table(title, "criterion", ("value", "needs"))
    for entry in found.missing:
        value = "not known" if entry["value"] is None else shown_value(entry["value"])
        sign = "" if entry["comparison"] == "==" else f"{entry['comparison']} "
        text = entry["text"] + (f" ({entry['why']})" if entry["why"] else "")
        table.add_row(escape(text), value, f"{sign}{shown_value(entry['threshold'])}")
    Console().print(table)


def _print_dates(found: Standing, last: int) -> None:
    from rich.console import Console

    from emghand.progress.levels import plain_name

    rows = found.dates.tail(last)
    rows = rows.astype("object").where(rows.notna(), None)
    title = f"Last {len(rows)} of {len(found.dates)} dates"
    window = json.loads(rows.iloc[-1]["window"])
    table = number_table(title, "date", ("raw status", "place", *_COLUMNS))
    # Where it is narrow the words of a level are put below each other, before anything else.
    table.columns[0].no_wrap, table.columns[1].no_wrap = True, False
    for row in rows.to_dict("records"):
        values = [row[name] for name in _COLUMNS.values()]
        numbers = [str(v) if isinstance(v, int) else shown(v, 2) for v in values]
        when = row["date"].isoformat()
        mark = "*" if when in window else ""
        table.add_row(when + mark, plain_name(row["raw_status"]), row["place"], *numbers)
    Console().print(table)
    if window:
        Console().print("* the window that the raw status is judged by", style="dim")


def _print_study(path: Path, everybody: Sequence[Standing]) -> None:
    from rich.console import Console

    from emghand.progress.levels import plain_name

    console = Console()
    heads = ("status", "raw status", "last date", "sessions", "trials")
    table = number_table(f"Progress in {path.name}", "subject", heads)
    for found in everybody:
        counts: list[Any] = [
            int(found.dates["n_sessions"].sum()),
            int(found.dates["n_trials"].sum()),
        ]
        table.add_row(
            found.subject,
            plain_name(found.status),
            "same" if found.raw_status == found.status else plain_name(found.raw_status),
            found.day.isoformat(),
            *map(str, counts),
        )
    console.print(table)
    for found in everybody:
        if found.sentences:
            more = f" (and {len(found.sentences) - 1} more)" if len(found.sentences) > 1 else ""
            console.print(
                f"{found.subject}: missing for {plain_name(found.next_level)}: "
                f"{found.sentences[0]}{more}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        if found.advice:
            advice = f"{found.subject}: advice: {found.advice}"
            console.print(advice, highlight=False, markup=False, soft_wrap=True)
