"""Train a decoder on the bags of a session, or on any recording, and write a model file.

Scores are those of leave-one-repetition-out: each repetition is decoded by a decoder that has not
seen it. The model itself is then fitted to all repetitions. Features are those that the live graph
computed during the recording, so that it can run the model.

    emghand train sessions/s01
    emghand train sessions/s01 --decoder ridge --delays 6 12
    emghand train sessions/s01 --bags collect collect_2 --output s01.emgmodel
    emghand train recording.npz --until 70% --output first.emgmodel
    emghand train sessions/s01 --decoder lstm --encoder linear --encoder-size 6
    emghand train sessions/s02 --encoder nonlinear --encoder-data sessions/s01/bags/control
    emghand train sessions/s01 --set transform=sqrt --set bad_channels=[ch3]
    emghand train sessions/s01 --actions map.yaml
    emghand train sessions/s01 --fit max_features=48 --fit selection_stop=bic --fit trial_lag_s=0.2
    emghand train sessions/s01 --decoder svr --param cost=3 --search gamma=0.1,0.3,1
    emghand train sessions/s01 --tune-output
    emghand train sessions/s01 --adaptable
    emghand train sessions/s01 --calibration sessions/s01/results/calibration.emgcalibration
    emghand train sessions/s02 --encoder-from sessions/s01/models/encoder.emgencoder
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError

if TYPE_CHECKING:
    from emghand.evaluate.crossval import CrossValidation
    from emghand.storage.models import Model
    from emghand.storage.sessions import Session
    from emghand.training import Dataset, Given, TrainSettings

HELP = "train a decoder on a session"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import examples

    parser.add_argument("source", help="session directory, or a bag, table or data set")
    parser.add_argument("--decoder", default="kalman", help="kind of decoder (default: kalman)")
    parser.add_argument(
        "--delays",
        type=int,
        nargs="+",
        default=[],
        metavar="TICKS",
        help="also use the features of so many ticks ago",
    )
    parser.add_argument(
        "--bags", nargs="+", metavar="BAG", help="bags of the session, or paths (default: collect*)"
    )
    parser.add_argument("--output", help="model file (default: a new one in the session's models/)")
    parser.add_argument("--baseline", help="subtracted from features: mean (default), rest, none")
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="take rest and maximum contraction from a file of emghand calibrate (baseline rest, "
        "scale contraction, as far as it holds them)",
    )
    parser.add_argument(
        "--max-lag",
        type=float,
        default=0.66,
        metavar="S",
        help="largest lag between labels and features to look for; 0: do not align",
    )
    parser.add_argument(
        "--encoder", default="none", help="between features and decoder: none, linear, nonlinear"
    )
    parser.add_argument(
        "--encoder-size",
        type=int,
        default=8,
        metavar="N",
        help="numbers that the encoder makes of the features (default: 8)",
    )
    parser.add_argument(
        "--encoder-data",
        nargs="+",
        default=[],
        metavar="RECORDING",
        help="recordings, with labels or not, from which the encoder learns as well",
    )
    parser.add_argument(
        "--encoder-from",
        metavar="FILE",
        help="an encoder that was learned alone (emghand autoencoder), instead of --encoder",
    )
    examples.add_learning(parser)
    parser.add_argument(
        "--tune-output",
        action="store_true",
        help="tune gains and dead zones of the output on repetitions left out",
    )
    parser.add_argument(
        "--until",
        default="100%",
        metavar="PLACE",
        help="of a recording that is not in a session: learn from its first part, as 70%% or 90s",
    )
    parser.add_argument(
        "--actions",
        metavar="MAP",
        help="learn only the actions of a map (emghand actions select), as the DOFs they drive",
    )
    parser.add_argument(
        "--adaptable",
        action="store_true",
        help="write the companion that adaptation needs as well (see emghand adapt)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from emghand.cli import tables
    from emghand.cli.examples import train_settings
    from emghand.cli.progress import working
    from emghand.steps import whole
    from emghand.storage.files import check_new
    from emghand.storage.models import EXTENSION, save_model
    from emghand.storage.sessions import MANIFEST, Session

    source = Path(args.source).expanduser()
    if not source.exists():
        raise UserError(f"{source}: does not exist")
    session = Session.open(source) if (source / MANIFEST).exists() else None
    if session is None and not args.output:
        raise UserError(f"{source}: is no session, name the model file with --output")
    if session is None and args.bags:
        raise UserError(f"{source}: is no session, --bags names nothing in it")
    if session is not None and args.until != "100%":
        raise UserError("--until: is for a recording that is not in a session; name its bag")
    if args.output:
        check_new(args.output)
    named = {
        "decoder": args.decoder,
        "delays": args.delays,
        "max_lag_s": args.max_lag,
        "encoder": args.encoder,
        "encoder_size": args.encoder_size,
    }
    given = _given(args)
    settings = train_settings(named | _levels(args, given), args)
    if args.encoder_data and settings.encoder == "none":
        raise UserError("--encoder-data: name the encoder with --encoder")
    paths = [source] if session is None else _bags(session, args.bags or ())
    with working(args.json):
        model, validation, dataset = _learn(args, settings, paths, given)
    if args.output or session is None:
        path = Path(args.output)
    else:
        path = session.new_file_path("models", settings.decoder, EXTENSION)
    companion = None
    if args.adaptable:
        from emghand.adapt.companion import companion_of

        companion = companion_of(model, dataset, settings)
    result = {
        "model": str(path),
        "model_id": model.model_id,
        "bags": [str(p) for p in paths],
        "lag_s": model.lag_s,
        **{k: v for k, v in model.scores.items() if k != "recordings"},
    }
    text = json.dumps(result, indent=1, allow_nan=False)
    with whole():
        save_model(model, path)
        if companion is not None:
            from emghand.adapt.companion import companion_path, save_companion

            save_companion(companion, companion_path(path))
        if session is not None and path.resolve().is_relative_to(session.path.resolve()):
            _keep(session, path, text)
    if args.json:
        print(text)
        return 0
    tables.print_scores(
        f"{settings.decoder}, each repetition left out",
        validation.uncompensated,
        validation.compensated,
    )
    tables.print_explanation(model.lag_s)
    for candidate in model.scores.get("search", ())[:5]:
        print(f"searched: error {candidate['error']:.3f} with {candidate['params']}")
    if tuned := model.scores.get("tuned_output"):
        before, after = tuned["mean_rmse_before"], tuned["mean_rmse_after"]
        print(f"output tuned: RMSE {before:.3f} -> {after:.3f}, repetitions left out")
    print(f"wrote {path}")
    return 0


def _learn(
    args: argparse.Namespace, settings: TrainSettings, paths: Sequence[Path], given: Given
) -> tuple[Model, CrossValidation, Dataset]:
    """Model of all repetitions, the scores of each one left out, and what was learned from."""
    import math

    from emghand.actions import load_action_map
    from emghand.cli.examples import feature_settings, first_part
    from emghand.evaluate.crossval import leave_one_repetition_out
    from emghand.steps import part, step
    from emghand.storage.datasets import read_any
    from emghand.training import dataset_from_recording, fit, join, train, unlabelled_features
    from emghand.training.tune_output import tune_output

    features = feature_settings(paths, args.feature_config, args.set)
    recordings, examples = [], []
    for number, path in enumerate(paths):
        step(f"reading {path.name}", 0.2 * number / len(paths))
        recordings.append(read_any(path))
        examples.append(dataset_from_recording(first_part(recordings[-1], args.until), features))
    dataset = join(examples)
    action_map = load_action_map(args.actions) if args.actions else None
    if action_map is not None:
        dataset = action_map.apply(dataset)
    unlabelled = None
    if args.encoder_data:
        more = [read_any(p) for p in args.encoder_data]
        if {r.digest for r in more} & {r.digest for r in recordings}:
            raise UserError("--encoder-data: names a labelled recording, leave it out")
        unlabelled = unlabelled_features(more, dataset)
        recordings += more
    with part(0.2, 0.8):
        validation = leave_one_repetition_out(
            dataset, lambda seen: fit(seen, settings, unlabelled, given), settings.longest_lag_s
        )
    # Who evaluates the model on one of them is warned, also when only a part was learned from.
    known = [*dataset.digests, *(r.digest for r in recordings)]
    known += given.encoder.recordings if given.encoder is not None else ()
    scores: dict[str, Any] = {
        "recordings": list(dict.fromkeys(known)),
        "validation": "leave one repetition out",
        "compensated": validation.compensated.as_dict(),
        "uncompensated": validation.uncompensated.as_dict(),
        "repetitions_mean_r2": [f if math.isfinite(f) else None for f in validation.folds],
    }
    if action_map is not None:
        scores["actions"] = action_map.as_dict()
    output = None
    if args.tune_output:
        step("tuning the output filters", 0.8)
        tuning = tune_output(dataset, settings, unlabelled=unlabelled, given=given)
        output, scores["tuned_output"] = tuning.output, tuning.as_dict()
    step("fitting to all repetitions", 0.9)
    return train(dataset, settings, output, scores, unlabelled, given), validation, dataset


def _given(args: argparse.Namespace) -> Given:
    """What is not learned: a calibration, or an encoder with its normaliser.

    Raises
    ------
    UserError
        When a file cannot be read, or options contradict each other.
    """
    from emghand.storage.encoders import load_encoder
    from emghand.training import Given
    from emghand.training.calibration import load_calibration

    if args.encoder_from and (args.encoder != "none" or args.encoder_data):
        raise UserError("--encoder-from: is instead of --encoder and --encoder-data")
    if args.encoder_from and (args.calibration or args.baseline):
        raise UserError("--encoder-from: has its own normaliser, without --calibration, --baseline")
    if args.adaptable and (args.encoder_from or args.calibration):
        raise UserError(
            "--adaptable: a decoder is fitted again from its examples alone, without --calibration "
            "and --encoder-from"
        )
    return Given(
        load_calibration(args.calibration) if args.calibration else None,
        load_encoder(args.encoder_from) if args.encoder_from else None,
    )


def _levels(args: argparse.Namespace, given: Given) -> dict[str, str]:
    """Baseline and scale: as asked for, else those that a calibration holds, else the usual."""
    found = {"baseline": args.baseline} if args.baseline else {}
    if given.calibration is not None:
        if given.calibration.rest is not None:
            found.setdefault("baseline", "rest")
        if given.calibration.contraction is not None:
            found["scale"] = "contraction"
    return found


def _keep(session: Session, path: Path, text: str) -> None:
    """Register the model, and write the scores of its training, in the session."""
    from emghand.storage.files import write_file

    report = session.new_file_path("results", f"train_{path.stem}", ".json")
    write_file(report, text.encode())
    session.add_file(report.resolve())
    for file in sorted(path.parent.glob(f"{path.stem}.*")):  # The model and its companion.
        session.add_file(file.resolve())


def _bags(session: Session, names: Sequence[str]) -> list[Path]:
    """Paths of the bags to train on."""
    if not names:
        found = session.bags("collect")
        if not found:
            raise UserError(f"session {session.path}: has no bag collect*; name one with --bags")
        return found
    inside = {p.name: p for p in session.bags()}
    return [inside.get(name, Path(name)) for name in names]
