"""What a session survives: kills at random moments, death and a full disk at each writing call.

    python benchmark/session_kills.py
    python benchmark/session_kills.py --kills 5000 --folder /mnt/stick/kills

The loop is the one of the tests (src/emghand/test/storage/crash_loop.py), there with fewer kills.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

LOOP = Path(__file__).parents[1] / "src/emghand/test/storage/crash_loop.py"


def main() -> int:
    """Run all three loops and print a table; exit status 1 when something was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="at random moments")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="on the disk to be tried")
    args = parser.parse_args()
    failed = 0
    print(f"{'loop':<8} {'kills or calls':>14} {'seconds':>8}  reached")
    for mode, more in (
        ("random", ["--kills", str(args.kills), "--seed", str(args.seed)]),
        ("every", []),
        ("full", []),
    ):
        if args.folder is not None:
            Path(args.folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            command = [sys.executable, str(LOOP), mode, folder, *more]
            result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            print(f"{mode:<8} FAILED\n{result.stderr}")
            failed += 1
            continue
        found = json.loads(result.stdout)
        count = found.get("kills", found.get("calls"))
        reached = ", ".join(f"{n} {kind}" for kind, n in found["reached"].items())
        print(f"{mode:<8} {count:>14} {found['seconds']:>8}  {reached}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
