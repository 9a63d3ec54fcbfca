"""What the tables of a study survive: kills of the process that updates them, at random moments.

    python benchmark/progress_kills.py
    python benchmark/progress_kills.py --kills 1000 --folder /mnt/stick/kills

The loop is that of the tests, there with fewer kills:
src/emghand/test/progress/store/progress_kill_loop.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

LOOP = Path(__file__).parents[1] / "src/emghand/test/progress/store/progress_kill_loop.py"


def main() -> int:
    """Run the loop and print what was found; exit status 1 when something was between."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="on the disk to be tried")
    parser.add_argument("--url", default="", help="of an empty PostgreSQL database; else SQLite")
    args = parser.parse_args()
    if args.folder is not None:
        Path(args.folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        command = [sys.executable, str(LOOP), folder, "--kills", str(args.kills)]
        command += ["--seed", str(args.seed), "--url", args.url]
        run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        print(f"FAILED\n{run.stderr}")
        return 1
    found = json.loads(run.stdout)
    print(f"{found['kills']} kills in {found['seconds']} s, an update takes {found['update_s']} s")
    for kind, count in sorted(found["reached"].items()):
        print(f"{count:>6}  {kind}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
