"""Tables of scores for the terminal."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table

from emghand.evaluate.metrics import Scores

EXPLANATION = (
    "R² lag: against x_d of {lag:.0f} ms before, the lag of the training part; R²: against x_d at "
    "the same moment. NRMSE: RMSE over the range of x_d. Intended: RMSE while the DOF is meant to "
    "move; unintended: RMS of its estimate while only others are."
)


def print_scores(title: str, plain: Scores, compensated: Scores) -> None:
    """Print one row per DOF and their mean; `print_explanation` says what the columns are."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("DOF")
    for heading in ("R² lag", "R²", "RMSE", "NRMSE", "corr.", "intended", "unintended"):
        table.add_column(heading, justify="right")
    columns = (
        compensated.r2,
        plain.r2,
        plain.rmse,
        plain.nrmse,
        plain.correlation,
        plain.intended,
        plain.unintended,
    )
    for i, name in enumerate(plain.names):
        table.add_row(name, *(_number(float(c[i])) for c in columns))
    table.add_section()
    table.add_row("mean", *(_number(_mean(c.tolist())) for c in columns), style="bold")
    Console().print(table)


def print_explanation(lag_s: float) -> None:
    """Print what the columns of `print_scores` are."""
    Console().print(EXPLANATION.format(lag=lag_s * 1e3), style="dim")


def _mean(values: list[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else math.nan


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"
