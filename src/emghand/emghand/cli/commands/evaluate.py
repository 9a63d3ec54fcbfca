"""Decode recordings with a model, from the raw EMG, and print how well it follows.

    emghand evaluate sessions/s01/models/kalman.emgmodel sessions/s01
    emghand evaluate kalman.emgmodel bags/test bags/test_2 --json

Of a session the bags test* are taken. Choose recordings the model was not trained on.
"""

from __future__ import annotations

import argparse

HELP = "score a model on recordings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("model", help="model file")
    parser.add_argument("targets", nargs="+", metavar="SESSION|BAG", help="session or bags")
    parser.add_argument(
        "--label", default="test", help="which bags of a session (default: test, test_2, ...)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json
    import sys
    from pathlib import Path

    from emghand.cli import tables
    from emghand.errors import UserError
    from emghand.evaluate.offline import evaluate
    from emghand.storage.bags import read_recording
    from emghand.storage.models import load_model
    from emghand.storage.sessions import MANIFEST, Session

    model = load_model(args.model)
    paths: list[Path] = []
    for target in map(Path, args.targets):
        if (target / MANIFEST).exists():
            found = Session.open(target).bags(args.label)
            if not found:
                raise UserError(f"session {target}: has no bag {args.label}*; choose with --label")
            paths += found
        else:
            paths.append(target)
    recordings = [read_recording(p) for p in paths]
    for recording in recordings:
        if recording.digest in model.scores.get("recordings", ()):
            print(f"warning: the model was trained on {recording.source}", file=sys.stderr)
    result = evaluate(model, recordings)
    if args.json:
        document = {
            "model": args.model,
            "model_id": model.model_id,
            "bags": [str(p) for p in paths],
            "lag_s": result.lag_s,
            "ticks": result.ticks,
            "faults": result.faults,
            "x_hat": result.x_hat.as_dict(),
            "x_hat_compensated": result.x_hat_compensated.as_dict(),
            "out_x_hat": result.out_x_hat.as_dict(),
            "out_x_hat_compensated": result.out_x_hat_compensated.as_dict(),
        }
        print(json.dumps(document, indent=1))
        return 0
    tables.print_scores("x_hat: decoder", result.x_hat, result.x_hat_compensated)
    tables.print_scores(
        "out_x_hat: what the hand gets", result.out_x_hat, result.out_x_hat_compensated
    )
    tables.print_explanation(result.lag_s)
    refused = ", ".join(f"{n} {fault}" for fault, n in result.faults.items() if n)
    print(f"{result.ticks} ticks scored" + (f"; refused: {refused}" if refused else ""))
    return 0
