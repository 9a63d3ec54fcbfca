"""What a session survives: kills at random moments, death and a full disk at each writing call.

    python benchmark/session_kills.py
    python benchmark/session_kills.py --kills 5000 --folder /mnt/stick/kills
    python benchmark/session_kills.py --live 100          # the real nodes, which record and prompt

The loops are those of the tests, there with fewer kills: src/emghand/test/storage/crash_loop.py,
and src/session_node/test/live_kills.py for --live. What a loop that fails has written is kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src"
LOOP = SOURCES / "emghand/test/storage/crash_loop.py"
LIVE = SOURCES / "session_node/test/live_kills.py"


def main() -> int:
    """Run the loops and print a table; exit status 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="at random moments")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="on the disk to be tried")
    parser.add_argument(
        "--live", type=int, default=0, metavar="N", help="only the live nodes, killed N times"
    )
    args = parser.parse_args()
    seed = ["--seed", str(args.seed)]
    loops = [
        ("random", [LOOP, "random"], ["--kills", str(args.kills), *seed]),
        ("every", [LOOP, "every"], []),
        ("full", [LOOP, "full"], []),
    ]
    if args.live:
        loops = [("live", [LIVE], ["--kills", str(args.live), *seed])]
    failed = 0
    print(f"{'loop':<8} {'kills or calls':>14} {'seconds':>8}  reached")
    for mode, script, more in loops:
        if args.folder is not None:
            Path(args.folder).mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f"kills_{mode}_", dir=args.folder)
        command = [sys.executable, *map(str, script), folder, *more]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            print(f"{mode:<8} FAILED, see {folder}\n{result.stderr}")
            failed += 1
            continue
        found = json.loads(result.stdout)
        shutil.rmtree(folder)
        count = found.get("kills", found.get("calls"))
        reached = ", ".join(f"{n} {kind}" for kind, n in found["reached"].items())
        print(f"{mode:<8} {count:>14} {found['seconds']:>8}  {reached}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
