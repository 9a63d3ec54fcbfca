"""Task files and what was measured with them.

    emghand tasks show config/tasks/fitts.yaml
    emghand tasks show config/tasks/simple_reach.yaml --trials --json
    emghand tasks measures sessions/s01/bags/task
    emghand tasks measures sessions/s01/bags/task --figure task.png --json

`show` says how many trials the validation set has, and its SHA-256, before anything starts.
`measures` needs the bag alone: it reads what was asked (/session/spec), how it ended
(/session/trial) and the positions of the hand, and computes every measure anew. Throughput is
log2(D / W + 1) over the completion time, D the Euclidean distance over the active DOFs, W twice the
radius; the dwell is no part of the time.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emghand.evaluate.online_bag import BagTrial
    from emghand.tasks.spec import TrialSpec

HELP = "what is in a task file; online measures of a bag"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    commands = parser.add_subparsers(title="what", required=True, metavar="show|measures")
    show = commands.add_parser("show", help="settings and validation set of a task file")
    show.add_argument("file", help="YAML file of the task")
    show.add_argument("--trials", action="store_true", help="list the trials of the validation set")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(work=_show)
    found = commands.add_parser("measures", help="online measures of the trials in a bag")
    found.add_argument("bag", help="bag, or .mcap file")
    found.add_argument(
        "--topic", default="/hand/state", help="positions of the hand (default: /hand/state)"
    )
    found.add_argument("--figure", metavar="FILE", help="draw them: .png, .svg or .pdf")
    found.add_argument("--json", action="store_true", help="print JSON instead of a table")
    found.set_defaults(work=_measures)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return int(args.work(args))


def _show(args: argparse.Namespace) -> int:
    import dataclasses

    from emghand.cli.scoring import print_json
    from emghand.tasks.loader import load_task

    task = load_task(args.file)
    n = task.n_validation
    specs = task.validation()
    document: dict[str, Any] = {
        "name": task.name,
        "kind": task.kind,
        "trials": task.trials,
        "validation_trials": n,
        "validation_sha256": task.validation_digest(),
        "longest_validation_s": sum(s.time_limit + task.acquire + task.pause for s in specs),
        "settings": dataclasses.asdict(task),
    }
    if args.trials:
        document["validation"] = [dataclasses.asdict(s) for s in specs]
    if args.json:
        print_json(document)
        return 0
    print(f"{task.name} ({task.kind}), DOFs {', '.join(task.dofs)}")
    print(f"{task.trials} random trials, at most {task.time_limit:g} s each")
    longest = document["longest_validation_s"] / 60
    print(f"{n} trials in the validation set, at most {longest:.1f} min")
    print(f"validation set SHA-256 {document['validation_sha256']}")
    for p in task.perturbations:
        where = "raw EMG" if p.on_emg else "the estimate"
        print(f"perturbation {p.label}: {p.kind} on {where}")
    if args.trials:
        _print_trials(specs)
    return 0


def _print_trials(specs: tuple[TrialSpec, ...]) -> None:
    from rich.console import Console

    from emghand.cli.scoring import number_table

    rows = number_table("Validation set", "trial", ("start", "goal", "radius", r"ID \[bit]"))
    for s in specs:
        start, goal = (" ".join(f"{v:.2f}" for v in x) for x in (s.start, s.goal))
        rows.add_row(str(s.trial), start, goal, f"{s.radius:g}", f"{s.index_of_difficulty:.2f}")
    Console().print(rows)


def _measures(args: argparse.Namespace) -> int:
    from pathlib import Path

    from emghand.cli.scoring import print_json, print_saved
    from emghand.evaluate.online import summary
    from emghand.evaluate.online_bag import read_trials

    if args.figure:
        from emghand.report.figures import check_output

        check_output(args.figure)
    trials = read_trials(Path(args.bag).expanduser(), args.topic)
    whole = summary([t.measures for t in trials])
    if args.json:
        print_json({"trials": [_row(t) for t in trials], "summary": whole.to_plain()})
    else:
        _print_measures(trials)
    if args.figure:
        from emghand.report.figures import save_figure
        from emghand.report.online_figure import online_figure

        save_figure(online_figure(trials, trials[0].spec.task), args.figure)
        if not args.json:
            print_saved(args.figure)
    return 0


def _row(trial: BagTrial) -> dict[str, Any]:
    import math

    from emghand.evaluate.online import NUMBERS

    m, s = trial.measures, trial.spec
    numbers = {name: getattr(m, name) for name in NUMBERS}
    return {
        "task": s.task,
        "trial": s.trial,
        "id": s.id,
        "validation": s.validation,
        "perturbations": list(s.perturbations),
        "start": list(s.start),
        "goal": list(s.goal),
        "radius": s.radius,
        "outcome": m.outcome,
        **{k: v if math.isfinite(v) else None for k, v in numbers.items()},
        "details": dict(m.details),
    }


def _print_measures(trials: list[BagTrial]) -> None:
    from rich.console import Console

    from emghand.cli.scoring import number_table, shown
    from emghand.evaluate.online import summary

    console = Console()
    # Short, so that a line of 80 characters holds it.
    headings = ("outcome", "ID", "time", "react", "path", "over", "stop", "hold", "viol", "TP")
    rows = number_table("", "trial", headings)
    for t in trials:
        m = t.measures
        rows.add_row(
            *(str(t.spec.trial), m.outcome, shown(m.index_of_difficulty, 2)),
            *(shown(m.completion_time, 2), shown(m.reaction_time, 2)),
            *(shown(m.path_efficiency, 2), str(m.overshoots), shown(m.stopping_distance, 2)),
            *(shown(m.longest_hold, 2), str(m.hold_violations), shown(m.throughput, 2)),
        )
    console.print(rows)
    console.print(
        r"ID: index of difficulty \[bit]; time and reaction since the go, longest hold \[s]; path "
        r"efficiency; overshoots; stopping distance; hold violations; TP: throughput \[bit/s]",
        style="dim",
        highlight=False,
    )
    groups: dict[str, list[Any]] = {}
    for t in trials:
        groups.setdefault(", ".join(t.spec.perturbations), []).append(t.measures)
    for name, found in groups.items():
        s = summary(found)
        what = f"perturbed by {name}: " if name else "not perturbed: " if len(groups) > 1 else ""
        rate = f"{s.completion_rate:.0%} of {s.trials} trials completed" if s.trials else "no trial"
        console.print(
            f"{what}{rate}, throughput {shown(s.throughput, 2)} bit/s, median time "
            f"{shown(s.medians['completion_time'], 2)} s, path efficiency "
            f"{shown(s.medians['path_efficiency'], 2)}, {s.hold_violations} hold violations, "
            f"{s.cancelled} cancelled",
            highlight=False,
        )
