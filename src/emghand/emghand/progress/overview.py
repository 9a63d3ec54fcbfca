"""Figure of a whole study: every subject's status over days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from emghand.errors import UserError
from emghand.progress.day_axis import COLORS, Days, stretches
from emghand.progress.levels import LEVELS, NO_CONTROL, plain_name, rank
from emghand.report import style
from emghand.report.sources import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_ROW = 0.82
"""Height of the highest level, as share of a row."""
_NAME = 18


def overview_figure(subjects: Mapping[str, pd.DataFrame], *, by_date: bool = False) -> Figure:
    """A row for each subject: how high the status is, in its colour, and the raw one as a line.

    Parameters
    ----------
    subjects : mapping of str to DataFrame
        From `emghand.progress.status.compute_status`.
    by_date : bool
        Whether days count from the first date of the study instead of each subject's own.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no subject with a session.
    """
    known = {name: dates for name, dates in subjects.items() if not dates.empty}
    if not known:
        raise UserError("there is no subject with a session")
    every = [day for dates in known.values() for day in dates["date"]]
    of_all = Days(every)
    of_each = {n: of_all if by_date else Days(dates["date"]) for n, dates in known.items()}
    span = max(days.span for days in of_each.values())
    with style.drawing():
        figure, axes = style.grid_of_axes(1, height=1.2 + 0.42 * len(known))
        axis = axes[0, 0]
        for row, (name, dates) in enumerate(known.items()):
            _row(axis, row, of_each[name], dates, span)
        axis.set_ylim(len(known) - 0.02, -0.02)
        axis.set_yticks(
            np.arange(len(known)) + 0.62, [plain(name, _NAME) for name in known], fontsize=8
        )
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        Days(every, span).frame(axis)
        axis.set_xlim(0.5, span + 1.5)
        if not by_date:
            axis.set_xlabel("day since the first session of each subject (first: day 1)")
        shown = {s for d in known.values() for s in (*d["status"], *d["raw_status"])}
        _legend(figure, [level for level in LEVELS if level in shown])
    return figure


def _row(axis: Any, row: int, days: Days, dates: pd.DataFrame, span: int) -> None:
    at = days.of(dates["date"])
    bounds = np.append(at, at[-1] + 1.0)
    base = row + 0.95
    axis.plot([0.5, span + 1.5], [base, base], color=style.GRID, linewidth=0.6, zorder=0)
    for begin, end, level in stretches(dates["status"], bounds):
        axis.fill_between(
            [begin, end], base, base - _height(level), color=COLORS[level], linewidth=0
        )
    raw = np.array([base - _height(level) for level in dates["raw_status"]])
    # With a rim of paper: a regress must be seen on the darkest colour as well.
    for color, width in ((style.PAPER, 2.4), (style.INK, 0.9)):
        axis.step(bounds, np.append(raw, raw[-1]), where="post", color=color, linewidth=width)
    advised = (dates["raw_status"] == NO_CONTROL).to_numpy(bool)
    axis.plot(
        at[advised], raw[advised], ls="none", marker="v", ms=3, color=COLORS[NO_CONTROL], zorder=3
    )
    missing = json.loads(dates["missing"].iloc[-1])
    status, raw_status = dates["status"].iloc[-1], dates["raw_status"].iloc[-1]
    text = plain_name(status)
    if raw_status == NO_CONTROL:
        text += "\n(advice: change)"
    elif raw_status != status:
        text += f"\n(now {plain_name(raw_status)})"
    elif missing:
        text += f"\n({len(missing)} missing)"
    axis.annotate(
        text, (1.0, base - 0.33), xycoords=("axes fraction", "data"), xytext=(6, 0),
        textcoords="offset points", va="center", fontsize=6.5, annotation_clip=False,
    )  # fmt: skip


def _height(level: str) -> float:
    return _ROW * (rank(level) + 1) / len(LEVELS)


def _legend(figure: Any, levels: list[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(color=COLORS[level], label=plain_name(level))
        for level in levels
        if level != NO_CONTROL
    ]
    handles.append(Line2D([], [], color=style.INK, lw=0.9, label="raw status"))
    if NO_CONTROL in levels:
        color = COLORS[NO_CONTROL]
        handles.append(
            Line2D([], [], ls="none", marker="v", ms=3.5, color=color, label="advice: no control")
        )
    figure.legend(handles=handles, loc="outside upper left", ncols=5, handlelength=1.4)
