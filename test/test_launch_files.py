"""The launch files as a person runs them: a whole session, a replay, and Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from emghand_interfaces.msg import HandStatus
from sensor_msgs.msg import JointState
from system_bench import REST, START_S, Ear, Up, own_domain, run_emghand

from emghand.cli.commands.up import has_ros2_launch
from emghand_ros import qos

pytestmark = pytest.mark.ros

MOVEMENTS = """\
dofs: [thumb_flex, index_flex, middle_flex, ring_flex, little_flex, wrist_flex]
repetitions: 3
rest: 0.5
rise: 0.4
hold: 0.7
fall: 0.4
movements:
  - {name: index, targets: {index_flex: 1.0}}
  - {name: wrist, targets: {wrist_flex: 1.0}}
"""
FLEXED = {"index_flex": 1.0}
ENDS_WITHIN_S = 5.0
NODES = {
    "live": ("emg_driver", "feature_node", "decoder_node", "session_node", "bag_recorder"),
    "collect": ("emg_driver", "feature_node", "session_node", "bag_recorder"),
    "replay": ("feature_node", "decoder_node", "bag_player", "bag_recorder"),
}
PARTS = ("collect", "train", "load-model", "arm", "test")

RUNNERS = pytest.mark.parametrize("runner", ["own", "ros2"])


def skip_without(runner: str) -> None:
    if runner == "ros2" and not has_ros2_launch():
        pytest.skip("ros2 launch is not installed here")


@dataclass
class Ended:
    """What a launch left behind after Ctrl-C with a flexed hand."""

    code: int
    seconds: float
    output: str

    def check(self) -> None:
        assert self.code == 0, self.output
        assert self.seconds < ENDS_WITHIN_S, self.output
        assert "switched off with the hand at rest" in self.output
        assert "Traceback" not in self.output
        assert "SIGTERM" not in self.output


@contextlib.contextmanager
def launched(folder: Path, *arguments: str) -> Iterator[tuple[Up, Ear, dict[str, str]]]:
    """A launch and an ear, in a domain of their own."""
    env = own_domain()
    # In this order: whatever fails, no graph is left.
    with contextlib.ExitStack() as opened:
        ear = Ear(env)
        opened.callback(ear.close)
        up = Up(folder / "graph.log", env, *arguments)
        opened.callback(up.end)
        ear.wait(
            lambda: up.process.poll() is not None or (ear.hand and ear.status), "a hand", START_S
        )
        assert up.process.poll() is None, up.output
        # A process that still imports its modules dies of Ctrl-C under `ros2 launch`.
        ear.wait(lambda: set(NODES[arguments[0]]) <= ear.nodes, "every node", START_S)
        yield up, ear, env


def test_a_launch_that_nobody_could_hear_is_not_begun(tmp_path, monkeypatch):
    def deaf(env):
        raise RuntimeError("no ear")

    begun = []
    monkeypatch.setitem(globals(), "Ear", deaf)
    monkeypatch.setitem(globals(), "Up", lambda *arguments: begun.append(arguments))
    with pytest.raises(RuntimeError, match="no ear"), launched(tmp_path, "live"):
        pass
    assert begun == []


def interrupt(up: Up, ear: Ear) -> Ended:
    assert ear.at("index_flex") > 0.5
    code, seconds = up.stop()
    return Ended(code, seconds, up.output)


@dataclass
class Session:
    """A session from its first to its last command, in one live graph that Ctrl-C ended."""

    path: Path
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    mistakes: list[subprocess.CompletedProcess[str]] = field(default_factory=list)
    ended: Ended | None = None
    addresses: set[str] = field(default_factory=set)
    """At which its processes listened."""

    @property
    def bag(self) -> Path:
        return self.path / "bags" / "test"

    @property
    def model(self) -> Path:
        return self.path / "models" / "kalman.emgmodel"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("session")
    movements = folder / "movements.yaml"
    movements.write_text(MOVEMENTS)
    made = Session(folder / "s01")
    commands = {
        "collect": (made.path, movements, "--subject", "p01", "--json"),
        "train": (made.path,),
        "load-model": (made.model,),
        "arm": (),
        "test": (made.path, movements, "--repetitions", 1, "--json"),
    }
    with launched(folder, "live", "--runner", "own") as (up, ear, env):
        for part in PARTS:
            made.done[part] = run_emghand(part, *commands[part], env=env)
            if made.done[part].returncode:
                return made
        damaged = folder / "damaged.emgmodel"
        damaged.write_bytes(made.model.read_bytes()[:1000])
        no_yaml = folder / "no.yaml"
        no_yaml.write_text("movements: [\n")
        for words in (
            ("load-model", damaged),
            ("load-model", folder / "nowhere.emgmodel"),
            ("collect", made.path, movements, "--subject", "somebody_else"),
            ("collect", made.path, no_yaml),
            ("collect", folder / "s02", movements),
        ):
            made.mistakes.append(run_emghand(*words, env=env))
        ear.intention = dict(FLEXED)
        ear.wait(lambda: ear.at("index_flex") > 0.7, "a flexed hand")
        made.addresses = {c.laddr.ip for p in up.processes() for c in p.net_connections()}
        made.ended = interrupt(up, ear)
    return made


@pytest.mark.parametrize("part", PARTS)
def test_every_command_of_a_session_succeeds(session, part):
    assert part in session.done, "an earlier command failed"
    done = session.done[part]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if part in ("collect", "test"):
        assert json.loads(done.stdout)["recording"]["lost"] == 0


def test_a_recorded_test_is_repeated_to_the_bit_from_its_first_second_on(session):
    done = run_emghand("replay-check", session.bag, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    for name in ("features", "x_hat", "out_x_hat"):
        assert report[name]["identical"] == report[name]["compared"] > 150
        assert sum(report[name]["not_comparable"].values()) < 62
    assert report["breaks"] == []


def test_mistakes_are_answered_by_one_sentence_and_disturb_nothing(session):
    texts = ("damaged", "nowhere.emgmodel", "p01", "no.yaml", "subject")
    for done, text in zip(session.mistakes, texts, strict=True):
        assert done.returncode == 1, done
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1, done.stderr
        assert text in done.stderr
    assert [p.name for p in sorted((session.path / "bags").iterdir())] == ["collect", "test"]
    assert not (session.path.parent / "s02").exists()


def test_the_graph_is_heard_on_this_machine_only(session):
    local = {"127.0.0.1", "::1"} | ({"239.255.0.1"} if "EMGHAND_DISCOVERY" in os.environ else set())
    assert "127.0.0.1" in session.addresses <= local


def test_ctrl_c_ends_live_control_within_five_seconds_with_the_hand_at_rest(session):
    session.ended.check()


@RUNNERS
def test_a_bag_is_replayed_into_decoder_and_hand_and_ctrl_c_ends_it(session, tmp_path, runner):
    skip_without(runner)
    arguments = (f"bag:={session.bag}", f"model:={session.model}", "loop:=true", "--runner", runner)
    with launched(tmp_path, "replay", *arguments) as (up, ear, _):
        ear.wait(lambda: ear.out, "a decoder that decodes the bag", START_S)
        assert ear.arm().success
        # Armed within a movement, the hand would show its end only.
        ear.wait(lambda: ear.at("index_flex") < 0.2, "a hand between two movements", 15.0)
        ear.wait(lambda: ear.at("index_flex") > 0.6, "a hand that follows the bag", 15.0)
        assert ear.state == HandStatus.ARMED
        interrupt(up, ear).check()


@RUNNERS
@pytest.mark.parametrize("file", ["collect", "live"])
def test_ctrl_c_ends_a_graph_that_somebody_else_commands(tmp_path, model, runner, file):
    skip_without(runner)
    if (file, runner) == ("live", "own"):
        pytest.skip("shown by the session above")
    arguments = [f"model:={model}"] if file == "live" else []
    with launched(tmp_path, file, *arguments, "--runner", runner) as (up, ear, _):
        if file == "collect":
            commands = ear.node.create_publisher(JointState, "/decoder/out_x_hat", qos.TICK)
            ear.node.create_timer(0.016, lambda: commands.publish(ear.joints(FLEXED)))
            ear.wait(lambda: ear.status.accepted > 10, "commands")
        else:
            ear.intention = dict(REST)
            ear.wait(lambda: len(ear.out) > 60, "a decoder", START_S)
            ear.intention = dict(FLEXED)
        assert ear.arm().success
        ear.wait(lambda: ear.at("index_flex") > 0.7, "a flexed hand")
        interrupt(up, ear).check()
