"""What is asked of the training status, tried on a generated study whose sessions come and go.

A test does it with few people, ``benchmark/progress.py`` with all of them.
"""

import contextlib
import hashlib
import json
import random
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from counted_by_hand import count_dates, count_session

from emghand.progress.criteria import load_criteria
from emghand.progress.database import Store
from emghand.progress.scan import find_changes
from emghand.progress.session import content_hash, read_session
from emghand.progress.status import compute_status
from emghand.progress.upkeep import Methods, update
from emghand.simulate.study import changes
from emghand.storage.files import write_file
from emghand.storage.sessions import Session

LEVELS = yaml.safe_load(Path(__file__).with_name("generated_study_levels.yaml").read_text())
SAME = {"many_trials": "trials", "most_singles": "singles", "hand_retention": "retention"}
"""Criteria that ask for the same value as others."""
DIGITS = 2e-6
"""Measured values are rounded to six decimals, counted ones are not."""
TABLES = {
    "sessions": ("subject", "session_id"),
    "trials": ("subject", "session_id", "protocol", "number"),
    "dates": ("subject", "date"),
    "subjects": ("subject",),
}


@dataclass(frozen=True)
class Step:
    """One change, the dates that were computed anew, and how long the update took."""

    what: str
    since: str
    dates: int
    wall_s: float
    cpu_s: float


class Acceptance:
    """A study with its database, which is compared with what was counted after each change.

    Parameters
    ----------
    study : Path
    url : str
        Of an empty PostgreSQL database that shall say the same; empty: without.

    Attributes
    ----------
    believed : dict
        Id -> what was counted of sessions whose files say less by now than the database knows.
    """

    def __init__(self, study, url=""):
        self.study = study
        self.steps = []
        self.believed = {}
        self.stores = [Store.open(study)]
        self._computed = []
        self._url = url
        if url:
            self._other = study.with_name(f"{study.name} of postgres")
            self._other.mkdir()
            self.stores.append(Store.open(self._other, url))

    def methods(self):
        """The real ones, watched."""
        criteria = load_criteria()

        def compute(sessions, trials, /, *, since, before):
            self._computed.append((sessions["subject"][0], since))
            return compute_status(sessions, trials, criteria, since=since, before=before)

        return Methods(read_once, content_hash, compute, criteria.digest)

    def update(self, store, **asked):
        return update(self.study, store, methods=self.methods(), unreadable="warn", **asked)

    def sessions(self, subject="*"):
        """Folders of sessions, in order."""
        found = [p.parent for p in self.study.glob(f"{subject}/*/manifest.json")]
        return sorted(found, key=lambda p: (p.parent, manifest(p)["created"]))

    def rows(self):
        """All rows, as SQLite has them."""
        with contextlib.closing(sqlite3.connect(self.study / "progress/study.sqlite")) as file:
            return {name: plain(file.execute(query(name))) for name in TABLES}

    def files(self):
        """All Parquet files."""
        return {p.name: p.read_bytes() for p in self.study.glob("progress/*.parquet")}

    def begin(self):
        """The first update of all."""
        for store in self.stores:
            self.update(store)
        self.compare("begin")
        self.same()
        self.again()

    def step(self, what, subject, since=None, force=False):
        """Update after a change; of no other dates than those from `since` on rows may differ."""
        old, old_files = self.rows(), self.files()
        for store in self.stores:
            self._computed.clear()
            wall, cpu = time.perf_counter(), time.process_time()
            asked = {"subject": subject, "force": True} if force else {}
            done = [u for u in self.update(store, **asked) if u]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            assert [u.subject for u in done] == [subject], what
            if store is self.stores[0]:
                days = [row[1] for row in self.rows()["dates"] if row[0] == subject]
                anew = [day for day in days if since is not None and day >= str(since)]
                self.steps.append(Step(what, str(since or ""), len(anew), wall, cpu))
            # Without any row before it, all is computed.
            whole = since is not None and len(anew) == len(days)
            assert str(done[0].since) == (min(days) if whole else str(since)), what
            assert done[0].dates == len(anew), what
            assert self._computed == [(subject, None if whole else since)] * bool(since), what
        new, new_files = self.rows(), self.files()
        assert untouched(old, subject, since) == untouched(new, subject, since), what
        for name in old_files.keys() | new_files.keys():
            if name.split(".")[0].split("_")[0] != subject:
                assert old_files.get(name) == new_files.get(name), f"{what}: {name}"
        self.compare(what)
        self.same()
        self.again()

    def compare(self, what, store=None, believed=None):
        """Every date is as it was counted."""
        store = store or self.stores[0]
        believed = self.believed if believed is None else believed
        by_subject = {}
        for folder in self.sessions():
            counted = believed.get(manifest(folder)["id"]) or count_session(folder)
            by_subject.setdefault(folder.parent.name, []).append(counted)
        assert store.subjects() == sorted(by_subject), what
        for subject, counted in by_subject.items():
            agree(store.dates(subject), count_dates(counted), f"{what}: {subject}")

    def same(self):
        """PostgreSQL has the same rows and the same files."""
        if not self._url:
            return
        import psycopg

        rows = self.rows()
        with psycopg.connect(self._url) as postgres:
            for name in TABLES:
                assert plain(postgres.execute(query(name, ' COLLATE "C"'))) == rows[name], name
        there = {p.name: p.read_bytes() for p in self._other.glob("progress/*.parquet")}
        assert there == self.files()

    def again(self):
        """One more update has nothing to do."""
        before = self.rows(), self.files()
        self._computed.clear()
        for store in self.stores:
            assert not any(self.update(store))
        assert (self.rows(), self.files(), self._computed) == (*before, [])

    def recompute(self, store):
        """All dates and files anew, from the rows of the sessions; wall and CPU time [s]."""
        before = self.rows(), self.files()
        with contextlib.closing(sqlite3.connect(self.study / "progress/study.sqlite")) as file:
            file.execute("DELETE FROM dates")
            file.commit()
        for path in self.study.glob("progress/*.parquet"):
            path.unlink()
        methods = replace(self.methods(), rules="")
        wall, cpu = time.perf_counter(), time.process_time()
        update(self.study, store, methods=methods, unreadable="warn")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.update(store)
        assert (self.rows(), self.files()) == before
        return wall, cpu

    def rebuild(self, twins):
        """A new database: without force by what the tables say, with it by the bags, too.

        Parameters
        ----------
        twins : dict
            Id -> what is counted of sessions that can be read from their bags.
        """
        folder = self.study.with_name(f"{self.study.name} again")
        folder.mkdir()
        store = Store.open(folder)
        self.update(store)
        self.compare("a new database", store, {})
        self.update(store, force=True)
        self.compare("a new database, forced", store, twins)


