"""Where a subject stands in their training, what is missing for the next level, and how they came.

Session folders are read first, so that the tables in STUDY/progress are up to date; only what is
new or changed is read and computed. The study is the folder of --in, else the current folder or the
nearest one above it that has such tables. Of a new study name it once.

    emghand progress p01 --in studies/reach
    emghand progress p01 --date 2026-03-04
    emghand progress p01 --page p01.html --figures figures
    emghand progress p01 --force                   # trials without a table: from their bags
    emghand progress --study --page study.html
    emghand progress --study --json --database postgresql://me@host/training

Exit status 0, also where sessions are damaged (a warning names them; see emghand study); 1 when it
cannot be done.
"""

from __future__ import annotations

import argparse

HELP = "training status of a subject, or of a whole study"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli.studies import add_place

    parser.add_argument("subject", nargs="?", help="pseudonym")
    parser.add_argument(
        "--study", "--all", action="store_true", dest="everybody", help="all subjects instead"
    )
    add_place(parser)
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="as things were on this day")
    parser.add_argument(
        "--last", type=int, default=8, metavar="N", help="dates in the table (default: 8)"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="take trials that are in no table from the bags, also where that failed before",
    )
    parser.add_argument(
        "--warn",
        action="store_true",
        help="go on where trials cannot be read: the session counts as not computed",
    )
    parser.add_argument(
        "--no-update", action="store_true", help="look at no session, show the tables as they are"
    )
    parser.add_argument("--page", metavar="FILE.html", help="also write all of it with figures")
    parser.add_argument("--figures", metavar="DIR", help="also write each figure into this folder")
    parser.add_argument(
        "--formats", default="png,svg,pdf", help="of these, with commas (default: png,svg,pdf)"
    )
    parser.add_argument("--replace", action="store_true", help="replace files that exist already")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.cli import standings, studies
    from emghand.cli.progress import working
    from emghand.errors import UserError

    if bool(args.subject) == args.everybody:
        raise UserError("progress: name a subject, or --study for all of them")
    on = standings.day(args.date)
    standings.check_files(args)
    study = studies.opened(args)
    updates = []
    if not args.no_update:
        unreadable = "warn" if args.warn else "raise"
        with working(args.json):
            updates = study.update(args.subject or "", force=args.force, unreadable=unreadable)
    studies.warn(updates)
    if args.everybody:
        return standings.show_study(study, on, updates, args)
    return standings.show_subject(study, on, updates, args)
