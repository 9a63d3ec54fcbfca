"""Raw EMG falls silent while it is recorded."""

import numpy as np
import pytest

from emghand.activities.activity import COMPLETE, FAILED
from emghand.activities.control import ControlRun
from emghand.activities.emg_watch import EMG_LOST, LOST_S
from emghand.activities.prompted import PromptedRun
from emghand.activities.task import TaskRun
from emghand.protocol.loop import VirtualLoop
from emghand.storage.bags import BagReader
from emghand.storage.bags.convert import read_recording
from emghand.storage.resume import runs_of
from emghand.virtual.recorder import VirtualRecorder
from emghand.virtual.room import VirtualRoom
from emghand.virtual.topics import START_NS, Topics

BLOCK_S = 0.016
SET = """
name: short
dofs: [index_flex]
rest: 0.2
prompt: 0.2
rise: 0.2
hold: 0.2
fall: 0.2
repetitions: 10
movements:
  - {name: point, targets: {index_flex: 1.0}}
"""
TASK = """
kind: simple_reach
name: quick
dofs: [index_flex]
dwell: 0.1
acquire_hold: 0.1
pause: 0.1
trials: 10
"""
GOALS = {
    "collect": (PromptedRun, "CollectTrials", {"movement_set": "set.yaml"}),
    "task": (TaskRun, "RunTask", {"task": "task.yaml"}),
    "control": (ControlRun, "FreeControl", {"duration": 8.0}),
}


class Bench:
    """A device that is there at some times, and a hand that is at once where it is asked to be."""

    def __init__(self, folder, present, ahead_ns=0):
        self.folder = folder
        self.present = present
        self.ahead_ns = ahead_ns
        self.n_blocks = 0
        self.x = np.zeros(1)
        self.loop = VirtualLoop(100.0)
        self.topics = Topics()
        self.recorder = VirtualRecorder(self.topics, self.now_ns, lambda: None)
        self.topics.listen("/task/x_d", lambda m: setattr(self, "x", np.array(m.position)))
        (folder / "set.yaml").write_text(SET)
        (folder / "task.yaml").write_text(TASK)
        self.tick()

    def now_ns(self):
        return START_NS + round(self.loop.now() * 1e9)

    def tick(self):
        stamp = self.now_ns()
        joints = {"name": ["index_flex"], "position": self.x}
        for topic in ("/hand/state", "/decoder/out_x_hat"):
            self.topics.publish(topic, joints, stamp)
        if self.present(self.loop.now()):
            # The device's block is complete now: it began one block ago.
            begin = stamp - round(BLOCK_S * 1e9) + self.ahead_ns
            fields = {"first_sample": 16 * self.n_blocks, "n_channels": 1, "data": np.zeros(16)}
            info = {"channel_names": ["a"], "rate": 1000.0, "unit": "V"}
            if not self.n_blocks:
                self.topics.publish("/emg/info", info, stamp)
            self.topics.publish("/emg/raw", fields, begin)
            self.n_blocks += 1
        self.loop.schedule(BLOCK_S, self.tick)

    def run(self, name, record=True):
        kind, action, fields = GOALS[name]
        files = {k: str(self.folder / v) for k, v in fields.items() if isinstance(v, str)}
        goal = self.topics.maker.goal(
            f"emghand_interfaces/action/{action}",
            {"session": str(self.folder / "s"), "subject": "p07", "record": record, **fields}
            | files,
        )
        room = VirtualRoom(self.loop, self.topics, self.recorder)
        activity, ended = kind(name, goal, room), []
        room.start(activity, lambda: ended.append(self.loop.now()))
        self.loop.run(lambda: bool(ended))
        self.ended = ended[0]
        return activity


def results(folder, name):
    with BagReader(folder / "s/bags" / name) as reader:
        return [reader.decode(m) for m in reader.messages(["/session/trial"])]


@pytest.mark.parametrize("name", ["collect", "task"])
@pytest.mark.parametrize("gone", [4.0, 4.013, 4.1, 4.4, 4.7])
def test_a_run_ends_and_goes_on_with_the_trial_that_it_lacks(tmp_path, name, gone):
    bench = Bench(tmp_path, lambda t: t < gone or t > gone + LOST_S + 1.0)
    activity = bench.run(name)
    assert (activity.status, activity.success) == (FAILED, False)
    assert activity.message.endswith(f"; {EMG_LOST}")
    assert gone - BLOCK_S <= bench.ended - LOST_S < gone + 1.0
    recording = read_recording(tmp_path / "s/bags" / name)
    end_ns = recording.blocks[-1].stamp_ns + round(BLOCK_S * 1e9)
    (run,) = runs_of(tmp_path / "s")
    assert 0 < len(run.done) < run.n_trials
    told = [r for r in results(tmp_path, name) if r.outcome != "cancelled"]
    assert [r.trial for r in told] == sorted(run.done)
    assert all(r.end.sec * 10**9 + r.end.nanosec <= end_ns for r in told)
    assert run.first == len(run.done)


@pytest.mark.parametrize("name", sorted(GOALS))
@pytest.mark.parametrize(
    "present",
    [
        pytest.param(lambda t: True, id="there"),
        pytest.param(lambda t: False, id="never there"),
        pytest.param(lambda t: not 3.0 < t < 3.0 + 0.9 * LOST_S, id="away for a moment"),
    ],
)
def test_otherwise_it_is_brought_to_its_end(tmp_path, name, present):
    activity = Bench(tmp_path, present).run(name)
    assert (activity.status, EMG_LOST in activity.message) == (COMPLETE, False)


@pytest.mark.parametrize("ahead_s", [-1e6, 1e6])
def test_stamps_of_another_day_keep_no_trial(tmp_path, ahead_s):
    bench = Bench(tmp_path, lambda t: True, round(ahead_s * 1e9))
    activity = bench.run("task")
    assert activity.status == COMPLETE and len(activity.trials) == 10


def test_free_control_ends_too(tmp_path):
    activity = Bench(tmp_path, lambda t: t < 3.0).run("control")
    assert not activity.success and EMG_LOST in activity.message


def test_what_is_not_recorded_needs_none(tmp_path):
    assert Bench(tmp_path, lambda t: t < 3.0).run("collect", record=False).success
