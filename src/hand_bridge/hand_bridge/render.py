"""Pictures and videos of a recorded run: prompt and decoded hand, solid and as a ghost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.errors import UserError
from hand_bridge.cue import Cue
from hand_bridge.hands.mujoco_model import load_hand_file
from hand_bridge.scene import GHOSTS, Picture, TwoHands, frames_at
from hand_bridge.video import VideoWriter, check_new, write_png

SETTLE_S = 0.1


def render_video(
    path: str | Path,
    times: Sequence[float] | NDArray[np.float64],
    x_d: NDArray[np.float64],
    out_x_hat: NDArray[np.float64],
    fps: float = 10.0,
    size: tuple[int, int] = (320, 320),
    dofs: Sequence[str] = dof_names(DEFAULT_DOFS),
    hand: str | Path = "",
    ghost: str = GHOSTS[0],
) -> int:
    """Render two recorded series to a video.

    Parameters
    ----------
    path : str or Path
        ``.mp4`` or ``.gif``; must not exist yet.
    times : array-like, shape (n,)
        Rising times of the samples [s].
    x_d, out_x_hat : ndarray, shape (n, n_dofs)
        Normalised positions of the prompt and the decoded hand.
    fps : float
        Frames per second; each frame shows the newest sample.
    size : tuple of int
        Width and height [px], even numbers for ``.mp4``.
    dofs : sequence of str, length n_dofs
        Names of the columns. DOFs of the hand that are not named stay at rest.
    hand : str or Path
        Mapping file of another MJCF hand; empty: the built-in hand.
    ghost : str
        Which is the ghost: ``hand`` (decoded) or ``prompt``; the other is solid.

    Returns
    -------
    int
        Number of frames.

    Raises
    ------
    UserError
        For series that do not fit together, a file that cannot be written, or a missing rendering
        library (the message names the packages).
    """
    times = np.asarray(times, float)
    _check_series(times, x_d, out_x_hat, len(dofs))
    check_new(Path(path), (".mp4", ".gif"))
    hands = TwoHands(load_hand_file(hand, dofs), *size, ghost)
    picture = Picture(hands, *size)
    try:
        writer = VideoWriter(path, fps)
        frames = frames_at(times, fps)
        for index in frames:
            hands.command(x_d[index], out_x_hat[index])
            hands.advance(min(SETTLE_S, 1.0 / fps))
            writer.append(picture.render())
        writer.close()
    finally:
        picture.close()
    return len(frames)


def render_picture(
    path: str | Path,
    x_d: NDArray[np.float64],
    out_x_hat: NDArray[np.float64],
    size: tuple[int, int] = (480, 480),
    dofs: Sequence[str] = dof_names(DEFAULT_DOFS),
    hand: str | Path = "",
    ghost: str = GHOSTS[0],
    cue: Cue | None = None,
) -> None:
    """Render one posture of both hands, each of shape (n_dofs,), to a PNG file; `cue`: with text.

    Raises
    ------
    UserError
        See `render_video`.
    """
    _check_series(np.zeros(1), np.atleast_2d(x_d), np.atleast_2d(out_x_hat), len(dofs))
    check_new(Path(path), (".png",))
    hands = TwoHands(load_hand_file(hand, dofs), *size, ghost)
    picture = Picture(hands, *size)
    try:
        hands.command(np.asarray(x_d, float), np.asarray(out_x_hat, float))
        hands.advance(1.0)
        write_png(path, picture.render(cue))
    finally:
        picture.close()


def _check_series(
    times: NDArray[np.float64],
    x_d: NDArray[np.float64],
    out_x_hat: NDArray[np.float64],
    n_dofs: int,
) -> None:
    expected = (times.size, n_dofs)
    for name, values in (("x_d", x_d), ("out_x_hat", out_x_hat)):
        if np.shape(values) != expected:
            raise UserError(f"{name}: shape {np.shape(values)}, expected {expected}")
        if not np.isfinite(values).all():
            raise UserError(f"{name}: holds values that are not finite")
    if times.size == 0 or (np.diff(times) <= 0).any():
        raise UserError("times: must rise, and there must be at least one")
