"""What all figures of progress share: days from left to right, and the colours of the levels."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.progress.levels import (
    FITTING,
    IN_TRAINING,
    LEVELS,
    NO_CONTROL,
    NOT_COMPUTED,
    READY_FOR_HAND,
    READY_FOR_HOME,
    READY_RETENTION,
    TRAINED_BASIC,
    TRAINED_PROFICIENT,
    plain_name,
    rank,
)
from emghand.report import style

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

COLORS = {
    NO_CONTROL: style.VERMILION,
    NOT_COMPUTED: style.GRID,
    FITTING: style.FAINT,
    IN_TRAINING: style.SKY,
    TRAINED_BASIC: style.BLUE,
    TRAINED_PROFICIENT: style.GREEN,
    READY_FOR_HAND: style.ORANGE,
    READY_RETENTION: style.PURPLE,
    READY_FOR_HOME: style.INK,
}
"""Of the levels. A figure tells them apart without colour as well: by height, order or dashes."""
_DASHES: dict[str, Any] = {
    FITTING: (0, (1, 2)),
    IN_TRAINING: (0, (1, 1)),
    TRAINED_BASIC: (0, (3, 1.5)),
    TRAINED_PROFICIENT: (0, (6, 1.5)),
    READY_FOR_HAND: (0, (6, 1.5, 1, 1.5)),
    READY_RETENTION: (0, (3, 1, 1, 1, 1, 1)),
    READY_FOR_HOME: "-",
}
_WIDTH = 0.8
"""Of a bar, as share of a day."""
_TICKS = 10


class Days:
    """The axis of days of one figure.

    Parameters
    ----------
    dates : iterable of date
        At least one; the first one is day 1.
    span : int, optional
        Days that the axis is long; default: up to the last of `dates`.
    """

    def __init__(self, dates: Iterable[date], span: int | None = None) -> None:
        known = sorted(set(dates))
        self.first = known[0]
        self.span = span or (known[-1] - self.first).days + 1
        # Of sessions that are a week apart the bars are wide enough to be seen.
        gaps = [(b - a).days for a, b in itertools.pairwise(known)]
        self.step = min(gaps, default=1)

    def of(self, dates: Iterable[date]) -> Floats:
        """Numbers of days, from 1."""
        return np.array([(d - self.first).days + 1 for d in dates], np.float64)

    @property
    def width(self) -> float:
        """Width of a bar [days]."""
        return _WIDTH * self.step

    def frame(self, axis: Any, *, label: bool = True) -> None:
        """Limits, ticks and name of the axis."""
        margin = 0.5 * self.step + 0.008 * self.span
        axis.set_xlim(1 - margin, self.span + margin)
        steps = (1, 2, 5, 7, 10, 14, 28, 56, 112, 364)
        step = next((s for s in steps if self.span / s <= _TICKS), 728)
        ticks = np.arange(1, self.span + 1, step)
        axis.set_xticks(ticks)
        if label:
            axis.set_xlabel(f"day (day 1: {self.first.isoformat()})")
        else:
            axis.tick_params(labelbottom=False)


def stretches(levels: Iterable[str], bounds: Floats) -> list[tuple[float, float, str]]:
    """Begin, end and level of each stretch of dates with the same level.

    Parameters
    ----------
    levels : iterable of str, length n
    bounds : ndarray, shape (n + 1,)
        Days on which they begin, and the end of the last one.
    """
    found = []
    begin = 0
    for level, same in itertools.groupby(levels):
        end = begin + len(list(same))
        found.append((float(bounds[begin]), float(bounds[end]), level))
        begin = end
    return found


def level_lines(axis: Any, days: Days, reached: Mapping[str, tuple[date, str]]) -> None:
    """A line in the level's colour where each level was first reached, between two days."""
    for level, day in _lines(reached).items():
        axis.axvline(
            days.of([day])[0] - 0.5 * days.step,
            color=COLORS[level],
            linestyle=_DASHES[level],
            linewidth=1.3,
            zorder=1.5,
        )


def level_handles(days: Days, reached: Mapping[str, tuple[date, str]]) -> list[Any]:
    """Legend of these lines; levels that were passed over on the same day stand with the higher."""
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [],
            [],
            color=COLORS[level],
            linestyle=_DASHES[level],
            linewidth=1.3,
            label=f"{plain_name(level)}, day {days.of([day])[0]:.0f}",
        )
        for level, day in _lines(reached).items()
    ]


def _lines(reached: Mapping[str, tuple[date, str]]) -> dict[str, date]:
    """Levels with a line, and its date: of several on one date the highest."""
    shown = {k: day for k, (day, _) in reached.items() if k in _DASHES}
    highest = {day: max((k for k in shown if shown[k] == day), key=rank) for day in shown.values()}
    return {level: shown[level] for level in LEVELS if level in highest.values()}


def legend_below(figure: Any, handles: list[Any]) -> None:
    """Legend of the lines of the levels, below the axes."""
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=min(4, len(handles)))


def scored_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials that count: those that were not perturbed."""
    return trials[~trials["perturbed"].astype(bool)]
