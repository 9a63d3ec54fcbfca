"""What a run of the demonstration has shown: numbers from its bag, a table, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.evaluate.metrics import score
from emghand.storage.recording import Recording, Series

if TYPE_CHECKING:
    from emghand.evaluate.offline import Evaluation
    from emghand.storage.models import Model


@dataclass(frozen=True)
class Latency:
    """Acquisition of the last sample of a tick to `out_x_hat` published [ms]."""

    p50: float
    p99: float
    ticks: int
    missed: int


def read_latency(bag: Path) -> Latency:
    """Latency of a recorded run, from /decoder/timing.

    Raises
    ------
    UserError
        When the bag holds none.
    """
    from emghand.storage.bags import BagReader

    with BagReader(bag) as reader:
        timing: list[Any] = [reader.decode(m) for m in reader.messages(["/decoder/timing"])]
    if not timing:
        raise UserError(f"bag {bag}: holds no /decoder/timing")
    total = np.array([t.total_ns for t in timing]) * 1e-6
    p50, p99 = np.percentile(total, [50, 99])
    return Latency(float(p50), float(p99), len(timing), int(timing[-1].missed - timing[0].missed))


@dataclass(frozen=True)
class Track:
    """`x_d` and `out_x_hat` at the ticks of a run.

    Parameters
    ----------
    seconds : ndarray, shape (n,)
        From the first tick [s].
    x_d, out_x_hat : ndarray, shape (n, n_dofs)
    r2 : dict of str to float
        R² of `out_x_hat` against `x_d` of the model's lag before, by DOF.
    start_ns : int
        Stamp of the first tick.
    """

    seconds: NDArray[np.float64]
    x_d: NDArray[np.float64]
    out_x_hat: NDArray[np.float64]
    r2: dict[str, float]
    dofs: tuple[str, ...]
    start_ns: int


def read_track(recording: Recording, lag_s: float) -> Track:
    """What was asked for and what the hand was sent, on one time axis.

    Raises
    ------
    UserError
        When the recording lacks one of them.
    """
    x_d, out = recording.x_d, recording.out_x_hat
    if x_d is None or out is None:
        raise UserError(f"{recording.source}: holds no x_d or no out_x_hat")
    inside = (out.stamps_ns >= x_d.stamps_ns[0]) & (out.stamps_ns <= x_d.stamps_ns[-1])
    stamps = out.stamps_ns[inside]
    if len(stamps) < 2:
        raise UserError(f"{recording.source}: x_d and out_x_hat do not overlap in time")
    before = _at(x_d, stamps - round(lag_s * 1e9), out.names)
    scores = score(before, out.values[inside], out.names)
    return Track(
        (stamps - stamps[0]) * 1e-9,
        _at(x_d, stamps, out.names),
        out.values[inside],
        dict(zip(out.names, scores.r2.tolist(), strict=True)),
        out.names,
        int(stamps[0]),
    )


def _at(series: Series, stamps: NDArray[np.int64], names: tuple[str, ...]) -> NDArray[np.float64]:
    # Relative to the start: nanoseconds since 1970 do not fit a double.
    at, known = ((t - stamps[0]).astype(float) for t in (stamps, series.stamps_ns))
    columns = [
        np.interp(at, known, series.values[:, series.names.index(name)])
        if name in series.names
        else np.zeros(len(stamps))
        for name in names
    ]
    return np.stack(columns, axis=1)


def without_glitches(model: Model, recording: Recording) -> tuple[float, float]:
    """Share of labels that are glitches of the camera, and mean R² of `x_hat` without them."""
    from emghand.dofs import dof_names
    from emghand.evaluate.metrics import masked_r2
    from emghand.pipeline import Pipeline
    from emghand.storage.datasets import is_camera_glitch
    from emghand.training.labels import label_values

    assert recording.x_d is not None
    run = Pipeline(model, recording.stream).run(recording)
    x_d, known = label_values(recording.x_d, dof_names(model.dofs), run.stamps_ns)
    x_d, x_hat = x_d[known], run.x_hat[known]
    glitch = is_camera_glitch(x_d)
    return float(glitch.mean()), float(np.mean(masked_r2(x_d, x_hat, ~glitch)))


def draw(folder: Path, track: Track, recording: Recording) -> list[Path]:
    """Picture of the run; returns the files written."""
    from emghand.report.figures import plot_tracking

    path = folder / "tracking.png"
    plot_tracking(
        path,
        track.seconds,
        track.x_d,
        track.out_x_hat,
        track.dofs,
        notes={name: f"R² {value:.2f}" for name, value in track.r2.items()},
        periods=recording.periods,
        start_ns=track.start_ns,
        title="Movements not seen in training; R² of out_x_hat, the delay taken out",
    )
    return [path]


def film(folder: Path, track: Track, seconds: float) -> list[Path]:
    """Video of the two hands, the first `seconds` of the run; returns the files written.

    Raises
    ------
    UserError
        When a rendering library is missing; it is named.
    """
    try:
        from hand_bridge.render import render_video
    except ImportError as error:
        raise UserError(f"no video without the package hand_bridge: {error}") from error
    part = track.seconds < seconds
    path = folder / "hands.gif"
    render_video(path, track.seconds[part], track.x_d[part], track.out_x_hat[part], dofs=track.dofs)
    return [path]


def print_summary(rows: list[tuple[str, str]], result: Evaluation, track: Track) -> None:
    """Accuracy per DOF and the other figures of the run."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    title = "Movements not seen in training"
    if result.lag_s:
        title += f"; delay: {result.lag_s * 1e3:.0f} ms, found in training"
    table = Table(title=title, title_justify="left")
    x_hat = result.x_hat_compensated
    columns = {"R² of x_hat": x_hat.r2}
    if result.lag_s:
        columns = {"R² of x_hat, delay out": x_hat.r2, "delay left in": result.x_hat.r2}
    columns["R² of out_x_hat"] = np.array([track.r2[name] for name in x_hat.names])
    columns |= {"RMSE of x_hat": x_hat.rmse, "unintended": x_hat.unintended}
    table.add_column("DOF", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right")
    for i, name in enumerate(x_hat.names):
        values = (column[i] for column in columns.values())
        table.add_row(name, *("–" if np.isnan(v) else f"{v:.2f}" for v in values))
    console.print(table)
    figures = Table(show_header=False)
    for what, value in rows:
        figures.add_row(what, value)
    console.print(figures)
