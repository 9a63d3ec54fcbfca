"""Prompt and hand in one picture, and what is asked of the subject written over them."""

from __future__ import annotations

import contextlib
import os
import types
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.errors import UserError
from emghand.storage.recording import PeriodKind
from hand_bridge import display
from hand_bridge.cue import COLORS, Cue, printable
from hand_bridge.hands.mujoco_hand import MujocoHand, MujocoSettings
from hand_bridge.hands.mujoco_model import load_hand_file
from hand_bridge.safety import Drive, Power
from hand_bridge.scene import GHOSTS, Picture, TwoHands

SIZE = (160, 160)
DOFS = dof_names(DEFAULT_DOFS)
OPEN, FIST = np.zeros(6), np.ones(6)
HOLD = Cue(PeriodKind.HOLD, "fist", 2, 21)


@pytest.fixture(scope="module")
def picture():
    """Draw postures, with the hand or the prompt as ghost."""
    hands = {ghost: TwoHands(load_hand_file("", DOFS), *SIZE, ghost) for ghost in GHOSTS}
    try:
        pictures = {ghost: Picture(hands[ghost], *SIZE) for ghost in GHOSTS}
    except UserError as error:
        pytest.skip(str(error))

    def render(x_d, out, ghost="hand", cue=None):
        hands[ghost].command(x_d, out)
        hands[ghost].advance(1.0)
        # Each picture has a graphics context of its own.
        pictures[ghost]._gl.make_current()
        return pictures[ghost].render(cue).astype(int)

    yield render
    for made in pictures.values():
        made._gl.make_current()
        made.close()


def blue(picture):
    return picture[..., 2] - picture[..., 0] > 60


def is_bar(row, period):
    """Whether a row of pixels has the colour of a period, as far as a video keeps colours."""
    color = np.array(COLORS[period]) * 255
    return (np.abs(row.reshape(-1, 3) - color).max(axis=1) < 40).mean() > 0.9


def test_either_may_be_the_ghost_and_both_are_seen(picture):
    decoded_ghost, prompt_ghost = picture(OPEN, FIST), picture(OPEN, FIST, "prompt")
    exchanged = picture(FIST, OPEN, "prompt")
    alike = np.abs(decoded_ghost - exchanged).max(axis=2) < 12
    assert alike.mean() > 0.99, "a prompt drawn as ghost looks like a decoded hand drawn as ghost"
    assert (blue(decoded_ghost) & ~blue(prompt_ghost)).mean() > 0.01
    assert (blue(prompt_ghost) & ~blue(decoded_ghost)).mean() > 0.01
    for ghost in ("hand", "prompt"):
        still = picture(OPEN, OPEN, ghost)
        for x_d, out in ((FIST, OPEN), (OPEN, FIST)):
            assert (np.abs(picture(x_d, out, ghost) - still).max(axis=2) > 40).mean() > 0.01


def test_the_ghost_lets_the_solid_hand_through(picture):
    through = picture(OPEN, OPEN)
    solid = TwoHands(load_hand_file("", DOFS), *SIZE)
    alpha = [solid.model.geom(i).rgba[3] for i in range(solid.model.ngeom)]
    assert sorted({round(float(a), 2) for a in alpha}) == [0.0, 0.3, 1.0]
    assert 0.02 < blue(through).mean() < 0.4


def test_a_bar_and_a_word_show_the_period(picture):
    plain = picture(OPEN, OPEN)
    for period in COLORS:
        shown = picture(OPEN, OPEN, cue=Cue(period, "fist", 0, 3))
        assert [p for p in COLORS if is_bar(shown[-3], p)] == [period]
        text = np.abs(shown - plain).max(axis=2) > 30
        assert text[105:-8].mean() > 0.05, "the word"
        assert not text[30:105].any(), "the hands stay free"


def test_nothing_is_written_when_nothing_is_asked(picture):
    plain = picture(OPEN, OPEN)
    assert np.abs(picture(OPEN, OPEN, cue=Cue()) - plain).max() < 12


def test_texts_of_cues():
    assert (HOLD.title, HOLD.detail) == ("HOLD fist", "trial 3 of 21")
    assert Cue(PeriodKind.REST, "fist", 2, 21).title == "REST"
    assert Cue(PeriodKind.REST).detail == ""
    assert (Cue().title, Cue().detail) == ("", "")
    assert Cue(PeriodKind.PROMPT, "Köln\n\x00", 0, 1).title == "PROMPT K?ln??"
    assert printable("x" * 100, 10) == "xxxxxxxx.."
    assert len(Cue(PeriodKind.MOVE, "x" * 10_000).title) == 40


