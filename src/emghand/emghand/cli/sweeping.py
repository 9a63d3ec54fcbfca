"""What the commands that run a sweep share."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emghand.sweep.run import Report
    from emghand.sweep.sweep import Row, Sweep


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where a sweep runs."""
    parser.add_argument(
        "--jobs", type=int, default=0, metavar="N", help="processes (default: one per core)"
    )
    parser.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="run on a Dask cluster instead, for example tcp://127.0.0.1:8786",
    )


def run(args: argparse.Namespace, sweep: Sweep, directory: str) -> Report:
    """Run a sweep with a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from emghand.steps import step
    from emghand.sweep.pools import open_pool
    from emghand.sweep.run import run_sweep
    from emghand.sweep.store import Store

    store = Store(directory)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} tasks"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        Remaining(),
        console=Console(stderr=True),
        disable=args.json or not sys.stderr.isatty(),
    )
    started = time.monotonic()
    shown = None

    def show(done: int, total: int) -> None:
        nonlocal shown
        # Tasks of an earlier run are no measure of speed: the bar begins behind them.
        if shown is None:
            shown = bar.add_task(sweep.kind, total=total, completed=done)
        bar.update(shown, completed=done, total=total)
        step(f"{done:g} of {total:g} tasks", done / total if total else 1.0)

    try:
        with open_pool(args.scheduler, args.jobs) as pool, bar:
            report = run_sweep(sweep, store, pool, show)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {directory}", file=sys.stderr)
        raise
    took = time.monotonic() - started
    ran = len(report.results) - report.stored
    print(
        f"{ran} tasks run, {report.stored} were there, {len(report.errors)} failed, "
        f"in {took:.1f} s; results in {directory}",
        file=sys.stderr,
    )
    return report


def print_table(title: str, rows: list[Row]) -> None:
    """Print the table of a sweep."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, padding=0)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for name in columns:
        numbers = all(isinstance(row.get(name, 0.0), int | float | None) for row in rows)
        heading = name.replace("_", " ")
        words = [
            w for text in (heading, *(_cell(row.get(name)) for row in rows)) for w in text.split()
        ]
        table.add_column(
            heading,
            justify="right" if numbers else "left",
            min_width=min(max(map(len, words), default=1), 20),
        )
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    Console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
