"""Show the whole system at work, in about two minutes and with nobody there.

A synthetic person is prompted, a decoder is trained on their EMG, drives the MuJoCo hand live and
is scored on repetitions it has not seen. Everything is recorded and then computed again, bit for
bit. Every step is an ordinary command, and is printed before it runs. With --data jhu, the same
from a real recording: trained on its first 70 %, live on the rest.

Examples
--------
  emghand demo
  emghand demo --data jhu --output /tmp/demo
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "collect, train, control a hand, replay: all in two minutes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--data",
        choices=("synthetic", "jhu"),
        default="synthetic",
        help="synthetic person, or the recording of the JHU in EMGHAND_DATA",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo_output"), help="folder for results"
    )
    parser.add_argument("--no-video", action="store_true", help="leave out the video")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.cli.demo.run import run_demo

    return run_demo(args.data, args.output, video=not args.no_video)
