"""Figure of box plots of trials, grouped by movement or by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.report import style
from emghand.report.score_figures import title_of, unit_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_FEWEST = 5
"""A box needs so many values; fewer are drawn as points alone."""
_MOST_POINTS = 60
"""Of more values than this only those beyond the whiskers are drawn as points."""
_MOST_GROUPS = 40
_FEWEST_PLACES = 4
"""There is room for so many groups, so that boxes of fewer are not wide."""


def box_figure(
    groups: Mapping[str, Mapping[str, Mapping[str, Floats]]], what: str, values: str
) -> Figure:
    """Box plots: one panel per metric, one place per group, one box per series.

    A box is from the first to the third quartile with the median in it; whiskers reach to the last
    value within 1.5 times its height. Every value is a point; of more than 60 only those beyond
    the whiskers. Groups with fewer than five values get no box.

    Parameters
    ----------
    groups : mapping
        Values by metric, series and group: ``groups[metric][series][group]`` is of shape (k,).
    what : str
        What a group is, for the axis.
    values : str
        What a value is, for the axis.

    Raises
    ------
    UserError
        When matplotlib is missing, there is nothing to draw, or more than can be told apart.
    """
    series = list(dict.fromkeys(s for by in groups.values() for s in by))
    names = list(dict.fromkeys(g for by in groups.values() for s in by.values() for g in s))
    style.check_series(len(series))
    if not names:
        raise UserError(f"there is no {what} to draw")
    if len(names) > _MOST_GROUPS:
        raise UserError(f"{len(names)} groups do not fit: draw at most {_MOST_GROUPS} at a time")
    longest = max(len(n) for n in names)
    crowded = longest * 0.06 * len(names) > style.WIDTH - 1.0
    with style.drawing():
        figure, axes = style.grid_of_axes(
            len(groups),
            1,
            height=0.6 + 1.45 * len(groups) + (0.05 * longest if crowded else 0.0),
            sharex=True,
        )
        for axis, (metric, by) in zip(axes[:, 0], groups.items(), strict=True):
            for index, one in enumerate(series):
                _boxes(axis, by.get(one, {}), names, index, len(series))
            axis.set_title(title_of(metric))
            axis.set_ylabel(unit_of(metric).replace(", ", ",\n"))
            if metric not in ("r2", "correlation", "latency"):
                axis.set_ylim(0.0, 1.06 * axis.get_ylim()[1])
            style.number_lines(axis)
            beside = max(0.6, 0.5 * (_FEWEST_PLACES - len(names) + 1))
            axis.set_xlim(-beside, len(names) - 1 + beside)
        axes[-1, 0].set_xticks(
            range(len(names)),
            [n.replace("_", " ") for n in names],
            rotation=90 if crowded else 0,
        )
        axes[-1, 0].set_xlabel(f"{what} (one point: {values})")
        style.legend_above(figure, _handles(series))
    return figure


def _boxes(axis: Any, by: Mapping[str, Floats], names: list[str], index: int, count: int) -> None:
    look = style.look(index)
    width = min(0.3, 0.8 / count)
    for place, name in enumerate(names):
        values = by.get(name, np.empty(0))
        values = np.sort(values[np.isfinite(values)])
        if not len(values):
            continue
        x = place + style.spread(index, count, min(0.3 * count, 0.8) * (1 - 1 / count))
        if len(values) >= _FEWEST:
            drawn = axis.boxplot(
                [values],
                positions=[x],
                widths=0.8 * width,
                patch_artist=True,
                showfliers=False,
                manage_ticks=False,
                zorder=2,
            )
            for part in ("whiskers", "caps", "medians"):
                for artist in drawn[part]:
                    artist.set(color=style.INK, linewidth=1.6 if part == "medians" else 0.7)
            for patch in drawn["boxes"]:
                patch.set(
                    facecolor=style.tint(look.color),
                    edgecolor=style.INK,
                    linewidth=0.7,
                    hatch=look.hatch if count > 1 else "",
                )
        if len(values) > _MOST_POINTS:
            first, third = np.percentile(values, (25.0, 75.0))
            reach = 1.5 * (third - first)
            values = values[(values < first - reach) | (values > third + reach)]
        if not len(values):
            # An empty line that is not clipped would upset the layout.
            continue
        # Neighbours in value stand side by side, always the same way.
        aside = (np.arange(len(values)) * 0.618034 + 0.5) % 1.0 - 0.5
        axis.plot(
            x + 0.5 * width * aside,
            values,
            linestyle="none",
            marker=look.marker,
            markersize=2.4 if len(values) >= _FEWEST else 3.6,
            color=look.color,
            markeredgewidth=0.0,
            clip_on=False,
            zorder=3,
        )


def _handles(series: Sequence[str]) -> list[Any]:
    from matplotlib.patches import Patch

    handles = []
    for index, mark in enumerate(style.mark_handles(series)):
        look = style.look(index)
        box = Patch(
            facecolor=style.tint(look.color), edgecolor=style.INK, linewidth=0.7, hatch=look.hatch
        )
        handles.append((box, mark))
    return handles
