"""decoder_node adapts at rest only, pauses, says everything, and can be put back."""

import json
import threading
import time

import numpy as np
import pytest
import still_rule
from emghand_interfaces.msg import AdaptationEvent, HandStatus, MovementEvent, SessionState
from emghand_interfaces.srv import ReplayMemoryFile
from live_bench import detail
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from still_rule import QUIET, make_still, muscles

import decoder_node.adaptation
import decoder_node.replay_memory
from emghand.adapt.live import Adaptation
from emghand.adapt.memory import MemorySettings, Piece, ReplayMemory, load_memory, save_memory
from emghand.pipeline import DecoderPipeline
from emghand.storage.models import load_model
from emghand_ros import qos
from emghand_ros.testing import wait_until

pytestmark = pytest.mark.ros
HOP = 16


class Adapting:
    """The bench with adaptation on, and what is heard of it."""

    def __init__(self, bench, monkeypatch):
        self.bench, self.patch = bench, monkeypatch
        self.heard, self.movements = [], []
        node = bench.node
        node.create_subscription(
            AdaptationEvent, "/decoder/adaptation", self.heard.append, qos.HISTORY
        )
        node.create_subscription(
            MovementEvent, "/decoder/movement", self.movements.append, qos.EVENT
        )
        self.estop = node.create_publisher(Bool, "/estop", qos.LATCHED)
        self.status = node.create_publisher(HandStatus, "/hand/status", qos.LATCHED)
        self.session = node.create_publisher(SessionState, "/session/state", qos.STATE)
        self.perturber = node.create_publisher(String, "/perturbation/state", qos.LATCHED)
        self.model = make_still()
        self.sample = 0

    def start(self, rule=still_rule.halve, **parameters):
        self.patch.setattr(decoder_node.adaptation, "rule_for", rule)
        given = {
            "enabled": True, "need_hand": False, "update_s": 1.0, "wait": True, "settle_s": 0.1,
        } | parameters  # fmt: skip
        self.bench.start(self.model, **{f"adaptation__{k}": v for k, v in given.items()})
        self.node = self.bench.decoder_node
        count = self.node.count_subscribers
        self.undo = self.bench.node.create_client(Trigger, "/decoder_node/undo_adaptation")
        wait_until(
            lambda: (
                self.undo.service_is_ready()
                and count("/decoder/adaptation") == 1
                and self.estop.get_subscription_count() == 3
                and self.status.get_subscription_count() == 1
                and self.session.get_subscription_count() == 1
                and self.perturber.get_subscription_count() == 1
            ),
            "discovery",
        )

    def play(self, seconds, scale):
        recording = muscles(seconds, self.sample, scale)
        self.bench.play(recording, describe=self.sample == 0)
        self.sample += HOP * len(recording.blocks)

    def kinds(self):
        # However slow this machine is: between two recordings features may pause.
        return [e.kind for e in self.heard if "features" not in e.cause and e.kind != "resumed"]

    def wait_for(self, kind, n=1):
        def found():
            return [e for e in self.heard if e.kind == kind]

        wait_until(lambda: len(found()) >= n, f"{n} x {kind}")
        return found()[-1]

    def swap(self):
        self.play(1.5, 1.0)
        self.play(1.5, QUIET)
        return self.wait_for("swapped")

    def set(self, name, value):
        parameter = Parameter(f"adaptation.{name}", value=value)
        return self.bench.graph.call(lambda: self.node.set_parameters([parameter]))[0]

    def call_undo(self):
        return self.bench.graph.result(self.undo.call_async(Trigger.Request()), "undo")

    def ask(self, kind, name, **fields):
        client = self.bench.node.create_client(kind, f"/decoder_node/{name}")
        wait_until(client.service_is_ready, name)
        return self.bench.graph.result(client.call_async(kind.Request(**fields)), name)

    def memory_file(self):
        return self.bench.folder / "adapted" / f"{self.model.model_id[:12]}.emgmemory"

    def x_hat_at(self, tick):
        ticks = [m.tick for m in self.bench.heard["/decoder/timing"]]
        return np.abs(self.bench.series("/decoder/x_hat")[1][ticks.index(tick)]).max()


@pytest.fixture
def adapting(bench, monkeypatch):
    return Adapting(bench, monkeypatch)


def test_it_is_off_by_default_and_says_why(adapting):
    adapting.start(enabled=False)
    adapting.play(2.0, QUIET)
    assert adapting.heard == []
    values = adapting.bench.graph.call(adapting.node.diagnose)[2]
    assert values["adaptation"] == "off: adaptation.enabled is false"


