"""Let the running decoder load a model; it takes over between two ticks.

Examples
--------
  emghand load-model sessions/s01/models/kalman.emgmodel
"""

from __future__ import annotations

import argparse

HELP = "load a model into the running decoder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("model", help="model file")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.client import GraphClient

    with GraphClient() as graph:
        print(graph.load_model(args.model))
    return 0
