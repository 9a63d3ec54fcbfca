"""Measure rest and maximum contraction, in under a minute, live or from a recording.

Live, the graph must be running: first rest, then, after a moment to get ready, contract as hard as
is comfortable. The file is kept in the session; `emghand train --calibration` takes the baseline
and the scale of the features from it.

    emghand calibrate sessions/s01 --subject p07
    emghand calibrate sessions/s01 --rest 20 --contraction 0
    emghand calibrate --recording sessions/s01/bags/collect --output rest.emgcalibration
    emghand train sessions/s01 --calibration sessions/s01/results/calibration.emgcalibration

From a recording, rest is taken from the periods REST and contraction from the periods HOLD; one
that was not prompted is all rest (--contraction 0).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HELP = "measure rest and maximum contraction"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import examples

    parser.add_argument("session", nargs="?", help="session directory; made when it does not exist")
    parser.add_argument("--subject", default="", help="pseudonym; needed for a new session")
    parser.add_argument(
        "--rest", type=float, default=10.0, metavar="S", help="time of rest; 0: none (default: 10)"
    )
    parser.add_argument(
        "--contraction",
        type=float,
        default=5.0,
        metavar="S",
        help="time of maximum contraction; 0: none (default: 5)",
    )
    parser.add_argument("--recording", help="measure a stored recording instead")
    parser.add_argument("--output", help="with --recording: file to write, instead of the session")
    examples.add_features(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.cli.ranges import check_ranges
    from emghand.errors import UserError
    from emghand.training.calibration import MOST_S

    check_ranges(args, rest=MOST_S, contraction=MOST_S)
    if args.recording:
        return _stored(args)
    if not args.session or args.output:
        raise UserError("name a session, or a recording with --recording and perhaps --output")
    if args.set or args.feature_config:
        raise UserError("--set, --feature-config: are for --recording; live, feature_node computes")
    return _live(args)


def _stored(args: argparse.Namespace) -> int:
    from emghand.cli.examples import feature_settings
    from emghand.errors import UserError
    from emghand.storage.datasets import read_any
    from emghand.storage.files import check_new
    from emghand.storage.sessions import Session
    from emghand.training.calibration import EXTENSION, measure_recording, save_calibration

    if bool(args.session) == bool(args.output):
        raise UserError("--recording: name a session or --output, one of both")
    if args.output:
        check_new(args.output)
    session = Session.open(args.session) if args.session else None
    path = Path(args.recording).expanduser()
    settings = feature_settings([path], args.feature_config, args.set)
    calibration = measure_recording(
        read_any(path), settings, rest=args.rest > 0.0, contraction=args.contraction > 0.0
    )
    if session is None:
        target = Path(args.output)
    else:
        target = session.new_file_path("results", "calibration", EXTENSION)
    save_calibration(calibration, target)
    if session is not None:
        session.add_file(target.resolve())
    _show(args, str(target), calibration.summary())
    return 0


def _live(args: argparse.Namespace) -> int:
    from emghand.cli.progress import followed
    from emghand.client import Session

    with followed(args.json) as show, Session(args.session, args.subject, show) as session:
        done = session.calibrate(rest=args.rest, contraction=args.contraction)
    if session.interrupted:
        return 130
    _show(args, done.uri, done.values)
    return 0


def _show(args: argparse.Namespace, path: str, summary: Mapping[str, Any]) -> None:
    import json

    if args.json:
        print(json.dumps({"calibration": path, **summary}, indent=1, allow_nan=False))
        return
    for name, levels in summary["features"].items():
        said = (f"{k} {v:.4g}" for k, v in levels.items() if v is not None)
        print(f"{name}: {', '.join(said)}")
    if summary["weak"]:
        print(f"weak: {', '.join(summary['weak'])}")
    print(f"wrote {path}")
