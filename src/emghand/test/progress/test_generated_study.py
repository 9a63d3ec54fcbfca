"""The generated study: people who learn, sessions like live ones, and what befalls them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.evaluate.online import NUMBERS
from emghand.evaluate.online_bag import read_trials
from emghand.progress.rows import HAND, PAUSE_MIN, SIMULATOR
from emghand.simulate.study import changes
from emghand.simulate.study.making import make_study
from emghand.simulate.study.people import PEOPLE, Curve, Person, ability, people
from emghand.simulate.study.plan import FITTING, FREE, TASKS, plan
from emghand.simulate.study.room import DOFS
from emghand.simulate.study.sitting import FILES, PROTOCOLS, StudySettings, make_sitting
from emghand.storage.bags import BagReader
from emghand.storage.resume import runs_of
from emghand.storage.sessions import Session
from emghand.training.calibration import load_calibration
from emghand.virtual.topics import Topics

SKILLED = Curve(0.9, 0.9, 0.1)
ONE = Person("q1", "tries everything", SKILLED, ((1, 8, 4),))
ALL = StudySettings(hand_every=1)


@pytest.fixture(scope="module")
def topics():
    return Topics()


@pytest.fixture(scope="module")
def make(topics, tmp_path_factory):
    """Makes the first session of a person in a study of its own."""

    def make(person=ONE, settings=ALL, number=1):
        study = tmp_path_factory.mktemp("study")
        (study / PROTOCOLS).mkdir()
        for name, text in FILES.items():
            (study / PROTOCOLS / name).write_text(text)
        return make_sitting(plan(person, number)[-1], study, settings, topics)

    return make


@pytest.fixture(scope="module")
def whole(make):
    """A session in which everything happens."""
    first = (1,)
    return make(
        dataclasses.replace(
            ONE, hand=1, pauses=first, recalibrated=first, chained=first, passive=first,
            perturbed=first, slow=first, faulty=first,
        )
    )  # fmt: skip


def copy_of(session, tmp_path):
    """The session in a study that may be spoiled."""
    copy = tmp_path / "study" / session.parent.name / session.name
    shutil.copytree(session, copy)
    return copy, tmp_path / "study"


def tables(session, activity="task"):
    found = [json.loads(p.read_bytes()) for p in sorted(session.glob("results/*_trials*.json"))]
    return sorted((t for t in found if t["activity"] == activity), key=lambda t: len(t["bag"]))


def messages(bag, *topics):
    with BagReader(bag) as reader:
        return [(m.topic, m.log_time, reader.decode(m)) for m in reader.messages(topics)]


# People and plans.


@given(st.floats(0.0, 0.5), st.floats(0.5, 1.0), st.floats(0.01, 0.5), st.integers(1, 60))
def test_skill_grows_towards_its_asymptote(start, asymptote, rate, session):
    curve = Curve(start, asymptote, rate)
    assert start - 1e-12 <= curve.at(session) <= curve.at(session + 1) + 1e-12 <= asymptote + 1e-9


def test_a_regress_ends():
    curve = Curve(0.4, 0.9, 0.2, regress=(10, 12), drop=0.5)
    before, during, after = curve.at(9), curve.at(11), curve.at(13)
    assert during < 0.6 * before < after


@given(st.floats(0.0, 0.99), st.floats(0.001, 0.5))
def test_more_skill_is_better_in_every_respect(skill, more):
    low, high = ability(skill), ability(min(1.0, skill + more))
    assert high.lapses < low.lapses or low.lapses == high.lapses
    assert (high.tremor, high.pace, high.leak, high.gain_error) <= (
        low.tremor, low.pace, low.leak, low.gain_error,
    )  # fmt: skip


def test_twelve_people_cover_every_case():
    assert [p.name for p in PEOPLE] == [f"p{i:02}" for i in range(1, 13)]
    for case in (
        "no_tasks", "hand", "pauses", "recalibrated", "doubled", "missed", "chained", "passive",
        "perturbed", "slow", "faulty", "lost_tables",
    ):  # fmt: skip
        assert any(getattr(p, case) for p in PEOPLE), case
    assert any(p.skill.regress for p in PEOPLE)
    assert all(p.pauses or not p.recalibrated for p in PEOPLE)


def test_the_expected_histories_pass_through_every_level():
    file = Path(__file__).with_name("generated_study_levels.yaml")
    histories = yaml.safe_load(file.read_text())
    assert list(histories) == [p.name for p in PEOPLE]
    order = [
        "not_computed", "fitting", "in_training", "trained_basic", "trained_proficient",
        "ready_for_hand", "ready_retention", "ready_for_home",
    ]  # fmt: skip
    assert {raw for rows in histories.values() for _, raw, _ in rows} == {*order, "no_control"}
    for rows in histories.values():
        sessions = [session for session, _, _ in rows]
        reached = [order.index(status) for _, _, status in rows]
        assert sessions[0] == 1 and sessions == sorted(set(sessions))
        assert reached == sorted(reached)


def test_more_people_learn_like_the_first_ones():
    thirteenth = people(13)[-1]
    assert (thirteenth.name, thirteenth.skill) == ("p13", PEOPLE[0].skill)
    with pytest.raises(UserError, match="subjects: give 1 to"):
        people(0)


def test_two_sessions_share_a_date_and_a_missed_date_is_left_out():
    usual = plan(ONE, 6)
    other = plan(dataclasses.replace(ONE, doubled=(3,), missed=(5,)), 6)
    dates = [s.begin.date() for s in other]
    assert len({s.begin.date() for s in usual}) == 6
    assert dates[2] == dates[1]
    # One planned date less by the double, one more by the missed one.
    assert dates[3] == usual[2].begin.date()
    assert dates[4:] == [s.begin.date() for s in usual[4:]]
    assert all(a.begin < b.begin for a, b in itertools.pairwise(other))


def test_sessions_without_tasks_are_for_fitting_or_free_use():
    person = dataclasses.replace(ONE, no_tasks=(1, 2), passive=(2, 3))
    assert [s.purpose for s in plan(person, 3)] == [FITTING, FREE, TASKS]


# Sessions.


def test_a_session_is_in_order_and_on_its_date(whole):
    session = Session.open(whole)
    assert session.check() == []
    begin = plan(ONE, 1)[0].begin
    assert session.manifest["created"] == begin.isoformat()
    added = [entry["added"] for entry in session.manifest["files"].values()]
    assert begin.isoformat() < min(added)
    assert max(added) < (begin + timedelta(hours=2)).isoformat()
    for run in runs_of(whole):
        assert run.complete and begin.isoformat() < run.started


def test_trials_of_the_tables_are_those_of_the_bags_to_the_bit(whole):
    found = tables(whole)
    assert len(found) == 5
    for table in found:
        trials = read_trials(whole / table["bag"])
        assert len(trials) == len(table["trials"])
        for row, trial in zip(table["trials"], trials, strict=True):
            assert row["id"] == trial.spec.id
            assert (row["start_ns"], row["outcome"]) == (trial.start_ns, trial.measures.outcome)
            for name in NUMBERS:
                value = getattr(trial.measures, name)
                assert row[name] == (value if math.isfinite(value) else None), name


def test_chained_protocols_have_tables_of_their_own(whole):
    assert [t["task"]["name"] for t in tables(whole)] == [
        "perturbed", "singles", "singles", "pairs", "three",
    ]  # fmt: skip
    assert {len(r["perturbations"]) for r in tables(whole)[0]["trials"]} == {1}
    assert (whole / "results/control.json").is_file()


def test_the_same_arguments_make_the_same_bytes(topics, tmp_path):
    found = []
    for _ in range(2):
        study = tmp_path / "study"
        shutil.rmtree(study, ignore_errors=True)
        (study / PROTOCOLS).mkdir(parents=True)
        for name, text in FILES.items():
            (study / PROTOCOLS / name).write_text(text)
        path = make_sitting(plan(ONE, 1)[0], study, StudySettings(trials=0.5), topics)
        files = sorted(p for p in path.rglob("*") if p.is_file())
        found.append({p.name: p.read_bytes() for p in files})
    assert found[0] == found[1]


def test_a_pause_is_a_gap_between_recordings_with_a_calibration_after_it(whole):
    bags = [whole / t["bag"] for t in tables(whole) if t["task"]["name"] == "singles"]
    with BagReader(bags[0]) as before, BagReader(bags[1]) as after:
        gap_ns = after.start_ns - before.end_ns
    assert PAUSE_MIN * 60 < gap_ns * 1e-9 < 2 * PAUSE_MIN * 60
    files = Session.open(whole).manifest["files"]
    second = files["results/calibration_2.emgcalibration"]["added"]
    assert files["bags/task_2/metadata.yaml"]["added"] < second
    assert second < files["bags/task_3/metadata.yaml"]["added"]
    assert load_calibration(whole / "results/calibration_2.emgcalibration").rest is not None


def test_bags_say_what_moved_the_hand(whole, make):
    def bridges(bag):
        found = [s for _, _, m in messages(bag, "/diagnostics") for s in m.status]
        return {(s.name, v.value) for s in found for v in s.values if v.key == "place"}

    assert bridges(whole / "bags/task") == {("servo_bridge", HAND)}
    assert bridges(make() / "bags/task") == {("mujoco_bridge", SIMULATOR)}


def test_times_of_ticks_and_faults_are_recorded(whole, make):
    def late_ms(bag):
        times = sorted(m.total_ns * 1e-6 for _, _, m in messages(bag, "/decoder/timing"))
        return times[len(times) * 99 // 100]

    plain = make()
    assert late_ms(plain / "bags/test") < 15.0 < 80.0 < late_ms(whole / "bags/test")
    states = [
        {m.state for _, _, m in messages(bag, "/hand/status")}
        for bag in (plain / "bags/test", whole / "bags/test", whole / "bags/task")
    ]
    assert states == [{1}, {1, 3}, {1, 2}]
    assert tables(whole)[0]["trials"][0]["details"]["hand_faults"] == ["bus"]


def test_the_positions_of_the_hand_are_recorded_where_asked_for(make):
    path = make(settings=StudySettings(hand_every=2))
    with pytest.raises(UserError, match="holds no positions of the hand"):
        read_trials(path / "bags/task")


def test_without_their_tables_tasks_are_still_in_the_bags(make):
    path = make(dataclasses.replace(ONE, lost_tables=(1,)), StudySettings())
    assert tables(path) == [] and tables(path, "test")
    assert Session.open(path).check() == []
    assert len(read_trials(path / "bags/task")) == 8
    assert all(run.complete for run in runs_of(path))


def test_skill_shows_in_outcomes_and_in_the_prompted_test(make):
    def seen(skill):
        person = dataclasses.replace(ONE, skill=Curve(skill, skill, 0.1), trials=((1, 20, 0),))
        path = make(person)
        table = tables(path)[0]
        rmse = [v for t in tables(path, "test")[0]["trials"] for v in t["rmse"].values()]
        return table["measures"]["completion_rate"], sum(rmse) / len(rmse)

    (poor, poor_error), (good, good_error) = seen(0.2), seen(0.9)
    assert poor < 0.6 < 0.9 <= good
    assert good_error < 0.6 * poor_error


def test_sessions_for_fitting_and_free_use_hold_no_task(make):
    fitting = make(dataclasses.replace(ONE, no_tasks=(1,)))
    free = make(dataclasses.replace(ONE, no_tasks=(1,), passive=(1,)))
    assert tables(fitting) == tables(free) == []
    assert [p.name for p in Session.open(fitting).bags()] == ["collect"]
    assert [p.name for p in Session.open(free).bags()] == ["control"]


# A study, and what befalls it.


@pytest.mark.parametrize(("jobs", "subjects"), [(1, 1), (2, 2)])
def test_a_study_has_the_sessions_that_were_asked_for(tmp_path, jobs, subjects):
    steps = StudySettings(trials=0.1)
    made = make_study(tmp_path / "study", subjects, 2, steps, jobs)
    found = sorted(p.parent.relative_to(made.path) for p in made.path.rglob("manifest.json"))
    assert [str(p) for p in found] == [
        f"p{i:02}/s{k:02}" for i in range(1, subjects + 1) for k in (1, 2)
    ]
    with pytest.raises(UserError, match="is not empty"):
        make_study(made.path)


def test_of_a_study_that_cannot_be_finished_nothing_is_left(tmp_path, monkeypatch):
    def interrupted(sitting, path, settings, topics):
        if sitting.number == 2:
            raise KeyboardInterrupt
        return make_sitting(sitting, path, settings, topics)

    monkeypatch.setattr("emghand.simulate.study.making.make_sitting", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_study(tmp_path, 1, 3, StudySettings(trials=0.1), jobs=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "name"),
    [("table", "results/task_trials.json"), ("bag", "bags/task/task_0.mcap")],
)
def test_a_corrupted_file_does_not_match_its_manifest(whole, tmp_path, part, name):
    session, _ = copy_of(whole, tmp_path)
    changes.corrupt(session, part)
    assert [(p.path, p.what) for p in Session.open(session).check()] == [(name, "changed")]


def test_a_corrupted_manifest_is_refused(whole, tmp_path):
    session, _ = copy_of(whole, tmp_path)
    changes.corrupt(session, "manifest")
    with pytest.raises(UserError, match="damaged"):
        Session.open(session)
    with pytest.raises(UserError, match="choose from: manifest, table, bag"):
        changes.corrupt(session, "lid")


def test_a_session_comes_late_is_renamed_and_deleted(whole, tmp_path):
    session, study = copy_of(whole, tmp_path)
    id = Session.open(session).manifest["id"]
    waiting = changes.hold_back(session, study)
    assert not session.exists() and changes.AWAY in waiting.parts
    assert changes.hand_in(waiting, study) == session
    other = changes.rename(session, "first")
    assert Session.open(other).manifest["id"] == id
    changes.delete(other)
    assert not other.exists()
    with pytest.raises(UserError, match="is no session"):
        changes.rename(other, "second")


def test_the_command_makes_a_study(tmp_path, capsys):
    folder = str(tmp_path / "study")
    words = ["simulate", "study", folder, "--subjects", "1", "--sessions", "1", "--seed", "3"]
    assert main([*words, "--set", "trials=0.2", "--jobs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "study": folder,
        "subjects": ["p01"],
        "sessions": 1,
    }
    assert Session.open(tmp_path / "study/p01/s01").manifest["settings"]["seed"] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study"], "name the folder"),
        (["study", "x", "--output", "a.npz"], "takes --subjects"),
        (["study", "x", "--subjects", "0"], "subjects: give 1 to"),
        (["study", "x", "--jobs", "-1"], "jobs: give 1 or more"),
        (["study", "x", "--set", "trails=2"], "trails"),
        (["demo.yaml"], "--output FILE.npz"),
        (["demo.yaml", "--output", "a.npz", "--sessions", "3"], "are for a study"),
    ],
)
def test_mistakes_are_named(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *words]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_all_dofs_are_used_in_turn():
    assert {f"singles_{dof}.yaml" for dof in DOFS} < FILES.keys()
