"""Look after a session.

repair: a bag that was cut short (power, kill -9, a full disk) is rewritten so that every tool can
play it. What can be read is kept to the last whole message; the damaged original stays beside it
as NAME.damaged.

Examples
--------
  emghand session repair session
  emghand session repair session/bags/collect
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "look after a session: repair bags that were cut short"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    repair = actions.add_parser("repair", help="make bags that were cut short playable")
    repair.add_argument("path", help="session directory, bag directory or .mcap file")
    repair.set_defaults(action=_repair)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return int(args.action(args))


def find_bags(path: Path) -> list[Path]:
    """The bag itself, or all bags of a session; damaged originals that were kept are passed over.

    Raises
    ------
    BagError
        When there is none.
    """
    from emghand.storage.bags import BagError

    if not (path / "bags").is_dir():
        return [path]
    folders = [p for p in (path / "bags").iterdir() if any(p.glob("*.mcap"))]
    bags = sorted(p for p in folders if ".damaged" not in p.suffix)
    if not bags:
        raise BagError(f"session {path}: has no bags")
    return bags


def _repair(args: argparse.Namespace) -> int:
    from emghand.storage.bags import BagError, repair_bag

    failed = 0
    for bag in find_bags(Path(args.path)):
        try:
            done = repair_bag(bag)
        except BagError as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        found = f"{done.messages} messages, {done.duration_s:.2f} s"
        if done.original is None:
            print(f"{done.bag}: is whole ({found})")
        else:
            print(
                f"{done.bag}: repaired ({found}; {done.lost_bytes} bytes were not readable), "
                f"original kept as {done.original}"
            )
    return 1 if failed else 0