def test_without_a_companion_file_it_stays_off_and_says_why(adapting):
    adapting.start(decoder_node.adaptation.rule_for)
    adapting.play(1.0, QUIET)
    event = adapting.wait_for("reference")
    assert "adaptation is off" in event.cause and ".emgadapt is not beside" in event.cause
    values = adapting.bench.graph.call(adapting.node.diagnose)[2]
    assert values["adaptation"].startswith("off: ") and ".emgadapt" in values["adaptation"]


def test_it_swaps_at_rest_only_and_says_everything(adapting):
    adapting.start()
    adapting.play(4.0, 1.0)
    adapting.wait_for("accepted", 3)
    assert "swapped" not in adapting.kinds()
    adapting.play(1.5, QUIET)
    swapped = adapting.wait_for("swapped")
    rest = round(0.5 * 62.5)
    assert all(adapting.x_hat_at(swapped.tick - 1 - i) < 0.2 for i in range(rest))
    assert adapting.x_hat_at(swapped.tick - 1 - rest - 20) > 0.2
    event = adapting.bench.events("/decoder/event", "model")[0]
    told = detail(event)
    assert event.tick == swapped.tick
    assert (told["uri"], told["model_id"]) == (swapped.uri, swapped.model_id)
    assert told["blend_s"] == 0.5
    assert load_model(swapped.uri).model_id == swapped.model_id
    assert (swapped.score_before, swapped.score_after) == (-2.0, -1.0)
    assert list(swapped.candidates) == ["calibration", "half"] and swapped.chosen == "half"
    assert list(swapped.channels) == list(adapting.bench.heard["/features/info"][-1].names)
    assert list(swapped.gain) == [0.5] * 4 and list(swapped.dead) == [False, True, False, False]
    assert (swapped.global_gain, swapped.rotation_deg) == (0.5, 6.0)
    wait_until(
        lambda: adapting.bench.heard["/decoder/model"][-1].model_id == swapped.model_id, "the model"
    )


def test_what_it_did_is_repeated_to_the_bit_from_the_events(adapting):
    adapting.start()
    adapting.swap()
    adapting.play(1.0, 1.0)
    adapting.call_undo()
    adapting.play(2.0, 1.0)
    bench = adapting.bench
    changes = {e.tick: detail(e) for e in bench.events("/decoder/event", "model")}
    assert len(changes) == 2
    models = {
        m.model_id: m for m in (adapting.model, load_model(next(iter(changes.values()))["uri"]))
    }
    pipeline, outs = DecoderPipeline(adapting.model), []
    for frame in bench.heard["/features"]:
        if frame.tick in changes:
            told = changes[frame.tick]
            pipeline.set_model(models[told["model_id"]], told["blend_s"])
        outs.append(pipeline.step(np.array(frame.data), frame.tick, frame.quality).out_x_hat)
    assert np.array(outs).tobytes() == bench.series("/decoder/out_x_hat")[1].tobytes()


def test_there_is_no_snapshot_while_a_model_takes_over(adapting):
    adapting.start()
    tick = adapting.swap().tick
    adapting.play(0.5, QUIET)
    trigger = adapting.bench.node.create_client(Trigger, "/decoder_node/snapshot")
    wait_until(trigger.service_is_ready, "the service")
    adapting.bench.graph.result(trigger.call_async(Trigger.Request()), "snapshot")
    adapting.play(2.0, QUIET)
    ticks = [s.tick for s in adapting.bench.heard["/decoder/state"]]
    blend = round(0.5 * 62.5) + round(0.5 * 62.5)
    assert not [t for t in ticks if tick <= t < tick + blend - 1]
    assert [t for t in ticks if t >= tick + blend - 1]


def test_undo_takes_the_calibration_back_in_a_movement_and_adaptation_stays_off(adapting):
    adapting.start()
    adapting.swap()
    adapting.play(1.5, 1.0)
    answer = adapting.call_undo()
    assert answer.success and "calibration" in answer.message
    undone = adapting.wait_for("undone")
    assert undone.model_id == adapting.model.model_id
    assert (undone.score_before, undone.score_after) == (-2.0, -1.0)
    assert undone.tick == adapting.sample // HOP
    event = adapting.bench.events("/decoder/event", "model")[-1]
    assert (event.tick, detail(event)["model_id"]) == (undone.tick, adapting.model.model_id)
    assert adapting.node.get_parameter("adaptation.enabled").value is False
    before = len(adapting.heard)
    adapting.play(3.0, QUIET)
    assert len(adapting.heard) == before
    assert adapting.set("enabled", True).successful
    adapting.play(3.0, QUIET)
    adapting.wait_for("swapped", 2)


