import dataclasses
import hashlib
import json
import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_sessions import BEGIN, Sitting, ns, spec, way

from emghand.errors import UserError
from emghand.evaluate.online import NUMBERS, Measures
from emghand.progress import reading
from emghand.progress.frames import sessions_frame, trials_frame
from emghand.progress.session import content_hash, read_session
from emghand.progress.trials import trials_of_table
from emghand.storage.bags import reader as bag_reader
from emghand.storage.resume import write_plan
from emghand.storage.session_save import load_sessions
from emghand.storage.sessions import Session

GOALS = ((0.5, 0.0), (0.0, -0.5), (0.3, 0.4), (-0.6, 0.0))


def specs(goals=GOALS, first=0, **changes):
    return [spec(first + i, goal, **changes) for i, goal in enumerate(goals)]


@pytest.fixture
def sitting(tmp_path):
    return Sitting(tmp_path / "study/p07/s01")


def tree(path):
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return {p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in files}


def lose_table(sitting, name="results/fitts_trials.json"):
    (sitting.path / name).unlink()


def spoil(sitting, name="results/fitts_trials.json"):
    path = sitting.path / name
    path.write_bytes(path.read_bytes().replace(b'"completed"', b'"Completed"', 1))


def test_the_row_of_a_session_equals_the_one_by_hand(sitting):
    paths = [way(g) for g in GOALS[:3]] + [way(GOALS[3], speed=0.01)]
    sitting.task(10.0, specs(), paths)
    record = read_session(sitting.path, study=sitting.path.parents[1])
    row = record.row
    assert (row.subject, row.path, row.state) == ("p07", "p07/s01", "scored")
    assert (row.date, row.start_ns) == (BEGIN.astimezone().date(), ns(0))
    assert (row.n_trials, row.n_single, row.n_pair, row.n_multi) == (4, 3, 1, 0)
    assert (row.completed_single, row.completed_pair) == (2, 1)
    # 0.5 away at 1 /s, the edge at 0.15: within at the eighth tick of 50 ms, 0.35 s after the go.
    assert row.time_to_target == pytest.approx(0.35)
    assert (row.path_efficiency, row.overshoots, row.hold) == (1.0, 0.0, 1.0)
    assert row.start_delay == 600.0
    assert row.duration == pytest.approx(19.0 / 60.0, abs=1e-6)
    assert (row.place, row.protocols) == ("hand", "results/fitts_trials.json")
    assert (row.latency_p99_ms, row.latency_ok) == (5.0, True)
    assert (row.faults, row.faults_ok, row.problems) == (0, True, "")
    assert [t.dofs for t in record.trials] == [
        "index_flex",
        "wrist_flex",
        "index_flex,wrist_flex",
        "index_flex",
    ]


def test_rows_fit_into_the_tables(sitting):
    sitting.task(10.0, specs())
    record = read_session(sitting.path)
    assert sessions_frame([record.row]).loc[0, "n_trials"] == 4
    assert trials_frame(record.trials)["number"].tolist() == [0, 1, 2, 3]


def test_trials_of_a_bag_are_those_of_the_table_to_the_bit(sitting):
    paths = [way(GOALS[0], drift=0.1), way(GOALS[1], 0.3), way(GOALS[2]), way(GOALS[3], 0.01)]
    sitting.task(10.0, specs(), paths)
    from_table = read_session(sitting.path)
    lose_table(sitting)
    from_bag = read_session(sitting.path, force=True)
    assert {t.protocol for t in from_bag.trials} == {"bags/fitts"}
    assert from_table.trials[0].unintended > 0.05
    assert from_table.trials == tuple(
        dataclasses.replace(t, protocol="results/fitts_trials.json") for t in from_bag.trials
    )
    same = {"protocols": from_table.row.protocols, "problems": ""}
    assert dataclasses.replace(from_bag.row, **same) == from_table.row
    assert "results/fitts_trials.json: is lost; its trials are computed" in from_bag.row.problems


@pytest.mark.parametrize("damage", [lose_table, spoil])
def test_trials_that_cannot_be_read_are_an_error_or_a_warning_as_asked_for(sitting, damage):
    sitting.task(10.0, specs())
    damage(sitting)
    with pytest.raises(UserError, match=r"results/fitts_trials.json: .* .--force computes it anew"):
        read_session(sitting.path)
    record = read_session(sitting.path, unreadable="warn")
    assert (record.row.state, record.trials) == ("pending", ())
    assert "results/fitts_trials.json" in record.row.problems
    assert read_session(sitting.path, force=True).row.state == "scored"


