"""Kills the nodes that record a session, cancels their runs and fills their disk, again and again.

    python live_kills.py FOLDER [--kills 100] [--seed 1] [--trials 12]

`session_node`, `bag_recorder` and `emg_driver` run as processes in a ROS domain of their own. A run
is started, something happens to it at a random moment, what was killed is started again, the
session is repaired and the run resumed, until its schedule is done. Then each trial must be there
exactly once, and every bag whole. Collections and tasks take turns. Prints one line of JSON.
"""

import argparse
import contextlib
import json
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from action_msgs.srv import CancelGoal
from emghand_interfaces.msg import TrialResult
from sensor_msgs.msg import JointState

from emghand.client import Session as Client
from emghand.client.domain import claim_domain
from emghand.errors import UserError
from emghand.storage.bags import BagReader
from emghand.storage.bags.convert import read_recording
from emghand.storage.bags.repair import is_playable
from emghand.storage.bags.summary import summarise
from emghand.storage.resume import last_unfinished, runs_of
from emghand.storage.session_repair import repair_session
from emghand.storage.sessions import Session
from emghand_ros import qos
from emghand_ros.conversions import dofs_to_ros, time_to_ns
from emghand_ros.node import EmghandNode
from emghand_ros.testing import Graph

DOFS = ("index_flex", "wrist_flex")
SET = """
name: short
dofs: [index_flex, wrist_flex]
rest: 0.06
prompt: 0.06
rise: 0.06
hold: 0.06
fall: 0.06
movements:
  - {name: point, targets: {index_flex: 1.0}}
  - {name: bend, targets: {wrist_flex: -1.0}}
"""
TASK = """
kind: simple_reach
name: quick
dofs: [index_flex, wrist_flex]
dwell: 0.05
time_limit: 1.0
acquire: 3.0
acquire_hold: 0.02
pause: 0.02
"""
COMMANDS = {
    "emg_driver": ["-m", "emg_driver.node", "--ros-args", "-p", "device:=synthetic"],
    "bag_recorder": ["-m", "bag_tools.recorder", "--ros-args", "-p", "diagnostics_period:=0.2"],
    "session_node": ["-m", "session_node.node", "--ros-args", "-p", "lead:=0.3", "-p", "tail:=0.1"],
}
HAPPENINGS = ("session_node", "session_node", "twice", "bag_recorder", "result", "cancel", "full")
"""``twice``: session_node again, while it comes back and ends what it has left behind.

``result``: bag_recorder, while it writes the result of a trial.
"""
UNDER_WAY = ("is being recorded", "is being written")
"""Findings that are no loss: the node that came back is at work."""
SPAN_S = 1.8
"""Moments lie between the start of the client, of a run for a cancellation, and this."""
FULL_BYTES = 300_000
FLUSHED_S = 0.5
"""A result that is older than this when its recorder is killed is on the disk: it waits for the raw
EMG of its trial, and for a flush."""
SENT_S = 0.005
"""A result that is older than this when its sender is killed has reached everybody. It is sent to
one after the other, and whoever gets it first may take the processor: when the sender is killed
before the recorder has its turn, the trial is shown again."""
WRITTEN_S = 0.15
"""From a result to when it is written, or a little later."""
TIMEOUT_S = 15.0
END_S = 10.0
SHARED = ("/rosout", "/diagnostics")
"""Topics of many publishers: a bag whose recorder was killed cannot tell them apart."""
CANCEL_ALL = ("collect_trials", "run_task")


class Hand:
    """A hand that is at once where it is asked to be, and what was told of the trials."""

    def __init__(self, node):
        self.node = node
        self.x = np.zeros(len(DOFS))
        self.told = []
        self.heard = threading.Event()
        self.states = node.create_publisher(JointState, "/hand/state", qos.TICK)
        node.create_subscription(JointState, "/task/x_d", self._follow, qos.TICK)
        node.create_subscription(TrialResult, "/session/trial", self._hear, qos.EVENT)
        node.create_timer(1 / 62.5, self._tick)
        self.cancels = [
            node.create_client(CancelGoal, f"/session/{name}/_action/cancel_goal")
            for name in CANCEL_ALL
        ]

    def _follow(self, message):
        self.x = np.array([message.position[list(message.name).index(d)] for d in DOFS])

    def _hear(self, message):
        if message.outcome != "cancelled":
            self.told.append((time.monotonic(), message.trial))
            self.heard.set()

    def _tick(self):
        self.states.publish(dofs_to_ros(DOFS, self.x, self.node.get_clock().now().to_msg()))

    def cancel(self):
        """Cancel every goal, as `ros2 action` tools can."""
        for client in self.cancels:
            client.call_async(CancelGoal.Request())