@pytest.mark.parametrize("wait", [True, False])
def test_after_an_undo_a_rule_that_chains_begins_at_the_calibration_again(adapting, wait):
    def causes():
        return [e.cause for e in adapting.heard if e.kind == "accepted"]

    adapting.start(still_rule.fade, wait=wait)
    adapting.play(4.0, 1.0)
    adapting.wait_for("accepted", 2)
    first, seen = causes()[0], len(causes())
    assert causes()[1].split(" (")[0] != first
    assert adapting.call_undo().success
    assert adapting.set("enabled", True).successful
    adapting.play(4.0, 1.0)
    adapting.wait_for("accepted", seen + 1)
    assert causes()[seen] == first


def test_it_pauses_during_an_emergency_stop_until_the_bridge_was_reset(adapting):
    adapting.start()
    adapting.play(1.5, 1.0)
    adapting.wait_for("accepted")
    adapting.status.publish(HandStatus(state=HandStatus.ESTOP))
    adapting.estop.publish(Bool(data=True))
    wait_until(lambda: "emergency stop" in [e.cause for e in adapting.heard], "the pause")
    adapting.play(2.0, QUIET)
    assert [e.cause for e in adapting.heard].count("emergency stop") == 1
    assert "swapped" not in adapting.kinds()
    adapting.estop.publish(Bool(data=False))
    adapting.play(1.0, QUIET)
    assert "swapped" not in adapting.kinds()

    def reset():
        adapting.status.publish(HandStatus(state=HandStatus.ARMED))
        adapting.play(0.8, QUIET)
        return "swapped" in adapting.kinds()

    wait_until(reset, "the swap after the reset")


def test_it_learns_nothing_while_a_perturbation_is_in_force(adapting):
    def tell(*labels):
        state = {"known": ["dead"], "active": labels, "of": "", "problem": ""}
        adapting.perturber.publish(String(data=json.dumps(state)))

    adapting.start()
    adapting.play(1.5, 1.0)
    adapting.wait_for("accepted")
    tell("dead", "curl")
    cause = "perturbed on purpose: dead, curl"
    wait_until(lambda: cause in [e.cause for e in adapting.heard], "the pause")
    known = adapting.kinds().count("proposed")
    adapting.play(3.0, QUIET)
    assert adapting.kinds().count("proposed") == known
    assert "swapped" not in adapting.kinds()
    tell()

    def ended():
        adapting.play(0.8, QUIET)
        return "swapped" in adapting.kinds()

    wait_until(ended, "the swap after the perturbation")


def test_it_pauses_without_an_armed_hand_and_while_movements_are_shown(adapting):
    adapting.start(need_hand=True)
    causes = []

    def paused(cause):
        causes.append(cause)
        wait_until(lambda: cause in [e.cause for e in adapting.heard], cause)

    adapting.play(1.5, QUIET)
    paused("no bridge says that its hand is armed")
    adapting.status.publish(HandStatus(state=HandStatus.DISARMED))
    paused("the hand is disarmed")
    adapting.play(1.5, QUIET)
    assert not [e for e in adapting.heard if e.kind == "proposed"]
    adapting.status.publish(HandStatus(state=HandStatus.ARMED))
    adapting.play(1.5, 1.0)
    adapting.wait_for("accepted")
    adapting.session.publish(SessionState(period=SessionState.PROMPT))
    paused("a movement is being shown")
    adapting.play(1.0, QUIET)
    adapting.status.publish(HandStatus(state=HandStatus.FAULT, fault="bus"))
    adapting.session.publish(SessionState(period=SessionState.REST))
    paused("the hand is in fault: bus")
    assert "swapped" not in adapting.kinds()


def test_a_bad_signal_pauses_it(adapting):
    adapting.start()
    adapting.play(1.0, 1.0)
    blocks = muscles(0.5, adapting.sample, 0.0)
    adapting.bench.play(blocks, describe=False)
    paused = [adapting.wait_for("paused")] + [e for e in adapting.heard if e.kind == "paused"]
    assert "the signal is refused: quality" in [e.cause for e in paused]


