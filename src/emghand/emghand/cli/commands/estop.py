"""Emergency stop of the hand, or its reset. After a reset the hand stays disarmed.

Examples
--------
  emghand estop
  emghand estop --reset
"""

from __future__ import annotations

import argparse

HELP = "stop the hand now"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--reset", action="store_true", help="reset the stop instead")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.client import GraphClient

    with GraphClient() as graph:
        if args.reset:
            for answer in graph.reset_estop():
                print(answer)
        else:
            graph.stop()
            print("stopped: reset it with emghand estop --reset")
    return 0
