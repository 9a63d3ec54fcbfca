"""Two hands drawn over each other, prompt and hand: one solid, the other as a ghost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from hand_bridge.cue import COLORS, Cue, printable
from hand_bridge.hands.mujoco_model import HandFile, bind_actuators, rest_control
from hand_bridge.mj import import_mujoco

GHOST_RGBA = (0.05, 0.50, 0.95, 0.30)
HIDDEN = (0.0, 0.0, 0.0, 0.0)
DETAIL_GROUP = 1
GHOST_SCALE = 1.04
PROMPT, HAND = "x_d/", "out_x_hat/"
GHOSTS = ("hand", "prompt")
"""Which of the two may be the ghost."""

BAR = 0.035
"""Height of the bar that shows the period, as a share of the picture."""
BIG_WIDTH, SMALL_WIDTH, MARGIN = 15, 8, 14
"""Of a wide letter of MuJoCo's two fonts, and around a text [px]."""
MAX_GEOMS = 2000


class TwoHands:
    """Both hands as one model without contact or gravity, only for drawing.

    Parameters
    ----------
    hand : HandFile
    width, height : int
        Largest picture that will be rendered.
    ghost : str
        One of `GHOSTS`: which one is the ghost. The other is solid.

    Raises
    ------
    UserError
        When the model cannot be loaded.
    """

    def __init__(
        self, hand: HandFile, width: int = 640, height: int = 480, ghost: str = GHOSTS[0]
    ) -> None:
        self._mujoco = mujoco = import_mujoco()
        self._hand = hand
        scene = mujoco.MjSpec()
        self._set_up(scene, width, height)
        try:
            for prefix, shows in ((PROMPT, "prompt"), (HAND, "hand")):
                child = mujoco.MjSpec.from_file(str(hand.model))
                if shows == ghost:
                    _make_ghost(child)
                scene.attach(child, prefix=prefix, frame=scene.worldbody.add_frame())
            self.model = scene.compile()
        except ValueError as error:
            raise UserError(f"hand {hand.path}: {hand.model} cannot be drawn: {error}") from error
        self.data = mujoco.MjData(self.model)
        self._ids = {p: bind_actuators(mujoco, self.model, hand, p) for p in (PROMPT, HAND)}
        joints = [j for j in range(self.model.njnt) if self.model.joint(j).name.startswith(HAND)]
        self._hand_qpos = self.model.jnt_qposadr[joints[0]] if joints else 0
        self.data.qpos[:] = self.model.qpos_spring
        rest = [rest_control(mujoco, self.model, hand, p) for p in (PROMPT, HAND)]
        self.data.ctrl[:] = rest[0] + rest[1]
        self.advance(1.0)

    def _set_up(self, scene: Any, width: int, height: int) -> None:
        mujoco = self._mujoco
        scene.option.timestep = 0.002
        scene.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        scene.option.gravity = [0.0, 0.0, 0.0]
        scene.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT.value
        scene.visual.headlight.ambient = [0.34, 0.34, 0.34]
        scene.visual.headlight.diffuse = [0.18, 0.18, 0.18]
        scene.visual.quality.offsamples = 4
        size = getattr(scene.visual, "global")
        size.offwidth, size.offheight = width, height
        directional = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
        for direction, diffuse in (
            ((-0.4, 0.6, -0.6), (0.50, 0.50, 0.50)),
            ((0.6, 0.2, -0.2), (0.25, 0.30, 0.40)),
        ):
            scene.worldbody.add_light(
                type=directional, dir=direction, diffuse=diffuse, castshadow=False
            )
        scene.add_texture(
            name="sky",
            type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
            rgb1=[0.96, 0.97, 0.98],
            rgb2=[0.70, 0.75, 0.82],
            width=64,
            height=384,
        )

    def command(
        self, x_d: NDArray[np.float64] | None, out_x_hat: NDArray[np.float64] | None
    ) -> None:
        """Where the hands shall go, each of shape (n_dofs,); None: where it was told before."""
        for prefix, x in ((PROMPT, x_d), (HAND, out_x_hat)):
            if x is not None:
                self.data.ctrl[self._ids[prefix]] = self._hand.map.to_actuators(x)

    def pose_hand(self, qpos: NDArray[np.float64]) -> None:
        """Put the hand into the posture of the physics, shape (nq,) of one hand."""
        span = slice(self._hand_qpos, self._hand_qpos + qpos.size)
        self.data.qpos[span] = qpos
        self._mujoco.mj_kinematics(self.model, self.data)

    def advance(self, seconds: float) -> None:
        """Let the hands move."""
        steps = max(1, round(seconds / self.model.opt.timestep))
        self._mujoco.mj_step(self.model, self.data, nstep=steps)

    def camera(self) -> Any:
        """Camera that sees the whole hand, from the palm and the thumb."""
        mujoco = self._mujoco
        camera = mujoco.MjvCamera()
        mujoco.mjv_defaultFreeCamera(self.model, camera)
        camera.azimuth, camera.elevation = 108.0, -10.0
        if self._hand.model.name == "hand.xml":
            camera.lookat[:] = (0.004, -0.015, 0.034)
            camera.distance = 0.42
        return camera