def test_a_new_calibration_starts_afresh_and_nothing_of_the_old_one_is_swapped_in(adapting):
    adapting.start()
    adapting.play(1.5, 1.0)
    adapting.wait_for("accepted")
    other = make_still(0.9)
    assert adapting.bench.load(adapting.bench.save(other)).success
    adapting.play(0.9, QUIET)
    assert "swapped" not in adapting.kinds()
    adapting.play(2.0, QUIET)
    adapting.wait_for("swapped")
    adapting.call_undo()
    assert adapting.wait_for("undone").model_id == other.model_id


def test_settings_change_while_it_runs_and_bad_ones_are_refused(adapting):
    adapting.start(update_s=1000.0)
    adapting.play(2.0, QUIET)
    refused = adapting.set("mode", "magic")
    assert not refused.successful and "magic" in refused.reason
    assert adapting.set("update_s", 1.0).successful
    assert adapting.set("blend_s", 0.25).successful
    adapting.play(3.0, QUIET)
    adapting.wait_for("swapped")
    assert detail(adapting.bench.events("/decoder/event", "model")[0])["blend_s"] == 0.25


def test_a_worker_killed_in_the_middle_of_a_proposal_costs_no_tick(adapting):
    adapting.start(still_rule.die, wait=False)
    adapting.play(3.0, 1.0)
    failed = adapting.wait_for("failed")
    assert "SIGKILL" in failed.cause and "goes on unchanged" in failed.cause
    adapting.play(1.0, 1.0)
    bench = adapting.bench
    pipeline = DecoderPipeline(adapting.model)
    outs = [
        pipeline.step(np.array(f.data), f.tick, f.quality).out_x_hat
        for f in bench.heard["/features"]
    ]
    assert np.array(outs).tobytes() == bench.series("/decoder/out_x_hat")[1].tobytes()
    assert bench.events("/decoder/event", "missed") == []


def test_whatever_is_wrong_with_adaptation_the_decoder_goes_on(adapting):
    def fail(*_):
        raise ZeroDivisionError("a mistake")

    adapting.start()
    adapting.play(1.0, 1.0)
    adapting.patch.setattr(Adaptation, "after_tick", fail)
    adapting.play(1.0, 1.0)
    assert "a mistake" in adapting.wait_for("failed").cause
    adapting.patch.undo()
    adapting.play(1.0, 1.0)
    assert len(adapting.bench.heard["/decoder/out_x_hat"]) == 3 * 62 - 18
    values = adapting.bench.graph.call(adapting.node.diagnose)[2]
    assert "a mistake" in values["adaptation"]


@pytest.mark.parametrize("wait", [True, False])
def test_the_replay_memory_is_loaded_saved_cleared_and_erased_by_an_undo(adapting, tmp_path, wait):
    adapting.start(mode="relabel", memory=True, wait=wait)
    adapting.play(0.5, QUIET)
    place = adapting.memory_file()
    file, copy, other = tmp_path / "a.emgmemory", tmp_path / "b.emgmemory", tmp_path / "c.emgmemory"
    memory = ReplayMemory(MemorySettings(), 4, 2)
    memory.add(Piece(np.ones((30, 4)), np.zeros((30, 2)), (0, 0)))
    save_memory(memory, adapting.model.model_id, file)
    save_memory(memory, "f" * 64, other)

    loaded = adapting.ask(ReplayMemoryFile, "load_replay_memory", uri=str(file))
    assert loaded.success and "30 ticks" in loaded.message
    assert len(load_memory(place, adapting.model.model_id)) == 30
    refused = adapting.ask(ReplayMemoryFile, "load_replay_memory", uri=str(other))
    assert not refused.success and "belongs to the model" in refused.message
    assert adapting.ask(ReplayMemoryFile, "save_replay_memory", uri=str(copy)).success
    assert len(load_memory(copy, adapting.model.model_id)) == 30
    again = adapting.ask(ReplayMemoryFile, "save_replay_memory", uri=str(copy))
    assert not again.success and "exists" in again.message
    assert adapting.ask(Trigger, "clear_replay_memory").success
    assert not place.exists()
    nothing = adapting.ask(
        ReplayMemoryFile, "save_replay_memory", uri=str(tmp_path / "d.emgmemory")
    )
    assert not nothing.success and "empty" in nothing.message
    assert adapting.ask(ReplayMemoryFile, "load_replay_memory", uri=str(file)).success
    assert adapting.call_undo().success
    assert not place.exists()
    adapting.play(1.0, QUIET)
    assert adapting.bench.events("/decoder/event", "missed") == []