def test_a_run_that_left_no_table_is_pending_until_its_bag_is_read(sitting):
    sitting.task(10.0, specs(), table=False)
    with pytest.raises(UserError, match="bags/fitts: its run left no table"):
        read_session(sitting.path)
    assert read_session(sitting.path, unreadable="warn").row.state == "pending"
    assert len(read_session(sitting.path, force=True).trials) == 4


def test_a_bag_that_nothing_speaks_of_tells_itself_what_it_is_of(sitting):
    sitting.task(10.0, specs(), table=False)
    (sitting.path / "results/fitts_plan.json").unlink()
    assert read_session(sitting.path, unreadable="warn").row.state == "pending"
    assert len(read_session(sitting.path, force=True).trials) == 4


def test_a_bag_that_is_not_finished_makes_a_session_pending(sitting):
    (sitting.path / "bags/fitts").mkdir()
    with pytest.raises(UserError, match=r"bags/fitts: is not finished, .* session repair"):
        read_session(sitting.path)
    assert read_session(sitting.path, unreadable="warn").row.state == "pending"


def test_where_the_recorder_was_lost_the_table_counts_and_the_bag_is_told(sitting):
    sitting.lost_recorder = True
    sitting.task(10.0, specs())
    row = read_session(sitting.path).row
    assert (row.state, row.n_trials, row.place) == ("scored", 4, "none")
    assert "bags/fitts: is not finished, or not entered" in row.problems
    spoil(sitting)
    assert read_session(sitting.path, unreadable="warn").row.state == "pending"


def test_a_recording_of_a_collection_that_is_not_finished_is_told_and_no_more(sitting):
    write_plan(sitting.session, "collect", "bags/collect", 4, {"seed": 1})
    (sitting.path / "bags/collect").mkdir()
    row = read_session(sitting.path).row
    assert (row.state, "bags/collect: is not finished" in row.problems) == ("fitting", True)


def test_a_bag_that_was_cut_costs_its_checks_but_not_the_trials_of_the_table(sitting):
    sitting.task(10.0, specs())
    (path,) = (sitting.path / "bags/fitts").glob("*.mcap")
    path.write_bytes(path.read_bytes()[:5000])
    row = read_session(sitting.path).row
    assert (row.state, row.n_trials) == ("scored", 4)
    assert (row.latency_ok, row.faults_ok, row.place) == (None, None, "none")
    assert "has changed since it was written" in row.problems


def test_trials_that_were_not_recorded_count_but_nothing_says_where_they_were(sitting):
    sitting.task(10.0, specs(), bag=False)
    row = read_session(sitting.path).row
    assert (row.n_trials, row.place, row.latency_ok) == (4, "none", None)
    assert row.duration > 0.0
    assert "nothing says what drove the hand" in row.problems


def test_calibrations_collections_and_free_control_are_no_trials(sitting):
    sitting.add(1.0, "results", "calibration.emgcalibration")
    sitting.passive(2.0, "collect")
    sitting.passive(5.0, "control", minutes=3.0)
    row = read_session(sitting.path).row
    assert (row.state, row.n_trials, row.protocols) == ("fitting", 0, "")
    assert row.duration == pytest.approx(6.0)
    assert (row.start_delay, row.recalibrations) == (None, 0)


def test_chained_protocols_are_kept_apart_and_in_order_of_time(sitting):
    sitting.task(20.0, specs(), label="fitts")
    sitting.task(30.0, specs(), label="fitts")
    sitting.task(5.0, specs(GOALS[:1]), label="reach")
    record = read_session(sitting.path)
    tables = ["results/reach_trials.json", "results/fitts_trials.json"]
    assert record.row.protocols.split(",") == [*tables, "results/fitts_2_trials.json"]
    assert record.row.n_trials == 9
    assert [t.number for t in record.trials] == [0, 0, 1, 2, 3, 0, 1, 2, 3]


def test_perturbed_trials_are_kept_but_count_nowhere_and_cancelled_ones_are_not_kept(sitting):
    made = [*specs(GOALS[:2]), spec(2, perturbations=("push",)), spec(3)]
    sitting.task(10.0, made, [way(s.goal) for s in made[:3]] + [way((0.5, 0.0), seconds=0.2)])
    record = read_session(sitting.path)
    assert [(t.number, t.perturbed) for t in record.trials] == [(0, False), (1, False), (2, True)]
    assert (record.row.n_trials, record.row.state) == (2, "scored")


