import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pandas")
sys.path.insert(0, str(Path(__file__).parent))

import pandas as pd
from status_people import (
    basic,
    calibration,
    day,
    frames,
    on_hand,
    pending,
    poor,
    proficient,
    session,
)

from emghand.progress.levels import LEVELS, NO_CONTROL, NOT_COMPUTED, rank
from emghand.progress.status import compute_status, first_reached, missing_of


def status_of(*made, **options):
    return compute_status(*frames(*made), **options)


def raw(*made):
    return status_of(*made)["raw_status"].tolist()


def monotone(*made):
    return status_of(*made)["status"].tolist()


def test_every_level_is_reached_by_what_it_asks_for():
    found = status_of(
        calibration(0),
        poor(1),
        basic(2),
        basic(3),
        basic(4),
        proficient(5),
        proficient(6),
        proficient(7),
        on_hand(8),
        on_hand(9, after_pause=(11, 12)),
        on_hand(10),
    )
    expected = [
        "fitting",
        "in_training",
        "in_training",
        "in_training",
        "trained_basic",
        "trained_basic",
        "trained_basic",
        "trained_proficient",
        "ready_for_hand",
        "ready_retention",
        "ready_for_home",
    ]
    assert found["raw_status"].tolist() == expected
    assert found["status"].tolist() == expected
    reached = first_reached(found)
    assert reached["trained_basic"] == (day(4), "s04")
    assert reached["fitting"] == (day(0), "s00")
    assert list(reached) == list(dict.fromkeys(expected))


def test_a_regress_lowers_the_raw_status_only():
    found = status_of(basic(0), basic(1), basic(2), poor(3), poor(4), basic(5), basic(6), basic(7))
    low, high = "in_training", "trained_basic"
    assert found["raw_status"].tolist() == [low, low, high, low, low, low, low, high]
    assert found["status"].tolist() == [low, low, *[high] * 6]


def test_two_sessions_in_a_day_are_one_date():
    halves = [
        session(2, name, singles=(18, 20), pairs=(2, 5), start_ns=i)
        for i, name in enumerate(("b", "a"))
    ]
    found = status_of(basic(0), basic(1), *halves)
    assert found["n_sessions"].tolist() == [1, 1, 2]
    assert found["n_trials"].tolist()[-1] == 50
    assert found["raw_status"].tolist()[-1] == "trained_basic"
    assert found["sessions"].tolist()[-1] == "b,a"
    assert first_reached(found)["trained_basic"] == (day(2), "a")


def test_a_missing_day_and_days_without_trials_are_passed_over():
    found = status_of(basic(0), calibration(1), basic(2), pending(3), basic(9))
    assert json.loads(found["window"].iloc[-1]) == [str(day(d)) for d in (0, 2, 9)]
    assert found["raw_status"].tolist() == [
        "in_training",
        "in_training",
        "in_training",
        "not_computed",
        "trained_basic",
    ]


def test_a_date_without_trials_keeps_the_raw_status_of_the_last_computed_one():
    found = status_of(basic(0), basic(1), basic(2), pending(3), calibration(4))
    assert found["raw_status"].tolist()[-2:] == ["not_computed", "trained_basic"]
    assert found["status"].tolist()[-2:] == ["trained_basic"] * 2
    assert found["window"].iloc[4] == found["window"].iloc[2]


def test_a_first_date_that_is_not_evaluated_has_the_status_not_computed():
    assert monotone(pending(0), calibration(1), poor(2)) == [
        "not_computed",
        "fitting",
        "in_training",
    ]


def test_a_date_with_a_scored_and_a_pending_session_is_computed():
    assert raw(poor(0), pending(0, "late")) == ["in_training"]