def test_an_undo_while_the_memory_is_loaded_erases_it_too(adapting, tmp_path, monkeypatch):
    write, writing = decoder_node.replay_memory._write, threading.Event()

    def slow(*arguments):
        writing.set()
        time.sleep(0.5)
        write(*arguments)

    monkeypatch.setattr(decoder_node.replay_memory, "_write", slow)
    adapting.start(mode="relabel", memory=True, wait=False)
    memory, file = ReplayMemory(MemorySettings(), 4, 2), tmp_path / "a.emgmemory"
    memory.add(Piece(np.ones((30, 4)), np.zeros((30, 2)), (0, 0)))
    save_memory(memory, adapting.model.model_id, file)
    client = adapting.bench.node.create_client(ReplayMemoryFile, "/decoder_node/load_replay_memory")
    wait_until(client.service_is_ready, "the service")
    loading = client.call_async(ReplayMemoryFile.Request(uri=str(file)))
    wait_until(writing.is_set, "the load")
    answer = adapting.call_undo()
    assert answer.success and "erased" not in answer.message
    assert adapting.bench.graph.result(loading, "load").success
    assert not adapting.memory_file().exists()


def test_a_memory_that_cannot_be_erased_is_told_and_the_undo_counts(adapting):
    adapting.start(mode="relabel", memory=True, wait=False)
    adapting.play(0.5, QUIET)
    adapting.memory_file().mkdir(parents=True)
    answer = adapting.call_undo()
    assert answer.success and "cannot be erased" in answer.message
    adapting.memory_file().rmdir()
    adapting.memory_file().touch()
    # Adaptation is off already.
    assert adapting.call_undo().success
    assert not adapting.memory_file().exists()
    adapting.play(0.5, QUIET)
    assert adapting.bench.events("/decoder/event", "missed") == []


def test_without_a_replay_memory_its_services_say_how_to_have_one(adapting):
    adapting.start()
    answer = adapting.ask(Trigger, "clear_replay_memory")
    assert not answer.success and "adaptation.memory" in answer.message


def test_supervised_it_learns_from_what_is_shown_and_only_then_with_labels(adapting):
    adapting.start(still_rule.shown, mode="supervised", wait=False)
    prompts = adapting.bench.node.create_publisher(JointState, "/task/x_d", qos.TICK)
    wait_until(lambda: prompts.get_subscription_count() == 1, "the decoder on /task/x_d")
    adapting.session.publish(SessionState(period=SessionState.PROMPT))
    message = JointState(name=["wrist_flex", "index_flex"], position=[0.25, 0.5])

    def told():
        prompts.publish(message)
        adapting.play(0.5, QUIET)
        return [e.cause for e in adapting.heard if e.kind == "refused"]

    wait_until(told, "a proposal in spite of the prompt")
    assert told()[0] == "shown [0.5, 0.25]"
    assert "a movement is being shown" not in [e.cause for e in adapting.heard]


def test_a_worker_process_proposes_and_the_model_takes_over(adapting):
    adapting.start(wait=False)

    def swapped():
        adapting.play(0.8, QUIET)
        return "swapped" in adapting.kinds()

    wait_until(swapped, "the swap")
    worker = adapting.node._adaptation._adaptation.worker
    adapting.call_undo()
    wait_until(lambda: worker.pid == 0, "the end of the worker")


def test_movements_and_plateaus_are_published_but_none_of_a_prompt(adapting):
    adapting.start(enabled=False)
    for scale in (QUIET, 1.0, QUIET, 1.0, QUIET):
        adapting.play(2.0, scale)
    wait_until(lambda: len(adapting.movements) >= 7, "movements and plateaus")
    moves = [m for m in adapting.movements if m.kind == MovementEvent.MOVEMENT]
    assert len(moves) == 4
    for i, move in enumerate(moves):
        assert abs(move.t0_tick - 125 * (i + 1)) < 20
        assert list(move.dofs) == ["index_flex", "wrist_flex"] and any(move.moving)
        assert abs(max(move.x_f) - (1.0, 0.0)[i % 2]) < 0.35
    heard = len(adapting.movements)
    adapting.session.publish(SessionState(period=SessionState.PROMPT))
    wait_until(lambda: adapting.node._surroundings.prompt, "the prompt")
    adapting.play(2.0, 1.0)
    adapting.play(2.0, QUIET)
    assert not [m for m in adapting.movements[heard:] if m.kind == MovementEvent.MOVEMENT]
