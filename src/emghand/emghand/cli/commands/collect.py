"""Collect labelled EMG: prompts on the hand, a bag into the session. The graph must be running.

Examples
--------
  emghand collect sessions/s01 config/movements/singles.yaml --subject p07
  emghand collect sessions/s01 config/movements/demo.yaml --repetitions 5 --shuffle --seed 3
"""

from __future__ import annotations

import argparse

from emghand.cli.activity import add_arguments, run_activity

HELP = "record prompted movements into a session"

__all__ = ["HELP", "add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return run_activity(args, "collect")
