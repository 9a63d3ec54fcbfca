"""Choose the actions that a person can tell apart best.

select: from a screening of many actions (config/movements/actions_screening.yaml), choose the m
that make the best DOFs for this person: the smallest sum of each action's cross-validated error and
of the cross-validated confusion of each pair. Writes a map that `emghand train --actions` reads.
Where the session also has a bag test*, every choice is tested on it.

    emghand collect sessions/s01 config/movements/actions_screening.yaml --subject p01
    emghand test sessions/s01 config/movements/actions_test.yaml
    emghand actions select sessions/s01 --choose 5 --output map.yaml
    emghand train sessions/s01 --actions map.yaml
    emghand actions select --simulate --seed 3 --choose 5 --output map.yaml
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from emghand.cli import sweeping
from emghand.errors import UserError

HELP = "choose the muscle actions that suit a person best"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    select = actions.add_parser("select", help="choose m of the screened actions, write a map")
    select.add_argument(
        "session", nargs="?", help="session with the screening in its bags collect*"
    )
    select.add_argument("--simulate", action="store_true", help="a synthetic person instead")
    select.add_argument("--seed", type=int, default=1, help="of the synthetic person (default: 1)")
    select.add_argument(
        "--choose", type=int, default=5, metavar="M", help="how many actions (default: 5)"
    )
    select.add_argument(
        "--method",
        default="exact",
        help="greedy, first_order, second_order or exact (default: exact)",
    )
    select.add_argument("--decoder", default="ridge", help="kind of decoder (default: ridge)")
    select.add_argument(
        "--dofs", nargs="+", default=[], metavar="DOF", help="DOFs to drive (default: the hand's)"
    )
    select.add_argument("--output", required=True, metavar="MAP", help="YAML file to write")
    sweeping.add_arguments(select)
    select.add_argument("--json", action="store_true", help="print JSON instead of a table")
    select.set_defaults(action=_select)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return int(args.action(args))


def _select(args: argparse.Namespace) -> int:
    import json

    from emghand.actions import METHODS
    from emghand.actions.sweep import ActionSweep, recorded_subject, simulated_subject
    from emghand.storage.files import check_new
    from emghand.training import TrainSettings

    if args.simulate == bool(args.session):
        raise UserError("name a session or give --simulate, one of both")
    if args.method not in METHODS:
        raise UserError(f"method {args.method!r}: unknown, choose from: {', '.join(METHODS)}")
    output = Path(args.output)
    check_new(output)
    subject = simulated_subject(args.seed) if args.simulate else recorded_subject(args.session)
    sweep = ActionSweep((subject,), args.choose, TrainSettings(args.decoder))
    report = sweeping.run(args, sweep, str(output.with_suffix(".sweep")))
    for error in dict.fromkeys(report.errors.values()):
        print(f"error: {error}", file=sys.stderr)
    chosen = sweep.action_map(subject, report.results, args.method, args.dofs)
    chosen.save(output)
    if args.json:
        drives = chosen.as_dict()["drives"]
        print(json.dumps({"map": str(output), "drives": drives, "table": report.table}, indent=1))
        return 0
    sweeping.print_table(f"{subject.name}: {args.choose} of {len(subject.actions)}", report.table)
    for drive in chosen.drives:
        print(f"{drive.action} drives {drive.dof}")
    print(f"wrote {output}")
    return 1 if report.errors else 0