class Bench:
    """The processes, and one session after the other."""

    def __init__(self, folder, seed, trials, log):
        self.folder, self.trials, self.log = folder, trials, log
        self.rng = random.Random(seed)
        self.counts = Counter()
        self.processes = {}
        (folder / "set.yaml").write_text(SET)
        (folder / "task.yaml").write_text(TASK)

    def __enter__(self):
        with contextlib.ExitStack() as opened:
            opened.callback(self.end)
            claim_domain()
            for name in COMMANDS:
                self.start(name)
            self.graph = opened.enter_context(Graph(isolated=True))
            self.hand = Hand(self.graph.add(EmghandNode("hand")))
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *error):
        self._opened.close()

    def end(self):
        """End every process."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name):
        self.processes[name] = subprocess.Popen(
            [sys.executable, *COMMANDS[name]], stdout=self.log, stderr=subprocess.STDOUT
        )

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()
        self.start(name)

    def limit(self, size):
        """Let no file of the recorder become larger, as a full disk would."""
        pid = self.processes["bag_recorder"].pid
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def happen(self, what, moment):
        """Let something happen; the results that must have survived it."""
        if what == "cancel":
            self.running.wait(TIMEOUT_S)
        time.sleep(moment)
        if what == "result":
            self.hand.heard.clear()
            self.hand.heard.wait(SPAN_S)
            time.sleep(self.rng.uniform(0.0, WRITTEN_S))
        if what == "cancel":
            self.hand.cancel()
            return
        self.happened = sure = time.monotonic()
        if what == "full":
            self.limit(self.rng.randrange(1, FULL_BYTES))
            sure = 0.0
        else:
            name = {"twice": "session_node", "result": "bag_recorder"}.get(what, what)
            sure -= FLUSHED_S if name == "bag_recorder" else SENT_S
            self.kill(name)
            if what == "twice":
                time.sleep(self.rng.uniform(0.0, SPAN_S))
                self.kill("session_node")
        self.sure = sure

    def attempt(self, path, activity, seed, disturbed=True):
        """Start or resume the run, and let something happen to it; whether it is complete."""
        what = self.rng.choice(HAPPENINGS) if disturbed else ""
        moment = self.rng.uniform(0.0, SPAN_S)
        self.hand.told.clear()
        self.happened = self.sure = np.inf
        self.running = threading.Event()
        thread = threading.Thread(target=self.happen, args=(what, moment))
        before = done_in(path)
        begin = time.monotonic()
        if disturbed:
            thread.start()
        said = "completed"
        try:
            with Client(path, "p07", lambda _: self.running.set(), TIMEOUT_S) as client:
                if path.exists() and last_unfinished(runs_of(path)) is not None:
                    client.resume()
                elif activity == "collect":
                    file = self.folder / "set.yaml"
                    client.collect(file, repetitions=self.trials // 2, shuffle=True, seed=seed)
                else:
                    client.task(self.folder / "task.yaml", trials=self.trials, seed=seed)
        except UserError as error:
            said = str(error)
        finally:
            # Whatever went wrong: it must not start a process when the others are ended.
            if disturbed:
                thread.join()
        if what == "full":
            self.limit(resource.RLIM_INFINITY)
        took = time.monotonic() - begin
        print(
            f"{activity} {what} at {moment:.2f} of {took:.2f} s: {said}", file=self.log, flush=True
        )
        self.counts.update([what] if disturbed else [])
        return self.look(path, before)

    def look(self, path, before):
        """After each kill: nothing is lost; whether the schedule is complete."""
        if not path.exists():
            assert not before
            return False
        manifest = Session.open(path).manifest["files"]  # Whole, without any repair.
        session, findings = repair_session(path)
        left = [f for f in findings if not f.solved and f.what not in UNDER_WAY]
        assert not left, left
        assert manifest.keys() <= session.manifest["files"].keys()
        self.counts["repaired"] += any(f.what == "was cut short" for f in findings)
        self.counts["left behind"] += any(f.what == "is being recorded" for f in findings)
        done = done_in(path)
        assert before <= done, (before, done)
        told = [(self.happened - at, at < self.sure, n) for at, n in self.hand.told]
        missed = [(age, is_sure, n) for age, is_sure, n in told if age > 0.0 and n not in done]
        for age, _, number in missed:
            text = f"trial {number}: told {age * 1e3:.2f} ms before, shown again"
            print(text, file=self.log, flush=True)
        self.counts["shown again"] += len(missed)
        lost = [f"{n} ({age * 1e3:.2f} ms before)" for age, is_sure, n in missed if is_sure]
        assert not lost, f"trials were told to be done and are lost: {', '.join(lost)}"
        return len(done) == self.trials

    def session(self, number, kills):
        """One schedule, resumed until it is complete; at most so many kills."""
        path = self.folder / f"s{number:03}"
        activity = ("collect", "task")[number % 2]
        begin = sum(self.counts[h] for h in set(HAPPENINGS))
        while True:
            n = sum(self.counts[h] for h in set(HAPPENINGS)) - begin
            if self.attempt(path, activity, number, disturbed=n < kills):
                break
        check(path, activity, self.trials)
        self.counts["sessions"] += 1
        return n + (n < kills)


def done_in(path):
    """Trials that are done, as a resume would find them."""
    found = runs_of(path) if path.exists() else []
    assert len(found) <= 1, found
    return found[0].done if found else set()


def wait_until_free(path):
    """Until what was left behind has been ended and entered: a schedule may end with a kill."""
    deadline = time.monotonic() + TIMEOUT_S
    while any(f.what in UNDER_WAY for f in repair_session(path)[1]):
        assert time.monotonic() < deadline, "the recording was never ended"
        time.sleep(0.1)


def check(path, activity, trials):
    """Everything is there exactly once, and whole."""
    wait_until_free(path)
    session, findings = repair_session(path)
    assert findings == [], findings
    assert session.check() == []
    (run,) = runs_of(path)
    assert run.complete and run.n_trials == trials and run.activity == activity
    results = Counter()
    for bag in session.bags():
        assert is_playable(bag), bag
        found = summarise(bag)
        integrity = found["integrity"]
        assert not found["damaged"] and found["lost_bytes"] == 0
        # What was lost was lost with the process that was killed, not on the way.
        lost = {t: n for t, n in integrity["lost_messages"].items() if t not in SHARED}
        assert not lost and not integrity["refused"], (bag, integrity)
        assert integrity["malformed"] == {}
        for counter in integrity["samples"].values():
            assert (counter["missing"], counter["restarts"]) == (0, 0), counter
        held = results_in(bag)
        if activity == "task":
            assert {number for number, _, _ in held} <= specs_in(bag)
        results.update(number for number, _, _ in held)
        if held:
            check_emg(bag, held)
    assert results == Counter(range(trials)), results


def results_in(bag):
    """Number, start and end of the trials that a bag holds."""
    with BagReader(bag) as reader:
        if "/session/trial" not in reader.topics:
            return []
        found = [reader.decode(m) for m in reader.messages(["/session/trial"])]
    times = [(m.trial, time_to_ns(m.start), time_to_ns(m.end)) for m in found]
    return [t for t, m in zip(times, found, strict=True) if m.outcome != "cancelled"]


def specs_in(bag):
    """Numbers of the trials that a bag says what was asked in."""
    with BagReader(bag) as reader:
        if "/session/spec" not in reader.topics:
            return set()
        return {reader.decode(m).trial for m in reader.messages(["/session/spec"])}


def check_emg(bag, trials):
    """The raw EMG of each trial is there without a gap."""
    recording = read_recording(bag)
    begin = recording.blocks[0].stamp_ns
    last = recording.blocks[-1]
    end = last.stamp_ns + round(len(last.samples) / recording.stream.rate * 1e9)
    for number, start_ns, end_ns in trials:
        assert begin <= start_ns and end_ns <= end, (bag, number, begin, start_ns, end_ns, end)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=12, help="of each schedule")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end what was started
    began = time.monotonic()
    with (
        (args.folder / "log.txt").open("w") as log,
        Bench(args.folder, args.seed, args.trials, log) as bench,
    ):
        left, number = args.kills, 0
        while left > 0:
            left -= bench.session(number, left)
            number += 1
    seconds = round(time.monotonic() - began, 1)
    print(json.dumps({"kills": args.kills, "seconds": seconds, "reached": bench.counts}))


if __name__ == "__main__":
    main()
