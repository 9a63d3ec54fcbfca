"""The training status of a few people through every kind of change; all: benchmark/progress.py."""

import shutil
from dataclasses import replace

import pytest
from counted_by_hand import count_session
from postgres_server import new_database
from progress_acceptance import (
    LEVELS,
    Acceptance,
    agree_with_table,
    at_random,
    every_kind,
    manifest,
)

from emghand.simulate.study import changes
from emghand.simulate.study.people import PEOPLE, Curve, Person
from emghand.simulate.study.plan import plan
from emghand.simulate.study.sitting import FILES, PROTOCOLS, StudySettings, make_sitting
from emghand.storage.files import hasty
from emghand.virtual.topics import Topics

LOST, OFTEN = PEOPLE[8], PEOPLE[10]
"""Who lost tables, and who comes twice a day, misses dates and uses the hand freely."""
SKILLED = Person(
    "q1", "is at home within seven sessions", Curve(0.9, 0.95, 0.1), ((1, 40, 22),),
    hand=5, pauses=(5, 6), recalibrated=(5,), slow=(4,), faulty=(8,),
)  # fmt: skip
SESSIONS = {LOST: 5, OFTEN: 7, SKILLED: 8}
HISTORIES = {
    **LEVELS,
    "q1": [
        [1, "in_training", "in_training"],
        [3, "ready_for_hand", "ready_for_hand"],
        [4, "trained_proficient", "ready_for_hand"],  # late
        [5, "ready_for_hand", "ready_for_hand"],  # calibrated after the pause
        [6, "ready_retention", "ready_retention"],
        [7, "ready_for_home", "ready_for_home"],
        [8, "trained_proficient", "ready_for_home"],  # faults
    ],
}
FORCE = 5
"""Session whose bags hold the positions of the hand."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study, and what is counted of the sessions whose tables are lost there."""
    study, topics, counted = tmp_path_factory.mktemp("made") / "study", Topics(), {}
    (study / PROTOCOLS).mkdir(parents=True)
    for file, text in FILES.items():
        (study / PROTOCOLS / file).write_text(text)
    with hasty():
        for person, sessions in SESSIONS.items():
            steps = StudySettings(hand_every=1 if person is LOST else FORCE)
            for sitting in plan(replace(person, lost_tables=()), sessions):
                path = make_sitting(sitting, study, steps, topics)
                if sitting.number in person.lost_tables:
                    counted[manifest(path)["id"]] = count_session(path)
                    changes.lose_tables(path)
    return study, counted


@pytest.fixture
def acceptance(made, tmp_path, request):
    shutil.copytree(made[0], tmp_path / "study")

    def acceptance(url=""):
        return Acceptance(tmp_path / "study", url)

    return acceptance


def test_every_date_has_the_status_of_the_hand_written_table(acceptance):
    a = acceptance()
    a.begin()
    agree_with_table(a, HISTORIES)
    a.recompute(a.stores[0])


def test_any_change_recomputes_its_dates_only_and_gives_what_was_counted(
    made, acceptance, postgres
):
    a = acceptance(new_database(postgres, "acceptance"))
    at = a.study / OFTEN.name
    late, double = "s06", "s04"
    for name in (late, double):
        changes.hold_back(at / name, a.study)
    a.begin()
    every_kind(a, OFTEN.name, late, double, f"s{FORCE:02}")
    at_random(a, ["q1", LOST.name], 3)


def test_a_new_database_has_what_can_be_read_and_with_force_what_the_bags_hold(made, acceptance):
    _, twins = made
    a = acceptance()
    changes.corrupt(a.study / "q1/s03", "table")
    damaged = f"{OFTEN.name}/s{FORCE:02}"
    changes.corrupt(a.study / damaged, "table")
    whole = made[0] / damaged
    a.rebuild({**twins, manifest(whole)["id"]: count_session(whole)})
