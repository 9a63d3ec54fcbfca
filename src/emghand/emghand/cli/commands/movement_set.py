"""Look at movement sets, and take them from and to the line format of an older program.

A line is NAME;FLAG;twelve times AMPLITUDE,DELAY,RISE,HOLD;RADIUS; and docs/movements_files.md
says more. What is wrong in a file is named with line and column.

    emghand movement-set show config/movements/singles.yaml --shuffle --seed 3
    emghand movement-set import movements.txt --output train.yaml --repetitions 5 --rest 1.2
    emghand movement-set import pairs.txt --output pairs.yaml --dofs thumb_flex index_flex:0:1
    emghand movement-set export train.yaml --output movements.txt
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emghand.tasks.movements import MovementSet, Schedule

HELP = "show a movement set, import or export the line format"
ORDERS = ("listed", "random", "blocked")
LACKS = ("repetitions", "prompt", "rest", "order")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="movements, duration, and the order of the trials")
    show.add_argument("file", help="movement set, YAML")
    show.add_argument("--repetitions", type=int, default=0, help="instead of those of the file")
    show.add_argument("--shuffle", action="store_true", help="as in emghand collect")
    show.add_argument("--seed", type=int, default=0, help="of the shuffle (default: 0)")
    show.add_argument("--json", action="store_true", help="print JSON instead of tables")
    show.set_defaults(action=_show)
    take = actions.add_parser("import", help="make a YAML file from lines")
    take.add_argument("file", help="text file in the line format")
    take.add_argument("--output", required=True, metavar="FILE.yaml", help="file to write")
    take.add_argument(
        "--dofs", nargs="+", default=[], metavar="DOF", help="of the set (default: those that move)"
    )
    take.add_argument("--repetitions", type=int, help="of the whole set (default: 3)")
    take.add_argument("--prompt", type=float, metavar="S", help="announcement (default: 0)")
    take.add_argument("--rest", type=float, metavar="S", help="after a movement (default: 1)")
    take.add_argument("--order", choices=ORDERS, help="of the trials (default: listed)")
    take.set_defaults(action=_import)
    give = actions.add_parser("export", help="make lines from a YAML file")
    give.add_argument("file", help="movement set, YAML")
    give.add_argument("--output", required=True, metavar="FILE.txt", help="file to write")
    give.set_defaults(action=_export)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return int(args.action(args))


def _import(args: argparse.Namespace) -> int:
    from pathlib import Path

    from emghand.storage.files import check_new, write_file
    from emghand.tasks.movement_files import format_yaml, read_lines

    check_new(args.output)
    given = {key: getattr(args, key) for key in LACKS if getattr(args, key) is not None}
    movements = read_lines(args.file, args.dofs, name=Path(args.output).stem, **given)
    write_file(args.output, format_yaml(movements).encode())
    dofs = ", ".join(dof.name for dof in movements.dofs)
    print(f"wrote {args.output}: {len(movements.movements)} movements of {dofs}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from emghand.storage.files import check_new, write_file
    from emghand.tasks.movement_files import format_lines
    from emghand.tasks.movements import load_movement_set

    check_new(args.output)
    movements = load_movement_set(args.file)
    write_file(args.output, format_lines(movements).encode())
    print(f"wrote {args.output}: {len(movements.movements)} movements")
    lost = ", ".join(f"{key} {getattr(movements, key)}" for key in LACKS)
    print(f"not part of the format, nor are the ranges of DOFs: {lost}")
    return 0


def _show(args: argparse.Namespace) -> int:
    from emghand.cli.ranges import SEEDS, check_ranges
    from emghand.tasks.movements import MOST_TRIALS, Schedule, load_movement_set

    check_ranges(args, repetitions=MOST_TRIALS, seed=SEEDS)
    movements = load_movement_set(args.file)
    schedule = Schedule(movements, args.repetitions or None, shuffle=args.shuffle, seed=args.seed)
    if args.json:
        from emghand.cli.scoring import print_json

        print_json(_document(movements, schedule))
    else:
        _print(movements, schedule)
    return 0


def _document(movements: MovementSet, schedule: Schedule) -> dict[str, Any]:
    import dataclasses

    return {
        "movement_set": dataclasses.asdict(movements),
        "order": schedule.order,
        "seed": schedule.seed,
        "duration_s": schedule.duration,
        "trials": [
            {
                "movement": trial.movement.name,
                "movement_index": trial.movement_index,
                "repetition": trial.repetition,
                "start_s": trial.start,
                "move_s": trial.move,
                "end_s": trial.end,
            }
            for trial in schedule.trials
        ],
    }


def _print(movements: MovementSet, schedule: Schedule) -> None:
    from rich.console import Console

    from emghand.cli.scoring import number_table

    headings = ("target", r"delay \[s]", r"rise \[s]", r"hold \[s]", r"fall \[s]", "radius")
    rows = number_table(movements.name, "movement, DOFs", headings)
    for movement in movements.movements:
        rows.add_row(movement.name, *[""] * 5, f"{movement.radius:g}", style="bold")
        for name, target in movement.targets.items():
            own = movement.timing_of(name)
            numbers = (target, own.delay, own.rise, own.hold, own.fall)
            rows.add_row(f"  {name}", *(f"{x:g}" for x in numbers), "")
    console = Console()
    console.print(rows)
    console.print(
        f"{len(schedule.trials)} trials in {schedule.duration:.1f} s, order {schedule.order}, "
        f"seed {schedule.seed}; prompt {movements.prompt:g} s, rest {movements.rest:g} s",
        highlight=False,
    )
    names = " ".join(trial.movement.name.replace(" ", "_") for trial in schedule.trials)
    console.print(names, style="dim", highlight=False, markup=False)
