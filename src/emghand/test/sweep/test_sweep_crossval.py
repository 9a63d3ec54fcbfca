"""Sweeps of cross-validations: the file, the table, and numbers that are those of one by one."""

from __future__ import annotations

import csv
import json

import pytest

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.evaluate.crossval import leave_one_repetition_out
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.sweep.sweep import load_sweep
from emghand.tasks.movements import Schedule, load_movement_set
from emghand.training import TrainSettings, dataset_from_recording, fit

MOVEMENTS = """
dofs: [index_flex, wrist_flex]
rest: 0.4
rise: 0.4
hold: 0.5
fall: 0.4
repetitions: 3
movements:
  - {name: index, targets: {index_flex: 1.0}}
  - {name: wrist, targets: {wrist_flex: -1.0}}
"""
SWEEP = """
kind: crossval
simulate: {movements: small.yaml, seeds: [1, 2], settings: {n_channels: 8}}
features: [{}, {transform: sqrt}]
grid:
  decoder: [ridge, kalman]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small.yaml").write_text(MOVEMENTS)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    return tmp_path


def test_every_combination_is_a_row_with_the_scores_of_cross_validation(folder, capsys):
    assert main(["sweep", str(folder / "sweep.yaml"), "--jobs", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["tasks"]) == len(report["table"]) == 8
    assert report == json.loads((folder / "sweep.sweep" / "results.json").read_text())
    rows = list(csv.DictReader((folder / "sweep.sweep" / "results.csv").open()))
    assert [float(r["r2"]) for r in rows] == [r["r2"] for r in report["table"]]

    row = next(
        r
        for r in report["table"]
        if r["data"] == "person 2" and r["decoder"] == "kalman" and r.get("transform") == "sqrt"
    )
    schedule = Schedule(load_movement_set(folder / "small.yaml"), shuffle=True, seed=0)
    recording = simulate_recording(schedule, SyntheticSettings(seed=2, n_channels=8))
    dataset = dataset_from_recording(recording, FeatureSettings(transform="sqrt"))
    direct = leave_one_repetition_out(dataset, lambda part: fit(part, TrainSettings("kalman")))
    assert row["r2"] == direct.uncompensated.r2.mean()
    assert row["lag_r2"] == direct.compensated.r2.mean()

    assert main(["sweep", str(folder / "sweep.yaml"), "--jobs", "1"]) == 0
    assert "0 tasks run, 8 were there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "cannot be read"),
        ("a", "expected a mapping"),
        ("kind: magic", "unknown, choose from: crossval, actions"),
        ("kind: crossval", "name recordings"),
        ("{kind: crossval, recordings: [nowhere]}", "does not exist"),
        ("{kind: crossval, colour: red}", "colour: unknown"),
        ("{kind: crossval, recordings: 1}", "not of the right type"),
        (SWEEP.replace("[ridge, kalman]", "ridge"), "must be a list"),
        (SWEEP.replace("kalman", "magic"), "magic"),
        (SWEEP.replace("decoder", "decorder"), "decorder"),
        (SWEEP.replace("sqrt", "root"), "root"),
        (SWEEP.replace("n_channels: 8", "n_channels: 0"), "n_channels"),
        ("{kind: actions}", "name sessions"),
        ("{kind: actions, subjects: [a]}", "no seed"),
        ("{kind: actions, subjects: [1], choose: 25}", "25 of 24"),
        ("{kind: actions, subjects: [1], simulate: {run: 3}}", "run"),
        ("{kind: actions, subjects: [1], simulate: {colour: 3}}", "colour"),
    ],
)
def test_a_mistake_in_the_file_is_answered_by_one_sentence(folder, text, message):
    (folder / "bad.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        load_sweep(folder / "bad.yaml")