def test_a_running_hand_draws_the_newest_cue(picture, tmp_path):
    path = tmp_path / "live.mp4"
    settings = MujocoSettings(
        display="video", video=str(path), width=96, height=96, display_rate=60.0, ghost="prompt"
    )
    hand = MujocoHand(settings, DOFS, lambda reason: None)
    hand.open()
    hand.cue(HOLD)
    hand.apply(Drive(Power.ON, np.zeros(6)))
    drawn = hand._display._hands
    while drawn.data.time < 1.0 + 10 / 60:  # one second of settling, then one step per frame
        assert hand._display.error is None
    hand.close()
    assert is_bar(iio.imread(path)[-1][-2].astype(int), PeriodKind.HOLD)


def test_a_window_gets_the_text_once_per_change(monkeypatch):
    mujoco = pytest.importorskip("mujoco")
    texts = []
    viewer = types.SimpleNamespace(
        lock=contextlib.nullcontext,
        cam=types.SimpleNamespace(lookat=np.zeros(3)),
        set_texts=texts.append,
        sync=lambda: None,
        is_running=lambda: True,
        close=lambda: None,
    )
    module = types.SimpleNamespace(launch_passive=lambda *args, **kwargs: viewer)
    monkeypatch.setattr(mujoco, "viewer", module, raising=False)
    sink = display.WindowSink(TwoHands(load_hand_file("", DOFS)), lambda reason: None)
    for cue in (Cue(), HOLD, HOLD, Cue()):
        assert sink.draw(cue)
    assert [t[2:] for t in texts] == [("HOLD fist", "trial 3 of 21"), ("", "")]


@pytest.mark.ros
def test_the_bridge_shows_the_state_of_the_session(monkeypatch):
    from emghand_interfaces.msg import SessionState

    from emghand_ros import qos
    from emghand_ros.node import EmghandNode
    from emghand_ros.testing import Graph, wait_until
    from hand_bridge import mujoco_bridge

    cues = []
    monkeypatch.setattr(mujoco_bridge.MujocoHand, "cue", lambda self, cue: cues.append(cue))
    P = PeriodKind
    with Graph() as graph:
        node = graph.add(EmghandNode("bench"))
        states = node.create_publisher(SessionState, "/session/state", qos.STATE)
        assert graph.call(graph.add_apart(mujoco_bridge.make_node()).start)
        for period in (P.PROMPT, P.MOVE, P.REST, 77):
            states.publish(SessionState(period=int(period), movement="fist", n_trials=1))
        wait_until(lambda: len(cues) == 5, "the states")
    assert [cue.period for cue in cues] == [P.IDLE, P.PROMPT, P.MOVE, P.REST, P.IDLE]
    assert cues[1] == Cue(P.PROMPT, "fist", 0, 1)


@pytest.mark.parametrize(
    ("launch", "given"),
    [("collect", {}), ("live", {}), ("task", {}), ("replay", {"bag": "b", "model": "m"})],
)
@pytest.mark.parametrize(
    ("ghost", "drawn"), [({}, "hand"), ({"ghost": "hand"}, "hand"), ({"ghost": "prompt"}, "prompt")]
)
def test_every_launch_draws_the_prompt_solid_unless_it_is_asked_for_as_ghost(
    launch, given, ghost, drawn
):
    from emghand.launchfile import LaunchError, evaluate
    from emghand.launchfile.context import find_prefix

    try:
        find_prefix("hand_bridge", os.environ)
    except LaunchError:
        pytest.skip("the workspace is not built")
    file = Path(__file__).parents[3] / "launch" / f"{launch}.launch.yaml"
    found = evaluate(file, {"display": "window"} | given | ghost)
    (bridge,) = [p for p in found.processes if p.name == "mujoco_bridge"]
    parameters = [p for p in bridge.parameters if isinstance(p, dict)]
    shown = {k: v for p in parameters for k, v in p.items()}
    assert (shown["display"], shown["ghost"]) == ("window", drawn)
    assert GHOSTS[0] == "hand" == MujocoSettings().ghost
