"""The tables follow the sessions of a study, and no more is computed than has to be."""

import os
import shutil
import sys
import threading

import pandas as pd
import pytest
from study_maker import (
    Judge,
    Reader,
    add_session,
    add_trials,
    content_hash,
    day,
    methods,
    new_store,
    tables_bytes,
    touch_all,
)

from emghand.errors import UserError
from emghand.progress.database import Store
from emghand.progress.scan import earliest_date, find_changes, unread
from emghand.progress.tables import read_tables
from emghand.progress.upkeep import update
from emghand.storage.sessions import Session


@pytest.fixture
def study(tmp_path):
    """Two subjects; p01 has sessions on the days 0, 2, 4, 6, two of them on day 4."""
    for number in (0, 2, 4, 6):
        add_session(tmp_path, "p01", number)
    add_session(tmp_path, "p01", 4, seed=1)
    add_session(tmp_path, "p02", 1)
    return tmp_path


@pytest.fixture
def store(study):
    return new_store(study)


def run(study, store, subject="p01", **settings):
    """Update one subject; what was read, computed, and reported."""
    read, compute = Reader(), Judge()
    (report,) = update(study, store, subject, methods=methods("1", read, compute), **settings)
    return read.paths, compute.computed, report


def full(study, tmp_path_factory):
    """The tables of the same study, made at once."""
    copy = tmp_path_factory.mktemp("copy") / "study"
    shutil.copytree(study, copy, ignore=shutil.ignore_patterns("progress"))
    store = new_store(copy)
    update(copy, store, methods=methods())
    return store


def same(one, other):
    for table in ("sessions", "trials", "dates"):
        pd.testing.assert_frame_equal(getattr(one, table)("p01"), getattr(other, table)("p01"))


def test_the_first_update_takes_every_session_once(study, store):
    read, compute = Reader(), Judge()
    reports = update(study, store, methods=methods("1", read, compute))
    assert [r.subject for r in reports] == ["p01", "p02"] and len(read.paths) == 6
    assert [r.dates for r in reports] == [4, 1] and reports[0].since == day(0)
    assert store.subjects() == ["p01", "p02"]
    assert list(store.dates("p01")["n_sessions"]) == [1, 1, 2, 1]
    assert len(store.trials()) == 24 and len(store.dates()) == 5


def test_an_update_with_nothing_new_reads_computes_and_writes_nothing(study, store):
    run(study, store)
    before = tables_bytes(study)
    touch_all(study / "p01")
    read, computed, report = run(study, store)
    assert (read, computed, bool(report)) == ([], [], False)
    assert tables_bytes(study) == before


def test_the_same_study_gives_the_same_files(study, store, tmp_path_factory):
    run(study, store)
    other = full(study, tmp_path_factory)
    files = tables_bytes(other.folder.parent)
    assert tables_bytes(study) == {n: b for n, b in files.items() if n.startswith("p01")}


def test_a_late_session_recomputes_its_date_and_every_later_one(study, store, tmp_path_factory):
    run(study, store)
    add_session(study, "p01", 3)
    changes = find_changes(study, store, content_hash).of("p01")
    assert [s.date for s in changes.late] == [day(3)] and not changes.missing
    assert earliest_date(changes) == day(3)
    read, computed, report = run(study, store)
    assert read == [f"p01/{day(3)}_0"]
    assert computed == [day(3), day(4), day(6)] and (report.since, report.dates) == (day(3), 3)
    same(store, full(study, tmp_path_factory))


def test_a_new_session_computes_only_its_date(study, store):
    run(study, store)
    add_session(study, "p01", 9)
    changes = find_changes(study, store, content_hash).of("p01")
    assert [s.date for s in changes.missing] == [day(9)] and not changes.late
    assert run(study, store)[1] == [day(9)]


def test_a_changed_session_is_read_again(study, store, tmp_path_factory):
    run(study, store)
    add_trials(study / f"p01/{day(4)}_1", seed=5)
    (changed,) = find_changes(study, store, content_hash).changed
    assert changed.path == f"p01/{day(4)}_1"
    assert run(study, store)[:2] == ([changed.path], [day(4), day(6)])
    same(store, full(study, tmp_path_factory))


def test_a_deleted_session_takes_its_rows_along(study, store, tmp_path_factory):
    run(study, store)
    shutil.rmtree(study / f"p01/{day(2)}_0")
    (deleted,) = find_changes(study, store, content_hash).of("p01").deleted
    read, computed, report = run(study, store)
    assert read == [] and computed == [day(4), day(6)]
    assert report.removed == (deleted.session_id,) and report.since == day(2)
    same(store, full(study, tmp_path_factory))


def test_a_renamed_folder_is_the_same_session(study, store, tmp_path_factory):
    run(study, store)
    (study / "elsewhere").mkdir()
    (study / f"p01/{day(2)}_0").rename(study / "elsewhere/s02")
    read, computed, report = run(study, store)
    assert (read, computed, len(report.moved)) == ([], [], 1)
    assert "elsewhere/s02" in set(store.sessions("p01")["path"])
    assert "elsewhere/s02" in set(read_tables(store.folder, "p01").sessions["path"])
    same(store, full(study, tmp_path_factory))


