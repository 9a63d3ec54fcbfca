"""Score an old result again with other metrics, from the ticks that were kept with it.

    emghand rescore kalman.json --metrics r2,nrmse
    emghand rescore kalman.json --metrics latency --by movement --output kalman_latency.json

Nothing is decoded again: the ticks beside the result (NAME.npz) are all that is needed.
"""

from __future__ import annotations

import argparse

HELP = "score an old result with other metrics"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import scoring

    parser.add_argument("result", metavar="RESULT.json", help="result of evaluate or crossval")
    scoring.add_arguments(parser)
    parser.add_argument("--output", metavar="NAME.json", help="keep the new result in this file")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.cli import scoring
    from emghand.evaluate.results import Result

    metrics = scoring.metrics(args.metrics)
    scoring.check(args)
    scoring.check_free(args.output)
    result = Result.load(args.result).rescored(metrics)
    if args.output:
        result.save(args.output)
    if args.json:
        scoring.print_json(scoring.document(result))
    else:
        scoring.print_result(result, args.by)
        scoring.print_saved(args.output)
    return 0
