"""Look into a recording.

Examples
--------
  emghand bag info session/bags/collect
  emghand bag info recording.mcap --json
"""

from __future__ import annotations

import argparse
import datetime
import json
from typing import Any

HELP = "look into a recording: topics, duration, gaps"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    info = actions.add_parser("info", help="topics, counts, duration and gaps of a bag")
    info.add_argument("path", help="bag directory or .mcap file, also one that was cut short")
    info.add_argument("--json", action="store_true", help="print everything as JSON")
    info.set_defaults(action=_info)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return int(args.action(args))


def _info(args: argparse.Namespace) -> int:
    from emghand.storage.bags.summary import summarise

    summary = summarise(args.path)
    print(json.dumps(summary, indent=1) if args.json else _text(summary))
    return 0


def _text(summary: dict[str, Any]) -> str:
    start = datetime.datetime.fromtimestamp(summary["start_ns"] * 1e-9)
    lines = [
        f"{summary['bag']}: {summary['message_count']} messages in {summary['duration_s']:.2f} s, "
        f"from {start:%Y-%m-%d %H:%M:%S}"
    ]
    if summary["damaged"]:
        lines.append(
            f"cut short, {summary['lost_bytes']} bytes are not readable; "
            "run: emghand session repair"
        )
    duration = max(summary["duration_s"], 1e-9)
    width = max((len(name) for name in summary["topics"]), default=0)
    for name, topic in summary["topics"].items():
        rate = topic["messages"] / duration
        lines.append(f"  {name:<{width}} {topic['messages']:>8} {rate:8.1f} Hz  {topic['type']}")
    report = summary["integrity"]
    for name, missing in report["lost_messages"].items():
        lines.append(f"  {name}: {missing} messages were not recorded")
    for kind in ("samples", "ticks"):
        for name, counter in report[kind].items():
            lines += [
                f"  {name}: {gap['missing']} {kind} missing at {gap['at']}"
                for gap in counter["gaps"]
            ]
            lines.append(
                f"  {name}: {counter[kind]} {kind}, {counter['missing']} missing, "
                f"{counter['restarts']} restarts"
            )
    return "\n".join(lines)
