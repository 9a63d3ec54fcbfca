"""What the commands `collect`, `test` and `task` share."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a prompted activity."""
    parser.add_argument("session", help="session directory; made when it does not exist")
    parser.add_argument("movements", help="YAML file with the movement set")
    parser.add_argument("--subject", default="", help="pseudonym; needed for a new session")
    parser.add_argument("--repetitions", type=int, default=0, help="instead of those of the file")
    parser.add_argument("--shuffle", action="store_true", help="shuffle within each repetition")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffle (default: 0)")
    parser.add_argument("--label", default="", help="name of the bag (default: the activity)")
    parser.add_argument(
        "--first", type=int, default=0, help="trial to begin with (see emghand session resume)"
    )
    parser.add_argument("--no-record", action="store_true", help="record nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run_activity(args: argparse.Namespace, activity: str) -> int:
    """Run ``collect`` or ``test`` on the running graph; exit status 0 when it was finished."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from emghand.cli.ranges import COUNTS, SEEDS, check_ranges
    from emghand.client import GraphClient
    from emghand.client import Progress as Step
    from emghand.storage.recording import PeriodKind

    check_ranges(args, repetitions=2**16 - 1, seed=SEEDS, first=COUNTS)
    goal: dict[str, Any] = {
        "session": str(Path(args.session).expanduser().absolute()),
        "subject": args.subject,
        "movement_set": str(Path(args.movements).expanduser().absolute()),
        "repetitions": args.repetitions,
        "shuffle": args.shuffle,
        "seed": args.seed,
        "record": not args.no_record,
        "label": args.label,
        "first": args.first,
    }
    bar = Progress(
        TextColumn("{task.description:32}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} trials"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=args.json or not sys.stderr.isatty(),
        transient=True,
    )
    with GraphClient() as graph, contextlib.ExitStack() as shown:
        task = bar.add_task(activity, total=None)

        def show(step: Step) -> None:
            if not bar.live.is_started:
                shown.enter_context(bar)
            what = f"{step.movement} {PeriodKind(step.period).name.lower()}".strip()
            bar.update(task, description=what, completed=step.trial, total=step.n_trials)

        result = getattr(graph, activity)(show, **goal)
    report = json.loads(result.report or "{}")
    if args.json:
        print(
            json.dumps(
                {
                    "success": result.success,
                    "message": result.message,
                    "session": result.session,
                    "bag": result.bag,
                    "trials": result.trials,
                    "recording": report,
                },
                indent=1,
            )
        )
    elif result.success:
        recorded = f", recorded in {result.bag}, {report.get('lost')} lost" if result.bag else ""
        print(f"{result.message}{recorded}")
    else:
        print_failure(result)
    if graph.interrupted:
        return 130
    return 0 if result.success else 1


def print_failure(result: Any) -> None:
    """Say why a run was not finished, and how to go on where something of it was recorded."""
    print(f"error: {result.message}", file=sys.stderr)
    if result.bag:
        print(f"go on with: emghand session resume {result.session} --run", file=sys.stderr)