def test_perturbed_trials_count_in_no_criterion():
    first = session(0, singles=(0, 0), state="scored", n_trials=0)
    found = status_of(first, basic(1), basic(2))
    assert found["raw_status"].tolist() == ["in_training"] * 3
    assert json.loads(found["window"].iloc[0]) == []
    rows, trials = frames(basic(0), basic(1), basic(2))
    slow = trials.assign(perturbed=trials.index % 2 == 0)
    slow.loc[slow["perturbed"], "time_to_target"] = 30.0
    kept = compute_status(rows, slow.astype(trials.dtypes.to_dict()))
    assert kept["time_to_target"].tolist() == [1.5] * 3


def test_no_control_is_advice_and_no_verdict():
    found = status_of(*(poor(d) for d in range(22)), calibration(22))
    assert found["raw_status"].tolist() == ["in_training"] * 19 + ["no_control"] * 4
    assert set(found["status"]) == {"in_training"}
    assert not any(found["advice"].iloc[:19])
    assert "electrodes" in found["advice"].iloc[19]
    assert found["advice"].iloc[19].startswith("20 dates")
    assert json.loads(found["missing"].iloc[-1])[0]["level"] == "trained_basic"
    assert "no_control" not in first_reached(found)


def test_who_was_trained_once_is_never_advised_to_change():
    found = status_of(basic(0), basic(1), basic(2), *(poor(d) for d in range(3, 30)))
    assert found["raw_status"].tolist()[-1] == "in_training"
    assert not any(found["advice"])


def test_what_is_missing_names_value_and_threshold_of_the_level_above_the_raw_one():
    found = status_of(basic(0), basic(1), basic(2), poor(3))
    missing = {m["name"]: m for m in json.loads(found["missing"].iloc[2])}
    assert set(missing) == {"many_trials", "most_singles", "pairs"}
    assert missing["pairs"]["value"] == 0.5
    assert missing["pairs"]["threshold"] == 0.75
    assert missing["many_trials"]["value"] == 50
    assert missing_of(found.iloc[2])[-1].endswith("two DOFs that were reached: 0.5; needs > 0.75")
    regressed = json.loads(found["missing"].iloc[3])
    assert {m["level"] for m in regressed} == {"trained_basic"}
    assert [(m["name"], m["value"]) for m in regressed] == [("singles", 80 / 110)]


def test_values_that_are_not_known_do_not_pass_and_say_so():
    found = status_of(basic(0), basic(1, nrmse=None), basic(2))
    assert found["raw_status"].iloc[-1] == "in_training"
    (missing,) = json.loads(found["missing"].iloc[-1])
    assert (missing["name"], missing["value"], missing["pass"]) == ("nrmse", None, False)
    assert missing["why"] == f"not known on {day(1)}"
    assert missing_of(found.iloc[-1]) == [
        f"NRMSE of prompted tests on each date: not known on {day(1)}; needs < 0.25"
    ]


def test_every_takes_the_worst_date_and_window_pools_the_trials():
    found = status_of(
        session(0, singles=(30, 30), nrmse=0.1),
        session(1, singles=(31, 60), nrmse=0.24),
        session(2, singles=(30, 30), nrmse=0.2),
    )
    criteria = json.loads(found["criteria"].iloc[-1])
    assert criteria["nrmse"]["value"] == 0.24
    assert criteria["trials"]["value"] == 30
    assert criteria["singles"]["value"] == 91 / 120
    assert not criteria["singles"]["pass"]


@pytest.mark.parametrize("completed, level", [(32, "in_training"), (33, "trained_basic")])
def test_a_threshold_that_is_met_exactly_is_not_exceeded(completed, level):
    made = [session(d, singles=(completed, 40)) for d in range(3)]
    assert raw(*made)[-1] == level


def test_a_failed_check_keeps_from_the_hand_and_an_unknown_one_too():
    start = [proficient(0), proficient(1)]
    assert raw(*start, on_hand(2))[-1] == "ready_for_hand"
    assert raw(*start, on_hand(2, faults_ok=False))[-1] == "trained_proficient"
    assert raw(*start, on_hand(2, latency_ok=None))[-1] == "trained_proficient"
    both = [on_hand(2, "a"), on_hand(2, "b", latency_ok=False)]
    assert raw(*start, *both)[-1] == "trained_proficient"


