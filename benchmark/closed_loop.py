"""An ensemble of simulated users tries targets in closed loop: how many do they reach?

    python benchmark/closed_loop.py
    python benchmark/closed_loop.py --users 20 --adapt 4 --output run

Everybody collects, trains the default decoder and is tested with it, with the latching filters,
and with a scrambled decoder; `--adapt` users also have their electrodes turned, with and without
adaptation. `docs/simulated_user.md` explains the columns. The same numbers every time; `--output`
keeps what was computed and goes on where it was.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from emghand.simulate.ensemble import MEASURES, UserSweep
from emghand.sweep.pools import LocalPool
from emghand.sweep.run import Report, run_sweep
from emghand.sweep.store import Store

DRIFT = ("drifted", "adapted")


def ensemble(console: Console, sweep: UserSweep, folder: Path, jobs: int) -> Report:
    """Run a sweep with a progress bar."""
    pool = LocalPool(jobs)
    try:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task(", ".join(sweep.conditions))
            return run_sweep(
                sweep,
                Store(folder),
                pool,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    finally:
        pool.close()


def tables(report: Report, title: str) -> list[Table]:
    """Completion over users, and speed and steadiness."""
    shares = ("completed", "completed_worst", "completed_p25", "completed_median", "completed_p75")
    heads = (("targets", "users", "trials", "mean", "worst", "p25", "median", "p75"), MEASURES)
    columns = (("targets", "users", "trials", *shares), MEASURES)
    found = []
    failed = any("error" in row for row in report.table)
    for text, names, keys in zip(("completion", "median user"), heads, columns, strict=True):
        table = Table("condition", *(("targets",) if keys is MEASURES else ()), *names)
        if failed:
            table.add_column("error")
        table.title = f"{title}: {text}"
        for row in report.table:
            kind = (row["targets"],) if keys is MEASURES and "targets" in row else ()
            cells = [_text(row.get(key), key) for key in keys]
            error = (row.get("error", ""),) if failed else ()
            table.add_row(row["condition"], *kind, *cells, *error)
        found.append(table)
    return found


def _text(value: object, key: str) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{100 * value:.0f} %" if key.startswith(("completed", "in_")) else f"{value:.2f}"


def main() -> None:
    """Run it and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--adapt", type=int, default=4, help="users with a drift; 0: none")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0: one per core")
    parser.add_argument("--output", type=Path, help="folder that keeps the results")
    args = parser.parse_args()
    console = Console(width=130)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.output or Path(scratch)
        sweeps = {"users": UserSweep.from_document({"users": args.users}, folder)}
        if args.adapt:
            document = {"users": args.adapt, "conditions": list(DRIFT)}
            sweeps["drift"] = UserSweep.from_document(document, folder)
        for name, sweep in sweeps.items():
            begin = time.monotonic()
            report = ensemble(console, sweep, folder / name, args.jobs)
            for table in tables(report, f"{len(sweep.seeds)} {name}"):
                console.print(table)
            console.print(f"{time.monotonic() - begin:.0f} s, {report.stored} stored before\n")


if __name__ == "__main__":
    main()
