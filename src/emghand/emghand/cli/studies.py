"""What the commands about a study share: which one it is, and what an update says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError, one_line

if TYPE_CHECKING:
    from emghand.progress.study import Study
    from emghand.progress.upkeep import Update


def add_place(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which study is meant."""
    parser.add_argument(
        "--in",
        dest="place",
        metavar="DIR",
        help="folder of the study (default: the current one, or the nearest above with tables)",
    )
    parser.add_argument(
        "--database", default="", metavar="URL", help="PostgreSQL instead of SQLite in the study"
    )


def opened(args: argparse.Namespace, *, empty: bool = False) -> Study:
    """The study that is meant; `empty`: it may be a folder that holds no session yet.

    Raises
    ------
    UserError
        When there is none, or it cannot be opened.
    """
    from emghand.progress.folder import find_study
    from emghand.progress.study import open_study

    path = args.place or find_study(".")
    if path is None:
        raise UserError("there is no study here; name its folder, once, with --in")
    return open_study(path, args.database, empty=empty)


def warn(updates: Iterable[Update]) -> None:
    """Say which sessions could not be read, and which are damaged."""
    for update in updates:
        for problem in update.problems:
            print(f"warning: {one_line(problem)}", file=sys.stderr)
        for broken in update.corrupted:
            print(f"warning: {broken.path}: {one_line(broken.reason)}", file=sys.stderr)


def changed(update: Update) -> dict[str, Any]:
    """What an update did, as plain values."""
    return {
        "sessions": list(update.put),
        "removed": list(update.removed),
        "moved": list(update.moved),
        "since": update.since.isoformat() if update.since else None,
        "dates": update.dates,
        "problems": list(update.problems),
        "damaged": {b.path: b.reason for b in update.corrupted},
    }
