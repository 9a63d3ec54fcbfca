"""Let the subject control the hand freely, and record it. The graph must be running.

Without --duration it goes on until Ctrl-C. The ground truth, where there is one, is published on
/task/x_d: the glove of an intact subject, or the decoder's own estimate. With the glove no decoder
is needed; --label collect then makes training data of it.

Examples
--------
  emghand control sessions/s01
  emghand control sessions/s01 --duration 120 --ground-truth own
  emghand control sessions/s01 --duration 60 --ground-truth glove --label collect
"""

from __future__ import annotations

import argparse

HELP = "control the hand freely, recorded into a session"
LONGEST_S = 1e6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("session", help="session directory; made when it does not exist")
    parser.add_argument("--subject", default="", help="pseudonym; needed for a new session")
    parser.add_argument(
        "--duration", type=float, default=0.0, metavar="S", help="(default: until Ctrl-C)"
    )
    parser.add_argument(
        "--ground-truth",
        choices=("glove", "own", "none"),
        default="none",
        help="what the desired posture is (default: none)",
    )
    parser.add_argument("--label", default="", help="name of the bag (default: control)")
    parser.add_argument("--no-record", action="store_true", help="record nothing")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from emghand.cli.progress import followed
    from emghand.cli.ranges import check_ranges
    from emghand.client import Session

    check_ranges(args, duration=LONGEST_S)
    with followed(args.json) as show, Session(args.session, args.subject, show) as session:
        done = session.control(
            args.duration, args.ground_truth, record=not args.no_record, label=args.label
        )
    if args.json:
        result = {"success": done.success, "message": done.message, "bag": done.bag}
        print(json.dumps(result | {"recording": dict(done.report)}, indent=1))
    else:
        print(f"{done.message}, recorded in {done.bag}" if done.bag else done.message)
    return 0 if done.success else 130
