"""Small sessions on a clock that tests set: real bags, real tables, chosen dates."""

import json
from datetime import datetime, timedelta, timezone

import numpy as np

from emghand.activities.messages import result_fields, spec_fields
from emghand.activities.task import TaskTrial, _row
from emghand.evaluate.online import measures
from emghand.storage.resume import write_plan
from emghand.storage.sessions import Session
from emghand.tasks.spec import TrialSpec, with_id
from emghand.virtual.recorder import VirtualRecorder
from emghand.virtual.topics import Topics

BEGIN = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc)
HZ = 20.0
DOFS = ("index_flex", "wrist_flex")
ARMED, FAULT, ESTOP = 1, 2, 3
TOPICS = Topics()
"""One for all, which is quicker."""
TOPICS.add("/decoder/timing", "emghand_interfaces/msg/TickTiming")
TOPICS.add("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray")
IDLE, PROMPT, MOVE, HOLD, REST = range(5)


def ns(minutes=0.0):
    return round((BEGIN + timedelta(minutes=minutes)).timestamp()) * 10**9


def spec(number=0, goal=(0.5, 0.0), **changes):
    fields = {
        "task": "fitts",
        "kind": "fitts",
        "trial": number,
        "seed": 1,
        "dofs": DOFS,
        "start": (0.0, 0.0),
        "goal": goal,
        "active": (True, True),
        "radius": 0.15,
        "dwell": 1.0,
        "epochs": ("movement",),
        "bounds": (4.0,),
    }
    return with_id(TrialSpec(**(fields | changes)))


def way(goal, speed=1.0, drift=0.0, seconds=4.0):
    """Straight to the goal at a speed [1/s]; the DOFs at rest move to `drift`."""
    t = np.arange(round(seconds * HZ) + 1) / HZ
    share = np.minimum(t * speed / np.linalg.norm(goal), 1.0)[:, None]
    return share * np.where(np.array(goal) == 0.0, drift, goal)


