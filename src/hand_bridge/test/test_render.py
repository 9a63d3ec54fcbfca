"""Pictures of the two hands."""

from __future__ import annotations

import os
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.errors import UserError
from hand_bridge.hands.mujoco_hand import MujocoHand, MujocoSettings
from hand_bridge.render import render_picture, render_video
from hand_bridge.safety import Drive, Power
from hand_bridge.scene import frames_at

SIZE = (96, 96)
DOFS = dof_names(DEFAULT_DOFS)


@pytest.fixture(scope="module", autouse=True)
def can_render(tmp_path_factory):
    try:
        render_picture(tmp_path_factory.mktemp("probe") / "p.png", np.zeros(6), np.zeros(6), SIZE)
    except UserError as error:
        pytest.skip(str(error))


def blueness(picture):
    picture = picture.astype(float)
    return (picture[..., 2] - picture[..., 0] > 80).mean()


def test_the_hand_fills_the_picture_and_the_ghost_is_blue(tmp_path):
    render_picture(tmp_path / "a.png", np.zeros(6), np.zeros(6), (200, 200))
    picture = iio.imread(tmp_path / "a.png")
    assert picture.shape == (200, 200, 3)
    sky = picture[:10].reshape(-1, 3).mean(axis=0)
    differs = (np.abs(picture - sky).max(axis=2) > 60).mean()
    assert 0.1 < differs < 0.6
    assert 0.02 < blueness(picture) < 0.3


def test_solid_and_ghost_move_independently(tmp_path):
    postures = [np.zeros(6), np.ones(6)]
    pictures = []
    for i, x_d in enumerate(postures):
        for j, out in enumerate(postures):
            path = tmp_path / f"{i}{j}.png"
            render_picture(path, x_d, out, SIZE)
            pictures.append(iio.imread(path).astype(int))
    for a in range(4):
        for b in range(a):
            assert (np.abs(pictures[a] - pictures[b]) > 40).mean() > 0.005


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_video_has_one_frame_per_moment(tmp_path, suffix):
    times = np.arange(0.0, 1.0, 0.016)
    x = np.tile(np.linspace(0.0, 1.0, times.size)[:, None], (1, 6))
    path = tmp_path / f"run{suffix}"
    assert render_video(path, times, x, x * 0.5, fps=10, size=SIZE) == 10
    frames = iio.imread(path)
    assert frames.shape == (10, 96, 96, 3)
    assert np.abs(frames[0].astype(int) - frames[-1].astype(int)).max() > 60
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_overwritten_and_mistakes_are_named(tmp_path):
    times, x = np.arange(3.0), np.zeros((3, 6))
    (tmp_path / "there.gif").write_bytes(b"precious")
    with pytest.raises(UserError, match="exists already"):
        render_video(tmp_path / "there.gif", times, x, x)
    assert (tmp_path / "there.gif").read_bytes() == b"precious"
    with pytest.raises(UserError, match="must end in"):
        render_video(tmp_path / "run.avi", times, x, x)
    with pytest.raises(UserError, match="expected \\(3, 6\\)"):
        render_video(tmp_path / "run.gif", times, x, x[:, :5])
    with pytest.raises(UserError, match="not finite"):
        render_video(tmp_path / "run.gif", times, x * np.nan, x)
    with pytest.raises(UserError, match="must rise"):
        render_video(tmp_path / "run.gif", times[::-1], x, x)
    with pytest.raises(UserError, match="does not exist"):
        render_video(tmp_path / "no" / "run.gif", times, x, x)


def test_frames_show_the_newest_sample():
    assert frames_at([0.0, 0.05, 0.1, 0.19, 0.2], 10.0) == [0, 2, 4]


def test_a_running_hand_writes_its_video_while_it_steps(tmp_path):
    path = tmp_path / "live.mp4"
    settings = MujocoSettings(
        display="video", video=str(path), width=96, height=96, display_rate=30.0
    )
    hand = MujocoHand(settings, DOFS, lambda reason: None)
    hand.open()
    for _ in range(3):
        hand.show(np.ones(6))
        hand.apply(Drive(Power.ON, np.full(6, 0.5)))
    hand.close()
    assert iio.imread(path).shape[1:] == (96, 96, 3)


def test_a_missing_rendering_library_names_the_packages_and_physics_still_runs(tmp_path):
    code = """
import sys, numpy as np
from emghand.errors import UserError
from hand_bridge.hands.mujoco_hand import MujocoHand, MujocoSettings
from hand_bridge.render import render_picture
hand = MujocoHand(MujocoSettings(), ["index_flex"], print)
hand.open()
try:
    render_picture(sys.argv[1], np.zeros(6), np.zeros(6))
except UserError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p.png")],
        env=os.environ | {"MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "osmesa"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "libegl1" in done.stdout
