"""Section of a report about how the decoder followed its user."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.report import style
from emghand.report.html import Cell, Picture, Section, Table
from emghand.report.parts import is_bag
from emghand.report.sources import Material, plain, slug
from emghand.storage.recording import Recording
from emghand.training.labels import label_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

PIECE_S = 30.0
"""Errors are averaged over pieces of this length."""
LEAST_PIECES = 4
SHOWN = ("proposed", "refused", "swapped", "undone", "forgotten", "failed", "reference")
"""Kinds of events in the table; pauses are counted."""


@dataclass(frozen=True)
class History:
    """Events of a bag.

    Parameters
    ----------
    seconds : list of float
        Since the first sample of the recording; 0 before it.
    events : list
        Messages of /decoder/adaptation.
    """

    seconds: list[float]
    events: list[Any]

    def at(self, kind: str) -> list[float]:
        """When events of a kind happened [s]."""
        return [s for s, e in zip(self.seconds, self.events, strict=True) if e.kind == kind]


def read_history(bag: Path, start_ns: int) -> History:
    """What adaptation did during a run; empty when it is not in the bag.

    Raises
    ------
    UserError
        When the bag cannot be read.
    """
    from emghand.storage.bags import BagReader

    seconds: list[float] = []
    events: list[Any] = []
    with BagReader(bag) as reader:
        topics = [name for name in reader.topics if name.endswith("/decoder/adaptation")]
        for raw in reader.messages(topics):
            message: Any = reader.decode(raw)
            stamp = message.header.stamp
            at = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
            # What was said before the first tick has no stamp.
            seconds.append((at - start_ns) * 1e-9 if at else 0.0)
            events.append(message)
    return History(seconds, events)


def adaptation_section(material: Material) -> Section:
    """Events, what seems to have changed on the electrodes, and the error over time."""
    section = Section("Adaptation")
    for name, path in material.paths.items():
        recording = material.recordings[name]
        try:
            if not is_bag(path):
                continue
            history = read_history(path, recording.blocks[0].stamp_ns)
        except UserError as error:
            material.leave_out(f"adaptation of {name}", error)
            continue
        if not any(e.kind in SHOWN for e in history.events):
            continue
        lag_s = next((m.lag_s for m in material.models.values()), 0.0)
        try:
            times, errors = error_over_time(recording, lag_s)
            section.pictures.append(
                Picture(
                    f"adaptation_{slug(name)}",
                    _figure(times, errors, history),
                    f"{name}: RMSE of x_hat as published, mean over the DOFs, in pieces of "
                    f"{PIECE_S:.0f} s, against x_d of {lag_s * 1e3:.0f} ms before. Lines: a new "
                    "decoder took over (solid), the calibration decoder came back (dashed).",
                    f"Error of {name} over time with {len(history.at('swapped'))} exchanges.",
                )
            )
        except UserError as error:
            material.leave_out(f"error over time of {name}", error)
        section.tables.append(_events(name, history))
        changed = [e for e in history.events if e.kind == "proposed" and e.channels]
        if changed:
            section.tables.append(_changes(name, changed[-1]))
        pauses = len(history.at("paused"))
        section.text.append(f"{name}: adaptation paused {pauses} times.")
    return section


def error_over_time(recording: Recording, lag_s: float) -> tuple[Floats, Floats]:
    """RMSE of the published `x_hat` in pieces of 30 s.

    Parameters
    ----------
    recording : Recording
    lag_s : float
        Of the labels [s].

    Returns
    -------
    times, errors : ndarray, shape (k,)
        Middle of each piece since the first sample [s]; pieces without label are left out.

    Raises
    ------
    UserError
        When the recording has no `x_d` or no `x_hat`, or is too short.
    """
    x_hat, x_d = recording.x_hat, recording.x_d
    if x_hat is None or x_d is None:
        raise UserError("the recording holds no x_hat or no x_d")
    names = [n for n in x_hat.names if n in x_d.names]
    if not names:
        raise UserError("x_hat and x_d have no DOF in common")
    wanted, known = label_values(x_d, names, x_hat.stamps_ns - round(lag_s * 1e9))
    columns = [x_hat.names.index(n) for n in names]
    square = np.square(x_hat.values[:, columns] - wanted)
    seconds = (x_hat.stamps_ns - recording.blocks[0].stamp_ns) * 1e-9
    piece = np.floor(seconds / PIECE_S).astype(np.int64)
    kept = known & np.isfinite(square).all(axis=1)
    found = [
        (float(p), float(np.sqrt(square[kept & (piece == p)].mean(axis=0)).mean()))
        for p in np.unique(piece[kept])
    ]
    if len(found) < LEAST_PIECES:
        raise UserError(f"shorter than {LEAST_PIECES * PIECE_S:.0f} s")
    pieces, errors = np.array(found).T
    return (pieces + 0.5) * PIECE_S, errors


def _figure(times: Floats, errors: Floats, history: History) -> Figure:
    with style.drawing():
        figure, axes = style.grid_of_axes(1, 1, height=2.4)
        axis = axes[0, 0]
        axis.plot(times, errors, color=style.BLUE, marker="o", markersize=3.5, linewidth=1.2)
        for kind, line in (("swapped", "-"), ("undone", "--")):
            for at in history.at(kind):
                axis.axvline(at, color=style.VERMILION, linestyle=line, linewidth=1.0)
        axis.set_ylim(0.0, 1.1 * float(errors.max()))
        axis.set_xlabel("time [s]")
        axis.set_ylabel("RMSE of x_hat\n[normalised position]")
        style.number_lines(axis)
    return figure


def _events(name: str, history: History) -> Table:
    rows: list[list[Cell]] = [
        [
            f"{seconds:.0f} s",
            plain(event.kind),
            plain(event.chosen),
            _number(event.score_before),
            _number(event.score_after),
            plain(event.cause, 160),
        ]
        for seconds, event in zip(history.seconds, history.events, strict=True)
        if event.kind in SHOWN
    ]
    head = ("", "event", "chosen", "plausibility before", "after", "cause")
    return Table(f"{name}: what adaptation did", head, rows, key=f"adaptation/{name}")


def _changes(name: str, event: Any) -> Table:
    rows: list[list[Cell]] = [
        [plain(channel), float(gain), "dead" if dead else "", float(baseline)]
        for channel, gain, dead, baseline in zip(
            event.channels, event.gain, event.dead, event.baseline, strict=False
        )
    ]
    caption = (
        f"{name}: what seemed changed in the last proposal (common gain "
        f"{event.global_gain:.2f}, rotation {event.rotation_deg:.0f}°)"
    )
    head = ("", "gain", "", "change of the level at rest")
    return Table(caption, head, rows, key=f"adaptation changes/{name}", folded=True)


def _number(value: float) -> Cell:
    return None if math.isnan(value) else float(value)
