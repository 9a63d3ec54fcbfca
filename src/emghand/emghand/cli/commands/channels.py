"""Look at every channel of recordings and name the bad ones: flat, railed, mains, noisy.

Of a session the bags collect* are taken. Rest and movement are told by the labels; in a recording
without any, by the quietest and the loudest fifth of it.

    emghand channels sessions/s01
    emghand channels recording.npz --set notch_hz=60.0 --json
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emghand.signal.channel_quality import ChannelQuality

HELP = "quality of every channel, and which to leave out"

_COLUMNS = ("rest", "move", "SNR [dB]", "mains", "flat", "railed", "rest z", "corr.", "bad")


EXPLANATION = (
    "rest, move: RMS of the filtered signal in {unit}, median at rest and 95th percentile while "
    "moving. mains: share of the power that the notches remove. flat: share of the time without "
    "any change. railed: share of the samples at the end of the range. rest z: robust z-score of "
    "the level at rest among the channels. corr.: largest correlation of the level with a movement."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    from emghand.cli import examples

    parser.add_argument("targets", nargs="+", metavar="SESSION|RECORDING", help="session, or bags")
    parser.add_argument(
        "--label", default="collect", help="which bags of a session (default: collect, collect_2)"
    )
    examples.add_features(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import dataclasses
    import json
    import math

    from emghand.cli.examples import feature_settings, find_recordings
    from emghand.signal.channel_quality import bad_channels
    from emghand.storage.datasets import read_any
    from emghand.training.channel_check import check_channels

    paths = find_recordings(args.targets, args.label)
    recordings = [read_any(path) for path in paths]
    found = check_channels(recordings, feature_settings(paths, args.feature_config, args.set))
    bad = bad_channels(found)
    if args.json:
        channels = [
            {
                k: None if isinstance(v, float) and not math.isfinite(v) else v
                for k, v in dataclasses.asdict(channel).items()
            }
            for channel in found
        ]
        document = {
            "recordings": [str(p) for p in paths],
            "recordings_sha256": [r.digest for r in recordings],
            "unit": recordings[0].stream.unit,
            "channels": channels,
            "bad_channels": list(bad),
        }
        print(json.dumps(document, indent=1))
        return 0
    _print_table(found, recordings[0].stream.unit)
    if bad:
        print(f"leave them out with: --set bad_channels=[{','.join(bad)}]")
    else:
        print("no bad channel")
    return 0


def _print_table(channels: list[ChannelQuality], unit: str) -> None:
    from rich.console import Console
    from rich.table import Table

    factor, unit = (1e6, "µV") if unit == "V" else (1.0, "counts")
    table = Table(title="Channels", title_justify="left", title_style="bold")
    table.add_column("name", no_wrap=True)
    for heading in _COLUMNS:
        table.add_column(heading, justify="right" if heading != "bad" else "left")
    for c in channels:
        table.add_row(
            c.name,
            *(_number(v * factor, "{:.1f}") for v in (c.rest_rms, c.move_rms)),
            _number(c.snr_db, "{:.1f}"),
            *(_number(v, "{:.0%}") for v in (c.mains_share, c.flat_share, c.railed_share)),
            _number(c.rest_z, "{:.1f}"),
            _number(c.correlation, "{:.2f}"),
            ", ".join(c.reasons),
            style="red" if c.reasons else "",
        )
    console = Console()
    console.print(table)
    console.print(EXPLANATION.format(unit=unit), style="dim")


def _number(value: float, form: str) -> str:
    return form.format(value) if value == value and abs(value) != float("inf") else "-"
