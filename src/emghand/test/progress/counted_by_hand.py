"""A second witness of the training status: counted from the files of a study, with plain loops.

The rules are written here once more, from their description; nothing of `emghand.progress` is used.
Only what a generated study holds is understood. Readings where the description leaves room: advice
begins on the twentieth date with scored trials, that date included; what is pending shows on its
own date only; means and medians are over the trials that have the value.
"""

import bisect
import hashlib
import itertools
import json
import statistics
from datetime import datetime
from pathlib import Path

from emghand.storage.bags import BagReader

ORDER = ("fitting", "in_training", "trained_basic", "trained_proficient", "ready_for_hand",
         "ready_retention", "ready_for_home")  # fmt: skip
TRAINED = ORDER[2:]
PAUSE_NS = 15 * 60 * 10**9
IDLE, PROMPT, FAULT, ESTOP = 0, 1, 2, 3
HEARD = ("/hand/status", "/diagnostics", "/decoder/timing")
PROMPTED = ("/task/x_d", "/decoder/out_x_hat", "/session/state")
_COUNTED = {}


def count_session(folder):
    """What counts of a session, from its manifest, its tables and its bags."""
    manifest = (folder / "manifest.json").read_bytes()
    # Damage of a table does not show in the manifest.
    key = manifest, *(sha(table) for table in sorted(folder.glob("results/*_trials.json")))
    if key not in _COUNTED:
        _COUNTED[key] = _count_session(folder, json.loads(manifest))
    return _COUNTED[key]


