"""Figures of scores: per DOF, per movement, per file, intended against unintended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.evaluate.metrics import DEFAULT_METRICS, find_metric
from emghand.report import style
from emghand.report.sources import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Measures = Mapping[str, Mapping[str, "float | None"]]
"""Numbers by metric and DOF, as in the JSON of a result."""

MEAN = "mean"
TITLES = {
    "r2": "R²",
    "rmse": "RMSE",
    "nrmse": "NRMSE",
    "correlation": "Correlation",
    "intended": "Error of intended DOFs",
    "unintended": "Unintended movement",
    "latency": "Lag behind x_d",
}
_UNITS = {
    "rmse": "normalised position",
    "intended": "RMSE, normalised position",
    "unintended": "RMS, normalised position",
    "nrmse": "share of the range of x_d",
    "r2": "share of variance explained",
    "correlation": "Pearson's r",
}
MOST_MAPS = 4
"""Maps of who moves with whom in one figure."""
_LOWEST = -1.0
"""Ratios below this (R² of a useless estimate has no bound) are drawn at the edge, with a value."""
_TITLE_CHARACTERS = 40
"""As many fit above one of two maps side by side."""
_ON_LIGHT, _ON_DARK = "#1d1d1d", "#fdfdfd"
"""Text on the colours of a map, whatever the ground of the page."""


def title_of(metric: str) -> str:
    """Heading of a metric."""
    return TITLES.get(metric, metric.replace("_", " "))


def unit_of(metric: str) -> str:
    """What the axis of a metric shows, with its unit."""
    unit = find_metric(metric).unit
    return _UNITS.get(metric, f"[{unit}]" if unit else "normalised")


def in_order(metrics: Iterable[str]) -> list[str]:
    """Metrics as they are always listed, others behind them."""
    given = list(metrics)
    return [m for m in DEFAULT_METRICS if m in given] + [
        m for m in given if m not in DEFAULT_METRICS
    ]


def mean_of(values: Mapping[str, float | None]) -> float:
    """Mean over the DOFs for which a measure is defined; NaN for none."""
    known = [v for v in values.values() if v is not None and np.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


def scores_figure(series: Mapping[str, Measures], metrics: Sequence[str]) -> Figure:
    """One panel per metric, one row per DOF and one for their mean, one mark per series.

    Parameters
    ----------
    series : mapping of str to mapping
        Scores of each series, by metric and DOF.
    metrics : sequence of str
        What to draw, left to right.

    Raises
    ------
    UserError
        When matplotlib is missing or there are more series than can be told apart.
    """
    style.check_series(len(series))
    dofs = list(dict.fromkeys(d for m in series.values() for k in metrics for d in m.get(k, {})))
    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    row_height = 0.17 + 0.05 * (len(series) - 1)
    with style.drawing():
        figure, axes = style.grid_of_axes(
            rows, columns, height=0.4 + rows * (0.65 + row_height * (len(dofs) + 1)), sharey=True
        )
        for axis, metric in zip(axes.flat, metrics, strict=False):
            _score_panel(axis, metric, series, dofs)
        for axis in axes.flat[len(metrics) :]:
            axis.set_axis_off()
        style.legend_above(figure, style.mark_handles(series))
    return figure


def _score_panel(axis: Any, metric: str, series: Mapping[str, Measures], dofs: list[str]) -> None:
    names = [*dofs, MEAN]
    at = np.arange(len(names), dtype=np.float64)
    axis.axhspan(len(dofs) - 0.5, len(dofs) + 0.5, color=style.FILL, linewidth=0, zorder=0)
    shown = []
    for index, measures in enumerate(series.values()):
        values = measures.get(metric, {})
        known = [values.get(d) for d in dofs]
        row = np.array([np.nan if v is None else v for v in known] + [mean_of(values)])
        look = style.look(index)
        offset = style.spread(index, len(series), 0.6 * (1.0 - 1.0 / len(series)))
        drawn = np.maximum(row, _LOWEST)
        shown.append(drawn)
        if len(series) == 1:
            axis.hlines(at, 0.0, drawn, color=look.color, linewidth=0.9)
        axis.plot(
            drawn,
            at + offset,
            linestyle="none",
            marker=look.marker,
            markersize=3.6,
            color=look.color,
            clip_on=False,
            zorder=3,
        )
        for y, (value, x) in enumerate(zip(row, drawn, strict=True)):
            if np.isfinite(value) and (len(series) == 1 or value < _LOWEST):
                axis.annotate(
                    _short(float(value)),
                    (max(x, 0.0), y + offset),
                    xytext=(5, 0),
                    fontsize=6.5,
                    textcoords="offset points",
                    va="center",
                )
    known_values = np.concatenate(shown)
    known_values = known_values[np.isfinite(known_values)]
    low, high = min(0.0, known_values.min(initial=0.0)), known_values.max(initial=1e-3)
    if metric in ("r2", "correlation"):
        high = 1.0
        axis.set_xticks([t for t in (-1.0, -0.5, 0.0, 0.5, 1.0) if t >= low - 0.25])
    margin = 0.2 if len(series) == 1 else 0.06
    axis.set_xlim(low - 0.05 * (high - low) * (low < 0), high + margin * (high - low))
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_yticks(at, [n.replace("_", " ") for n in names])
    axis.tick_params(axis="y", length=0, pad=5)
    axis.axvline(0.0, color=style.INK, linewidth=0.6)
    axis.set_title(title_of(metric))
    axis.set_xlabel(unit_of(metric))
    style.number_lines(axis, "x")


def _short(value: float) -> str:
    size = abs(value)
    text = f"{value:.3g}" if size >= 10.0 else f"{value:.2f}" if size >= 0.095 else f"{value:.2g}"
    return text.replace("-", "−")


def unintended_figure(
    series: Mapping[str, Measures], crosstalk: Mapping[str, tuple[list[str], list[str], Floats]]
) -> Figure:
    """Error of intended DOFs against movement of the others, and who moves with whom.

    Parameters
    ----------
    series : mapping of str to mapping
        Scores of each series by metric and DOF, with ``intended`` and ``unintended``.
    crosstalk : mapping of str to tuple
        For each series movements, DOFs, and the mean estimate at the plateau of the movements,
        shape (n_movements, n_dofs); may be empty.

    Raises
    ------
    UserError
        When matplotlib is missing or there are more series than can be told apart.
    """
    style.check_series(len(series))
    shown = dict(list(crosstalk.items())[:MOST_MAPS])
    dofs = list(dict.fromkeys(d for m in series.values() for d in m["intended"]))
    n_movements = max((len(m) for m, _, _ in shown.values()), default=0)
    map_height = 0.75 + 0.19 * n_movements
    per_row = 2 if len(shown) > 1 else 1
    map_rows = -(-len(shown) // per_row)
    dots = 0.55 + (0.2 + 0.07 * (len(series) - 1)) * len(dofs)
    with style.drawing():
        from matplotlib.figure import Figure

        figure = Figure(
            figsize=(style.WIDTH, 0.5 + dots + map_rows * map_height), layout="constrained"
        )
        grid = figure.add_gridspec(
            1 + map_rows, per_row, height_ratios=[dots, *([map_height] * map_rows)]
        )
        _pairs(figure.add_subplot(grid[0, :]), series, dofs)
        for place, (name, (movements, columns, values)) in enumerate(shown.items()):
            axis = figure.add_subplot(grid[1 + place // per_row, place % per_row])
            _map(
                axis,
                movements,
                columns,
                values,
                plain(name, _TITLE_CHARACTERS) if len(crosstalk) > 1 else "",
            )
        style.legend_above(figure, style.mark_handles(series))
    return figure


def _pairs(axis: Any, series: Mapping[str, Measures], dofs: list[str]) -> None:
    from matplotlib.lines import Line2D

    for index, measures in enumerate(series.values()):
        look = style.look(index)
        offset = style.spread(index, len(series), 0.6 * (1.0 - 1.0 / len(series)))
        for row, dof in enumerate(dofs):
            pair = [measures[k].get(dof) for k in ("intended", "unintended")]
            known = [v for v in pair if v is not None]
            if len(known) == 2:
                axis.plot(known, [row + offset] * 2, color=style.FAINT, linewidth=0.7, zorder=1)
            for value, face in zip(pair, (look.color, style.PAPER), strict=True):
                if value is not None:
                    axis.plot(
                        [value],
                        [row + offset],
                        marker=look.marker,
                        markersize=4,
                        color=look.color,
                        markerfacecolor=face,
                        clip_on=False,
                    )
    axis.set_yticks(range(len(dofs)), [d.replace("_", " ") for d in dofs])
    axis.set_ylim(len(dofs) - 0.5, -0.5)
    axis.set_xlim(left=0.0)
    axis.tick_params(axis="y", length=0, pad=5)
    axis.set_xlabel("normalised position (RMSE while meant to move, RMS while others are)")
    axis.set_title("Intended and unintended movement")
    marks = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            color=style.INK,
            markersize=4,
            label=label,
            markerfacecolor=face,
        )
        for label, face in (
            ("error while meant to move", style.INK),
            ("movement while meant to rest", style.PAPER),
        )
    ]
    axis.legend(
        handles=marks, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, handlelength=1.0
    )
    style.number_lines(axis, "x")


def _map(axis: Any, movements: list[str], dofs: list[str], values: Floats, name: str) -> None:
    axis.pcolormesh(
        values, cmap=style.diverging(), vmin=-1.0, vmax=1.0, edgecolors=style.PAPER, linewidth=1.0
    )
    for (row, column), value in np.ndenumerate(values):
        axis.text(
            column + 0.5,
            row + 0.5,
            f"{round(value, 2) + 0.0:.2f}".replace("-", "−"),
            ha="center",
            va="center",
            fontsize=6.5,
            color=_ON_LIGHT if abs(value) < 0.55 else _ON_DARK,
        )
    axis.set_xticks(np.arange(len(dofs)) + 0.5, [d.replace("_", "\n") for d in dofs])
    axis.set_yticks(np.arange(len(movements)) + 0.5, [m.replace("_", " ") for m in movements])
    axis.invert_yaxis()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("DOF (numbers: mean estimate, normalised position)")
    axis.set_title(name or "What moves in each movement")
