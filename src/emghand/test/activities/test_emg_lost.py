"""Raw EMG falls silent while it is recorded."""

from types import SimpleNamespace

import numpy as np
import pytest

from emghand.activities.activity import CANCELLED, COMPLETE, FAILED
from emghand.activities.control import ControlRun
from emghand.activities.emg_watch import EMG_LOST, LOST_S, EmgWatch
from emghand.activities.prompted import PromptedRun
from emghand.activities.task import TaskRun
from emghand.evaluate.online_bag import read_trials
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
    """A device that is there at some times, and a hand that is at once where it is asked to be.

    The stamps of both may be of clocks that are ahead of that of ROS [s].
    """

    def __init__(self, folder, present, ahead=0.0, hand_ahead=0.0):
        self.folder = folder
        self.present = present
        self.ahead_ns, self.hand_ahead_ns = round(ahead * 1e9), round(hand_ahead * 1e9)
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
            self.topics.publish(topic, joints, stamp + self.hand_ahead_ns)
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

    def run(self, name, record=True, cancel_at=None):
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
        if cancel_at is not None:
            self.loop.schedule(cancel_at, activity.cancel)
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
    assert [r.trial for r in told] == sorted(run.done) == list(range(run.first))
    assert all(r.end.sec * 10**9 + r.end.nanosec <= end_ns for r in told)
    if name == "task":  # From the hand alone a trial may look complete.
        outcomes = [t.measures.outcome for t in read_trials(tmp_path / "s/bags/task")]
        assert outcomes[: len(told)] == ["completed"] * len(told)
        assert set(outcomes[len(told) :]) <= {"cancelled"}


@pytest.mark.parametrize("name", ["collect", "task"])
@pytest.mark.parametrize("gone", [4.0, 4.1, 4.2, 4.3, 4.4, 4.5])
def test_a_cancel_while_it_is_silent_makes_no_trial_done(tmp_path, name, gone):
    bench = Bench(tmp_path, lambda t: t < gone)
    activity = bench.run(name, cancel_at=gone + 0.9 * LOST_S)
    assert activity.status == CANCELLED
    (run,) = runs_of(tmp_path / "s")
    recording = read_recording(tmp_path / "s/bags" / name)
    end_ns = recording.blocks[-1].stamp_ns + round(BLOCK_S * 1e9)
    told = [r for r in results(tmp_path, name) if r.outcome != "cancelled"]
    assert [r.trial for r in told] == sorted(run.done) == list(range(run.first))
    assert all(r.end.sec * 10**9 + r.end.nanosec <= end_ns for r in told)


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


@pytest.mark.parametrize("name", ["collect", "task"])
@pytest.mark.parametrize("ahead", [{"ahead": -1e6}, {"ahead": 1e6}, {"hand_ahead": 1e6}])
def test_stamps_of_another_clock_keep_no_trial(tmp_path, name, ahead):
    activity = Bench(tmp_path, lambda t: True, **ahead).run(name)
    assert activity.status == COMPLETE and len(activity.trials) == 10
    assert {r.outcome for r in results(tmp_path, name)} <= {"", "completed"}


def test_a_burst_after_a_stall_is_no_other_clock():
    room = Clock()
    watch = EmgWatch(room, True)
    room.hear(stamp=1.0, at=1.0)
    room.hear(stamp=1.1, at=2.9)  # late, and older than the moment that is asked for
    assert not watch.has_come_to(S(1.5), S(1.5))
    room.hear(stamp=1.6, at=2.9)
    assert watch.has_come_to(S(1.5), S(1.5))


def test_who_stood_still_does_not_take_it_for_lost():
    room = Clock()
    watch = EmgWatch(room, True)
    room.hear(stamp=1.0, at=1.0)
    assert not watch.is_lost()
    room.now = S(9.0)
    assert not watch.is_lost()
    for now in np.arange(9.0, 9.0 + LOST_S, 0.1):
        room.now = S(now)
        assert not watch.is_lost()
    room.now = S(9.1 + LOST_S)
    assert watch.is_lost()


def S(seconds):
    return round(seconds * 1e9)


class Clock:
    """A room that has a clock, and an ear for raw EMG."""

    now = 0

    def listen(self, topic, callback):
        self.callback = callback

    def steady_ns(self):
        return self.now

    def hear(self, stamp, at):
        self.now = S(at)
        sec, nanosec = divmod(S(stamp), 10**9)
        header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))
        self.callback(SimpleNamespace(header=header))


def test_free_control_ends_too(tmp_path):
    activity = Bench(tmp_path, lambda t: t < 3.0).run("control")
    assert activity.status == FAILED and EMG_LOST in activity.message


def test_what_is_not_recorded_needs_none(tmp_path):
    assert Bench(tmp_path, lambda t: t < 3.0).run("collect", record=False).success
