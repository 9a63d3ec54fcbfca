"""The process of a job: runs one `emghand` command, says how far it is, stops when asked to.

It is told what to do by one JSON object on its standard input, which stays open as long as whoever
started it lives: when that ends, the job does. Its standard output is that of the command. Lines of
JSON with stage and fraction go to the file descriptor of its first argument.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from emghand import steps
from emghand.errors import UserError

CANCELLED = 130


def main() -> int:
    """Run the job; returns the exit status of its command, or `CANCELLED`."""
    try:
        return _main()
    except KeyboardInterrupt:
        return CANCELLED


def _main() -> int:
    progress = int(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: steps.ask_to_stop())
    # Ctrl-C in the terminal of the session is for the session, which then asks this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(stage: str, fraction: float) -> None:
        known = None if math.isnan(fraction) else fraction
        line = json.dumps({"stage": stage, "fraction": known}) + "\n"
        os.write(progress, line.encode())

    with steps.listening(tell):
        return run_task(task)


def run_task(task: dict[str, Any]) -> int:
    """Run the command of a task and enter what it wrote; its exit status."""
    from emghand.cli.main import main as command
    from emghand.storage.sessions import Session

    status = command(task["words"])
    if status or not task["session"]:
        return status
    with steps.whole():
        session = Session.open(task["session"])
        for output in task["outputs"]:
            if Path(output).exists():
                try:
                    session.add_file(Path(output).resolve())
                except UserError as error:
                    print(f"error: {error}", file=sys.stderr)
                    return 1
    return 0


def _end_with_parent() -> None:
    # Blocks until the other end is closed. The signal goes to the main thread.
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