def test_a_corrupted_session_keeps_its_row_and_is_named(study, store):
    run(study, store)
    before = store.sessions("p01")
    torn, lost = study / f"p01/{day(2)}_0", study / f"p01/{day(6)}_0"
    (torn / "manifest.json").write_bytes(b'{"format": "emghand se')
    (lost / "results/reach_trials.json").unlink()
    _, computed, report = run(study, store)
    assert computed == [] and [b.path for b in report.corrupted] == [
        f"p01/{torn.name}",
        f"p01/{lost.name}",
    ]
    assert "repair" in report.corrupted[0].reason
    assert "results/reach_trials.json is missing" in report.corrupted[1].reason
    pd.testing.assert_frame_equal(store.sessions("p01"), before)


def test_a_second_copy_of_a_session_does_not_count(study, store):
    run(study, store)
    shutil.copytree(study / f"p01/{day(2)}_0", study / "a_copy")
    _, computed, report = run(study, store)
    assert computed == [] and report.corrupted[0].path == "a_copy"
    assert f"a copy of p01/{day(2)}_0" in report.corrupted[0].reason


def test_a_changed_byte_is_found_when_everything_is_read(study, store):
    run(study, store)
    table = study / f"p01/{day(2)}_0/results/reach_trials.json"
    table.write_bytes(table.read_bytes().replace(b"times", b"tImes"))
    assert not find_changes(study, store, content_hash).corrupted
    (broken,) = find_changes(study, store, content_hash, verify=True).corrupted
    assert broken.reason == "results/reach_trials.json is changed"


def test_what_is_no_session_of_the_study_is_passed_over(study, store):
    inner = study / f"p01/{day(0)}_0"
    for place in (
        inner / "bags/s",
        study / ".hidden/s",
        study / "quarantine/s",
        study / ".unfinished-1/s",
    ):
        shutil.copytree(study / f"p02/{day(1)}_0", place)
    (study / "notes").mkdir()
    (study / "notes/manifest.json").write_text('{"format": "something else"}')
    changes = find_changes(study, store, content_hash)
    assert len(changes.missing) == 6
    assert [b.path for b in changes.corrupted] == ["notes"]


def test_unreadable_trials_raise_or_are_pending_until_forced(study, store):
    path = add_session(study, "p01", 8)
    session = Session.open(path)
    session.keep("results", "x_trials.json", b"torn")
    with pytest.raises(UserError, match="try --force"):
        run(study, store)
    assert store.sessions("p01").empty  # Of this subject nothing was changed.
    _, _, report = run(study, store, unreadable="warn")
    assert report.problems == (f"p01/{path.name}: x_trials.json: cannot be read",)
    (waiting,) = unread(find_changes(study, store, content_hash))
    assert waiting.path == f"p01/{path.name}"
    assert run(study, store)[0] == []
    read, computed, _ = run(study, store, force=True)
    assert read == [f"p01/{path.name}"] and computed == [day(8)]
    assert set(store.sessions("p01")["state"]) == {"scored"}


def test_other_criteria_compute_all_dates_anew(study, store):
    run(study, store)
    compute = Judge()
    update(study, store, "p01", methods=methods("2", compute=compute))
    assert compute.computed == [day(0), day(2), day(4), day(6)]


def test_a_subject_without_a_session_leaves_nothing_behind(study, store):
    update(study, store, methods=methods())
    shutil.rmtree(study / "p02")
    update(study, store, methods=methods())
    assert store.subjects() == ["p01"] and store.dates("p02").empty and store.trials("p02").empty
    assert not [name for name in tables_bytes(study) if name.startswith("p02")]


def test_an_empty_study_does_not_empty_the_database(study, store):
    update(study, store, methods=methods())
    for folder in ("p01", "p02"):
        shutil.rmtree(study / folder)
    with pytest.raises(UserError, match="whether the disk is mounted"):
        update(study, store, methods=methods())
    assert len(store.sessions()) == 6


def test_a_subject_nobody_knows_is_told(study, store):
    with pytest.raises(UserError, match=r"subject p09: has no session .* known: p01, p02"):
        update(study, store, "p09", methods=methods())


@pytest.mark.parametrize("name", ["../p01", "p01_trials", "p01_dates", ""])
def test_a_subject_whose_name_would_lead_elsewhere_is_not_taken(study, store, name):
    path = study / f"p02/{day(1)}_0/manifest.json"
    path.write_text(path.read_text().replace('"p02"', f'"{name}"'))
    (broken,) = find_changes(study, store, content_hash).corrupted
    assert "will not do" in broken.reason


def test_what_another_process_wrote_meanwhile_is_kept(study, store):
    """While this process reads the first session, another one adds all, and one that is new."""
    reader, beaten = Reader(), []

    def slow(path, /, **settings):
        if not beaten:
            beaten.append(True)
            add_session(study, "p01", 3)
            update(study, Store.open(study), "p01", methods=methods())
        return reader(path, **settings)

    (report,) = update(study, store, "p01", methods=methods(read=slow))
    assert len(store.sessions("p01")) == 6 and not report.put
    assert len(reader.paths) == 5  # Nothing is read twice.


def test_processes_at_once_lose_nothing(study, tmp_path_factory):
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                update(study, Store.open(study), methods=methods())
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 3)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    same(Store.open(study), full(study, tmp_path_factory))
    assert read_tables(study / "progress", "p01").digest


def test_threads_at_once_lose_nothing(study, store, tmp_path_factory):
    threads = [threading.Thread(target=run, args=(study, Store.open(study))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    same(store, full(study, tmp_path_factory))


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    add_session(tmp_path, "p01", 0)
    locked, scandir = tmp_path / "lost", os.scandir
    locked.mkdir()

    def refuse(path):
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"lost: cannot be read: Permission denied"):
        find_changes(tmp_path, new_store(tmp_path), methods().content_hash)
