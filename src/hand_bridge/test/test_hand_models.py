"""MJCF hands: the built-in one, mapping files of others, and the simulated hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.errors import UserError
from emghand.settings import SettingsError
from hand_bridge.hands.mujoco_hand import MujocoHand, MujocoSettings
from hand_bridge.hands.mujoco_model import load_hand_file
from hand_bridge.mapping import ActuatorMap, Range
from hand_bridge.safety import Drive, Power

DOFS = dof_names(DEFAULT_DOFS)

GRIPPER = """
<mujoco>
  <compiler autolimits="true"/>
  <default><joint damping="0.5" armature="0.01"/></default>
  <worldbody>
    <body><joint name="left" type="slide" axis="1 0 0"/><geom size="0.01" mass="0.1"/></body>
    <body pos="0.1 0 0"><joint name="right" type="slide" axis="1 0 0"/>
      <geom size="0.01" mass="0.1"/></body>
    <body pos="0 0.2 0"><joint name="turn" axis="0 0 1"/><geom size="0.01" mass="0.1"/></body>
  </worldbody>
  <actuator>
    <position name="left" joint="left" kp="200" dampratio="1" ctrlrange="-0.02 0.04"/>
    <position name="right" joint="right" kp="200" dampratio="1" ctrlrange="-0.04 0.02"/>
    <position name="turn" joint="turn" kp="50" dampratio="1" ctrlrange="-1 1"/>
    <motor name="push" joint="left"/>
  </actuator>
</mujoco>
"""
MAPPING = """
model: gripper.xml
actuators:
  left: {min: -0.02, rest: 0.01, max: 0.04, dofs: {index_flex: 1.0, middle_flex: 0.5}}
  right: {min: 0.02, rest: -0.01, max: -0.04, dofs: {middle_flex: 1.0}}
fixed: {turn: 0.5}
"""


@pytest.fixture
def gripper(tmp_path: Path) -> Path:
    (tmp_path / "gripper.xml").write_text(GRIPPER)
    path = tmp_path / "gripper.yaml"
    path.write_text(MAPPING)
    return path


def settle(hand, x, power=Power.ON, steps=125, current=1.0):
    for _ in range(steps):
        hand.apply(Drive(power, np.asarray(x, float), current))
    return hand.read().position


@pytest.fixture
def hand():
    made = MujocoHand(MujocoSettings(), DOFS, lambda reason: None)
    made.open()
    yield made
    made.close()


def test_the_built_in_hand_starts_relaxed_and_reaches_every_posture(hand):
    np.testing.assert_allclose(hand.read().position, 0.0, atol=0.01)
    for x in (np.ones(6), -np.ones(6), np.array([1, -1, 0.5, -0.5, 0.2, -1.0]), np.zeros(6)):
        np.testing.assert_allclose(settle(hand, x), x, atol=0.02)


def test_a_finger_is_there_within_a_tenth_of_a_second(hand):
    position = settle(hand, np.ones(6) * 0.5, steps=12)
    np.testing.assert_allclose(position, 0.5, atol=0.05)


def test_the_joints_of_a_finger_share_the_motion_of_its_tendon(hand):
    settle(hand, np.ones(6))
    data, model = hand._data, hand._model
    moved = {
        j: np.degrees(data.joint(f"index_{j}").qpos[0] - model.joint(f"index_{j}").qpos_spring[0])
        for j in ("mcp", "pip", "dip")
    }
    assert all(40 < angle < 100 for angle in moved.values())
    assert moved["pip"] > moved["mcp"] > moved["dip"]


def test_a_disarmed_hand_keeps_its_posture_and_a_limp_one_falls_back_to_relaxed(hand):
    settle(hand, np.ones(6) * 0.5)
    np.testing.assert_allclose(settle(hand, np.zeros(6), Power.OFF), 0.5, atol=0.02)
    limp = settle(hand, np.zeros(6), Power.LIMP, steps=250)
    np.testing.assert_allclose(limp[:5], 0.0, atol=0.1)
    np.testing.assert_allclose(settle(hand, np.ones(6) * 0.5), 0.5, atol=0.02)


def test_another_hand_loads_through_its_mapping_file(gripper):
    hand = MujocoHand(
        MujocoSettings(hand=str(gripper)), ("index_flex", "middle_flex"), lambda reason: None
    )
    hand.open()
    np.testing.assert_allclose(hand.read().position, 0.0, atol=0.01)
    np.testing.assert_allclose(settle(hand, [0.5, 0.4], steps=250), [0.5, 0.4], atol=0.01)
    assert hand._data.ctrl[1] == pytest.approx(-0.01 - 0.4 * 0.03)
    assert hand._data.ctrl[2] == 0.5
    hand.close()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("left:", "lift:", "no actuator lift, it has left, right, turn, push"),
        ("left:", "push:", "push is not a position actuator"),
        ("middle_flex: 1.0", "little_flex: 1.0", "the same actuators in the same way"),
        ("index_flex: 1.0, ", "", "no actuator moves index_flex"),
        ("max: 0.04", "max: 0.4", "leaves its control range"),
        ("rest: 0.01", "rest: 0.9", "rest must lie between"),
        ("model: gripper.xml", "model: gone.xml", "cannot be loaded"),
        ("fixed: {turn: 0.5}", "fixed: {twist: 0.5}", "no actuator twist"),
        ("rest: 0.01", "rest: x", "expected a number"),
        ("fixed:", "fexed:", "unknown keys: fexed"),
    ],
)
def test_mistakes_in_a_mapping_file_are_named(gripper, old, new, message):
    gripper.write_text(MAPPING.replace(old, new, 1))
    hand = MujocoHand(
        MujocoSettings(hand=str(gripper)), ("index_flex", "middle_flex"), lambda reason: None
    )
    with pytest.raises(UserError, match=message):
        hand.open()


def test_a_mapping_file_that_is_missing_or_no_mapping_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_hand_file(tmp_path / "none.yaml", DOFS)
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match="expected a mapping"):
        load_hand_file(tmp_path / "list.yaml", DOFS)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match="not a multiple"):
        MujocoSettings(rate=130.0)
    with pytest.raises(SettingsError, match="name the file"):
        MujocoSettings(display="video")


def test_the_map_is_asymmetric_about_rest_and_its_own_inverse():
    mapping = ActuatorMap([Range(-1.0, 0.0, 3.0), Range(10.0, 5.0, 4.0)], np.eye(2))
    np.testing.assert_allclose(mapping.to_actuators(np.array([0.5, 0.5])), [1.5, 4.5])
    np.testing.assert_allclose(mapping.to_actuators(np.array([-0.5, -0.5])), [-0.5, 7.5])
    np.testing.assert_allclose(mapping.to_actuators(np.array([2.0, -2.0])), [3.0, 10.0])
    for x in np.random.default_rng(0).uniform(-1, 1, (50, 2)):
        np.testing.assert_allclose(mapping.to_dofs(mapping.to_actuators(x)), x, atol=1e-12)


def test_one_sided_actuators_read_as_rest_where_they_have_no_room():
    mapping = ActuatorMap([Range(0.0, 0.0, 2.0)], np.eye(1))
    np.testing.assert_allclose(mapping.to_actuators(np.array([-1.0])), [0.0])
    np.testing.assert_allclose(mapping.to_dofs(np.array([-0.3])), [0.0])