class Sitting:
    """A session in which things happen at chosen minutes."""

    lost_recorder = False

    def __init__(self, path, subject="p07", day=0):
        self.session = Session.create(path, subject)
        self.path = self.session.path
        self.day = day
        self.added = {}
        self._graph()
        self.finish()

    def _graph(self):
        self.topics = TOPICS
        self.now = 0
        self.recorder = VirtualRecorder(self.topics, lambda: self.now, lambda: None)

    def ns(self, minutes):
        return ns(minutes + self.day * 24 * 60)

    def put(self, topic, fields, stamp_ns):
        self.now = max(self.now, stamp_ns)
        self.topics.publish(topic, fields, stamp_ns)

    def say(self, stamp, place="hand", total_ms=(5.0,) * 100, missed=0, states=((ARMED, ""),)):
        """What bridge and decoder tell beside everything else."""
        bridges = {"hand": ("servo_bridge", "hand"), "simulator": ("mujoco_bridge", "simulator")}
        for state, fault in states:
            self.put("/hand/status", {"state": state, "fault": fault}, stamp)
        if place in bridges:
            name, value = bridges[place]
            self.bridge(stamp, name, place=value)
        for i, total in enumerate(total_ms):
            fields = {"tick": i, "total_ns": round(total * 1e6), "missed": missed * bool(i)}
            self.put("/decoder/timing", fields, stamp)

    def bridge(self, stamp, name, state="ARMED", **values):
        values = {"state": state, "commander": "ab", **values}
        listed = [{"key": k, "value": v} for k, v in values.items() if v]
        self.put("/diagnostics", {"status": [{"name": name, "values": listed}]}, stamp)

    def task(self, at, specs, paths=None, *, label="fitts", bag=True, table=True, say=None):
        """Trials one after the other from minute `at` on."""
        bag_path = self.session.new_bag_path(label)
        now = self.ns(at)
        if bag:
            goal = {"task": "settings/fitts.yaml", "trials": len(specs), "label": label}
            write_plan(self.session, "task", f"bags/{bag_path.name}", len(specs), goal)
            self.recorder.start(str(bag_path))
            self.put("/session/state", {"activity": "task", "period": PROMPT}, now)
            (say or self.say)(now)
        trials = []
        for one, x in zip(specs, paths or [way(s.goal) for s in specs], strict=True):
            stamps = [now + round(i * 1e9 / HZ) for i in range(len(x))]
            found = measures(one, x, stamps_ns=stamps)
            done = found.outcome == "completed"
            n = round((found.completion_time + one.dwell) * HZ) if done else len(x) - 1
            trials.append(TaskTrial(one, now, stamps[n], found))
            if bag:
                self.put("/session/spec", spec_fields(one, "s"), now)
                for stamp, position in zip(stamps[: n + 1], x, strict=False):
                    fields = {"name": list(one.dofs), "position": position}
                    self.put("/hand/state", fields, stamp)
                result = result_fields(one, found, "s") | {"start": now, "end": stamps[n]}
                self.put("/session/trial", result, stamps[n])
            now = stamps[-1] + 10**9
        self.end(bag_path, "task", now, bag, [_row(t) for t in trials] if table else None)
        return f"bags/{bag_path.name}"

    def test(self, at, frames, *, relax=None):
        """A prompted test: frames of (period, x_d, x_hat, out_x_hat) at 20 Hz."""
        bag_path = self.session.new_bag_path("test")
        now = self.ns(at)
        self.recorder.start(str(bag_path))
        self.say(now)
        if relax is not None:
            settings = json.dumps({"output": {"relax_pos": relax}})
            self.put("/decoder/model", {"dofs": list(DOFS), "settings": settings}, now)
        last = None
        for period, x_d, x_hat, out in frames:
            if period != last:
                state = {"activity": "test", "period": period}
                self.put("/session/state", state, now)
                last = period
            self.put("/task/x_d", {"name": list(DOFS), "position": x_d}, now)
            self.put("/decoder/x_hat", {"name": list(DOFS), "position": x_hat}, now)
            self.put("/decoder/out_x_hat", {"name": list(DOFS), "position": out}, now)
            now += round(1e9 / HZ)
        self.end(bag_path, "test", now, True, [])

    def passive(self, at, activity="collect", minutes=0.1):
        bag_path = self.session.new_bag_path(activity)
        self.recorder.start(str(bag_path))
        self.put("/session/state", {"activity": activity, "period": IDLE}, self.ns(at))
        self.put("/session/state", {"activity": activity}, self.ns(at + minutes))
        self.end(bag_path, activity, self.ns(at + minutes), True, [])

    def end(self, bag_path, activity, now, bag, rows):
        if bag:
            self.recorder.stop()
        if bag and not self.lost_recorder:
            self.session.add_file(bag_path.absolute())
        if rows is not None:
            inside = f"bags/{bag_path.name}" if bag else ""
            document = {"activity": activity, "status": "complete", "bag": inside, "trials": rows}
            name = f"{bag_path.name}_trials.json"
            self.session.keep("results", name, json.dumps(document).encode())
        self.stamp(now, self.session.manifest["files"].keys() - self.added)
        self.topics.last.clear()

    def add(self, at, folder, name):
        """A calibration or a model."""
        kept = self.session.keep(folder, name, b"%f" % at)
        self.stamp(self.ns(at), [kept])

    def stamp(self, now, names):
        self.added |= dict.fromkeys(names, now)
        self.finish()

    def finish(self):
        """Write the dates into the manifest."""
        manifest = self.session.manifest
        manifest["created"] = iso(self.ns(0.0))
        for name, entry in manifest["files"].items():
            entry["added"] = iso(self.added.get(name, self.ns(0.0)))
        self.session.write_manifest()


def iso(stamp):
    return datetime.fromtimestamp(stamp // 10**9, timezone.utc).isoformat()
