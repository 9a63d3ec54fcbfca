"""Figures of success against index of difficulty, and of what was fitted to it over days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.progress.curve import PARAMETERS, Curve, CurveSettings, counts, fit_curve
from emghand.progress.day_axis import Days, legend_below, level_handles, level_lines
from emghand.progress.figures import trials_by_date
from emghand.progress.status import first_reached
from emghand.report import style
from emghand.tasks.trial import COMPLETED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

MOST_POINTS = 9
"""Of measured shares along a curve; more difficulties are gathered."""
_TITLES = {
    "bias": "Bias: difficulty of the middle [bit]",
    "threshold": "Threshold: width of the fall [bit]",
    "lapse_easy": "Lapses: missed however easy",
    "lapse_hard": "Lapses: reached however hard",
}
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class WindowCurve:
    """Trials of the window of a date, and the curve through them.

    Parameters
    ----------
    difficulty : ndarray, shape (n,)
        [bit]
    reached : ndarray of bool, shape (n,)
    curve : Curve or None
    why : str
        Why there is no curve.
    """

    difficulty: Floats
    reached: NDArray[np.bool_]
    curve: Curve | None
    why: str = ""


def window_curves(
    dates: pd.DataFrame,
    sessions: pd.DataFrame,
    trials: pd.DataFrame,
    settings: CurveSettings | None = None,
) -> dict[date, WindowCurve]:
    """The curve of each date with scored trials, over the trials of its window.

    Parameters
    ----------
    dates : DataFrame
        From `emghand.progress.status.compute_status`.
    sessions, trials : DataFrame
        Of the same subject.
    settings : CurveSettings, optional
    """
    by_date = trials_by_date(sessions, trials)
    by_date = by_date[by_date["difficulty"].notna()]
    found = {}
    scored = dates[dates["n_trials"] > 0]
    for day, window in zip(scored["date"], scored["window"], strict=True):
        own = by_date[by_date["date"].isin([date.fromisoformat(d) for d in json.loads(window)])]
        difficulty = own["difficulty"].to_numpy(np.float64)
        reached = np.asarray(own["outcome"] == COMPLETED, bool)
        curve, why = None, ""
        try:
            curve = fit_curve(difficulty, reached, settings)
        except UserError as error:
            why = str(error)
        found[day] = WindowCurve(difficulty, reached, curve, why)
    return found


def curve_figure(curves: Mapping[date, WindowCurve]) -> Figure:
    """Success against index of difficulty in the first and the latest window.

    Parameters
    ----------
    curves : mapping
        From `window_curves`.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no trial with a difficulty.
    """
    known = {day: c for day, c in curves.items() if len(c.reached)}
    if not known:
        raise UserError("there is no scored trial with an index of difficulty")
    days = sorted(known)
    with_curve = [day for day in days if known[day].curve] or days
    shown = dict.fromkeys((with_curve[0], days[-1]))
    with style.drawing():
        figure, axes = style.grid_of_axes(1, height=3.0)
        axis = axes[0, 0]
        handles = []
        # The first window, where it began, stands back behind the latest one.
        for index, day in reversed(list(enumerate(reversed(list(shown))))):
            handles.append(_window(axis, known[day], day, index, of=len(shown)))
        axis.set_ylim(-0.02, 1.03)
        axis.set_xlabel("index of difficulty [bit]")
        axis.set_ylabel("share of targets reached")
        style.number_lines(axis)
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure


def _window(axis: Any, window: WindowCurve, day: date, index: int, *, of: int) -> Any:
    look = style.look(index)
    offset = 0.008 * (index - 0.5 * (of - 1))
    at, share, low, high = measured_shares(window.difficulty, window.reached)
    n = len(window.reached)
    label = f"window up to {day.isoformat()}, {n} trials"
    if window.curve is not None:
        curve = window.curve
        axis.fill_between(
            curve.difficulty, *curve.band, color=style.tint(look.color), alpha=0.55, linewidth=0
        )
        axis.plot(curve.difficulty, curve(curve.difficulty), color=look.color, ls=look.line, lw=1.5)
    else:
        label = f"{label}, no curve: {window.why.split(':')[0]}"
    return axis.errorbar(
        at + offset,
        share,
        yerr=[np.maximum(share - low, 0.0), np.maximum(high - share, 0.0)],
        linestyle="none",
        marker=look.marker,
        markersize=4.0,
        color=look.color,
        elinewidth=0.7,
        label=label,
        clip_on=False,
        zorder=3,
    )


def measured_shares(
    difficulty: Floats, reached: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Share reached by difficulty, with intervals of 95 % (Wilson 1927, JASA 22).

    Returns
    -------
    difficulty, share, low, high : ndarray, shape (k,)
        At most `MOST_POINTS`: more difficulties are gathered to groups of about as many trials.
    """
    levels, n_reached, n_trials = counts(difficulty, reached)
    group = np.arange(len(levels))
    if len(levels) > MOST_POINTS:
        before = np.cumsum(n_trials) - 0.5 * n_trials
        group = (before / n_trials.sum() * MOST_POINTS).astype(np.int64)
    _, group = np.unique(group, return_inverse=True)
    n = np.bincount(group, n_trials)
    p = np.bincount(group, n_reached) / n
    at = np.bincount(group, n_trials * levels) / n
    z = _NORMAL_95
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return at, p, middle - half, middle + half


def parameters_figure(dates: pd.DataFrame, curves: Mapping[date, WindowCurve]) -> Figure:
    """Fitted parameters over days, with their intervals.

    Parameters
    ----------
    dates : DataFrame
        From `emghand.progress.status.compute_status`.
    curves : mapping
        From `window_curves`.

    Raises
    ------
    UserError
        When matplotlib is missing, or there is no curve.
    """
    fitted = {day: c.curve for day, c in curves.items() if c.curve is not None}
    if not fitted:
        reasons = "; ".join(dict.fromkeys(c.why for c in curves.values()))
        raise UserError(f"there is no curve to draw: {reasons or 'there is no scored trial'}")
    days = Days(dates["date"])
    reached = first_reached(dates)
    with style.drawing():
        figure, axes = style.grid_of_axes(2, 2, height=4.4, sharex=True)
        for axis, name in zip(axes.flat, PARAMETERS, strict=True):
            _parameter(axis, days, name, fitted)
            level_lines(axis, days, reached)
            days.frame(axis, label=axis in axes[-1])
        legend_below(figure, level_handles(days, reached))
    return figure


def _parameter(axis: Any, days: Days, name: str, fitted: Mapping[date, Curve]) -> None:
    look = style.look(0)
    at = days.of(fitted)
    value = np.array([getattr(c, name) for c in fitted.values()])
    low, high = np.array([c.intervals[name] for c in fitted.values()]).T
    is_open = np.array([c.open_ends[name][1] for c in fitted.values()])
    axis.vlines(at, low, high, color=look.color, linewidth=0.8, alpha=0.7)
    plain = {"linestyle": "none", "markersize": 3.4, "color": look.color}
    axis.plot(at[~is_open], value[~is_open], marker="o", **plain)
    # The trials say nothing about how far up: an arrow instead of an end.
    axis.plot(at[is_open], value[is_open], marker="o", markerfacecolor=style.PAPER, **plain)
    if is_open.any():  # An empty one that is not clipped would take room at the figure's corner.
        axis.plot(at[is_open], high[is_open], marker="^", clip_on=False, **plain)
    if name.startswith("lapse"):
        axis.set_ylim(-0.015, 0.52)
    elif name == "threshold":
        axis.set_ylim(bottom=0.0)
    axis.set_title(_TITLES[name])
    style.number_lines(axis)
