"""Figures of one subject: practice, success and time by day, target sizes, and the status."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from emghand.errors import UserError
from emghand.progress.day_axis import (
    COLORS,
    Days,
    legend_below,
    level_handles,
    level_lines,
    scored_trials,
    stretches,
)
from emghand.progress.levels import LEVELS, plain_name, rank
from emghand.progress.rows import HAND, NOWHERE, SIMULATOR, TARGET_CLASSES
from emghand.progress.status import first_reached
from emghand.report import style
from emghand.tasks.trial import COMPLETED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_SIZES = 10
"""Of targets in the rows of a map; more are gathered."""
_CLASS_NAMES = {"single": "one DOF", "pair": "two DOFs", "multi": "more DOFs"}
_PLACES = {SIMULATOR: "simulator", HAND: "hand", NOWHERE: "without a hand"}


def practice_figure(dates: pd.DataFrame, sessions: pd.DataFrame) -> Figure:
    """Trials by day, and minutes by day and place.

    Parameters
    ----------
    dates : DataFrame
        From `emghand.progress.status.compute_status`.
    sessions : DataFrame
        Of the same subject.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no session.
    """
    days = _days(dates)
    with style.drawing():
        figure, axes = style.grid_of_axes(2, height=3.9, sharex=True)
        kinds = [k for k in TARGET_CLASSES if dates[f"n_{k}"].any()]
        bars = {_CLASS_NAMES[k]: dates.set_index("date")[f"n_{k}"] for k in kinds}
        _stacked(axes[0, 0], days, bars, "trials")
        by_place = sessions.groupby(["place", "date"])["duration"].sum()
        places = [p for p in _PLACES if p in by_place]
        minutes = {_PLACES[p]: by_place[p] for p in places}
        _stacked(axes[1, 0], days, minutes, "duration [min]", first=len(kinds))
        _finish(figure, axes, days, dates)
    return figure


def performance_figure(dates: pd.DataFrame, sessions: pd.DataFrame, trials: pd.DataFrame) -> Figure:
    """Success by day and target class, and time to target by day.

    Parameters
    ----------
    dates, sessions, trials : DataFrame
        Of one subject.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no session.
    """
    days = _days(dates)
    with style.drawing():
        figure, axes = style.grid_of_axes(2, height=4.2, sharex=True)
        _success(axes[0, 0], days, dates)
        _times(axes[1, 0], days, dates, trials_by_date(sessions, trials))
        _finish(figure, axes, days, dates)
    return figure


def size_figure(dates: pd.DataFrame, sessions: pd.DataFrame, trials: pd.DataFrame) -> Figure:
    """Map of success by target size and day.

    Parameters
    ----------
    dates, sessions, trials : DataFrame
        Of one subject.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no trial.
    """
    days = _days(dates)
    by_date = trials_by_date(sessions, trials)
    if by_date.empty:
        raise UserError("there is no scored trial to draw")
    size, names = _sizes(by_date["radius"].to_numpy(np.float64))
    column = days.of(by_date["date"]).astype(np.int64) - 1
    reached = by_date["outcome"].to_numpy() == COMPLETED
    shape = (len(names), days.span)
    n_trials, n_reached = np.zeros(shape), np.zeros(shape)
    np.add.at(n_trials, (size, column), 1)
    np.add.at(n_reached, (size, column), reached)
    with style.drawing():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        figure, axes = style.grid_of_axes(1, height=1.4 + 0.26 * len(names))
        axis = axes[0, 0]
        half = 0.5 * days.step
        for day in np.unique(column):
            shares = np.ma.masked_invalid(_divide(n_reached[:, day], n_trials[:, day]))
            axis.pcolormesh(
                [day + 1 - half, day + 1 + half],
                np.arange(len(names) + 1),
                shares[:, None],
                cmap="cividis",
                vmin=0.0,
                vmax=1.0,
                edgecolors=style.PAPER,
                linewidth=0.6,
            )
        axis.set_yticks(np.arange(len(names)) + 0.5, names)
        axis.set_ylabel("radius of the target\n[normalised position]")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        scale = ScalarMappable(Normalize(0.0, 1.0), "cividis")
        bar = figure.colorbar(scale, ax=axis, pad=0.01, aspect=12)
        bar.set_label("share reached")
        bar.outline.set_visible(False)
        _finish(figure, axes, days, dates)
    return figure


def status_figure(dates: pd.DataFrame) -> Figure:
    """Raw and monotone status by day.

    Parameters
    ----------
    dates : DataFrame
        Of one subject.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no session.
    """
    days = _days(dates)
    at = days.of(dates["date"])
    raw = np.array([rank(s) for s in dates["raw_status"]])
    best = np.array([rank(s) for s in dates["status"]])
    with style.drawing():
        figure, axes = style.grid_of_axes(1, height=2.9)
        axis = axes[0, 0]
        bounds = np.append(at, days.span + 0.5 * days.step)
        for begin, end, level in stretches(dates["status"], bounds):
            axis.fill_between(
                [begin, end], -0.5, rank(level), color=COLORS[level], alpha=0.25, linewidth=0
            )
        lower = raw < best
        axis.vlines(
            at[lower],
            raw[lower],
            best[lower],
            color=style.VERMILION,
            linewidth=0.8,
            linestyle=(0, (2, 1.5)),
            label="gone back",
        )
        axis.step(
            bounds,
            np.append(best, best[-1]),
            where="post",
            color=style.INK,
            linewidth=1.4,
            label="status: the highest one so far",
        )
        for level in sorted(set(raw)):
            own = raw == level
            axis.plot(
                at[own],
                raw[own],
                linestyle="none",
                marker="o",
                markersize=4.5,
                color=COLORS[LEVELS[level]],
                markeredgecolor=style.INK,
                markeredgewidth=0.6,
                clip_on=False,
                zorder=3,
            )
        axis.plot(
            [],
            [],
            linestyle="none",
            marker="o",
            markersize=4.5,
            color=style.PAPER,
            markeredgecolor=style.INK,
            label="raw status of the date",
        )
        axis.set_yticks(range(len(LEVELS)), [plain_name(level) for level in LEVELS])
        axis.set_ylim(-0.5, len(LEVELS) - 0.5)
        axis.tick_params(axis="y", length=0)
        style.number_lines(axis)
        days.frame(axis)
        style.legend_above(figure, axis.get_legend_handles_labels()[0])
    return figure


def trials_by_date(sessions: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of these sessions that count, with the date of their session."""
    own = sessions[["session_id", "date"]]
    return scored_trials(trials).merge(own, on="session_id", how="inner")


