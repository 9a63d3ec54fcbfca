"""Figure of the online measures of a test: time against difficulty, paths, and the way there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emghand.errors import UserError
from emghand.evaluate.online_bag import BagTrial
from emghand.report import style
from emghand.tasks.trial import COMPLETED, TIMEOUT, VIOLATION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 5.2


def online_figure(trials: Sequence[BagTrial], title: str = "") -> Figure:
    """Completion time against index of difficulty, distance over time, efficiency, overshoots.

    Parameters
    ----------
    trials : sequence of BagTrial
        Those without a scored tick are left out.
    title : str

    Raises
    ------
    UserError
        When matplotlib is missing, or there is nothing to draw.
    """
    shown = [t for t in trials if len(t.times)]
    if not shown:
        raise UserError("there is no trial to draw")
    with style.drawing():
        figure, axes = style.grid_of_axes(2, 2, height=_HEIGHT)
        _difficulty(axes[0, 0], shown)
        _distance(axes[0, 1], shown)
        _histogram(axes[1, 0], [t.measures.path_efficiency for t in shown], "path efficiency")
        _overshoots(axes[1, 1], shown)
        if title:
            figure.suptitle(title)
    return figure


def _difficulty(axis: Any, trials: Sequence[BagTrial]) -> None:
    done = [t.measures for t in trials if t.measures.outcome == COMPLETED]
    done = [m for m in done if math.isfinite(m.completion_time)]
    late = [
        (t.measures.index_of_difficulty, t.spec.time_limit - t.spec.go)
        for t in trials
        if t.measures.outcome in (TIMEOUT, VIOLATION)
        and math.isfinite(t.measures.index_of_difficulty)
    ]
    look, other = style.look(0), style.look(1)
    axis.plot(
        [m.index_of_difficulty for m in done],
        [m.completion_time for m in done],
        ls="none",
        marker=look.marker,
        color=look.color,
        label="completed",
    )
    if late:
        difficulty, limit = zip(*late, strict=True)
        axis.plot(difficulty, limit, ls="none", marker="x", color=other.color, label="not")
        axis.legend()
    axis.set_xlabel("index of difficulty [bit]")
    axis.set_ylabel("completion time [s]")
    axis.set_ylim(bottom=0)
    style.number_lines(axis)


def _distance(axis: Any, trials: Sequence[BagTrial]) -> None:
    for t in trials:
        completed = t.measures.outcome == COMPLETED
        look = style.look(0 if completed else 1)
        axis.plot(
            t.times - t.spec.go,
            t.spec.distance(t.x) / t.spec.radius,
            color=look.color,
            lw=0.6,
            ls="-" if completed else "--",
        )
    axis.axhline(1.0, color=style.INK, lw=0.8)
    axis.set_xlabel("time since the go [s]")
    axis.set_ylabel("distance [radii of the target]")
    axis.set_ylim(bottom=0)


def _histogram(axis: Any, values: Sequence[float], name: str) -> None:
    known = [v for v in values if math.isfinite(v)]
    axis.hist(known, bins=np.linspace(0, 1, 21).tolist(), color=style.look(0).color)
    axis.set_xlabel(name)
    _count(axis)


def _overshoots(axis: Any, trials: Sequence[BagTrial]) -> None:
    counts = np.bincount([t.measures.overshoots for t in trials])
    axis.bar(np.arange(len(counts)), counts, color=style.look(0).color)
    axis.set_xlabel("overshoots")
    _count(axis)
    axis.set_xticks(np.arange(len(counts)))


def _count(axis: Any) -> None:
    axis.set_ylabel("trials")
    axis.yaxis.get_major_locator().set_params(integer=True)