def sha(file):
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _count_session(folder, manifest):
    files = manifest["files"]
    trials, tests, spans, ticks_ms, states, places, lost = [], [], [], [], set(), set(), False
    for bag in sorted({Path(name).parent.name for name in files if name.startswith("bags/")}):
        kind = bag.split("_")[0]
        span, heard = count_bag(folder / "bags" / bag, kind)
        spans.append(span)
        ticks_ms += [m.total_ns * 1e-6 for m in heard["/decoder/timing"]]
        states |= {m.state for m in heard["/hand/status"]}
        if kind == "test":
            tests.append(errors(*(heard[topic] for topic in PROMPTED)))
        if kind == "task":
            said = [v for m in heard["/diagnostics"] for s in m.status for v in s.values]
            places |= {v.value for v in said if v.key == "place"}
            table = f"results/{bag}_trials.json"
            if table in files and sha(folder / table) == files[table]["sha256"]:
                trials += json.loads((folder / table).read_text())["trials"]
            else:
                lost = True
    trials = [t for t in trials if t["outcome"] != "cancelled" and not t["perturbations"]]
    pauses = [(a, b) for (_, a), (b, _) in itertools.pairwise(sorted(spans)) if b - a >= PAUSE_NS]
    added = [f["added"] for name, f in files.items() if name.endswith(".emgcalibration")]
    calibrated = [datetime.fromisoformat(text).timestamp() * 1e9 for text in added]
    for trial in trials:
        start = trial["start_ns"]
        before = [begin for begin, end in pauses if end <= start]
        trial["retained"] = bool(before) and not any(before[-1] <= t <= start for t in calibrated)
    return {
        "date": datetime.fromisoformat(manifest["created"]).astimezone().date(),
        "trials": trials,
        "tests": tests,
        "lost": lost,
        "hand": "hand" in places,
        "latency_ok": bool(ticks_ms) and sorted(ticks_ms)[len(ticks_ms) * 99 // 100] <= 50.0,
        "faults_ok": not states & {FAULT, ESTOP},
    }


def count_bag(path, kind):
    """Begin and end of a bag, and its messages by topic."""
    topics = {"test": HEARD + PROMPTED, "task": HEARD}.get(kind, ())
    heard = {topic: [] for topic in HEARD + PROMPTED}
    with BagReader(path) as reader:
        for raw in reader.messages([t for t in topics if t in reader.topics]):
            heard[raw.topic].append(reader.decode(raw))
        return (reader.start_ns, reader.end_ns), heard


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def errors(shown, moved, states):
    """NRMSE and unintended movement of a test: means over the DOFs."""
    shown = sorted((stamp(m), list(m.position)) for m in shown)
    states = sorted((stamp(m), m.period) for m in states)
    pairs = []
    for message in moved:
        t = stamp(message)
        place = bisect.bisect_right(states, (t, 255)) - 1
        if place < 0 or states[place][1] in (IDLE, PROMPT) or not shown[0][0] <= t <= shown[-1][0]:
            continue
        after = max(bisect.bisect_left(shown, (t, [])), 1)
        (t0, a), (t1, b) = shown[after - 1], shown[after]
        wanted = [p + (t - t0) / (t1 - t0) * (q - p) for p, q in zip(a, b, strict=True)]
        pairs.append((wanted, message.position))
    nrmses, leaks = [], []
    for dof in range(len(pairs[0][0])):
        goals = [wanted[dof] for wanted, _ in pairs]
        squares = [(x[dof] - wanted[dof]) ** 2 for wanted, x in pairs]
        nrmses.append(statistics.fmean(squares) ** 0.5 / (max(goals) - min(goals)))
        squares = [x[dof] ** 2 for w, x in pairs if abs(w[dof]) <= 0.05 < max(map(abs, w))]
        leaks.append(statistics.fmean(squares) ** 0.5)
    return statistics.fmean(nrmses), statistics.fmean(leaks)


def count_dates(sessions):
    """Raw and monotone status of each date of one subject, and the values of its window."""
    by_date = {}
    for session in sessions:
        by_date.setdefault(session["date"], []).append(session)
    history, found, reached, status = [], [], ORDER[0], "not_computed"
    for date in sorted(by_date):
        today, values = combine(by_date[date]), {}
        if today["trials"]:
            history.append(today)
            values = values_of(history[-3:], history)
            reached = level_of(values)
            if len(history) >= 20 and reached not in TRAINED and status not in TRAINED:
                reached = "no_control"
        raw = "not_computed" if today["lost"] and not today["trials"] else reached
        step = "in_training" if raw == "no_control" else raw
        if step in ORDER and (status not in ORDER or ORDER.index(step) > ORDER.index(status)):
            status = step
        found.append({"date": date, "raw": raw, "status": status, "values": values})
    return found


def combine(sessions):
    """What counts of a date: all its sessions together."""
    scored = [s for s in sessions if s["trials"]]
    on_hand = [s for s in scored if s["hand"]]
    tests = [s["tests"] for s in sessions if s["tests"]]
    return {
        "trials": [t for s in scored for t in s["trials"]],
        "lost": any(s["lost"] for s in sessions),
        "hand": bool(on_hand),
        "retained": [t for s in on_hand for t in s["trials"] if t["retained"]],
        "nrmse": statistics.fmean(statistics.fmean(e for e, _ in t) for t in tests) if tests else 9,
        "leak": statistics.fmean(statistics.fmean(u for _, u in t) for t in tests) if tests else 9,
        "latency_ok": all(s["latency_ok"] for s in scored),
        "faults_ok": all(s["faults_ok"] for s in sessions),
    }


def values_of(window, history):
    """What the criteria ask for, by their names: of the dates of a window, and of all so far."""
    trials = [t for day in window for t in day["trials"]]
    done = [t for t in trials if t["outcome"] == "completed"]
    wanted = {id(t): sum(a != b for a, b in zip(t["start"], t["goal"])) for t in trials}  # noqa: B905
    paths = [t["path_efficiency"] for t in done if t["path_efficiency"] is not None]
    hands = [day for day in history if day["hand"]]
    kept = [d for d in hands if len(d["retained"]) >= 10 and completion(d["retained"]) > 0.90]
    return {
        "dates": len(window),
        "trials": min(len(day["trials"]) for day in window),
        "singles": completion([t for t in trials if wanted[id(t)] == 1]),
        "nrmse": max(day["nrmse"] for day in window),
        "unintended": max(day["leak"] for day in window),
        "hold": statistics.median(t["longest_hold"] for t in trials if t["radius"] <= 0.15),
        "pairs": completion([t for t in trials if wanted[id(t)] == 2]),
        "time": statistics.median(t["completion_time"] for t in done) if done else None,
        "path": statistics.fmean(paths) if paths else None,
        "overshoots": statistics.fmean(t["overshoots"] for t in trials),
        "latency": window[-1]["latency_ok"],
        "faults": window[-1]["faults_ok"],
        "retention": len(kept),
        "hand_dates": len(hands),
    }


def completion(trials):
    return sum(t["outcome"] == "completed" for t in trials) / len(trials) if trials else 0.0


def level_of(v):
    """Highest level all of whose criteria hold, with those of the levels below."""
    quick = v["time"] is not None and v["time"] < 2.0 and v["path"] > 0.6
    exact = v["nrmse"] < 0.25 and v["unintended"] < 0.15 and v["hold"] >= 1.0
    steps = (
        v["dates"] == 3 and v["trials"] >= 30 and v["singles"] > 0.80 and exact,
        v["trials"] >= 60 and v["singles"] > 0.90 and v["pairs"] > 0.75 and quick
        and v["overshoots"] < 1.0,
        v["latency"] and v["faults"],
        v["retention"] >= 1,
        v["hand_dates"] >= 3,
    )  # fmt: skip
    return ORDER[1 + (*steps, False).index(False)]