def test_a_session_is_the_same_wherever_it_lies_and_however_often_it_is_read(sitting, tmp_path):
    sitting.task(10.0, specs())
    before = tree(tmp_path)
    first, again = read_session(sitting.path), read_session(sitting.path)
    assert first == again
    assert tree(tmp_path) == before
    moved = sitting.path.rename(tmp_path / "elsewhere")
    found = read_session(moved)
    assert dataclasses.replace(found.row, path="s01") == first.row
    with pytest.raises(UserError, match="does not lie in the study"):
        read_session(moved, study=tmp_path / "study")


def test_the_content_hash_tells_other_files_and_other_subjects_but_not_other_settings(sitting):
    manifest = sitting.session.manifest
    before = content_hash(manifest)
    assert content_hash(manifest | {"settings": {"hop": 8}, "sources": [{"id": "a"}]}) == before
    assert content_hash(manifest | {"subject": "p08"}) != before
    sitting.add(1.0, "results", "notes.json")
    after = content_hash(Session.open(sitting.path).manifest)
    assert after != before
    sitting.session.manifest["files"].clear()
    assert content_hash(sitting.session.manifest) == before


def test_each_bag_is_read_once(sitting, monkeypatch):
    sitting.task(10.0, specs(), table=False)
    sitting.passive(12.0)
    sitting.task(15.0, specs())
    (sitting.path / "results/fitts_plan.json").unlink()
    opened = []
    original = bag_reader.BagReader.__init__

    def counting(self, path, **options):
        opened.append(path.name)
        original(self, path, **options)

    monkeypatch.setattr(bag_reader.BagReader, "__init__", counting)
    read_session(sitting.path, force=True)
    assert sorted(opened) == ["collect", "fitts", "fitts_2"]


def test_a_merged_session_is_of_its_first_day_and_says_that_trials_may_count_twice(tmp_path):
    for day in (3, 1):
        Sitting(tmp_path / f"s{day}", day=day).task(5.0, specs())
    load_sessions([tmp_path / "s3", tmp_path / "s1"], tmp_path / "whole")
    row = read_session(tmp_path / "whole").row
    assert (row.date, row.n_trials) == (date(2026, 3, 3), 8)
    assert "merged from s3, s1" in row.problems
    assert len(row.protocols.split(",")) == 2


def test_what_cannot_be_asked_for_is_refused(sitting):
    with pytest.raises(UserError, match="choose from: raise, warn"):
        read_session(sitting.path, unreadable="maybe")
    with pytest.raises(UserError, match="is no session"):
        read_session(sitting.path / "bags")


def test_a_table_of_one_trial_twice_is_refused():
    row = table_row()
    with pytest.raises(UserError, match="trial 0 is there twice"):
        trials_of_table({"trials": [row, row]}, "s", "t")


def table_row():
    measures = dict.fromkeys(NUMBERS) | {"overshoots": 0, "hold_violations": 0}
    row = dataclasses.asdict(spec()) | dataclasses.asdict(Measures("completed")) | measures
    row = json.loads(json.dumps(row | {"start_ns": 1, "end_ns": 2, "longest_hold": 1.0}))
    assert len(trials_of_table({"trials": [row]}, "s", "t")) == 1
    return row


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.one_of(st.floats(), st.text(max_size=2), st.booleans()), max_size=3),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)


@settings(max_examples=100)
@given(data=st.data())
def test_a_table_that_makes_no_sense_is_told_and_never_a_traceback(data):
    row = table_row()
    for name in data.draw(st.lists(st.sampled_from(sorted(row)), min_size=1, max_size=3)):
        if data.draw(st.booleans()):
            row[name] = data.draw(ODD)
        else:
            row.pop(name, None)
    try:
        found = trials_of_table({"trials": [row]}, "s", "t")
    except UserError as error:
        assert "trial 1 makes no sense" in str(error)
    else:
        trials_frame(found)


def test_a_session_of_tables_is_read_in_no_time(sitting):
    for i in range(3):
        sitting.task(10.0 + 10 * i, specs(GOALS * 8), bag=False)
    begin = time.perf_counter()
    read_session(sitting.path)
    assert time.perf_counter() - begin < 1.0
    assert reading.UNREADABLE == ("raise", "warn")
