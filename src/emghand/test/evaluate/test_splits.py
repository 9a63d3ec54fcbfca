"""What is held out, and that neighbours of a test row are learned from by nobody."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from people import make_dataset, make_recording
from scipy import signal

from emghand.errors import UserError
from emghand.evaluate.crossval import crossval_result, leave_one_repetition_out
from emghand.evaluate.splits import SCHEMES, guard_s, settling_s, split
from emghand.signal.settings import FeatureSettings
from emghand.training import (
    TrainSettings,
    dataset_from_recording,
    fit,
    join,
    search,
    tune_output,
)


@pytest.fixture(scope="module")
def dataset():
    return make_dataset()


def held_out(dataset, part):
    """Recordings and repetitions of the test part."""
    rows = part.test & dataset.use
    pairs = zip(dataset.recording[rows], dataset.repetition[rows], strict=True)
    return sorted({(int(r), int(k)) for r, k in pairs})


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("repetition", [[(r, k)] for r in range(5) for k in range(3)]),
        ("first", [[(r, 0) for r in range(5)]]),
        ("last", [[(r, 2) for r in range(5)]]),
        ("recording", [[(r, k) for k in range(3)] for r in range(5)]),
        ("session", [[(r, k) for r in rs for k in range(3)] for rs in ([0, 1], [2], [3], [4])]),
        ("day", [[(r, k) for r in rs for k in range(3)] for rs in ([0, 1, 2], [3], [4])]),
        ("subject", [[(r, k) for r in rs for k in range(3)] for rs in ([0, 1, 2, 3], [4])]),
    ],
)
def test_each_scheme_holds_out_what_it_says(dataset, scheme, expected):
    assert [held_out(dataset, part) for part in split(dataset, scheme)] == expected


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_training_row_is_near_a_test_row(dataset, scheme):
    guard_ns = guard_s(dataset) * 1e9
    for part in split(dataset, scheme):
        assert not (part.train & part.test).any()
        for recording in np.unique(dataset.recording[part.test]):
            rows = dataset.recording == recording
            train = dataset.stamps_ns[rows & part.train]
            test = dataset.stamps_ns[rows & part.test]
            if len(train):
                assert np.abs(train[:, None] - test[None, :]).min() >= guard_ns
        left = ~(part.train | part.test)
        assert np.isin(dataset.recording[left], dataset.recording[part.test]).all()


def test_repetitions_together_hold_out_every_row_once(dataset):
    total = sum(part.test.astype(int) for part in split(dataset, "repetition"))
    assert (total[dataset.use] == 1).all()


def test_the_guard_covers_the_window_and_what_the_filters_remember():
    """After it, an impulse has less than 1e-4 of its energy to come; before, more."""
    settings, rate = FeatureSettings(), 1000.0
    dataset = dataset_from_recording(make_recording(0, 0), settings)
    settled = settling_s(settings, rate)
    assert guard_s(dataset) == max(0.304 + settled, 0.66)
    assert guard_s(dataset, max_lag_s=2.0) == 2.0
    sos = np.vstack(
        [
            signal.butter(4, (15.0, 375.0), "bandpass", fs=rate, output="sos"),
            *(signal.tf2sos(*signal.iirnotch(f, 30.0, fs=rate)) for f in (50, 100, 150)),
        ]
    )
    power = signal.sosfilt(sos, np.eye(1, 8000)[0]) ** 2
    n = round(settled * rate)
    assert power[n:].sum() <= 1e-4 * power.sum() < power[n - 2 :].sum()
    assert 0.3 < settled < 0.7
    bare = FeatureSettings(bandpass_low=0.0, bandpass_high=0.0, notch_hz=0.0)
    assert settling_s(bare, rate) == 0.0


def test_beyond_the_guard_features_do_not_know_the_signal_held_out():
    """Other noise in the middle: beyond the guard features change by < 1 %, at its edge by more."""
    recording = make_recording(0, 0)
    dataset = dataset_from_recording(recording, FeatureSettings())
    part = split(dataset, "repetition")[1]
    test = np.flatnonzero(part.test)
    first, last = (dataset.stamps_ns[test[i]] for i in (0, -1))
    rng = np.random.default_rng(0)
    loud = np.concatenate([b.samples for b in recording.blocks]).std()
    blocks = [
        dataclasses.replace(b, samples=rng.normal(0, loud, b.samples.shape).astype(np.float32))
        if first <= b.stamp_ns <= last
        else b
        for b in recording.blocks
    ]
    other = dataset_from_recording(
        dataclasses.replace(recording, blocks=blocks), dataset.feature_settings
    )
    change = np.abs(other.Z - dataset.Z).max(axis=1) / dataset.Z.mean()
    after = part.train & (dataset.stamps_ns > last)
    assert change[after].max() < 0.01
    assert change[test[-1] + 1 : test[-1] + 4].max() > 0.1
    assert (change[part.train & (dataset.stamps_ns < first)] == 0.0).all()


def test_a_range_seen_only_in_the_part_held_out_is_not_known_to_the_rest(dataset):
    X = dataset.X.copy()
    out = dataset.groups == 1
    X[:, 0] = np.abs(X[:, 0])
    X[out, 0] *= -1
    spoiled = dataclasses.replace(dataset, X=X)
    assert spoiled.rows(~out).dofs[0].low == 0.0
    assert spoiled.rows(out).dofs[0].low == -1.0
    stated = dataclasses.replace(spoiled, dofs_inferred=False)
    assert stated.rows(~out).dofs == stated.dofs


def test_two_subjects_with_a_session_of_the_same_name_are_two_sessions():
    a, b = (dataset_from_recording(make_recording(s, 0), FeatureSettings()) for s in (0, 1))
    named = [
        dataclasses.replace(d, sources=(dataclasses.replace(d.sources[0], session="s01"),))
        for d in (a, b)
    ]
    assert [p.name for p in split(join(named), "session")] == ["p0 s01", "p1 s01"]


def test_what_cannot_be_split_is_refused(dataset):
    with pytest.raises(UserError, match="unknown, choose from: repetition"):
        split(dataset, "magic")
    one = dataset_from_recording(make_recording(0, 0), FeatureSettings())
    with pytest.raises(UserError, match="at least 2"):
        split(one, "subject")
    with pytest.raises(UserError, match="given twice"):
        split(join([one, one]), "recording")
    silent = dataclasses.replace(dataset, sources=())
    with pytest.raises(UserError, match="does not say its date"):
        split(silent, "day")
    assert len(split(silent, "recording")) == 5
    single = one.rows(one.groups == 0)
    with pytest.raises(UserError, match="nothing is left"):
        split(single, "last")


def test_an_unprompted_recording_is_held_out_in_five_pieces():
    recording = dataclasses.replace(make_recording(0, 0), periods=[])
    parts = split(dataset_from_recording(recording, FeatureSettings()), "repetition")
    assert [p.name for p in parts] == [f"part {i}" for i in range(5)]


def test_scores_of_leave_one_repetition_out_are_those_of_the_result(dataset):
    settings = TrainSettings("ridge")
    found = leave_one_repetition_out(dataset, lambda part: fit(part, settings))
    result = crossval_result(dataset, settings)
    assert result.scores["x_hat"] == found.uncompensated.as_dict()
    assert result.scores["x_hat_compensated"] == found.compensated.as_dict()
    assert [f.lag_s for f in result.folds] == found.lags_s
    assert {f.name for f in result.folds} == {r.name for r in result.tables["fold"]}


def test_the_longest_lag_that_is_looked_for_is_kept_clear_of_the_repetition_left_out(dataset):
    """As `emghand train`, a search within the training part and the tuned output do."""
    settings = TrainSettings(
        decoder="ridge", params={"lambdas": (1.0,)}, max_lag_s=1.0, trial_lag_s=0.5
    )
    assert settings.longest_lag_s == 1.5
    one = dataset.rows(dataset.recording == 0)
    sizes = []

    def learn(part):
        sizes.append(len(part))
        return fit(part, settings)

    leave_one_repetition_out(one, learn, settings.longest_lag_s)
    assert sizes == [int(s.train.sum()) for s in split(one, "repetition", 1.5)]
    assert sizes[1] < int(split(one, "repetition")[1].train.sum())


@pytest.mark.parametrize("module", [search, tune_output])
def test_splits_within_the_training_part_have_the_same_guard(dataset, monkeypatch, module):
    class Stop(Exception):
        pass

    def see(part, scheme, max_lag_s):
        assert (scheme, max_lag_s) == ("repetition", 1.5)
        raise Stop

    monkeypatch.setattr(module, "split", see)
    settings = TrainSettings(max_lag_s=1.0, trial_lag_s=0.5, search={"process_gains": [(1.0,)]})
    with pytest.raises(Stop):
        getattr(module, module.__name__.rpartition(".")[2])(dataset, settings)
