"""Compute x_hat and out_x_hat of a bag again, offline, and compare them bit for bit.

Needs a bag with /emg/raw, /emg/info, the events and states of feature_node and decoder_node, and
the models that were in force: they are looked for where the decoder had loaded them, in the
session's models folder and beside the bag. The exit status is 0 only when every sample that can
be compared is identical, and there is at least one.

Examples
--------
  emghand replay-check session/bags/test
  emghand replay-check bag --model moved.emgmodel --json
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emghand.replay import Comparison

HELP = "recompute a bag offline and compare it bit for bit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("bag", help="bag directory or .mcap file")
    parser.add_argument("--model", help="model file, where the one the bag names has moved")
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from emghand.replay import check_bag

    report = check_bag(args.bag, args.model)
    if args.json:
        print(json.dumps(report.to_json(), indent=1))
        return 0 if report.passed else 1
    for name in ("features", "x_hat", "out_x_hat"):
        _show(name, getattr(report, name))
    for reason in report.breaks:
        print(f"break: {reason}")
    if report.unrecorded:
        print(f"{report.unrecorded} computed outputs are not in the bag")
    for model_id, path in report.models.items():
        print(f"model {model_id[:12]} from {path}")
    compared = f"{report.x_hat.compared} of {report.x_hat.recorded} ticks compared"
    print(f"identical to the bit, {compared}" if report.passed else f"NOT identical, {compared}")
    return 0 if report.passed else 1


def _show(name: str, comparison: Comparison) -> None:
    print(
        f"{name}: {comparison.recorded} recorded, {comparison.compared} compared, "
        f"{comparison.identical} identical"
    )
    for reason, count in comparison.not_comparable.items():
        print(f"    {count} not comparable: {reason}")
    found = comparison.first_difference
    if found is not None:
        print(
            f"    first difference at tick {found['tick']} {found['element']}: recorded "
            f"{found['recorded']!r}, computed {found['computed']!r}"
        )
