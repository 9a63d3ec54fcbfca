"""Cross-validate ways to train a decoder: what is scored was never learned from.

    emghand crossval sessions/s01
    emghand crossval sessions/s01 --decoder kalman ridge --scheme repetition
    emghand crossval sessions/s01 sessions/s02 sessions/s03 --scheme session --by fold
    emghand crossval sessions/s01 --decoder ridge --fit delays=[6,12] --output results/ridge.json

Schemes: repetition (leave one out), first or last (hold out the first or the last repetition of
each recording), recording, session, day, subject (leave one out). Ticks that share raw samples or
labels with the part held out are not learned from. Several decoders are compared with one another,
trial by trial. With --output the results are kept: one decoder in a file, several in a folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emghand.evaluate.results import Result

HELP = "cross-validate decoders on sessions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import comparing, scoring

    parser.add_argument(
        "targets", nargs="+", metavar="SESSION|BAG", help="sessions or recordings of any kind"
    )
    parser.add_argument(
        "--decoder", nargs="+", default=["kalman"], metavar="KIND", help="(default: kalman)"
    )
    comparing.add_training(parser, "collect, collect_2, ...")
    scoring.add_arguments(parser)
    comparing.add_comparison(parser)
    parser.add_argument(
        "--output", metavar="PATH", help="keep the results: NAME.json, or a folder for several"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.cli import comparing, examples, scoring
    from emghand.errors import UserError

    metrics = scoring.metrics(args.metrics)
    if len(set(args.decoder)) < len(args.decoder):
        raise UserError("--decoder: name each once")
    several = len(args.decoder) > 1
    if several and args.output and Path(args.output).suffix == ".json":
        raise UserError("--output: of several decoders name a folder")
    # Several are compared by the first metric asked for.
    metric = metrics[0] if args.metrics else "nrmse"
    if several:
        comparing.check_comparison(args, metric)
    scoring.check(args)
    if args.output:
        _check_free(args)
    ways = {kind: examples.train_settings({"decoder": kind}, args) for kind in args.decoder}
    results = comparing.cross_validated(args, ways, metrics)
    found = comparing.compared(args, results, metric) if several else None
    if args.output:
        _save(results, Path(args.output))
    if args.json:
        scoring.print_json(
            {
                "results": [scoring.document(r) for r in results],
                "comparison": None if found is None else found.as_dict(),
            }
        )
        return 0
    for result in results:
        print(f"{result.name}, held out: {result.scheme}, {len(result.folds)} folds")
        scoring.print_result(result, args.by)
    if found is not None:
        scoring.print_comparison(found)
    scoring.print_saved(args.output)
    return 0


def _check_free(args: argparse.Namespace) -> None:
    from emghand.cli import scoring
    from emghand.storage.files import make_folder

    path = Path(args.output)
    kinds = args.decoder
    if len(kinds) > 1:
        make_folder(path)
    for name in [path] if len(kinds) == 1 else [path / f"{kind}.json" for kind in kinds]:
        scoring.check_free(str(name))


def _save(results: Sequence[Result], path: Path) -> None:
    from emghand.steps import whole

    with whole():
        if len(results) == 1:
            results[0].save(path)
            return
        for result in results:
            result.save(path / f"{result.name}.json")
