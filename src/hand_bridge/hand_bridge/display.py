"""Showing a running hand in a window or writing it to a video, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from hand_bridge.cue import Cue
from hand_bridge.hands.mujoco_model import HandFile
from hand_bridge.mj import import_mujoco
from hand_bridge.scene import Picture, TwoHands
from hand_bridge.video import VideoWriter

if TYPE_CHECKING:
    from hand_bridge.hands.mujoco_hand import MujocoSettings

STOP_KEYS = (ord("S"), ord(" "))


class Sink(Protocol):
    """Where the frames go. All methods are called from the display's thread."""

    def draw(self, cue: Cue) -> bool:
        """Draw the hands as they are, and the cue; False when nobody looks any more."""

    def close(self) -> None:
        """Free everything."""


class VideoSink:
    """Renders every frame to a file."""

    def __init__(self, hands: TwoHands, settings: MujocoSettings) -> None:
        self._picture = Picture(hands, settings.width, settings.height)
        try:
            self._writer = VideoWriter(settings.video, settings.display_rate)
        except UserError:
            self._picture.close()
            raise

    def draw(self, cue: Cue) -> bool:
        """Append a frame."""
        self._writer.append(self._picture.render(cue))
        return True

    def close(self) -> None:
        """Finish the file."""
        self._picture.close()
        self._writer.close()


class WindowSink:
    """A window; the keys S and space stop the hand."""

    def __init__(self, hands: TwoHands, on_stop: Callable[[str], None]) -> None:
        mujoco = import_mujoco()
        self._cue = Cue()
        self._text_style = mujoco.mjtFont.mjFONT_BIG.value, mujoco.mjtGridPos.mjGRID_TOPLEFT.value
        try:
            from mujoco import viewer

            self._viewer = viewer.launch_passive(
                hands.model,
                hands.data,
                key_callback=lambda key: on_stop("key in the window") if key in STOP_KEYS else None,
                show_left_ui=False,
                show_right_ui=False,
            )
        except (ImportError, RuntimeError) as error:
            raise UserError(
                f"no window can be opened: is there a display? Use display:=none ({error})"
            ) from error
        camera = hands.camera()
        with self._viewer.lock():
            for name in ("azimuth", "elevation", "distance"):
                setattr(self._viewer.cam, name, getattr(camera, name))
            self._viewer.cam.lookat[:] = camera.lookat

    def draw(self, cue: Cue) -> bool:
        """Show the hands."""
        if cue != self._cue:
            self._cue = cue
            font, place = self._text_style
            self._viewer.set_texts((font, place, cue.title, cue.detail))
        self._viewer.sync()
        return bool(self._viewer.is_running())

    def close(self) -> None:
        """Close the window."""
        self._viewer.close()


class Display:
    """Draws the newest posture at its own rate; whoever moves the hand never waits for it.

    Parameters
    ----------
    hands : TwoHands
    make_sink : callable
        Makes where the frames go, in the display's thread: a graphics context belongs to one.
    rate : float
        Frames per second.

    Raises
    ------
    UserError
        When the sink cannot be made.
    """

    def __init__(self, hands: TwoHands, make_sink: Callable[[], Sink], rate: float) -> None:
        self._hands = hands
        self._make_sink = make_sink
        self._period = 1.0 / rate
        self._qpos: NDArray[np.float64] | None = None
        self._x_d: NDArray[np.float64] | None = None
        self._cue = Cue()
        self._ready = threading.Event()
        self._stop = threading.Event()
        self.error: UserError | None = None
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self.error is not None:
            raise self.error

    def pose(self, qpos: NDArray[np.float64]) -> None:
        """Posture of the physics, shape (nq,); not copied, must not change any more."""
        self._qpos = qpos

    def prompt(self, x_d: NDArray[np.float64]) -> None:
        """Prompt to draw, shape (n_dofs,)."""
        self._x_d = x_d

    def cue(self, cue: Cue) -> None:
        """What is asked of the subject from now on."""
        self._cue = cue

    def close(self) -> None:
        """Finish drawing."""
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        try:
            sink = self._make_sink()
        except UserError as error:
            self.error = error
            return
        finally:
            self._ready.set()
        try:
            self._draw_until_stopped(sink)
        except UserError as error:
            self.error = error
        finally:
            try:
                sink.close()
            except UserError as error:
                self.error = error

    def _draw_until_stopped(self, sink: Sink) -> None:
        deadline = time.monotonic()
        while not self._stop.is_set():
            self._hands.command(self._x_d, None)
            self._hands.advance(self._period)
            if self._qpos is not None:
                self._hands.pose_hand(self._qpos)
            if not sink.draw(self._cue):
                return
            deadline = max(deadline + self._period, time.monotonic())
            self._stop.wait(deadline - time.monotonic())


def make_display(
    settings: MujocoSettings,
    hand: HandFile,
    on_stop: Callable[[str], None],
) -> Display | None:
    """Display of the settings; None for none.

    Raises
    ------
    UserError
        When it cannot be made; the message says what to install.
    """
    if settings.display == "none":
        return None
    hands = TwoHands(hand, settings.width, settings.height, settings.ghost)
    makers: dict[str, Callable[[], Any]] = {
        "window": lambda: WindowSink(hands, on_stop),
        "video": lambda: VideoSink(hands, settings),
    }
    return Display(hands, makers[settings.display], settings.display_rate)
