"""Compare models, ways to train, or results on the same data: how much better, and is it chance?

    emghand compare kalman.json ridge.json
    emghand compare kalman.emgmodel ridge.emgmodel --on sessions/s01
    emghand compare kalman ridge delayed.yaml --on sessions/s01 --scheme repetition

A result (.json) is taken as it is. A model (.emgmodel) decodes the recordings of --on. A kind of
decoder, or a YAML file with training settings, is cross-validated on them; models and ways to train
cannot be mixed, because they are not scored on the same held-out ticks.

Intervals: 95 %, bootstrap over the units. Tests: Wilcoxon signed-rank over pairs of units, with the
correction of Holm; with fewer than 6 pairs nothing is claimed. Effect: rank-biserial correlation.
"""

from __future__ import annotations

import argparse

HELP = "compare models, training settings or results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import comparing

    parser.add_argument(
        "items", nargs="+", metavar="ITEM", help="result, model, kind of decoder, or settings file"
    )
    parser.add_argument(
        "--on",
        dest="targets",
        nargs="+",
        default=[],
        metavar="SESSION|BAG",
        help="recordings that models and ways to train are scored on",
    )
    comparing.add_training(parser, "test* for models, collect* for ways to train")
    parser.add_argument("--metric", default="nrmse", help="what is compared (default: nrmse)")
    comparing.add_comparison(parser)
    parser.add_argument(
        "--different-data",
        action="store_true",
        help="compare although the data or what was held out differ; units are then not paired",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--output", metavar="NAME.json", help="keep the comparison in this file")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json
    from pathlib import Path

    from emghand.cli import comparing, scoring
    from emghand.storage.files import write_file

    comparing.check_comparison(args, args.metric)
    if args.output:
        scoring.check_free(args.output)
    found = comparing.compared(args, comparing.results_of(args), args.metric)
    document = {"format": "emghand comparison", "version": 1, **found.as_dict()}
    if args.output:
        text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False)
        write_file(Path(args.output), f"{text}\n".encode())
    if args.json:
        scoring.print_json(document)
    else:
        scoring.print_comparison(found)
        scoring.print_saved(args.output)
    return 0
