"""Test the running decoder on prompted movements; nothing is ever trained on the recording.

Examples
--------
  emghand test sessions/s01 config/movements/singles.yaml
  emghand test sessions/s01 config/movements/demo.yaml --repetitions 1 --json
"""

from __future__ import annotations

import argparse

from emghand.cli.activity import add_arguments, run_activity

HELP = "record a test of the running decoder"

__all__ = ["HELP", "add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return run_activity(args, "test")