def test_retention_needs_ten_trials_after_a_pause_on_the_hand():
    start = [proficient(0), proficient(1)]
    assert raw(*start, on_hand(2, after_pause=(10, 10)))[-1] == "ready_retention"
    assert raw(*start, on_hand(2, after_pause=(9, 9)))[-1] == "ready_for_hand"
    assert raw(*start, on_hand(2, after_pause=(9, 10)))[-1] == "ready_for_hand"
    simulated = on_hand(2, after_pause=(10, 10), place="simulator")
    assert raw(*start, simulated)[-1] == "ready_for_hand"


def test_sessions_of_several_subjects_are_refused():
    with pytest.raises(ValueError, match="several subjects"):
        status_of(basic(0), basic(1, subject="p02"))


def test_no_session_gives_an_empty_table():
    assert status_of().empty


KINDS = {
    "poor": poor,
    "basic": basic,
    "proficient": proficient,
    "hand": on_hand,
    "pause": lambda d, name: on_hand(d, name, after_pause=(12, 12)),
    "unknown": lambda d, name: basic(d, name, nrmse=None, unintended=1 / 3),
    "calibration": calibration,
    "pending": pending,
}
courses = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(sorted(KINDS))), min_size=1, max_size=16
)


def made_of(course):
    return [KINDS[kind](d, f"s{i:02d}") for i, (d, kind) in enumerate(course)]


@settings(max_examples=12, deadline=None)
@given(courses, st.integers(0, 31), st.randoms(use_true_random=False))
def test_computing_from_a_date_on_gives_what_computing_all_gives(course, start, random):
    rows, trials = frames(*made_of(course))
    whole = compute_status(rows, trials)
    old = whole[whole["date"] < day(start)].sample(frac=1.0, random_state=random.randrange(1000))
    shuffled = rows.sample(frac=1.0, random_state=1), trials.sample(frac=1.0, random_state=2)
    part = compute_status(*shuffled, since=day(start), before=old)
    pd.testing.assert_frame_equal(part, whole, check_exact=True)


@settings(max_examples=12, deadline=None)
@given(courses)
def test_the_status_never_goes_back_and_is_the_highest_raw_one(course):
    found = status_of(*made_of(course))
    ranks = [rank(s) for s in found["status"]]
    assert ranks == sorted(ranks)
    best = -1
    for raw_status, status in zip(found["raw_status"], found["status"], strict=True):
        best = max(best, rank("in_training" if raw_status == NO_CONTROL else raw_status))
        assert rank(status) == best
    assert set(found["raw_status"]) <= set(LEVELS)


@settings(max_examples=10, deadline=None)
@given(courses)
def test_a_later_session_changes_nothing_before_it(course):
    made = made_of(course)
    last = max(d for d, _ in course)
    whole = status_of(*made)
    earlier = status_of(*(m for m, (d, _) in zip(made, course, strict=True) if d < last))
    kept = whole[whole["date"] < day(last)]
    pd.testing.assert_frame_equal(earlier.reset_index(drop=True), kept.reset_index(drop=True))


def test_earlier_rows_computed_with_other_criteria_are_computed_anew():
    rows, trials = frames(basic(0), basic(1), basic(2), basic(3))
    whole = compute_status(rows, trials)
    other = whole.assign(criteria_digest="other", raw_status=NOT_COMPUTED)
    again = compute_status(rows, trials, since=day(3), before=other)
    pd.testing.assert_frame_equal(again, whole)
    gap = whole[whole["date"] != day(1)]
    again = compute_status(rows, trials, since=day(3), before=gap)
    pd.testing.assert_frame_equal(again, whole)


def test_only_dates_from_since_on_are_computed():
    rows, trials = frames(*(basic(d) for d in range(6)))
    whole = compute_status(rows, trials)
    marked = whole.assign(problems="kept")
    part = compute_status(rows, trials, since=day(0) + timedelta(days=4), before=marked)
    assert part["problems"].tolist() == ["kept"] * 4 + [""] * 2