def _days(dates: pd.DataFrame) -> Days:
    if dates.empty:
        raise UserError("there is no session to draw")
    return Days(dates["date"])


def _finish(figure: Any, axes: Any, days: Days, dates: pd.DataFrame) -> None:
    reached = first_reached(dates)
    for axis in axes.flat:
        level_lines(axis, days, reached)
        days.frame(axis, label=axis is axes.flat[-1])
    legend_below(figure, level_handles(days, reached))
    figure.align_ylabels()


def _stacked(
    axis: Any, days: Days, parts: dict[str, pd.Series], name: str, *, first: int = 0
) -> None:
    height: dict[Any, float] = {}
    for index, (label, values) in enumerate(parts.items()):
        look = style.look(first + index)
        below = [height.get(day, 0.0) for day in values.index]
        axis.bar(
            days.of(values.index),
            values.to_numpy(np.float64),
            days.width,
            bottom=below,
            color=style.tint(look.color) if look.hatch else look.color,
            edgecolor=look.color,
            hatch=look.hatch,
            linewidth=0.6,
            label=label,
        )
        for day, value, low in zip(values.index, values, below, strict=True):
            height[day] = low + float(value)
    axis.set_ylabel(name)
    axis.set_ylim(0.0, 1.08 * max([*height.values(), 1.0]))
    style.number_lines(axis)
    _legend(axis)


def _success(axis: Any, days: Days, dates: pd.DataFrame) -> None:
    for index, kind in enumerate(TARGET_CLASSES):
        known = dates[dates[f"completion_{kind}"].notna()]
        if known.empty:
            continue
        look = style.look(index)
        axis.plot(
            days.of(known["date"]),
            known[f"completion_{kind}"].to_numpy(np.float64),
            color=look.color,
            linestyle=look.line,
            marker=look.marker,
            markersize=3.2,
            label=_CLASS_NAMES[kind],
        )
    axis.set_ylim(0.0, 1.03)
    axis.set_ylabel("share of targets reached")
    style.number_lines(axis)
    _legend(axis)


def _times(axis: Any, days: Days, dates: pd.DataFrame, by_date: pd.DataFrame) -> None:
    done = by_date[(by_date["outcome"] == COMPLETED) & by_date["time_to_target"].notna()]
    groups = done.groupby("date")["time_to_target"]
    if len(groups):
        low, middle, high = (groups.quantile(q) for q in (0.25, 0.5, 0.75))
        at = days.of(middle.index)
        look = style.look(0)
        axis.fill_between(
            at, low, high, color=style.tint(look.color), alpha=0.6, linewidth=0, label="quartiles"
        )
        axis.plot(at, middle, color=look.color, marker=look.marker, markersize=3.2, label="median")
        _legend(axis)
    axis.set_ylim(bottom=0.0)
    axis.set_ylabel("time to target [s]")
    style.number_lines(axis)


def _legend(axis: Any) -> None:
    handles, names = axis.get_legend_handles_labels()
    if len(names) > 1:
        axis.legend(
            handles,
            names,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.02),
            ncols=len(names),
            borderaxespad=0.0,
        )


def _sizes(radius: Any) -> tuple[Any, list[str]]:
    """Row of each radius in a map, and the names of the rows."""
    values, which = np.unique(np.round(radius, 3), return_inverse=True)
    if len(values) <= MOST_SIZES:
        return which, [f"{v:g}" for v in values]
    edges = np.linspace(values[0], values[-1], MOST_SIZES + 1)
    rows = np.clip(np.searchsorted(edges, radius, side="right") - 1, 0, MOST_SIZES - 1)
    return rows, [f"{a:.2f} to {b:.2f}" for a, b in itertools.pairwise(edges)]


def _divide(part: Any, whole: Any) -> Any:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
