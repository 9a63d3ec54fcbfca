"""Small studies of real session folders, with small ways to read and to judge them."""

import functools
import hashlib
import json
import os
import random
import tempfile
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from emghand.errors import UserError
from emghand.progress import rows
from emghand.progress.database import Store
from emghand.progress.frames import columns
from emghand.progress.rows import SessionRecord, SessionRow, TrialRow
from emghand.progress.upkeep import Methods
from emghand.storage import manifest as manifests
from emghand.storage.files import write_file
from emghand.storage.sessions import Session

BEGIN = date(2026, 1, 5)
LEVELS = ("fitting", "in_training", "trained_basic", "trained_proficient")


def day(number):
    return BEGIN + timedelta(days=number)


def add_session(study, subject, number, *, n_trials=4, seed=0, name=None):
    """A session of a day whose trials come from a seed."""
    path = study / subject / (name or f"{day(number).isoformat()}_{seed}")
    session = Session.create(path, subject, {"seed": seed, "day": number})
    made = f"{day(number).isoformat()}T12:00:00+00:00"
    token = hashlib.sha256(f"{subject} {number} {seed}".encode()).hexdigest()[:32]
    session.manifest |= {"created": made, "id": token, "code_version": "test"}
    write_file(path / "manifest.json", manifests.to_bytes(session.manifest), replace=True)
    add_trials(path, n_trials, seed)
    return path


def add_trials(path, n_trials=4, seed=1):
    """One more trial table of a session."""
    session = Session.open(path)
    rng = random.Random(f"{session.manifest['id']} {seed}")
    times = [round(rng.uniform(0.5, 3.0), 3) for _ in range(n_trials)]
    table = session.new_file_path("results", "reach_trials", ".json")
    write_file(
        table, json.dumps({"day": session.manifest["settings"]["day"], "times": times}).encode()
    )
    session.add_file(table.absolute())


def content_hash(manifest):
    files = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


@functools.cache
def _empty_database():
    with tempfile.TemporaryDirectory() as folder:
        Store.open(folder)
        return (Path(folder) / "progress/study.sqlite").read_bytes()


def new_store(folder):
    """An open database of a folder; the tables are made only once in a run of the tests."""
    (folder / "progress").mkdir(parents=True, exist_ok=True)
    (folder / "progress/study.sqlite").write_bytes(_empty_database())
    return Store.open(folder)


class Reader:
    """Reads the trial tables of such sessions, and notes which."""

    def __init__(self):
        self.paths = []

    def __call__(self, path, /, *, study, force, unreadable):
        self.paths.append(path.relative_to(study).as_posix())
        session = Session.open(path)
        number = session.manifest["settings"]["day"]
        start = number * 86_400 * 10**9
        trials, problems = [], []
        for table in sorted((path / "results").glob("*_trials*.json")):
            try:
                times = json.loads(table.read_text())["times"]
            except ValueError:
                if force:
                    times = [1.0]
                elif unreadable == "raise":
                    raise UserError(f"{table}: cannot be read; try --force") from None
                else:
                    problems.append(f"{table.name}: cannot be read")
                    continue
            trials += [
                trial(session.manifest["id"], table.name, n, time, start + n * 10**9)
                for n, time in enumerate(times)
            ]
        done = sum(t.outcome == "completed" for t in trials)
        row = session_row(
            subject=session.subject,
            session_id=session.manifest["id"],
            content_hash=content_hash(session.manifest),
            path=path.relative_to(study).as_posix(),
            date=day(number),
            start_ns=start,
            state=rows.PENDING if problems else rows.SCORED,
            n_trials=len(trials),
            n_single=len(trials),
            completed_single=done,
            time_to_target=trials[0].time_to_target if trials else None,
            problems="\n".join(problems),
        )
        return SessionRecord(row, tuple(trials))


def trial(session_id, protocol, number, time, start_ns):
    done = time < 2.0
    return TrialRow(
        session_id=session_id,
        protocol=f"results/{protocol}",
        number=number,
        kind="simple_reach",
        target_class=rows.SINGLE,
        dofs="wrist",
        radius=0.15,
        dwell=0.5,
        difficulty=time + 0.1,
        outcome="completed" if done else "timeout",
        time_to_target=time if done else None,
        reaction_time=None,
        path_efficiency=1 / (1 + time),
        overshoots=int(time),
        longest_hold=time / 3,
        hold_violations=0,
        throughput=None,
        unintended=None,
        validation=False,
        perturbed=False,
        start_ns=start_ns,
        end_ns=start_ns + int(time * 1e9),
        after_pause=False,
    )


def session_row(**known):
    empty = dict(
        protocols="results/reach_trials.json",
        place=rows.SIMULATOR,
        duration=12.5,
        start_delay=None,
        n_pair=0,
        completed_pair=0,
        n_multi=0,
        completed_multi=0,
        nrmse=0.1 + 0.2,
        unintended=None,
        path_efficiency=None,
        overshoots=None,
        hold=None,
        throughput=None,
        rest_offset="{}",
        resolvable="{}",
        latency_p99_ms=None,
        latency_ok=None,
        faults=0,
        faults_ok=True,
        pauses="[]",
        recalibrations=0,
        n_after_pause=0,
        completed_after_pause=0,
    )
    return SessionRow(**{**empty, **known})


class Judge:
    """A status of dates from this and the two before, monotone; notes which were computed."""

    def __init__(self):
        self.computed = []

    def __call__(self, sessions, trials, /, *, since=None, before=None):
        assert list(sessions.columns) == list(columns(SessionRow))
        by_session = dict(zip(sessions["session_id"], sessions["date"], strict=True))
        dates = sorted(sessions["date"].unique())
        of_date = trials["session_id"].map(by_session)
        done = [row for row in ([] if before is None else before.to_dict("records"))]
        for today in dates:
            if since is not None and today < since:
                continue
            self.computed.append(today)
            window = [d for d in dates if d <= today][-3:]
            mine = trials[of_date.isin(window)]
            success = (mine["outcome"] == "completed").mean() if len(mine) else float("nan")
            raw = min(int(success * 4), 3) if success == success else 0
            highest = max([raw, *(LEVELS.index(row["status"]) for row in done)])
            done.append(
                {
                    "subject": sessions["subject"][0],
                    "date": today,
                    "n_sessions": int((sessions["date"] == today).sum()),
                    "success": success,
                    "latency_ok": None,
                    "place": "simulator",
                    "first_day": dates[0] if raw else None,
                    "status": LEVELS[highest],
                    "raw_status": LEVELS[raw],
                    "advice": None,
                    "criteria": json.dumps({"success": {"value": str(success)}}),
                    "missing": "[]",
                    "window": json.dumps([d.isoformat() for d in window]),
                }
            )
        frame = pd.DataFrame(done)
        kinds = {"n_sessions": "int64", "success": "float64", "latency_ok": "boolean"}
        text = {name: "object" for name in frame.columns if name not in kinds}
        return frame.astype({**kinds, **text})


def methods(rules="1", read=None, compute=None):
    return Methods(read or Reader(), content_hash, compute or Judge(), rules)


def tables_bytes(study):
    """What the Parquet files hold."""
    return {p.name: p.read_bytes() for p in sorted((study / "progress").glob("*.parquet"))}


def touch_all(folder):
    """Give all files other times."""
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
