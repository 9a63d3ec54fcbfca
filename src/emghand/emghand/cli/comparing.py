"""What `crossval` and `compare` share: training settings, results to compare, the comparison."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emghand.errors import UserError

if TYPE_CHECKING:
    from emghand.evaluate.compare import Comparison
    from emghand.evaluate.results import Result
    from emghand.training import TrainSettings

SETTINGS_SUFFIXES = (".yaml", ".yml")


def add_training(parser: argparse.ArgumentParser, labels: str) -> None:
    """Arguments that say what is learned from, how, and what is held out."""
    from emghand.cli import examples

    parser.add_argument("--label", help=f"which bags of a session (default: {labels})")
    parser.add_argument(
        "--scheme",
        default="repetition",
        help="what is held out: repetition, first, last, recording, session, day or subject "
        "(default: repetition)",
    )
    examples.add_learning(parser)
    examples.add_output_filters(parser)


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """Arguments of a comparison but the metric."""
    parser.add_argument(
        "--signal",
        default="x_hat_compensated",
        help="what is compared: x_hat, x_hat_compensated, out_x_hat or out_x_hat_compensated "
        "(default: x_hat_compensated)",
    )
    parser.add_argument(
        "--unit",
        default="trial",
        help="what is paired, and drawn in the bootstrap: trial, repetition, recording, session, "
        "day or subject (default: trial)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.add_argument(
        "--resamples", type=int, default=10_000, help="of the bootstrap (default: 10000)"
    )


def cross_validated(
    args: argparse.Namespace, ways: Mapping[str, TrainSettings], metrics: Sequence[str]
) -> list[Result]:
    """Result of each of several ways to train, by its name, on the same examples."""
    from emghand.cli.examples import output_settings, read_examples
    from emghand.evaluate.crossval import crossval_result
    from emghand.evaluate.splits import check_scheme

    output = output_settings(args)
    check_scheme(args.scheme)
    dataset = read_examples(args.targets, args.label or "collect", args.feature_config, args.set)
    return [
        crossval_result(dataset, settings, args.scheme, output=output, name=name, metrics=metrics)
        for name, settings in ways.items()
    ]


def results_of(args: argparse.Namespace) -> list[Result]:
    """Results of the items of ``emghand compare``, in their order.

    Raises
    ------
    UserError
        When an item is none of what can be compared, or ``--on`` is missing or of no use.
    """
    from emghand.evaluate.metrics import DEFAULT_METRICS
    from emghand.evaluate.results import Result

    files = [i for i in args.items if Path(i).suffix == ".json"]
    models = [i for i in args.items if Path(i).suffix == ".emgmodel"]
    ways = {_way(i): _settings(i, args) for i in args.items if i not in files + models}
    if len(ways) + len(files) + len(models) < len(args.items):
        raise UserError("compare: two of the decoders or settings files have the same name")
    if (models or ways) and not args.targets:
        raise UserError("compare: name the recordings with --on")
    if models and ways:
        raise UserError(
            "compare: models are scored on recordings they have not seen, ways to train by "
            "cross-validation; compare one kind"
        )
    if args.targets and not (models or ways):
        raise UserError("compare: results were scored already, --on is for models and decoders")
    found = {name: Result.load(name) for name in files}
    found |= dict(zip(models, _of_models(args, models), strict=True))
    if ways:
        crossed = cross_validated(args, ways, DEFAULT_METRICS)
        found |= {result.name: result for result in crossed}
    return [found[i if i in found else _way(i)] for i in args.items]


def check_comparison(args: argparse.Namespace, metric: str) -> None:
    """Find mistakes in the arguments of `add_comparison` before anything is computed.

    Raises
    ------
    UserError
        As `compared` would.
    """
    from emghand.evaluate.compare import check_options

    if args.seed < 0:
        raise UserError(f"--seed: must not be negative, got {args.seed}")
    check_options(metric, args.signal, args.unit, args.resamples)


def compared(args: argparse.Namespace, results: Sequence[Result], metric: str) -> Comparison:
    """Comparison of results by the arguments of `add_comparison`."""
    from emghand.evaluate.compare import compare

    return compare(
        results,
        metric,
        signal=args.signal,
        unit=args.unit,
        seed=args.seed,
        resamples=args.resamples,
        different_data=getattr(args, "different_data", False),
    )


def _of_models(args: argparse.Namespace, models: Sequence[str]) -> list[Result]:
    from emghand.cli.examples import find_recordings, output_settings
    from emghand.evaluate.offline import evaluate_model
    from emghand.storage.datasets import read_any
    from emghand.storage.models import load_model

    if not models:
        return []
    loaded = [load_model(path) for path in models]
    recordings = [read_any(p) for p in find_recordings(args.targets, args.label or "test")]
    return [
        evaluate_model(model, recordings, output_settings(args, model.output), name=Path(path).stem)
        for path, model in zip(models, loaded, strict=True)
    ]


def _way(item: str) -> str:
    return Path(item).stem if item.endswith(SETTINGS_SUFFIXES) else item


def _settings(item: str, args: argparse.Namespace) -> TrainSettings:
    from emghand.cli.examples import train_settings
    from emghand.yaml_files import read_yaml

    if not item.endswith(SETTINGS_SUFFIXES):
        return train_settings({"decoder": item}, args)
    values = read_yaml(item, "training settings")
    if not isinstance(values, dict):
        raise UserError(f"{item}: must hold training settings, as decoder: ridge")
    try:
        return train_settings(values, args)
    except UserError as error:
        raise UserError(f"{item}: {error}") from error
