"""A simulated hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.settings import SettingsError, check, setting
from hand_bridge.cue import Cue
from hand_bridge.display import Display, make_display
from hand_bridge.hands.mujoco_model import (
    bind_actuators,
    check_ranges,
    load_hand_file,
    rest_control,
)
from hand_bridge.mj import import_mujoco
from hand_bridge.safety import Drive, Power, Reading
from hand_bridge.scene import GHOSTS

SETTLE_S = 1.0


@dataclass(frozen=True)
class MujocoSettings:
    """Settings of the simulated hand."""

    rate: float = setting(
        125.0, "Rate at which the hand is read and driven", unit="Hz", low=10, high=1000, live=False
    )
    physics_rate: float = setting(
        500.0, "Rate of the physics, a multiple of rate", unit="Hz", low=50, high=10000, live=False
    )
    hand: str = setting("", "Mapping file of another MJCF hand; empty: the built-in", live=False)
    display: str = setting(
        "none", "Show nothing, a window, or write a video", choices=("none", "window", "video"),
        live=False,
    )  # fmt: skip
    display_rate: float = setting(
        10.0, "Frames per second of the display", unit="Hz", low=1.0, high=60.0, live=False
    )
    video: str = setting("", "File the video goes to, .mp4 or .gif", live=False)
    ghost: str = setting(
        GHOSTS[0], "Which of the two is drawn as a ghost, the other is solid", choices=GHOSTS,
        live=False,
    )  # fmt: skip
    width: int = setting(320, "Width of the video", unit="px", low=16, high=4096, live=False)
    height: int = setting(320, "Height of the video", unit="px", low=16, high=4096, live=False)

    def __post_init__(self) -> None:
        check(self)
        if self.physics_rate % self.rate:
            raise SettingsError(
                f"physics_rate: {self.physics_rate:g} Hz is not a multiple of rate {self.rate:g} Hz"
            )
        if self.display == "video" and not self.video:
            raise SettingsError("video: name the file the video goes to")


class MujocoHand:
    """A MuJoCo hand whose physics advances with every `apply`.

    Parameters
    ----------
    settings : MujocoSettings
    dofs : sequence of str
    on_stop : callable
        Called with a reason when a person presses the stop key in the window.
    """

    def __init__(
        self, settings: MujocoSettings, dofs: Sequence[str], on_stop: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._dofs = tuple(dofs)
        self._on_stop = on_stop
        self._substeps = round(settings.physics_rate / settings.rate)
        self._display: Display | None = None
        self._data: Any = None
        self._applied: tuple[Power, float] = (Power.OFF, 1.0)

    def open(self) -> None:
        """Load the model and let it settle at rest.

        Raises
        ------
        UserError
            When the model or its mapping is wrong, or nothing can be rendered.
        """
        if self._data is not None:
            return
        self._mujoco = mujoco = import_mujoco()
        hand = load_hand_file(self._settings.hand, self._dofs)
        try:
            model = mujoco.MjModel.from_xml_path(str(hand.model))
        except ValueError as error:
            raise UserError(f"hand {hand.path}: {hand.model} cannot be loaded: {error}") from error
        self._ids = bind_actuators(mujoco, model, hand)
        check_ranges(model, hand, self._ids)
        model.opt.timestep = 1.0 / self._settings.physics_rate
        data = mujoco.MjData(model)
        data.qpos[:] = model.qpos_spring
        data.ctrl[:] = rest_control(mujoco, model, hand)
        mujoco.mj_step(model, data, nstep=int(SETTLE_S * self._settings.physics_rate))
        self._map = hand.map
        self._model = model
        self._gain = model.actuator_gainprm.copy()
        self._bias = model.actuator_biasprm.copy()
        self._force = model.actuator_forcerange.copy()
        self._display = make_display(self._settings, hand, self._on_stop)
        self._data = data

    def read(self) -> Reading:
        """Measured position of the DOFs."""
        return Reading(self._map.to_dofs(self._data.actuator_length[self._ids]))

    def apply(self, drive: Drive) -> None:
        """Set the actuators and advance the physics by one step of the bridge."""
        if drive.power is Power.ON:
            self._data.ctrl[self._ids] = self._map.to_actuators(drive.position)
        if (drive.power, drive.current) != self._applied:
            self._applied = (drive.power, drive.current)
            live = drive.power is not Power.LIMP
            self._model.actuator_gainprm[:] = self._gain * live
            self._model.actuator_biasprm[:] = self._bias * live
            self._model.actuator_forcerange[:] = self._force * drive.current
        self._mujoco.mj_step(self._model, self._data, nstep=self._substeps)
        if self._display is not None:
            self._display.pose(self._data.qpos.copy())

    def show(self, x_d: NDArray[np.float64]) -> None:
        """Draw the prompt."""
        if self._display is not None:
            self._display.prompt(x_d)

    def cue(self, cue: Cue) -> None:
        """Write what is asked of the subject."""
        if self._display is not None:
            self._display.cue(cue)

    def close(self) -> None:
        """End the display."""
        if self._display is not None:
            self._display.close()
            self._display = None
        self._data = None