_RECORDS = {}


def forget_records():
    """Read anew what is asked for from now on."""
    _RECORDS.clear()


def read_once(path, /, *, study, force, unreadable):
    """`read_session`; what is there with the same content once more is not read again."""
    tables = sorted(path.glob("results/*_trials.json"))
    files = [path / "manifest.json", *tables]
    key = force, *(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    if key not in _RECORDS:
        _RECORDS[key] = read_session(path, study=study, force=force, unreadable=unreadable)
    record = _RECORDS[key]
    return replace(record, row=replace(record.row, path=path.relative_to(study).as_posix()))


def query(table, collation=""):
    keys = [k if k in ("date", "number") else k + collation for k in TABLES[table]]
    return f"SELECT * FROM {table} ORDER BY {', '.join(keys)}"


def plain(rows):
    """Rows with dates as text; SQLite has 1 for true, which is equal to it."""
    return [tuple(str(v) if hasattr(v, "isoformat") else v for v in row) for row in rows]


def untouched(rows, subject, since):
    """Rows of dates that a change of a subject must leave alone."""
    return [r for r in rows["dates"] if r[0] != subject or since is None or r[1] < str(since)]


def agree(dates, wanted, what):
    """Status and every value of every criterion are those that were counted."""
    assert dates["date"].tolist() == [day["date"] for day in wanted], what
    for row, day in zip(dates.to_dict("records"), wanted, strict=True):
        said = f"{what} {day['date']}"
        assert (row["raw_status"], row["status"]) == (day["raw"], day["status"]), said
        if day["values"]:
            for name, verdict in json.loads(row["criteria"]).items():
                value, mine = verdict["value"], day["values"][SAME.get(name, name)]
                near = value == mine or abs(value - mine) <= DIGITS
                assert near, f"{said} {name}: {value} instead of {mine}"


def agree_with_table(a, histories):
    """Status of all dates by the hand-written table; the sessions are still ``sNN``."""
    for subject in a.stores[0].subjects():
        numbers = {}
        for folder in a.sessions(subject):
            numbers[str(date_of(folder))] = int(folder.name[1:])
        rows = a.stores[0].dates(subject).to_dict("records")
        assert [str(row["date"]) for row in rows] == list(numbers)
        for row, number in zip(rows, numbers.values(), strict=True):
            raw, status = [level for first, *level in histories[subject] if first <= number][-1]
            said = f"{subject} session {number}"
            assert (row["raw_status"], row["status"]) == (raw, status), said


def manifest(folder):
    return json.loads((folder / "manifest.json").read_bytes())


def date_of(folder):
    return count_session(folder)["date"]


# What befalls the sessions.


def every_kind(a, subject, late, double, force):
    """One change of each kind of sessions of a subject; they are ``sNN``.

    Parameters
    ----------
    late, double : str
        Sessions that wait to be handed in: on a date of its own, and on that of another one.
    force : str
        One whose bags hold the positions of the hand.
    """
    at = a.study / subject
    for what, name in (("late", late), ("late, second of its date", double)):
        path = changes.hand_in(a.study / changes.AWAY / subject / name, a.study)
        a.step(what, subject, date_of(path))
    other = changes.rename(at / late, "another name")
    a.step("renamed", subject)
    a.step("changed", subject, score_anew(other))
    changes.rename(other, late)
    a.step("two changed, one renamed", subject, min(score_anew(at / late), score_anew(at / double)))
    since = date_of(at / force)
    counted = count_session(at / force)
    changes.lose_tables(at / force)
    a.step("tables lost", subject, since)
    a.believed[manifest(at / force)["id"]] = counted
    a.step("tables lost, forced", subject, since, force=True)
    damage(a, at / late)
    for what, name in (("deleted, second of its date", double), ("deleted", late)):
        since = date_of(at / name)
        changes.delete(at / name)
        a.step(what, subject, since)
    first, *_, last = a.sessions(subject)
    for what, path in (("last", last), ("first", first)):
        since = date_of(path)
        waiting = changes.hold_back(path, a.study)
        a.step(f"{what} deleted", subject, since)
        changes.hand_in(waiting, a.study)
        a.step(f"{what} added", subject, since)


def damage(a, folder):
    """What is known of a session stays when its files are damaged, and that is told."""
    for part in changes.PARTS:
        whole = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        file = changes.corrupt(folder, part)
        a.again()
        (found,) = find_changes(a.study, a.stores[0], content_hash, verify=True).corrupted
        assert found.path == folder.relative_to(a.study).as_posix()
        assert part == "manifest" or file.name in found.reason
        file.write_bytes(whole[file])


def at_random(a, subjects, times, seed=1):
    """Changes of sessions of any of these people, one after the other."""
    rng = random.Random(seed)
    waiting = []
    for _ in range(times):
        subject = rng.choice(subjects)
        path = rng.choice(a.sessions(subject))
        since = date_of(path)
        what = rng.choice(["hold back", "hand in", "rename", "score anew"])
        if what == "hand in" and waiting:
            back = changes.hand_in(waiting.pop(rng.randrange(len(waiting))), a.study)
            a.step("late", back.parent.name, date_of(back))
        elif what == "rename":
            changes.rename(path, f"s{rng.getrandbits(40)}")
            a.step("renamed", subject)
        elif what == "score anew" and score_anew(path):
            a.step("changed", subject, since)
        elif len(a.sessions(subject)) > 1:
            waiting.append(changes.hold_back(path, a.study))
            a.step("deleted", subject, since)


def score_anew(folder):
    """Every second trial of a table is judged otherwise; the date, or None where there is none."""
    session = Session.open(folder)
    for table in sorted(folder.glob("results/task*_trials.json")):
        document = json.loads(table.read_bytes())
        done = [t for t in document["trials"] if t["outcome"] == "completed"][::2]
        if done:
            for trial in done:
                trial["outcome"] = "timeout"
            content = json.dumps(document).encode()
            digest = hashlib.sha256(content).hexdigest()
            listed = session.manifest["files"][f"results/{table.name}"]
            listed |= {"bytes": len(content), "sha256": digest}
            write_file(table, content, replace=True)
            session.write_manifest()
            return date_of(folder)
    return None
