"""Prepare a model to follow its user, and look at what it keeps for that.

prepare: writes the companion of a model (NAME.emgadapt beside NAME.emgmodel) with the calibration
examples, from the very recordings that the model was trained on; their hashes are compared.
reference: learns what the user's own use looks like while nothing has drifted, from at least four
minutes of recorded use with the calibration decoder (free use is best, a test will do), and puts it
into the companion. --rings says that the electrodes lie evenly around the arm: a turn of the sleeve
is then found.
info: says what a companion holds, and what is missing.

Examples
--------
  emghand adapt prepare sessions/s01/models/kalman.emgmodel sessions/s01
  emghand adapt prepare first.emgmodel recording.npz --until 70%
  emghand adapt reference sessions/s01/models/kalman.emgmodel sessions/s01/bags/control --rings 1
  emghand adapt info sessions/s01/models/kalman.emgadapt
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emghand.adapt.companion import Companion

HELP = "what a model needs to follow its user"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    prepare = actions.add_parser("prepare", help="write the companion of a trained model")
    prepare.add_argument("model", help="model file")
    prepare.add_argument(
        "recordings",
        nargs="+",
        metavar="RECORDING",
        help="what the model was trained on: a session directory, bags, tables or data sets",
    )
    prepare.add_argument(
        "--label", default="collect", help="of a session: its bags LABEL* (default: collect)"
    )
    prepare.add_argument(
        "--until", default="100%", metavar="PLACE", help="as in training: 70%% or 90s"
    )
    prepare.add_argument("--actions", metavar="MAP", help="as in training: the action map")
    prepare.add_argument("--output", help="file to write (default: beside the model)")
    prepare.set_defaults(action=_prepare)
    reference = actions.add_parser("reference", help="learn the user's own use")
    reference.add_argument("model", help="model file; its companion lies beside it")
    reference.add_argument(
        "recordings",
        nargs="+",
        metavar="RECORDING",
        help="use without drift, four minutes at least: bags, sessions, other recordings",
    )
    reference.add_argument(
        "--label", default="test", help="of a session: its bags LABEL* (default: test)"
    )
    reference.add_argument(
        "--rings",
        type=int,
        default=0,
        metavar="N",
        help="rings of evenly spaced electrodes, in the order of the channels (default: not known)",
    )
    reference.add_argument(
        "--replace", action="store_true", help="replace a reference that is there"
    )
    reference.set_defaults(action=_reference)
    info = actions.add_parser("info", help="say what a companion holds")
    info.add_argument("companion", help="companion file")
    info.add_argument("--json", action="store_true", help="print JSON instead of lines")
    info.set_defaults(action=_info)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return int(args.action(args))


def _prepare(args: argparse.Namespace) -> int:
    from pathlib import Path

    from emghand.adapt.companion import companion_of, companion_path, save_companion
    from emghand.cli.examples import training_examples
    from emghand.errors import UserError
    from emghand.storage.models import load_model

    model = load_model(args.model)
    path = Path(args.output) if args.output else companion_path(args.model)
    if path.exists():
        raise UserError(f"{path}: exists already; choose another name with --output")
    dataset = training_examples(model, args.recordings, args.label, args.until, args.actions)
    companion = companion_of(model, dataset)
    save_companion(companion, path)
    print(f"wrote {path}")
    for line in _lines(describe(companion)):
        print(line)
    return 0


def _reference(args: argparse.Namespace) -> int:
    import dataclasses

    from emghand.adapt.adapter import reference_of
    from emghand.adapt.companion import companion_path, load_companion, save_companion
    from emghand.adapt.recorded_use import use_of
    from emghand.cli.examples import find_recordings
    from emghand.errors import UserError
    from emghand.storage.datasets import read_any
    from emghand.storage.models import load_model

    model = load_model(args.model)
    path = companion_path(args.model)
    if not path.exists():
        raise UserError(f"{path}: does not exist; write it with emghand adapt prepare")
    companion = load_companion(path, model)
    if companion.reference is not None and not args.replace:
        raise UserError(f"{path}: has a reference already; replace it with --replace")
    recordings = [read_any(p) for p in find_recordings(args.recordings, args.label)]
    reference = reference_of(model, use_of(model, recordings), args.rings)
    companion = dataclasses.replace(companion, reference=reference.to_arrays())
    save_companion(companion, path, replace=True)
    mean, spread = reference.amplitude
    print(
        f"wrote {path}: movements of {mean:.2f} ± {spread:.2f}, "
        f"{100 * reference.active_share[0]:.0f} % of the DOFs active while a posture is held"
    )
    return 0


def _info(args: argparse.Namespace) -> int:
    import json

    from emghand.adapt.companion import load_companion

    found = describe(load_companion(args.companion))
    if args.json:
        print(json.dumps(found, indent=1, allow_nan=False))
        return 0
    for line in _lines(found):
        print(line)
    return 0


def describe(companion: Companion) -> dict[str, Any]:
    """What a companion holds, as plain values."""
    found: dict[str, Any] = {"model_id": companion.model_id, "calibration": None}
    calibration = companion.calibration
    if calibration is not None:
        dataset = calibration.dataset
        found["calibration"] = {
            "recordings": list(dataset.digests),
            "ticks": int(dataset.use.sum()),
            "minutes": float(dataset.use.sum() / dataset.tick_rate / 60.0),
            "features": int(dataset.Z.shape[1]),
            "dofs": [d.name for d in dataset.dofs],
            "decoder": calibration.settings.decoder,
            "baseline": calibration.settings.baseline,
            "scale": calibration.settings.scale,
            "lag_s": calibration.lag_s,
        }
    found["reference"] = None if companion.reference is None else sorted(companion.reference)
    found["missing"] = list(companion.missing)
    return found


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"companion of the model {found['model_id'][:12]}"]
    calibration = found["calibration"]
    if calibration is not None:
        lines.append(
            f"calibration: {calibration['ticks']} examples ({calibration['minutes']:.1f} min) of "
            f"{len(calibration['recordings'])} recordings, {calibration['features']} features, "
            f"{', '.join(calibration['dofs'])}"
        )
        lines.append(
            f"fit: {calibration['decoder']}, baseline {calibration['baseline']}, scale "
            f"{calibration['scale']}, lag {calibration['lag_s']:.3f} s"
        )
    if found["reference"] is not None:
        lines.append("reference: of the user's own use")
    return lines + [f"missing: {text}" for text in found["missing"]]
