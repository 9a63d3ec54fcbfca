"""Figure of desired against decoded DOFs over time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.report import style
from emghand.report.decimate import line
from emghand.storage.recording import Period, PeriodKind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

MOST_COLUMNS = 3
_BINS = 1400
_CHARACTER_IN = 0.055
_LINE_IN = 0.11
_SHADE = 0.16


@dataclass(frozen=True)
class Span:
    """A movement from `left` to `right` [s]."""

    left: float
    right: float
    name: str


@dataclass(frozen=True)
class Mark:
    """A movement that was found in a series, from `left` to `right` [s], in some of the DOFs."""

    left: float
    right: float
    dofs: tuple[str, ...]
    series: str


@dataclass(frozen=True)
class Column:
    """One recording, or a part of one, decoded by one or several models.

    Parameters
    ----------
    title : str
    dofs : tuple of str
    seconds : ndarray, shape (n,)
        Ascending [s].
    x_d : ndarray, shape (n, n_dofs)
        NaN where there is no label.
    lines : mapping of str to ndarray, shape (n, n_dofs)
        Estimates by the name of their series.
    movements : sequence of Span
        Named above the figure.
    marks : sequence of Mark
        Shaded in the rows of their DOFs.
    start_ns : int
        Acquisition time of 0 s; 0: unknown.
    """

    title: str
    dofs: tuple[str, ...]
    seconds: Floats
    x_d: Floats
    lines: Mapping[str, Floats]
    movements: Sequence[Span] = ()
    marks: Sequence[Mark] = ()
    start_ns: int = 0

    def part(self, start: float, end: float) -> Column:
        """From `start` to `end` [s]."""
        keep = (self.seconds >= start) & (self.seconds <= end)
        lines = {name: values[keep] for name, values in self.lines.items()}
        return replace(self, seconds=self.seconds[keep], x_d=self.x_d[keep], lines=lines)

    def liveliest(self, length: float) -> Column:
        """The first stretch of `length` seconds with the most movement asked for."""
        if not len(self.seconds):
            return self
        away = np.abs(np.nan_to_num(self.x_d)).sum(axis=1)
        asked = np.concatenate([[0.0], np.cumsum(away)])
        ends = np.searchsorted(self.seconds, self.seconds + length)
        # A stretch that begins before the middle of a movement starts with its onset.
        best = int(np.argmax(asked[ends] - asked[:-1]))
        start = float(self.seconds[best])
        return self.part(start, start + length)


def tracking_figure(
    columns: Sequence[Column], *, notes: Mapping[str, str] | None = None, title: str = ""
) -> Figure:
    """One row per DOF, one column per recording, one line per series; `x_d` is the grey area.

    Parameters
    ----------
    columns : sequence of Column
        With the same DOFs.
    notes : mapping, optional
        Text at the right of a DOF's row, by name.
    title : str

    Raises
    ------
    UserError
        When matplotlib is missing, there is too much to draw, or the DOFs differ.
    """
    if len(columns) > MOST_COLUMNS:
        raise UserError(
            f"{len(columns)} recordings do not fit side by side: draw at most {MOST_COLUMNS} at a "
            "time"
        )
    dofs = columns[0].dofs
    for other in columns:
        if other.dofs != dofs:
            raise UserError(f"{columns[0].title} and {other.title} have different DOFs")
        if not len(other.seconds):
            raise UserError(f"{other.title}: has nothing to draw in this stretch of time")
    series = list(dict.fromkeys(name for c in columns for name in c.lines))
    style.check_series(len(series))
    limits = [_limits(columns, row) for row in range(len(dofs))]
    heights = [high - low for low, high in limits]
    names_height = max(_names_height(c, len(columns)) for c in columns)
    with style.drawing():
        from matplotlib.patches import Patch

        figure, axes = style.grid_of_axes(
            len(dofs),
            len(columns),
            height=0.8 + names_height + 0.08 * len(dofs) + 0.32 * sum(heights),
            sharex="col",
            sharey="row",
            height_ratios=heights,
        )
        for place, column in enumerate(columns):
            for row in range(len(dofs)):
                _draw_row(axes[row, place], column, row, series, len(columns))
            axes[-1, place].set_xlabel("time [s]")
            axes[-1, place].set_xlim(float(column.seconds[0]), float(column.seconds[-1]))
        for row, dof in enumerate(dofs):
            axes[row, 0].set_ylim(*limits[row])
            axes[row, 0].set_yticks([-1, 0, 1] if limits[row][0] < -0.9 else [0, 1])
            axes[row, 0].set_ylabel(dof.replace("_", "\n"), rotation=0, ha="right", va="center")
            if notes and dof in notes:
                axes[row, -1].annotate(
                    notes[dof],
                    (1.0, 0.5),
                    xycoords="axes fraction",
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7,
                )
        figure.align_ylabels(axes[:, 0])
        figure.supylabel("normalised position (0 rest, ±1 full range)", fontsize=8)
        wanted = Patch(facecolor=style.FILL, edgecolor=style.FAINT, linewidth=0.8, label="x_d")
        handles = [wanted, *style.line_handles(series)]
        if any(c.marks for c in columns):
            color = style.look(0).color if len(series) == 1 else style.FAINT
            handles.append(Patch(facecolor=color, alpha=_SHADE, label="detected movement"))
        style.legend_above(figure, handles)
        if title:
            figure.suptitle(title, x=0.01, ha="left")
    return figure


def _limits(columns: Sequence[Column], row: int) -> tuple[float, float]:
    """Range of a DOF; without its negative half where nothing is there."""
    values = [v[:, row] for c in columns for v in (c.x_d, *c.lines.values())]
    lowest = min((float(np.nanmin(v)) for v in values if np.isfinite(v).any()), default=0.0)
    return (-1.15, 1.15) if lowest < -0.25 else (-0.27, 1.15)


def _draw_row(axis: Any, column: Column, row: int, series: Sequence[str], n_columns: int) -> None:
    bins = _BINS // n_columns
    axis.axhline(0.0, color=style.GRID, linewidth=0.6, zorder=0.5)
    t, wanted = line(column.seconds, column.x_d[:, row], bins)
    axis.fill_between(t, 0.0, wanted, color=style.FILL, linewidth=0, zorder=0.6)
    axis.plot(t, wanted, color=style.FAINT, linewidth=0.8, zorder=1.5)
    for mark in column.marks:
        if column.dofs[row] in mark.dofs and mark.right > t[0] and mark.left < t[-1]:
            # The marks of several series lie one below the other.
            place = list(series).index(mark.series) if mark.series in series else 0
            count = len(series) if mark.series in series else 1
            axis.axvspan(
                max(mark.left, t[0]),
                min(mark.right, t[-1]),
                ymin=1.0 - (place + 1) / count,
                ymax=1.0 - place / count,
                facecolor=style.look(place).color,
                alpha=_SHADE,
                linewidth=0,
                zorder=0.7,
            )
    for name, values in column.lines.items():
        look = style.look(series.index(name))
        axis.plot(
            *line(column.seconds, values[:, row], bins),
            color=look.color,
            linestyle=look.line,
            linewidth=1.0,
            zorder=2,
        )
    if row == 0:
        _name_movements(axis, column, n_columns)
        if n_columns > 1:
            axis.set_title(column.title, pad=3.0 + 72.0 * _names_height(column, n_columns))


def spans_of_periods(periods: Sequence[Period], start_ns: int) -> list[Span]:
    """Movements of a prompted recording; `start_ns` is the time of 0 s."""
    spans = []
    begin: Period | None = None
    for period in periods:
        moving = period.kind in (PeriodKind.MOVE, PeriodKind.HOLD)
        if begin is not None and (not moving or period.trial != begin.trial):
            left, right = ((p.stamp_ns - start_ns) / 1e9 for p in (begin, period))
            spans.append(Span(left, right, begin.movement))
            begin = None
        if moving and begin is None:
            begin = period
    return spans


def _movement_names(column: Column, n_columns: int) -> tuple[list[tuple[float, str]], bool]:
    """Where each movement is named [s], and whether upright; none where there is no room."""
    start, end = float(column.seconds[0]), float(column.seconds[-1])
    names = [
        ((max(s.left, start) + min(s.right, end)) / 2, s.name.replace("_", " "))
        for s in column.movements
        if s.right > start and s.left < end
    ]
    per_second = 0.85 * style.WIDTH / n_columns / max(end - start, 1e-9)
    room = min((b[0] - a[0] for a, b in itertools.pairwise(names)), default=end - start)
    if room * per_second < _LINE_IN:
        return [], False
    longest = max((len(name) for _, name in names), default=0)
    return names, room * per_second < longest * _CHARACTER_IN


def _names_height(column: Column, n_columns: int) -> float:
    """Height of the names above the first row [inch]."""
    names, upright = _movement_names(column, n_columns)
    if not names:
        return 0.0
    return 0.06 + _CHARACTER_IN * max(len(name) for _, name in names) if upright else 0.12


def _name_movements(axis: Any, column: Column, n_columns: int) -> None:
    names, upright = _movement_names(column, n_columns)
    for middle, name in names:
        axis.annotate(
            name,
            (middle, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6.5,
            rotation=90 if upright else 0,
        )
