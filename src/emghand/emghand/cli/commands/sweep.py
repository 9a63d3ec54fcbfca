"""Run many cross-validations or selections of actions, on all cores or on a cluster.

A YAML file describes the sweep (docs/sweeps.md); the word `actions` stands for the choice of 5 of
24 actions by simulated people. Every finished task is stored at once in the directory of the sweep:
when it was stopped, in whatever way, the same command goes on where it was. Prints a table, and
writes results.json and results.csv. The results do not depend on what ran them.

    emghand sweep decoders.yaml
    emghand sweep decoders.yaml --jobs 4 --output results/decoders
    emghand sweep decoders.yaml --scheduler tcp://127.0.0.1:8786
    emghand sweep actions --subjects 10 --choose 5
"""

from __future__ import annotations

import argparse
from pathlib import Path

from emghand.cli import sweeping

HELP = "run many cross-validations or action selections, on all cores or a cluster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("sweep", help="YAML file of a sweep, or the word: actions")
    parser.add_argument(
        "--output", metavar="DIRECTORY", help="of the sweep (default: FILE.sweep, actions.sweep)"
    )
    sweeping.add_arguments(parser)
    parser.add_argument(
        "--subjects", type=int, default=1, metavar="N", help="of `actions`: simulated people"
    )
    parser.add_argument(
        "--choose", type=int, default=5, metavar="M", help="of `actions`: how many to choose"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Run the command; exit status 1 when a task failed."""
    import json

    from emghand.cli.ranges import check_ranges
    from emghand.sweep.sweep import MOST_SUBJECTS, load_sweep, make_sweep

    check_ranges(args, subjects=MOST_SUBJECTS)
    path = Path(args.sweep)
    if args.sweep == "actions":
        seeds = list(range(1, args.subjects + 1))
        sweep = make_sweep({"kind": "actions", "subjects": seeds, "choose": args.choose})
    else:
        sweep = load_sweep(path)
    report = sweeping.run(args, sweep, args.output or str(path.with_suffix(".sweep")))
    if args.json:
        print(json.dumps(report.as_dict(sweep), indent=1))
    else:
        sweeping.print_table(f"{sweep.kind}, {len(report.tasks)} tasks", report.table)
    return 1 if report.errors else 0