def _make_ghost(spec: Any) -> None:
    """Make what can move translucent, tinted and a little larger than the solid hand.

    Geoms of group 1 are details (pads, nails): seen through one another they only blur.
    """
    moving: set[str] = set()
    for body in spec.bodies:
        if body.joints or (body.parent is not None and body.parent.name in moving):
            moving.add(body.name)
    for mesh in spec.meshes:
        mesh.scale = np.array(mesh.scale) * GHOST_SCALE
    for geom in spec.geoms:
        geom.material = ""
        shown = geom.parent.name in moving and geom.group != DETAIL_GROUP
        geom.rgba = GHOST_RGBA if shown else HIDDEN
        if not geom.meshname:
            geom.size = np.array(geom.size) * GHOST_SCALE


class Picture:
    """Renders a `TwoHands` off screen. Use it in one thread only.

    Raises
    ------
    UserError
        When there is no library to render with; names the packages to install.
    """

    def __init__(self, hands: TwoHands, width: int, height: int) -> None:
        self._mujoco = mujoco = import_mujoco()
        self._hands = hands
        self._gl = _make_gl_context(width, height)
        try:
            self._context = mujoco.MjrContext(
                hands.model, mujoco.mjtFontScale.mjFONTSCALE_100.value
            )
        except mujoco.FatalError as error:
            self._gl.free()
            raise _no_rendering(error) from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._scene = mujoco.MjvScene(hands.model, maxgeom=MAX_GEOMS)
        for flag in ("SHADOW", "REFLECTION", "HAZE"):
            self._scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}").value] = 0
        self._option = mujoco.MjvOption()
        self._camera = hands.camera()
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)

    def render(self, cue: Cue | None = None) -> NDArray[np.uint8]:
        """Picture of the hands as they are, shape (height, width, 3); a new array."""
        mujoco = self._mujoco
        mujoco.mjv_updateScene(
            self._hands.model,
            self._hands.data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        mujoco.mjr_render(self._rect, self._scene, self._context)
        if cue is not None and cue.title:
            self._write(cue)
        mujoco.mjr_readPixels(self._pixels, None, self._rect, self._context)
        return self._pixels[::-1].copy()

    def _write(self, cue: Cue) -> None:
        mujoco = self._mujoco
        width, height = self._rect.width, self._rect.height
        bar = max(1, round(BAR * height))
        mujoco.mjr_rectangle(mujoco.MjrRect(0, 0, width, bar), *COLORS[cue.period], 1.0)
        above = mujoco.MjrRect(0, bar, width, height - bar)
        small, big = mujoco.mjtFont.mjFONT_NORMAL, mujoco.mjtFont.mjFONT_BIG
        # Over the forearm and beside the thumb: there they hide nothing that moves.
        low, high = mujoco.mjtGridPos.mjGRID_BOTTOMLEFT, mujoco.mjtGridPos.mjGRID_TOPRIGHT
        font = big if len(cue.title) * BIG_WIDTH <= width - MARGIN else small
        room = (width - MARGIN) // SMALL_WIDTH
        for text, this, place in ((cue.title, font, low), (cue.detail, small, high)):
            shown = text if this is big else printable(text, room)
            if shown:
                mujoco.mjr_overlay(this.value, place.value, above, shown, "", self._context)

    def close(self) -> None:
        """Free the graphics context."""
        self._context.free()
        self._gl.free()


def _make_gl_context(width: int, height: int) -> Any:
    back_end = os.environ.get("MUJOCO_GL", "egl").lower()
    if back_end not in ("egl", "osmesa", "glfw"):
        back_end = "egl"
    try:
        # What a missing library raises depends on how far PyOpenGL gets without it.
        context = import_module(f"mujoco.{back_end}").GLContext(width, height)
        context.make_current()
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        raise _no_rendering(error) from error
    return context


def _no_rendering(error: Exception) -> UserError:
    return UserError(
        "nothing can be rendered here: install the Debian packages libegl1 and libgl1-mesa-dri"
        f" ({error})"
    )


def frames_at(times: Sequence[float], fps: float) -> list[int]:
    """Index of the newest sample at each frame of a video of `fps` frames per second."""
    t = np.asarray(times, float)
    moments = np.arange(t[0], t[-1] + 1e-9, 1.0 / fps)
    return (np.searchsorted(t, moments + 1e-9, side="right") - 1).tolist()
