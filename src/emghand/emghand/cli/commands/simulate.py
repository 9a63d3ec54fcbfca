"""Simulate the EMG of a person who follows a movement set, and what a model makes of it.

The person is synthetic: the same seed is the same person, another run another day. With --model the
file also holds `x_hat` and `out_x_hat`, decoded by the code that runs live. The file is a recording
like any other.

    emghand simulate config/movements/demo.yaml --output person1.npz
    emghand simulate config/movements/demo.yaml --output day2.npz --run 1 --repetitions 5 --shuffle
    emghand simulate config/movements/demo.yaml --model first.emgmodel --output decoded.npz
    emghand simulate config/movements/demo.yaml --output drift.npz --set drift_gain=0.3

With the word study it makes the sessions of a whole study over weeks instead: 12 people who learn,
each in their own way, at a hand that moves without EMG. The same seed makes the same study.

    emghand simulate study studies/generated
    emghand simulate study studies/small --subjects 3 --sessions 8 --seed 2 --set trials=0.5
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "simulate the EMG of a person who follows movements, or a study over weeks"
STUDY = "study"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "movements", metavar="MOVEMENTS|study", help="YAML file with the movement set, or study"
    )
    parser.add_argument("folder", nargs="?", help="of a study: where to make it")
    parser.add_argument("--output", metavar="FILE.npz", help="file to write")
    parser.add_argument("--seed", type=int, default=1, help="makes the person (default: 1)")
    parser.add_argument("--run", dest="day", type=int, default=0, help="makes the day (default: 0)")
    parser.add_argument("--repetitions", type=int, default=0, help="instead of those of the file")
    parser.add_argument("--shuffle", action="store_true", help="shuffle within each repetition")
    parser.add_argument("--model", metavar="FILE", help="decode it with this model")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="setting of the synthetic arm, or of the study, in YAML: n_channels=8; may be given "
        "several times",
    )
    parser.add_argument("--subjects", type=int, help="people of a study (default: 12)")
    parser.add_argument("--sessions", type=int, help="sessions of each of them (default: 40)")
    parser.add_argument("--jobs", type=int, help="processes for a study (default: processors)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return _study(args) if args.movements == STUDY else _recording(args)


def _study(args: argparse.Namespace) -> int:
    import json
    import time

    from emghand.cli.examples import assignments
    from emghand.cli.progress import working
    from emghand.errors import UserError
    from emghand.settings import from_mapping
    from emghand.simulate.study.making import make_study
    from emghand.simulate.study.sitting import StudySettings

    if not args.folder:
        raise UserError("simulate study: name the folder to make")
    if args.output or args.model or args.day or args.repetitions or args.shuffle:
        raise UserError("simulate study: takes --subjects, --sessions, --seed, --set, --jobs only")
    settings = from_mapping(StudySettings, {"seed": args.seed} | assignments("--set", args.set))
    began = time.monotonic()
    given = {"subjects": args.subjects, "sessions": args.sessions, "jobs": args.jobs}
    numbers = {name: value for name, value in given.items() if value is not None}
    with working(args.json):
        study = make_study(args.folder, settings=settings, **numbers)
    if args.json:
        result = {
            "study": str(study.path),
            "subjects": [p.name for p in study.people],
            "sessions": study.sessions,
        }
        print(json.dumps(result, indent=1))
        return 0
    for person in study.people:
        print(f"{person.name}  {person.story}")
    seconds = time.monotonic() - began
    print(f"made {study.path}: {study.sessions} sessions of each, in {seconds:.0f} s")
    return 0


def _recording(args: argparse.Namespace) -> int:
    import dataclasses
    import json

    from emghand.cli.examples import assignments
    from emghand.cli.ranges import SEEDS, check_ranges
    from emghand.dofs import dof_names
    from emghand.errors import UserError
    from emghand.pipeline import Pipeline
    from emghand.settings import from_mapping
    from emghand.simulate import SyntheticSettings, simulate_recording
    from emghand.steps import step
    from emghand.storage.datasets import save_npz
    from emghand.storage.files import check_new
    from emghand.storage.models import load_model
    from emghand.storage.recording import Series
    from emghand.tasks.movements import MOST_TRIALS, Schedule, load_movement_set

    if args.folder or args.subjects or args.sessions or args.jobs:
        raise UserError("simulate: a folder, --subjects, --sessions and --jobs are for a study")
    if not args.output:
        raise UserError("simulate: name the file to write (--output FILE.npz)")
    if not args.output.endswith(".npz"):
        raise UserError(f"{args.output}: name the file .npz")
    check_new(args.output)
    check_ranges(args, repetitions=MOST_TRIALS, seed=SEEDS)
    values = {"seed": args.seed, "run": args.day} | assignments("--set", args.set)
    settings = from_mapping(SyntheticSettings, values)
    model = load_model(args.model) if args.model else None
    movements = load_movement_set(args.movements)
    schedule = Schedule(
        movements, args.repetitions or None, shuffle=args.shuffle, seed=max(args.day, 0)
    )
    step("simulating the EMG", 0.0)
    recording = simulate_recording(schedule, settings)
    if model is not None:
        step("decoding", 0.7)
        decoded = Pipeline(model, recording.stream).run(recording)
        names = dof_names(decoded.dofs)
        recording = dataclasses.replace(
            recording,
            x_hat=Series(names, decoded.stamps_ns, decoded.x_hat),
            out_x_hat=Series(names, decoded.stamps_ns, decoded.out_x_hat),
        )
    step("writing", 0.9)
    path = Path(args.output)
    save_npz(recording, path)
    result = {
        "recording": str(path),
        "seconds": schedule.duration,
        "trials": len(schedule.trials),
        "channels": recording.stream.n_channels,
        "decoded": model is not None,
        "digest": recording.digest,
    }
    if args.json:
        print(json.dumps(result, indent=1, allow_nan=False))
    else:
        print(f"wrote {path}: {schedule.duration:.1f} s, {len(schedule.trials)} trials")
    return 0
