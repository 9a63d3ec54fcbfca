"""What the commands that show results share: arguments, JSON, tables."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from emghand.evaluate.compare import Comparison
    from emghand.evaluate.results import Result

HEADINGS = {"r2": "R²", "rmse": "RMSE", "nrmse": "NRMSE", "correlation": "corr."}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a command that shows scores."""
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="PART",
        help="also a table by movement, repetition, recording or fold; may be given several times",
    )
    parser.add_argument(
        "--metrics",
        metavar="NAME,...",
        help="r2, rmse, nrmse, correlation, intended, unintended, latency, gesture_accuracy, or "
        "those of an installed package (default: the first six)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def metrics(text: str | None) -> tuple[str, ...]:
    """Names of metrics from ``r2,nrmse``.

    Raises
    ------
    UserError
        When one is unknown or none is named.
    """
    from emghand.errors import UserError
    from emghand.evaluate.metrics import DEFAULT_METRICS, find_metric

    if text is None:
        return DEFAULT_METRICS
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UserError("--metrics: name at least one, for example r2,nrmse")
    for name in names:
        find_metric(name)
    return names


def check(args: argparse.Namespace) -> None:
    """Find a mistake in ``--by`` before anything is computed.

    Raises
    ------
    UserError
        When a table is unknown.
    """
    from emghand.errors import UserError
    from emghand.evaluate.results import TABLES

    for name in args.by:
        if name not in TABLES:
            raise UserError(f"--by {name}: unknown, choose from: {', '.join(TABLES)}")


def check_free(path: str | None) -> None:
    """Refuse the name of a result that cannot be kept, before anything is computed.

    Raises
    ------
    UserError
        When it has another ending, it or the file of its ticks exists, or its folder does not.
    """
    from pathlib import Path

    from emghand.errors import UserError
    from emghand.storage.files import check_new

    if path is None:
        return
    if Path(path).suffix != ".json":
        raise UserError(f"{path}: the name of a result ends in .json")
    check_new(path)
    check_new(Path(path).with_suffix(".npz"))


def document(result: Result) -> dict[str, Any]:
    """A result as plain values: those of its file, and its scores by signal at the top."""
    saved = json.loads(result.to_json())
    scores = saved.pop("scores")
    ticks = saved.pop("n_ticks")
    arrays = saved.pop("ticks", None)
    return saved | scores | {"ticks": ticks, "arrays": arrays, "digest": result.digest}


def print_json(value: Any) -> None:
    """Print plain values."""
    print(json.dumps(value, indent=1, allow_nan=False))


def print_saved(path: str | None) -> None:
    """Say where a result was kept."""
    if path:
        print(f"wrote {path}")


def print_result(result: Result, by: list[str]) -> None:
    """Print scores per DOF and, for each of `by`, the means over the DOFs by part."""
    from rich.console import Console

    from emghand.cli import tables

    _print_signal(result, "x_hat", "x_hat: decoder")
    _print_signal(result, "out_x_hat", "out_x_hat: what the hand gets")
    for name in by:
        for signal in ("x_hat", "out_x_hat"):
            _print_parts(result, name, signal)
    if {"r2", "nrmse", "intended", "unintended"} & set(result.metrics):
        tables.print_explanation(result.lag_s)
    latency = _mean(result.latency_ms["out_x_hat"])
    if math.isfinite(latency):
        Console().print(
            f"Latency: out_x_hat follows x_d by {latency:.0f} ms (cross-correlation).", style="dim"
        )
    refused = ", ".join(f"{n} {fault}" for fault, n in result.faults.items() if n)
    print(f"{result.n_ticks} ticks scored" + (f"; refused: {refused}" if refused else ""))


def print_comparison(found: Comparison) -> None:
    """Print the table of the results and that of their differences."""
    from rich.console import Console

    console = Console()
    table = number_table(
        f"{found.metric} of {found.signal}, per {found.unit}",
        "",
        ("all ticks", f"mean over {found.unit}s", "95 % interval", "n"),
    )
    for item in found.items:
        interval = _interval(item.low, item.high)
        table.add_row(item.name, shown(item.pooled), shown(item.mean), interval, str(item.n))
    console.print(table)
    table = number_table(
        f"Differences, {found.test}",
        "",
        ("difference", "95 % interval", "effect", "p (Holm)", "n", "better"),
    )
    for pair in found.pairs:
        table.add_row(
            f"{pair.a} - {pair.b}",
            shown(pair.difference),
            _interval(pair.low, pair.high),
            shown(pair.effect),
            _probability(pair.p_holm),
            str(pair.n),
            pair.better or "-",
        )
    console.print(table)
    for note in found.notes:
        console.print(f"note: {note}", highlight=False)


def _print_signal(result: Result, signal: str, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = _columns(result.scores, signal, result.metrics)
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("DOF")
    for heading in columns:
        table.add_column(heading, justify="right")
    for dof in next(iter(columns.values())):
        table.add_row(dof, *(shown(column[dof]) for column in columns.values()))
    table.add_section()
    table.add_row("mean", *(shown(_mean(c)) for c in columns.values()), style="bold")
    Console().print(table)


def _print_parts(result: Result, by: str, signal: str) -> None:
    from rich.console import Console

    headings = _columns(result.scores, signal, result.metrics)
    table = number_table(f"{signal} by {by}, mean over the DOFs", by, ("ticks", *headings))
    for row in result.tables[by]:
        columns = _columns(row.scores, signal, result.metrics)
        table.add_row(row.name, str(row.ticks), *(shown(_mean(c)) for c in columns.values()))
    Console().print(table)


def number_table(title: str, first: str, numbers: Iterable[str]) -> Table:
    """Table that fits a narrow terminal: the first column is folded, the numbers never are."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column(first, overflow="fold", min_width=10)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _columns(
    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]],
    signal: str,
    names: tuple[str, ...],
) -> dict[str, Mapping[str, float | None]]:
    """Headings and values by DOF; R² first, with the lag taken out and without."""
    columns = {}
    if "r2" in names:
        columns["R² lag"] = scores[f"{signal}_compensated"]["r2"]
    for name in sorted(names, key=lambda n: n != "r2"):
        columns[_heading(name)] = scores[signal][name]
    return columns


def _heading(name: str) -> str:
    from emghand.evaluate.metrics import find_metric

    unit = find_metric(name).unit
    return HEADINGS.get(name, name.replace("_", " ")) + (f" \\[{unit}]" if unit else "")


def _mean(values: Mapping[str, float | None]) -> float:
    known = [v for v in values.values() if v is not None]
    return sum(known) / len(known) if known else math.nan


def shown(value: float | None, digits: int = 3) -> str:
    """A number for a table; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _probability(value: float | None) -> str:
    return "<0.0001" if value is not None and value < 1e-4 else shown(value, 4)


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None else f"[{shown(low)}, {shown(high)}]"
