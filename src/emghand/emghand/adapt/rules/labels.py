"""Labels for use without prompts: of detected movements, of the decoder's own output, or of x_d."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.window import Window
from emghand.decoders.base import LARGEST
from emghand.errors import UserError

if TYPE_CHECKING:
    from emghand.adapt.detector import Segment

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Segmenter = Callable[[Window], Sequence["Segment"]]

SOURCES = ("movements", "output", "prompts")
MOVING_SPEED = 0.1
"""A DOF whose `x_d` is faster than this takes part in a movement [1/s]."""


@dataclass(frozen=True)
class LabelledWindow(Window):
    """Use during which a prompt or a glove said what was meant: for supervised adaptation.

    Parameters
    ----------
    x_d : ndarray, shape (m, n_dofs)
        As shown at each tick, not aligned; NaN where unknown.
    """

    x_d: Floats

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.x_d.shape != self.x_hat.shape:
            raise UserError(f"window of use: x_d {self.x_d.shape} is not like {self.x_hat.shape}")


@dataclass(frozen=True)
class Labelled:
    """Rows of a window with labels.

    Parameters
    ----------
    rows : ndarray of int, shape (k,)
        Places in the window, ascending.
    X : ndarray, shape (k, n_dofs)
        Labels, aligned with the features.
    moving : ndarray of bool, shape (k, n_dofs)
        DOFs that take part in the movement that a row belongs to.
    piece : ndarray of int, shape (k,)
        Rows of a piece are consecutive ticks of one movement or rest.
    """

    rows: Ints
    X: Floats
    moving: Bools
    piece: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def moved(self) -> Bools:
        """DOFs that took part in any movement, shape (n_dofs,)."""
        return np.asarray(self.moving.any(axis=0))

    def where(self, keep: Bools) -> Labelled:
        """The rows for which `keep`, shape (k,), is true."""
        return Labelled(self.rows[keep], self.X[keep], self.moving[keep], self.piece[keep])


def detected_segments(window: Window) -> list[Segment]:
    """Movements and plateaus of a window with the settings of the live detector's defaults."""
    # Here, because tests and studies may bring segments of their own.
    from emghand.adapt.detector import DetectorSettings, detect

    return detect(window.x_hat, window.ticks, DetectorSettings(), window.tick_rate, ~window.good)


def minimum_jerk(s: Floats) -> Floats:
    """Profile from 0 to 1 over s in [0, 1], constant beyond (Flash and Hogan 1985)."""
    s = np.clip(s, 0.0, 1.0)
    return s**3 * (10.0 + s * (6.0 * s - 15.0))


def runs(ticks: Ints) -> Ints:
    """Number of the run of consecutive ticks that each one belongs to, shape (m,)."""
    return np.cumsum(np.diff(ticks, prepend=ticks[:1]) > 1)


def movement_labels(window: Window, segments: Sequence[Segment], snap: float) -> Labelled:
    """Labels of detected movements and plateaus.

    The moving DOFs go from where they were to where they came, with the profile of minimum jerk;
    the others stay where they were. Ends nearer to rest than `snap` are at rest: otherwise an
    offset that drift has brought would be learned.

    Parameters
    ----------
    window : Window
    segments : sequence of Segment
        In order of time; of two that share a tick the first has it.
    snap : float
    """
    allowed = usable(window)
    rows, X, moving, piece = [], [], [], []
    first = 0
    for number, segment in enumerate(segments):
        low = max(first, int(np.searchsorted(window.ticks, segment.t0_tick)))
        first = max(first, int(np.searchsorted(window.ticks, segment.t1_tick, side="right")))
        inside = np.arange(low, first)
        inside = inside[allowed[inside]]
        if not len(inside):
            continue
        length = max(1, segment.t1_tick - segment.t0_tick)
        way = minimum_jerk((window.ticks[inside] - segment.t0_tick) / length)
        x0, x_f = (np.where(np.abs(x) < snap, 0.0, x) for x in (segment.x0, segment.x_f))
        change = np.where(segment.moving, x_f - x0, 0.0)
        rows.append(inside)
        X.append(x0 + way[:, None] * change)
        moving.append(np.broadcast_to(segment.moving, X[-1].shape))
        piece.append(np.full(len(inside), number))
    d = window.x_hat.shape[1]
    if not rows:
        none = np.zeros(0, dtype=np.int64)
        return Labelled(none, np.zeros((0, d)), np.zeros((0, d), dtype=np.bool_), none)
    places = np.concatenate(rows)
    return Labelled(
        places,
        np.concatenate(X),
        np.concatenate(moving),
        _pieces(np.concatenate(piece), window.ticks[places]),
    )


def output_labels(window: Window, segments: Sequence[Segment]) -> Labelled:
    """The decoder's own output during detected movements and plateaus."""
    found = movement_labels(window, segments, 0.0)
    return Labelled(found.rows, window.x_hat[found.rows].copy(), found.moving, found.piece)


def prompt_labels(window: Window, lag_s: float) -> Labelled:
    """`x_d` of `lag_s` before each tick, where it is known without a gap.

    Raises
    ------
    UserError
        When the window has no `x_d`.
    """
    if not isinstance(window, LabelledWindow):
        raise UserError("supervised adaptation needs a window with x_d (prompts or a glove)")
    known = np.flatnonzero(np.isfinite(window.x_d).all(axis=1))
    d = window.x_d.shape[1]
    ticks = window.ticks[known]
    source = window.ticks - lag_s * window.tick_rate
    before = np.searchsorted(ticks, source, side="right") - 1
    after = np.searchsorted(ticks, source, side="left")
    inside = (before >= 0) & (after < len(ticks))
    keep = np.zeros(len(source), dtype=np.bool_)
    keep[inside] = ticks[after[inside]] - ticks[before[inside]] <= 1
    rows = np.flatnonzero(keep & usable(window))
    X = np.zeros((len(rows), d))
    for i in range(d if len(rows) else 0):
        X[:, i] = np.interp(source[rows], ticks, window.x_d[known, i])
    piece = runs(window.ticks[rows])
    moving = np.zeros(X.shape, dtype=np.bool_)
    fast = np.abs(np.diff(X, axis=0)) * window.tick_rate > MOVING_SPEED
    moving[1:] = fast & (np.diff(piece) == 0)[:, None]
    return Labelled(rows, X, moving, piece)


def usable(window: Window) -> Bools:
    """Ticks to learn from whose values are finite, and not beyond what decoders take."""
    finite = (np.abs(window.Z) < LARGEST).all(axis=1) & np.isfinite(window.x_hat).all(axis=1)
    return np.asarray(window.good & finite)


def _pieces(number: Ints, ticks: Ints) -> Ints:
    """Pieces anew: also where a tick is missing within one."""
    return np.cumsum(
        (np.diff(number, prepend=number[:1]) != 0) | (np.diff(ticks, prepend=ticks[:1]) > 1)
    )
