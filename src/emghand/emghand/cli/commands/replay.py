"""Play a recording on the hand: its estimates, or what the running model makes of its EMG.

The graph must be running and no decoder may be sending: a hand has one commander. The hand moves
only if you arm it; it goes to the first posture by a ramp, and to rest at the end. The emergency
stop ends the replay.

Examples
--------
  emghand replay sessions/s01/bags/test
  emghand replay sessions/s01/bags/test --decode --rate 0.5
"""

from __future__ import annotations

import argparse

HELP = "play a recording on the hand"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("recording", help="bag, or another recording")
    parser.add_argument("--rate", type=float, default=1.0, help="times real time (default: 1)")
    parser.add_argument(
        "--decode", action="store_true", help="decode it with the model that runs in the graph"
    )
    parser.add_argument(
        "--ramp",
        type=float,
        default=2.0,
        metavar="S",
        help="time to go to the first posture (default: 2)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from emghand.cli.progress import followed
    from emghand.cli.ranges import check_ranges
    from emghand.client import Session
    from emghand.replay.course import LONGEST_RAMP_S, RATES

    check_ranges(args, rate=RATES[1], ramp=LONGEST_RAMP_S)
    with followed(args.json) as show, Session(".", "", show) as session:
        done = session.replay(args.recording, rate=args.rate, decode=args.decode, ramp=args.ramp)
    if args.json:
        result = {"success": done.success, "message": done.message, "ticks": done.ticks}
        print(json.dumps(result, indent=1))
    else:
        print(done.message)
    return 0 if done.success else 130
