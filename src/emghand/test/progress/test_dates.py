import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("pandas")
sys.path.insert(0, str(Path(__file__).parent))

import pandas as pd
from status_people import calibration, frames, on_hand, pending, poor, session

from emghand.progress.dates import combine


def only(*made):
    dates = combine(*frames(*made))
    assert len(dates) == 1
    return dates.iloc[0]


def test_counts_add_and_measures_pool_the_trials_of_the_day():
    row = only(
        session(0, "a", singles=(2, 2), each={"time_to_target": 1.0, "overshoots": 2}),
        session(0, "b", singles=(3, 4), start_ns=1, each={"time_to_target": 4.0}),
    )
    assert (row["n_trials"], row["completed_single"]) == (6, 5)
    assert row["completion"] == row["completion_single"] == 5 / 6
    assert row["time_to_target"] == 4.0
    assert row["overshoots"] == 4 / 6
    assert pd.isna(row["completion_pair"])


def test_prompted_tests_count_once_for_each_session():
    row = only(
        session(0, "a", singles=(1, 1), nrmse=0.1), session(0, "b", singles=(9, 9), nrmse=0.3)
    )
    assert row["nrmse"] == pytest.approx(0.2)
    assert only(session(0, "a", nrmse=0.1), session(0, "b", nrmse=None))["nrmse"] == 0.1


def test_holds_in_large_targets_are_left_out():
    row = only(
        session(0, "a", singles=(2, 2), each={"radius": 0.2, "longest_hold": 9.0}),
        session(0, "b", singles=(2, 2), each={"radius": 0.15, "longest_hold": 1.1}),
    )
    assert row["hold"] == 1.1


def test_the_place_is_that_of_the_trials():
    assert only(poor(0, "a"), on_hand(0, "b"))["place"] == "hand"
    assert only(poor(0, "a"), session(0, "b", place="hand"))["place"] == "simulator"
    assert only(calibration(0))["place"] == "none"


def test_checks_hold_when_they_hold_for_every_session_with_trials():
    assert only(on_hand(0, "a"), calibration(0, "b"))["latency_ok"]
    assert not only(on_hand(0, "a"), session(0, "b", latency_ok=False))["latency_ok"]
    assert pd.isna(only(on_hand(0, "a"), on_hand(0, "b", latency_ok=None))["latency_ok"])


def test_a_scored_session_makes_the_date_scored():
    assert only(pending(0, "a"), poor(0, "b"), calibration(0, "c"))["state"] == "scored"
    assert only(pending(0, "a"), calibration(0, "c"))["state"] == "pending"


def test_offsets_at_rest_are_averaged_by_dof():
    row = only(
        session(0, "a", rest_offset='{"x": 0.1, "y": null}'),
        session(0, "b", rest_offset='{"x": 0.3, "z": 0.5}'),
    )
    assert json.loads(row["rest_offset"]) == {"x": 0.2, "z": 0.5}


def test_protocols_and_problems_are_named_once():
    row = only(
        session(0, "a", protocols="fitts,tac", problems="one\ntwo", pauses="[[1, 20]]"),
        session(0, "b", protocols="fitts", problems="two", pauses="[[1, 20], [50, 16]]"),
    )
    assert row["protocols"] == "fitts,tac"
    assert row["problems"] == "one\ntwo"
    assert row["n_pauses"] == 3


def test_subjects_and_dates_are_kept_apart_whatever_the_order():
    made = [poor(1, "a"), poor(0, "b"), poor(0, "c", subject="p02")]
    dates = combine(*frames(*made))
    assert dates["subject"].tolist() == ["p01", "p01", "p02"]
    rows, trials = frames(*made)
    other = combine(rows.iloc[::-1], trials.sample(frac=1.0, random_state=0))
    pd.testing.assert_frame_equal(other, dates, check_exact=True)
