"""Figure of the quality of raw EMG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emghand.errors import UserError
from emghand.report import style
from emghand.report.signal_quality import FAULTS, SignalQuality
from emghand.signal.quality import Quality

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FAULT_COLORS = {
    Quality.FLAT: style.PURPLE,
    Quality.RAILED: style.VERMILION,
    Quality.MAINS: style.SKY,
    Quality.FROZEN: style.ORANGE,
}
_FAULT_MARKS = {
    Quality.FLAT: "",
    Quality.RAILED: "xxxx",
    Quality.MAINS: "////",
    Quality.FROZEN: "..",
}
_MOST_NAMES = 16
_MOST_LOOKS = 700
_STREAM = "all"


def signal_figure(measured: Sequence[SignalQuality]) -> Figure:
    """RMS and SNR per channel, spectrum with mains marked, faults over time.

    Parameters
    ----------
    measured : sequence of SignalQuality
        Drawn as separate series; of the same channels.

    Raises
    ------
    UserError
        When matplotlib is missing, or the recordings differ in channels or unit.
    """
    first = measured[0]
    for other in measured[1:]:
        if (other.channels, other.unit) != (first.channels, first.unit):
            raise UserError(
                f"{first.label} and {other.label} differ in channels or unit: draw them one by one"
            )
    style.check_series(len(measured))
    raster = 0.3 + 0.07 * min(len(first.channels) + 1, 24)
    heights = [1.2, 1.2, *(raster if _faulty(one) else 0.1 for one in measured)]
    with style.drawing():
        from matplotlib.figure import Figure

        figure = Figure(
            figsize=(style.WIDTH, 0.6 + 0.55 * len(heights) + sum(heights)), layout="constrained"
        )
        grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
        _levels(figure.add_subplot(grid[0, 0]), measured)
        _ratios(figure.add_subplot(grid[0, 1]), measured)
        _spectra(figure.add_subplot(grid[1, :]), measured)
        for row, one in enumerate(measured, 2):
            axis = figure.add_subplot(grid[row, :])
            _faults(axis, one, named=len(measured) > 1)
        style.legend_above(figure, style.line_handles((m.label for m in measured), marked=True))
    return figure


def _scale(measured: Sequence[SignalQuality]) -> tuple[float, str]:
    return (1e6, "µV") if measured[0].unit == "V" else (1.0, "counts")


def _levels(axis: Any, measured: Sequence[SignalQuality]) -> None:
    factor, unit = _scale(measured)
    at = np.arange(len(measured[0].channels))
    several = len(measured) > 1
    for index, one in enumerate(measured):
        look = style.look(index)
        offset = style.spread(index, len(measured), 0.6)
        labelled = np.isfinite(one.rms_move).any()
        rows = ((one.rms_move, True), (one.rms_rest, False)) if labelled else ((one.rms, True),)
        for values, filled in rows:
            name = ("movement" if filled else "rest") if labelled else "whole recording"
            axis.plot(
                at + offset,
                _positive(values * factor),
                linestyle="none",
                marker=look.marker,
                markersize=4,
                color=look.color,
                markerfacecolor=look.color if filled else "none",
                label=name if index == 0 else None,
            )
    axis.set_yscale("log")
    axis.margins(y=0.1)
    axis.autoscale_view()
    style.plain_log(axis.yaxis)
    axis.set_ylabel(f"RMS [{unit}]")
    axis.set_title("Level" + (": movement filled, rest open" if several else ""))
    if not several:
        axis.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, handlelength=1.0)
    _name_channels(axis, measured[0].channels)
    style.number_lines(axis)


def _ratios(axis: Any, measured: Sequence[SignalQuality]) -> None:
    at = np.arange(len(measured[0].channels))
    axis.set_title("Movement against rest")
    axis.set_ylabel("SNR [dB]")
    if not any(np.isfinite(one.snr_db).any() for one in measured):
        axis.text(
            0.5, 0.5, "not labelled", transform=axis.transAxes, ha="center", color=style.FAINT
        )
        axis.set_yticks([])
    for index, one in enumerate(measured):
        look = style.look(index)
        offset = style.spread(index, len(measured), 0.6)
        axis.vlines(at + offset, 0.0, one.snr_db, color=look.color, linewidth=0.8)
        axis.plot(
            at + offset,
            one.snr_db,
            linestyle="none",
            marker=look.marker,
            color=look.color,
            markersize=4,
        )
    axis.axhline(0.0, color=style.INK, linewidth=0.6)
    _name_channels(axis, measured[0].channels)
    style.number_lines(axis)


def _spectra(axis: Any, measured: Sequence[SignalQuality]) -> None:
    factor, unit = _scale(measured)
    several = len(measured) > 1
    for index, one in enumerate(measured):
        look = style.look(index)
        inside = one.frequencies > 0.0
        power = one.power[:, inside] * factor**2
        if not power.size:
            continue
        hz = one.frequencies[inside]
        axis.plot(
            hz,
            _positive(np.median(power, axis=0)),
            color=look.color,
            linestyle=look.line,
            label=None if several else "median of the channels",
        )
        if not several:
            low, high = (_positive(q) for q in (power.min(axis=0), power.max(axis=0)))
            axis.fill_between(
                hz, low, high, color=look.color, alpha=0.2, linewidth=0, label="all channels"
            )
    axis.set_yscale("log")
    axis.autoscale_view()
    style.plain_log(axis.yaxis)
    one = measured[0]
    for number, mains in enumerate(one.mains_hz):
        axis.axvline(
            mains,
            color=style.INK,
            linestyle=(0, (1, 1.5)),
            linewidth=0.9,
            zorder=0,
            label="mains and multiples" if number == 0 else None,
        )
    axis.set_xlim(0.0, one.rate / 2)
    axis.set_xlabel("frequency [Hz]")
    axis.set_ylabel(f"power [{unit}²/Hz]")
    axis.set_title(f"Spectrum of the raw signal{', median of the channels' if several else ''}")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=3)
    style.number_lines(axis)


def _faulty(one: SignalQuality) -> bool:
    return bool(one.faults.any() or one.stream_faults.any())


def _faults(axis: Any, one: SignalQuality, named: bool) -> None:
    from matplotlib.patches import Patch

    title = f"Faults of the channels{f': {one.label}' if named else ''}"
    if not _faulty(one):
        axis.set_axis_off()
        axis.set_title(f"{title}: none found")
        return
    axis.set_xlim(0.0, float(one.seconds[-1]))
    axis.set_xlabel("time [s]")
    names = [_STREAM, *one.channels]
    flags = np.column_stack([one.stream_faults, one.faults])
    # However long the recording, no more looks than can be seen.
    first = np.unique(np.linspace(0, len(flags) - 1, _MOST_LOOKS).astype(int))
    flags = np.bitwise_or.reduceat(flags, first, axis=0)
    edges = np.concatenate([[0.0], one.seconds[first[1:] - 1], one.seconds[-1:]])
    handles = []
    for fault in FAULTS:
        has = (flags & int(fault)) != 0
        if has.any():
            handles.append(
                Patch(
                    facecolor=_FAULT_COLORS[fault],
                    hatch=_FAULT_MARKS[fault],
                    edgecolor=style.INK,
                    linewidth=0.3,
                    label=str(fault.name).lower(),
                )
            )
        for row in range(len(names)):
            spans = _spans(has[:, row], edges)
            if spans:
                axis.broken_barh(
                    spans,
                    (row - 0.5, 1.0),
                    facecolor=_FAULT_COLORS[fault],
                    hatch=_FAULT_MARKS[fault],
                    edgecolor=style.INK,
                    linewidth=0.0,
                )
    axis.set_ylim(len(names) - 0.5, -0.5)
    step = -(-len(names) // _MOST_NAMES)
    axis.set_yticks(range(0, len(names), step), names[::step], fontsize=6)
    axis.tick_params(axis="y", length=0)
    axis.axhline(0.5, color=style.GRID, linewidth=0.6)
    axis.set_title(title)
    axis.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4)


def _spans(has: Any, edges: Any) -> list[tuple[float, float]]:
    """Begin and length of every run of true values."""
    change = np.flatnonzero(np.diff(has.astype(np.int8), prepend=0, append=0))
    return [
        (float(edges[a]), float(edges[b] - edges[a]))
        for a, b in zip(change[::2], change[1::2], strict=True)
    ]


def _positive(values: Any) -> Any:
    return np.where(values > 0.0, values, np.nan)


def _name_channels(axis: Any, names: Sequence[str]) -> None:
    step = -(-len(names) // _MOST_NAMES)
    axis.set_xticks(range(0, len(names), step), names[::step], rotation=60 if len(names) > 8 else 0)
    axis.set_xlim(-0.7, len(names) - 0.3)
