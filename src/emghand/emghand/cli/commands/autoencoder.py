"""Learn an autoencoder alone, from any recordings: labels are neither needed nor looked at.

The encoder makes a few numbers of the features of a tick. `emghand train --encoder-from` fits a
decoder behind it, on other recordings than these: what is left out for a score must not have been
learned from. To learn both from the same recordings use `emghand train --encoder`.

    emghand autoencoder sessions/s01
    emghand autoencoder sessions/s01/bags/control --output s01.emgencoder
    emghand autoencoder sessions/s01 --kind nonlinear --size 12
    emghand train sessions/s02 --encoder-from sessions/s01/models/encoder.emgencoder
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "learn an autoencoder alone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import examples

    parser.add_argument(
        "targets", nargs="+", metavar="SESSION|BAG", help="a session, or recordings of any kind"
    )
    parser.add_argument("--kind", default="linear", help="linear (default) or nonlinear")
    parser.add_argument(
        "--size",
        type=int,
        default=8,
        metavar="N",
        help="numbers that it makes of the features (default: 8)",
    )
    parser.add_argument(
        "--label", default="collect", help="which bags of a session (default: collect, ...)"
    )
    examples.add_features(parser)
    parser.add_argument(
        "--output",
        metavar="FILE.emgencoder",
        help="file to write (default: a new one in the session's models/)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(interleaved="targets")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from emghand.cli.examples import feature_settings, find_recordings
    from emghand.cli.progress import working
    from emghand.errors import UserError
    from emghand.steps import step, whole
    from emghand.storage.datasets import read_any
    from emghand.storage.encoders import EXTENSION, save_encoder
    from emghand.storage.files import check_new
    from emghand.storage.sessions import MANIFEST, Session
    from emghand.training.learn_encoder import learn_encoder

    first = Path(args.targets[0]).expanduser()
    session = Session.open(first) if (first / MANIFEST).exists() else None
    if not args.output and (session is None or len(args.targets) > 1):
        raise UserError("name the file to write with --output")
    if args.output:
        check_new(args.output)
    paths = find_recordings(args.targets, args.label)
    settings = feature_settings(paths, args.feature_config, args.set)
    with working(args.json):
        step("reading", 0.0)
        learned = learn_encoder([read_any(p) for p in paths], settings, args.kind, args.size)
    with whole():
        if args.output or session is None:
            path = Path(args.output)
        else:
            path = session.new_file_path("models", "encoder", EXTENSION)
        save_encoder(learned, path)
        if session is not None and not args.output:
            session.add_file(path.resolve())
    result = {
        "encoder": str(path),
        "kind": args.kind,
        "size": args.size,
        "n_features": learned.normaliser.n_features,
        "error": learned.error,
        "recordings": [str(p) for p in paths],
    }
    if args.json:
        print(json.dumps(result, indent=1, allow_nan=False))
    else:
        print(
            f"{args.size} numbers keep {100 * (1 - (learned.error or 0.0)):.1f} % of the variance"
        )
        print(f"wrote {path}")
    return 0
