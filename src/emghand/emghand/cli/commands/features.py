"""Compute the features of recordings anew from their raw EMG, with any settings.

The code is that of the live graph; settings are those of the bag, changed with --set. The file is
an npz with stamps, names, values, labels and the settings. Of a session the bags collect* are
taken, and the files are kept in its results.

    emghand features sessions/s01/bags/collect --output features.npz
    emghand features sessions/s01/bags/collect --set window_hops=10 --set features=[mav,wl,zc,ssc]
    emghand features sessions/s01 --set band=[20.0,450.0] --json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "compute the features of recordings anew"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import examples

    parser.add_argument("recording", help="bag, table or data set, or a session")
    parser.add_argument(
        "--label", default="collect", help="which bags of a session (default: collect, ...)"
    )
    examples.add_features(parser)
    parser.add_argument(
        "--output", help="file to write (default: features.npz, or a new one in the session)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from emghand.cli.examples import feature_settings, find_recordings
    from emghand.errors import UserError
    from emghand.steps import step, whole
    from emghand.storage.datasets import read_any
    from emghand.storage.sessions import MANIFEST, Session
    from emghand.training.feature_table import feature_table, write_feature_table

    source = Path(args.recording).expanduser()
    session = Session.open(source) if (source / MANIFEST).exists() else None
    paths = find_recordings([str(source)], args.label)
    if len(paths) > 1 and args.output:
        raise UserError(f"--output: {source} has {len(paths)} recordings, name one of them")
    settings = feature_settings(paths, args.feature_config, args.set)
    tables = []
    for number, path in enumerate(paths):
        step(f"features of {path.name}", number / len(paths))
        tables.append((path, feature_table(read_any(path), settings)))
    written: list[dict[str, Any]] = []
    with whole():
        for path, table in tables:
            if args.output or session is None:
                output = Path(args.output or "features.npz")
            else:
                output = session.new_file_path("results", f"features_{path.name}", ".npz")
            write_feature_table(table, output)
            if session is not None and not args.output:
                session.add_file(output.resolve())
            ticks, features = table["values"].shape
            bad = int((table["quality"] != 0).sum())
            written.append(
                {
                    "recording": str(path),
                    "features": str(output),
                    "ticks": ticks,
                    "bad_ticks": bad,
                    "n_features": features,
                    "settings_sha256": str(table["settings_sha256"]),
                }
            )
    if args.json:
        print(json.dumps({"tables": written}, indent=1))
        return 0
    for one in written:
        print(
            f"wrote {one['features']}: {one['ticks']} ticks ({one['bad_ticks']} of a bad signal), "
            f"{one['n_features']} features"
        )
    return 0
