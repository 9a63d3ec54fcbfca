"""Arm or disarm the hand. An armed hand follows the decoder, starting from where it is.

Examples
--------
  emghand arm
  emghand arm off
"""

from __future__ import annotations

import argparse

HELP = "arm or disarm the hand"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("state", nargs="?", choices=("on", "off"), default="on")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.client import GraphClient

    with GraphClient() as graph:
        for answer in graph.arm(args.state == "on"):
            print(answer)
    return 0
