"""The loop over the topics is closed: what the user sees decides where the hand goes."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from emghand_interfaces.msg import SessionState
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from decoder_node.decoder_node import DecoderNode
from decoder_node.feature_node import FeatureNode
from emg_driver.node import EmgDriver
from emghand.control.settings import OutputSettings
from emghand.dofs import Dof
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.simulate.hand import HandSettings, SimulatedHand
from emghand.simulate.unattended import scrambled
from emghand.storage.models import save_model
from emghand.tasks.movements import Movement, MovementSet, Schedule
from emghand.training import dataset_from_recording, train
from emghand_ros import qos
from emghand_ros.conversions import dofs_to_ros
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, wait_until
from session_node.simulated_user import SimulatedUserNode

pytestmark = pytest.mark.ros

DOFS = ("index_flex", "wrist_flex")
GOAL = np.array([0.45, 0.0])
RADIUS = 0.15
LIMIT_S = 4.0


@pytest.fixture(scope="module")
def model():
    """A decoder whose hand goes less than half of the way."""
    movements = [Movement(f"{d} {x}", {d: x}, hold=1.0) for d in DOFS for x in (1.0, -1.0, 0.5)]
    dofs = tuple(Dof(d) for d in DOFS)
    schedule = Schedule(MovementSet("two", dofs, tuple(movements), 2), shuffle=True)
    recording = simulate_recording(schedule, SyntheticSettings(dofs=DOFS))
    weak = OutputSettings(gain_positive=(0.6,), gain_negative=(0.6,))
    return train(dataset_from_recording(recording, FeatureSettings()), output=weak)


def parameters(**values):
    return [Parameter(k.replace("__", "."), value=v) for k, v in values.items()]


class Loop:
    """Driver, features, decoder and user as nodes; a hand and prompts of its own."""

    def __init__(self, graph, folder, model, **user):
        path = folder / "m.emgmodel"
        save_model(model, path)
        self.node = EmghandNode("bench")
        self.hand = SimulatedHand(HandSettings(), len(DOFS), 62.5)
        self.goal, self.courses, self.intentions = np.zeros(2), [], []
        self.states = self.node.create_publisher(JointState, "/hand/state", qos.TICK)
        self.prompts = self.node.create_publisher(JointState, "/task/x_d", qos.TICK)
        self.session = self.node.create_publisher(SessionState, "/session/state", qos.STATE)
        self.node.create_subscription(JointState, "/decoder/out_x_hat", self.command, qos.TICK)
        self.node.create_subscription(
            JointState, "/user/intention", self.intentions.append, qos.TICK
        )
        channel_map = list(model.features.channel_map)
        nodes = (
            EmgDriver(
                parameter_overrides=parameters(
                    synthetic__intention="user/intention",
                    synthetic__dofs=list(DOFS),
                    synthetic__variability=0.0,
                )
            ),
            FeatureNode(parameter_overrides=parameters(channel_map=channel_map)),
            DecoderNode(parameter_overrides=parameters(model=str(path))),
            SimulatedUserNode(parameter_overrides=parameters(dofs=list(DOFS), **user)),
        )
        self.user = nodes[-1]
        for node in nodes:
            graph.add(node)
            graph.call(node.start)
        graph.add(self.node)  # last, so that it hears nothing any more when it ends
        wait_until(lambda: self.courses, "the first command")
        self.node.create_timer(1 / 60, self.prompt)

    def command(self, message):
        self.courses.append(self.hand.step(np.array(message.position)))
        stamp = self.node.get_clock().now().to_msg()
        self.states.publish(dofs_to_ros(DOFS, self.courses[-1], stamp))

    def prompt(self):
        stamp = self.node.get_clock().now().to_msg()
        self.prompts.publish(dofs_to_ros(DOFS, self.goal, stamp))

    def reaches(self, limit=LIMIT_S):
        """Whether the hand gets to the goal and is there for 0.4 s."""
        wait_until(lambda: self.intentions, "the user")
        self.goal, first = GOAL, len(self.courses)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            last = np.array(self.courses[first:][-25:]).reshape(-1, len(DOFS))
            if len(last) == 25 and (np.abs(last - GOAL).max(axis=1) < RADIUS).all():
                return True
            time.sleep(0.02)
        return False


@pytest.fixture
def graph():
    with Graph() as graph:
        yield graph


def test_the_hand_reaches_the_target_because_the_user_corrects(graph, tmp_path, model):
    loop = Loop(graph, tmp_path, model)
    assert loop.reaches(15.0)
    # Much more than the target says.
    assert loop.intentions[-1].position[0] > GOAL[0] + RADIUS


def test_a_user_who_does_not_look_misses_it(graph, tmp_path, model):
    loop = Loop(graph, tmp_path, model, user__correction=0.0)
    assert not loop.reaches()
    assert 0.05 < np.array(loop.courses[-50:])[:, 0].mean() < GOAL[0] - RADIUS


def test_nobody_reaches_it_with_a_scrambled_decoder(graph, tmp_path, model):
    loop = Loop(graph, tmp_path, scrambled(dataclasses.replace(model), 1))
    assert not loop.reaches()


def test_the_user_relaxes_without_a_prompt_and_is_blind_while_collecting(graph, tmp_path):
    node = graph.add(EmghandNode("bench"))
    heard = []
    node.create_subscription(JointState, "/user/intention", heard.append, qos.TICK)
    states = node.create_publisher(SessionState, "/session/state", qos.STATE)
    hands = node.create_publisher(JointState, "/hand/state", qos.TICK)
    prompts = node.create_publisher(JointState, "/task/x_d", qos.TICK)
    overrides = parameters(
        dofs=list(DOFS), prompt_timeout=0.3, user__noise=0.0, user__correction=10.0
    )
    user = graph.add(SimulatedUserNode(parameter_overrides=overrides))
    shown = [True]

    def show():
        stamp = node.get_clock().now().to_msg()
        hands.publish(dofs_to_ros(DOFS, np.zeros(2), stamp))
        if shown[0]:
            prompts.publish(dofs_to_ros(DOFS, GOAL, stamp))

    node.create_timer(1 / 60, show)
    states.publish(SessionState(activity="collect", period=SessionState.HOLD))
    graph.call(user.start)
    wait_until(lambda: heard and abs(heard[-1].position[0] - GOAL[0]) < 1e-3, "the prompt")
    states.publish(SessionState(activity="test", period=SessionState.HOLD, trial=1))
    wait_until(lambda: heard[-1].position[0] == 1.0, "the correction of a hand that does not move")
    states.publish(SessionState(activity="test", period=SessionState.REST, trial=1))
    wait_until(lambda: user._participant.user.trials == 1, "the user to learn from the trial")
    shown[0] = False
    wait_until(lambda: abs(heard[-1].position[0]) < 0.01, "rest")
