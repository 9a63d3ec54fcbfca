"""Decode recordings with a model, from the raw EMG, and print how well it follows.

    emghand evaluate sessions/s01/models/kalman.emgmodel sessions/s01
    emghand evaluate kalman.emgmodel bags/test bags/test_2 --json
    emghand evaluate kalman.emgmodel sessions/s01 --by movement --chain relax_pos=[0.2]
    emghand evaluate kalman.emgmodel sessions/s01 --metrics r2,nrmse,latency --output kalman.json

Of a session the bags test* are taken. Choose recordings the model was not trained on. With --output
the result is kept: NAME.json with all numbers, NAME.npz with every tick, for `emghand compare`,
`emghand rescore` and `emghand report`.
"""

from __future__ import annotations

import argparse

HELP = "score a model on recordings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import examples, scoring

    parser.add_argument("model", help="model file")
    parser.add_argument("targets", nargs="+", metavar="SESSION|BAG", help="session or recordings")
    parser.add_argument(
        "--label", default="test", help="which bags of a session (default: test, test_2, ...)"
    )
    examples.add_output_filters(parser)
    scoring.add_arguments(parser)
    parser.add_argument("--output", metavar="NAME.json", help="keep the result in this file")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import sys
    from pathlib import Path

    from emghand.cli import scoring
    from emghand.cli.examples import find_recordings, output_settings
    from emghand.evaluate.offline import evaluate_model
    from emghand.steps import step, whole
    from emghand.storage.datasets import read_any
    from emghand.storage.models import load_model

    metrics = scoring.metrics(args.metrics)
    scoring.check(args)
    scoring.check_free(args.output)
    model = load_model(args.model)
    paths = find_recordings(args.targets, args.label)
    step("reading", 0.0)
    recordings = [read_any(p) for p in paths]
    for recording in recordings:
        if recording.digest in model.recordings:
            print(
                f"warning: the model was trained on {recording.source}, or on a part of it",
                file=sys.stderr,
            )
    output = output_settings(args, model.output)
    step("decoding", 0.5)
    result = evaluate_model(model, recordings, output, name=Path(args.model).stem, metrics=metrics)
    if args.output:
        with whole():
            result.save(args.output)
    if args.json:
        more = {"model": args.model, "bags": [str(p) for p in paths]}
        scoring.print_json(more | scoring.document(result))
    else:
        scoring.print_result(result, args.by)
        scoring.print_saved(args.output)
    return 0
