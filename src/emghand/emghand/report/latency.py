"""Where the time from a muscle to a command goes: measured in a bag, and delay of the filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.report import style
from emghand.signal.filters import band_sections, notch_sections
from emghand.signal.settings import FeatureSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

STAGES = {
    "arrival": "sample → features at the decoder",
    "decode": "features → x_hat",
    "filter": "x_hat → out_x_hat",
    "publish": "publishing both",
    "total": "sample → command published",
    "received": "sample → command received",
}
"""What is measured, by key; `received` by the recorder, the others by the decoder itself."""

DELAY_HZ = 80.0
"""The delay of the filters is stated here: where surface EMG is strong, and between the notches."""

OPTIMUM_MS = (100.0, 125.0)
"""Best delay of a prosthesis (Farrell and Weir 2007, doi 10.1109/TNSRE.2007.891391)."""

_PLAUSIBLE_MS = 10_000.0


@dataclass(frozen=True)
class Latency:
    """Latencies of one run.

    Parameters
    ----------
    label : str
    stages_ms : mapping of str to ndarray
        By the keys of `STAGES`, one value per tick [ms]. The sample is the last one of the tick,
        at its acquisition.
    missed : int
        Ticks that were never decoded.
    """

    label: str
    stages_ms: Mapping[str, Floats]
    missed: int

    def percentiles(self) -> dict[str, dict[str, float]]:
        """``p50``, ``p99`` and ``max`` of every stage [ms]."""
        found = {}
        for stage, values in self.stages_ms.items():
            p50, p99 = np.percentile(values, (50.0, 99.0))
            found[stage] = {"p50": float(p50), "p99": float(p99), "max": float(values.max())}
        return found


def read_latency(bag: str | Path, label: str = "") -> Latency:
    """Latencies of a recorded run, from ``/decoder/timing`` and the stamps of the commands.

    Raises
    ------
    UserError
        When the bag cannot be read, holds no timing, or was played at another time than its own.
    """
    from emghand.storage.bags import BagReader

    with BagReader(bag) as reader:
        found = [
            name.removesuffix("timing")
            for name in reader.topics
            if name.endswith("/decoder/timing")
        ]
        if len(found) != 1 or not reader.counts[f"{found[0]}timing"]:
            what = "no /decoder/timing" if len(found) < 2 else "/decoder/timing of several decoders"
            raise UserError(f"bag {bag}: holds {what}, latencies are not known")
        timing: list[Any] = []
        received: list[float] = []
        topics = [f"{found[0]}timing", f"{found[0]}out_x_hat"]
        for raw in reader.messages([t for t in topics if t in reader.topics]):
            message: Any = reader.decode(raw)
            if raw.topic == topics[0]:
                timing.append(message)
            else:
                stamp = message.header.stamp
                acquired = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
                received.append((raw.log_time - acquired) * 1e-6)
    stages: dict[str, Floats] = {
        stage: np.array([getattr(t, f"{stage}_ns") for t in timing], dtype=np.float64) * 1e-6
        for stage in STAGES
        if stage != "received"
    }
    if received:
        stages["received"] = np.array(received)
    if not 0.0 < float(np.median(stages["total"])) < _PLAUSIBLE_MS:
        raise UserError(
            f"bag {bag}: the stamps of its samples are not of the clock of the run, "
            "latencies are not known"
        )
    return Latency(label or str(bag), stages, int(timing[-1].missed - timing[0].missed))


def delays_ms(features: FeatureSettings, rate: float) -> dict[str, float]:
    """Delay that filters and window add before any computing, in milliseconds.

    Parameters
    ----------
    features : FeatureSettings
    rate : float
        Samples per second [Hz].

    Returns
    -------
    dict
        ``band-pass`` and ``notches``: group delay at `DELAY_HZ`, or at an eighth of the rate of
        slow streams. ``window``: of a mean over the window, (N - 1) / 2 samples.
        ``tick``: mean wait of a sample for its tick, (hop - 1) / 2 samples.
    """
    frequency = min(DELAY_HZ, rate / 8.0)
    return {
        "band-pass": _group_delay(band_sections(features, rate), frequency, rate),
        "notches": _group_delay(notch_sections(features, rate), frequency, rate),
        "window": (features.window - 1) / 2.0 / rate * 1e3,
        "tick": (features.hop - 1) / 2.0 / rate * 1e3,
    }


def _group_delay(sections: Floats, frequency: float, rate: float) -> float:
    from scipy import signal

    samples = 0.0
    for section in sections:
        samples += float(
            signal.group_delay((section[:3], section[3:]), w=[frequency], fs=rate)[1][0]
        )
    return samples / rate * 1e3


def latency_figure(runs: Sequence[Latency]) -> Figure:
    """Histograms of every stage, on a logarithmic axis; the runs as separate lines.

    Parameters
    ----------
    runs : sequence of Latency

    Raises
    ------
    UserError
        When matplotlib is missing or there are more runs than can be told apart.
    """
    style.check_series(len(runs))
    stages = [s for s in STAGES if any(s in run.stages_ms for run in runs)]
    rows = -(-len(stages) // 2)
    with style.drawing():
        figure, axes = style.grid_of_axes(rows, 2, height=0.7 + 1.25 * rows)
        for axis, stage in zip(axes.flat, stages, strict=False):
            _histogram(axis, stage, runs, len(runs) == 1)
        for axis in axes.flat[len(stages) :]:
            axis.set_axis_off()
        for axis in axes[:, 0]:
            axis.set_ylabel("share of ticks [%]")
        for axis in axes.flat[max(0, len(stages) - 2) : len(stages)]:
            axis.set_xlabel("latency [ms]")
        style.legend_above(figure, style.line_handles(r.label for r in runs))
    return figure


def _histogram(axis: Any, stage: str, runs: Sequence[Latency], values_shown: bool) -> None:
    known = np.concatenate([r.stages_ms[stage] for r in runs if stage in r.stages_ms])
    floor = 1e-3
    low, high = max(float(known.min()), floor), max(float(known.max()), 2.0 * floor)
    edges = np.geomspace(low / 1.1, high * 1.1, 61)
    for index, run in enumerate(runs):
        if stage not in run.stages_ms:
            continue
        values = np.maximum(run.stages_ms[stage], floor)
        counts, _ = np.histogram(values, edges)
        look = style.look(index)
        axis.stairs(
            100.0 * counts / len(values),
            edges,
            color=look.color,
            linestyle=look.line,
            fill=values_shown,
            linewidth=1.1,
        )
        p50, p99 = np.percentile(values, (50.0, 99.0))
        for value, dash in ((p50, "-"), (p99, ":")):
            color = style.INK if values_shown else look.color
            axis.axvline(value, color=color, linestyle=dash, linewidth=0.8)
        if values_shown:
            text = f"median {p50:.3g} ms (line)\n99 %: {p99:.3g} ms (dots)"
            axis.text(
                1.0,
                0.98,
                text,
                transform=axis.transAxes,
                ha="right",
                va="top",
                fontsize=7,
                bbox={"facecolor": style.PAPER, "edgecolor": "none", "pad": 1.0},
            )
    axis.set_title(STAGES[stage])
    axis.set_xscale("log")
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(0.0, axis.get_ylim()[1] * (1.35 if values_shown else 1.05))
    style.plain_log(axis.xaxis)
    style.number_lines(axis)
