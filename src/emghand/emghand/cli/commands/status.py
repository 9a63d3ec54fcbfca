"""What of a session is there, trained and up to date, and why not: decided by content, not dates.

Of a named session the files are read; no graph is needed. Without one the graph is asked for the
session that is open and the model that runs. The exit status is 0 unless something is stale.

Examples
--------
  emghand status sessions/s01
  emghand status --json
"""

from __future__ import annotations

import argparse
from typing import Any

HELP = "what of a session is there, trained and stale"

_FIELDS = ("session", "subject", "data", "decoder", "autoencoder", "reference")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("session", nargs="?", help="session (default: the one that is open)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json

    from emghand.jobs.status import STALE, session_status

    status: Any = session_status(args.session) if args.session else _of_graph()
    found = {name: getattr(status, name) for name in _FIELDS}
    found |= {name: list(getattr(status, name)) for name in ("recordings", "why")}
    if not args.session:
        found |= {"model_id": status.model_id, "model_uri": status.model_uri}
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        for name, value in found.items():
            lines = value if isinstance(value, list) else [value]
            print(f"{name + ':':13}{lines[0] if lines and lines[0] else '-'}")
            for line in lines[1:]:
                print(f"{'':13}{line}")
    return 1 if STALE in found.values() else 0


def _of_graph() -> Any:
    from emghand.client import GraphClient

    with GraphClient() as graph:
        from emghand_interfaces.srv import GetStatus

        return graph.ask(GetStatus, "/session/get_status", GetStatus.Request()).status
