"""Sounds are played by what a machine has, never waited for, and left out where it has none."""

from __future__ import annotations

import os
import shutil
import time

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import SessionState
from rclpy.parameter import Parameter

from emghand_ros import qos
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph, wait_until
from session_node import player as player_module
from session_node.player import Player
from session_node.sound_node import SoundNode

SOUNDS = {"start": b"high", "end": b"low"}
S = SessionState


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with the programs it is given: shell scripts; what they do is in `log`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    log = tmp_path / "log"

    def install(name, script):
        path = folder / name
        path.write_text(f"#!/bin/sh\nfor file; do :; done\nname=${{file##*/}}\n{script}\n")
        path.chmod(0o755)

    install.log = lambda: log.read_text().split() if log.exists() else []
    install.plays = f'echo "$name" >> {log}'
    return install


@pytest.fixture
def player():
    made = []

    def make(**options):
        made.append(Player(SOUNDS, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_first_player_that_works_is_taken(machine, player):
    machine("pw-play", "echo 'host is down' >&2; exit 1")
    machine("aplay", machine.plays)
    one = player()
    assert one.wait(10.0) and one.reason == ""
    one.play("start")
    one.play("end")
    wait_until(lambda: len(machine.log()) == 3, "the sounds")
    assert machine.log()[0] == "silence.wav"
    assert sorted(machine.log()[1:]) == ["end.wav", "start.wav"]
    assert (one.command[0], one.played) == ("aplay", 2)


def test_without_a_player_or_a_device_nothing_plays_and_the_reason_is_told(machine, player):
    one = player()
    assert one.wait(10.0)
    assert one.reason == "no player is installed (pw-play, paplay, aplay, afplay)"
    machine("aplay", "echo 'a library' >&2; echo 'audio open error: No such device' >&2; exit 1")
    one = player(player="aplay")
    assert one.wait(10.0)
    one.play("start")
    assert one.played == 0
    assert one.reason == "no audio device (aplay: audio open error: No such device)"


def test_playing_never_waits_and_a_device_that_hangs_is_not_piled_up_on(machine, player):
    machine("aplay", 'case $name in silence*) exit 0;; esac; read x < "$0.never"')
    os.mkfifo(f"{shutil.which('aplay')}.never")
    one = player()
    assert one.wait(10.0) and not one.reason
    began = time.monotonic()
    for _ in range(10):
        one.play("start")
    assert time.monotonic() - began < 1.0
    assert (one.played, one.dropped) == (4, 6)
    assert one.reason == "aplay does not end"
    one.close()
    assert time.monotonic() - began < 3.0


def test_a_player_that_fails_later_is_told_and_forgiven(machine, player):
    machine("aplay", "case $name in start*) exit 3;; esac")
    one = player()
    assert one.wait(10.0)

    def plays(name, reason):
        one.play(name)
        wait_until(lambda: one._running[-1].poll() is not None, "the end of the player")
        one._reap()
        assert one.reason == reason

    plays("start", "aplay: exit status 3")
    plays("end", "")


def test_closing_does_not_wait_for_a_player_that_is_tried(machine, monkeypatch):
    monkeypatch.setattr(player_module, "TRY_S", 60.0)
    machine("aplay", f"{machine.plays}; while :; do :; done")
    one = Player(SOUNDS)
    wait_until(machine.log, "the player that is tried")
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 5.0


@pytest.fixture
def bench():
    with Graph() as graph:
        node = graph.add(EmghandNode("bench"))
        states = node.create_publisher(SessionState, "/session/state", qos.STATE)

        def start():
            sounds = graph.add(SoundNode(parameter_overrides=[Parameter("tone.high", value=900.0)]))
            graph.call(sounds.start)
            # The two ends find each other at different moments.
            wait_until(lambda: publish(states, S.REST) or sounds._cues._trial == 0, "the sounds")
            assert sounds._player.wait(10.0)
            return sounds

        yield start, states
        for made in graph._nodes:
            if isinstance(made, SoundNode):
                graph.call(made.stop_safely)


def publish(states, *periods):
    for period in periods:
        states.publish(SessionState(period=period, activity="collect", trial=0))


@pytest.mark.ros
def test_the_node_plays_high_at_the_start_and_low_at_the_end(machine, bench):
    machine("paplay", machine.plays)
    start, states = bench
    publish(states, S.REST, S.MOVE)  # before the node is there: must not sound
    sounds = start()
    publish(states, S.REST, S.PROMPT, S.MOVE)
    wait_until(lambda: machine.log()[1:] == ["start.wav"], "the high tone")
    publish(states, S.HOLD, S.MOVE, S.REST)
    wait_until(lambda: machine.log()[1:] == ["start.wav", "end.wav"], "the low tone")
    both = (DiagnosticStatus.OK, "plays with paplay", {"played": 2, "dropped": 0})
    wait_until(lambda: sounds.diagnose() == both, "both are counted")


@pytest.mark.ros
def test_the_node_is_silent_without_an_audio_device_and_says_so(machine, bench, monkeypatch):
    start, states = bench
    sounds = start()
    heard, step = [], sounds._cues.step
    monkeypatch.setattr(sounds._cues, "step", lambda *x: heard.append(step(*x)) or heard[-1])
    publish(states, S.REST, S.MOVE, 99)
    wait_until(lambda: [sound for sound in heard if sound] == ["start", "end"], "the states")
    level, text, values = sounds.diagnose()
    assert (level, values["played"]) == (DiagnosticStatus.WARN, 0)
    assert text == "silent: no player is installed (pw-play, paplay, aplay, afplay)"
