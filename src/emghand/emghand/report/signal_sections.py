"""Sections of a report about what was recorded: latency of the live run, quality of the signal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emghand.errors import UserError
from emghand.report.html import Cell, Picture, Section, Table
from emghand.report.latency import OPTIMUM_MS, STAGES, Latency, delays_ms, latency_figure
from emghand.report.parts import latencies, signal_measures
from emghand.report.signal_figure import signal_figure
from emghand.report.signal_quality import SETTLE_S, SignalQuality
from emghand.report.sources import Material, plain, slug
from emghand.storage.models import Model


def latency_section(material: Material) -> Section:
    """Latencies of live runs, and the delay that each model adds."""
    section = Section("Latency")
    runs = latencies(material)
    if runs:
        section.pictures.append(
            Picture(
                "latency",
                latency_figure(runs),
                "Latency of every stage of the live run on logarithmic axes; lines: median, dots: "
                "99th percentile. The sample is the last one of a tick, at its acquisition; "
                "received: by the recorder.",
                "Histograms of latencies by stage; percentiles stand in the table.",
            )
        )
        rows: list[list[Cell]] = []
        for run in runs:
            prefix = f"{run.label}: " if len(runs) > 1 else ""
            for stage, found in run.percentiles().items():
                rows.append(
                    [
                        f"{prefix}{STAGES[stage]}",
                        found["p50"],
                        found["p99"],
                        found["max"],
                        len(run.stages_ms[stage]),
                    ]
                )
            section.text.append(f"{run.label}: {run.missed} ticks were missed.")
        section.tables.append(
            Table("Latency [ms]", ("", "median", "99 %", "largest", "ticks"), rows, key="latency")
        )
    budgets = [_budget(name, model, runs) for name, model in material.models.items()]
    if budgets:
        section.tables.append(
            Table(
                "Delay from muscle to command [ms]",
                ("", "band-pass", "notches", "window", "wait for the tick", "computing", "sum"),
                budgets,
                key="delay",
            )
        )
        low, high = OPTIMUM_MS
        section.text.append(
            "Delay of the filters: group delay at 80 Hz (an eighth of the rate for slower "
            "streams); of the window: half its length; computing: median from sample to "
            f"command. The best total delay of a prosthesis is {low:.0f} to {high:.0f} ms (Farrell "
            "and Weir 2007)."
        )
    return section


def _budget(name: str, model: Model, runs: Sequence[Latency]) -> list[Cell]:
    delays = delays_ms(model.features, model.rate)
    totals = [float(np.median(run.stages_ms["total"])) for run in runs]
    computing = float(np.median(totals)) if totals else None
    known: list[Cell] = list(delays.values())
    return [name, *known, computing, sum(delays.values()) + (computing or 0.0)]


def signal_section(material: Material) -> Section:
    """Quality of the raw EMG of every recording."""
    section = Section("Signal quality")
    for name, recording in material.recordings.items():
        one = Material(recordings={name: recording}, paths=material.paths, models=material.models)
        try:
            (measured,) = signal_measures(one)
        except UserError as error:
            material.leave_out(f"signal of {name}", error)
            continue
        section.pictures.append(
            Picture(
                f"signal_{slug(name)}",
                signal_figure([measured]),
                f"{name}: RMS of every channel after the filters while movement and rest are asked "
                f"for (rest from {SETTLE_S:g} s after a movement on), their ratio, the spectrum "
                "before the filters with the mains frequency marked, and faults of channels over "
                f"time ({'some found' if measured.faults.any() else 'none found'}).",
                f"Signal quality of {name}; levels per channel stand in the table.",
            )
        )
        section.tables.append(_channel_table(name, measured))
        section.text.append(f"{name}: {measured.missing} samples missing.")
    return section


def _channel_table(name: str, measured: SignalQuality) -> Table:
    factor, unit = (1e6, "µV") if measured.unit == "V" else (1.0, "counts")
    columns = (
        measured.rms_move * factor,
        measured.rms_rest * factor,
        measured.snr_db,
        measured.mains_share * 100.0,
        measured.fault_share * 100.0,
    )
    rows: list[list[Cell]] = [
        [plain(channel), *(float(c[i]) for c in columns)]
        for i, channel in enumerate(measured.channels)
    ]
    return Table(
        f"{name}: channels",
        (
            "",
            f"movement [{unit}]",
            f"rest [{unit}]",
            "SNR [dB]",
            "mains [% of power]",
            "faulty [% of time]",
        ),
        rows,
        key=f"signal/{name}",
        folded=True,
    )
