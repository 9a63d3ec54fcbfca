"""Run the trials of a task with the running decoder; measures are shown and recorded.

The graph must be running and the hand armed. Nothing is perturbed unless --perturb says so, and
that needs the graph of `emghand up task`.

Examples
--------
  emghand task config/tasks/fitts.yaml sessions/s01 --validation
  emghand task config/tasks/simple_reach.yaml sessions/s01 --trials 10 --seed 3
  emghand task config/tasks/perturbed_reach.yaml sessions/s01 --perturb dead --perturb curl
  emghand task config/tasks/fitts.yaml sessions/s01 --validation --first 12 --json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

HELP = "run a task (reach, hold, Fitts, TAC, motion test)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("file", type=_task_file, help="YAML file of the task")
    parser.add_argument("session", help="session directory; made when it does not exist")
    parser.add_argument("--subject", default="", help="pseudonym; needed for a new session")
    parser.add_argument(
        "--validation", action="store_true", help="the frozen validation set, not random trials"
    )
    parser.add_argument("--trials", type=int, default=0, help="instead of those of the file")
    parser.add_argument("--seed", type=int, default=0, help="of random trials (default: 0)")
    parser.add_argument(
        "--perturb",
        action="append",
        default=[],
        metavar="LABEL",
        help="activate a perturbation; '*': all; may be given several times",
    )
    parser.add_argument("--first", type=int, default=0, help="begin with this trial, to resume")
    parser.add_argument("--label", default="", help="name of the bag (default: task)")
    parser.add_argument("--no-record", action="store_true", help="record nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from emghand.cli.ranges import COUNTS, SEEDS, check_ranges
    from emghand.client import GraphClient
    from emghand.tasks.loader import load_task

    check_ranges(args, trials=COUNTS, first=COUNTS, seed=SEEDS)
    task = load_task(args.file)
    if args.validation and not args.json:
        print(f"{task.n_validation} trials in the validation set of {task.name}", file=sys.stderr)
    goal: dict[str, Any] = {
        "session": str(Path(args.session).expanduser().absolute()),
        "subject": args.subject,
        "task": str(Path(args.file).expanduser().absolute()),
        "trials": args.trials,
        "validation": args.validation,
        "seed": args.seed,
        "perturbations": args.perturb,
        "first": args.first,
        "record": not args.no_record,
        "label": args.label,
    }
    bar = Progress(
        TextColumn("{task.description:40}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} trials"),
        console=Console(stderr=True),
        disable=args.json or not sys.stderr.isatty(),
        transient=True,
    )
    with GraphClient() as graph, contextlib.ExitStack() as shown:
        from emghand_interfaces.action import RunTask

        row = bar.add_task(task.name, total=None)

        def show(f: Any) -> None:
            if not bar.live.is_started:
                shown.enter_context(bar)
            what = f"{f.epoch} {f.elapsed:.1f} s, distance {f.distance:.2f}, {f.completed} done"
            bar.update(row, description=what, completed=f.trial, total=f.n_trials)

        result = graph.act(RunTask, "/session/run_task", goal, show)
    _print(result, args.json)
    if graph.interrupted:
        return 130
    return 0 if result.success else 1


def _task_file(text: str) -> str:
    """Other commands take the session first."""
    if Path(text).expanduser().is_dir():
        raise argparse.ArgumentTypeError(
            f"{text} is a directory; the task file comes first, then the session"
        )
    return text


def _print(result: Any, as_json: bool) -> None:
    from emghand.cli.activity import print_failure

    measures = json.loads(result.measures or "{}")
    report = json.loads(result.report or "{}")
    if as_json:
        document = {
            "success": result.success,
            "message": result.message,
            "session": result.session,
            "bag": result.bag,
            "trials": result.trials,
            "completed": result.completed,
            "measures": measures,
            "recording": report,
        }
        print(json.dumps(document, indent=1))
        return
    if not result.success:
        print_failure(result)
        return
    recorded = f", recorded in {result.bag}, {report.get('lost')} lost" if result.bag else ""
    throughput = measures.get("throughput")
    rate = f", throughput {throughput:.2f} bit/s" if throughput is not None else ""
    print(f"{result.message}{rate}{recorded}")
