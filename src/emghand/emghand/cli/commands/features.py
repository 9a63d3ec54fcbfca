"""Compute the features of a recording anew from its raw EMG, with any settings.

The code is that of the live graph; settings are those of the bag, changed with --set. The file is
an npz with stamps, names, values, labels and the settings.

    emghand features sessions/s01/bags/collect --output features.npz
    emghand features sessions/s01/bags/collect --set window_hops=10 --set features=[mav,wl,zc,ssc]
"""

from __future__ import annotations

import argparse

HELP = "compute the features of a recording anew"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import examples

    parser.add_argument("recording", help="bag, table or data set")
    examples.add_features(parser)
    parser.add_argument(
        "--output", default="features.npz", help="file to write (default: features.npz)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from pathlib import Path

    from emghand.cli.examples import feature_settings
    from emghand.storage.datasets import read_any
    from emghand.training.feature_table import feature_table, write_feature_table

    path = Path(args.recording).expanduser()
    recording = read_any(path)
    settings = feature_settings([path], args.feature_config, args.set)
    table = feature_table(recording, settings)
    write_feature_table(table, args.output)
    ticks, features = table["values"].shape
    bad = int((table["quality"] != 0).sum())
    print(f"wrote {args.output}: {ticks} ticks ({bad} of a bad signal), {features} features")
    return 0
