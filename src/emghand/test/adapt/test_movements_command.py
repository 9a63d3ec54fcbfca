"""`emghand movements` on bags and sessions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from emghand.adapt.recorded import decoded_estimates, find_movements, published_estimates
from emghand.cli.main import main
from emghand.storage.datasets import read_any
from emghand.storage.models import load_model


@pytest.fixture
def run(capsys):
    def call(*argv, status=0):
        capsys.readouterr()
        assert main(["movements", *map(str, argv)]) == status
        shown = capsys.readouterr()
        return shown.err if status else shown.out

    return call


def test_a_session_is_scored_against_its_prompts(session, run):
    document = json.loads(run(session, "--json"))
    control, test = document["recordings"]
    assert control["estimates"] == "/decoder/x_hat"
    assert test["estimates"] == "kalman"
    for recording in (control, test):
        assert recording["prompted"] == 18
        assert recording["detector_scores"]["f1"] >= 0.85
        assert recording["detector_scores"]["onset_error_s"] <= 0.12
        assert recording["burst_scores"]["hits"] + recording["burst_scores"]["missed"] == 9
        assert 0.2 < recording["reaction_s"] + 0.15 < 0.5
    both = document["all"]["detector"]
    assert both["hits"] == sum(r["detector_scores"]["hits"] for r in document["recordings"])


def test_recorded_estimates_give_the_segments_of_computed_ones(session):
    model = load_model(session / "models" / "kalman.emgmodel")
    recording = read_any(session / "bags" / "control")
    computed = find_movements(recording, decoded_estimates(recording, model))
    published = published_estimates(recording, model.tick_rate)
    assert published is not None
    recorded = find_movements(recording, published)
    first = int(computed.estimates.ticks[0])
    assert len(computed.segments) == len(recorded.segments) > 20
    for a, b in zip(computed.segments, recorded.segments, strict=True):
        assert (a.kind, a.t0_tick, a.t1_tick) == (b.kind, b.t0_tick + first, b.t1_tick + first)
        assert np.array_equal(a.x_f, b.x_f)
    assert recorded.lag_s == pytest.approx(computed.lag_s, abs=0.1)


def test_the_table_names_times_dofs_and_scores(session, run):
    out = run(session / "bags" / "control")
    for word in ("wrist_flex", "start [s]", "duration [s]", "F1", "bursts", "bias [ms]"):
        assert word in out


def test_a_model_can_be_named_and_settings_changed(session, run):
    model = session / "models" / "kalman.emgmodel"
    bag = session / "bags" / "test"
    argv = (bag, "--model", model, "--json")
    few = json.loads(run(*argv, "--set", "displacement=0.95", "--set", "on_displacement=0.5"))
    many = json.loads(run(*argv))
    moves = [
        sum(s["kind"] == "movement" for s in d["recordings"][0]["segments"]) for d in (few, many)
    ]
    assert 0 < moves[0] < moves[1]


def test_the_output_holds_what_json_prints_and_replaces_nothing(session, run, tmp_path):
    target = tmp_path / "found.json"
    printed = run(session, "--json", "--output", target)
    assert json.loads(target.read_text()) == json.loads(printed)
    assert "exists already" in run(session, "--output", target, status=1)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("bags/test",), "name a model with --model"),
        ((".", "--label", "nothing"), "has no bag nothing*"),
        ((".", "--set", "speed=1"), "unknown setting"),
        ((".", "--set", "hold_s=-1"), "below the minimum"),
        (("gone",), "does not exist"),
    ],
)
def test_mistakes_are_told_in_one_line(session, run, argv, message):
    told = run(session / argv[0], *argv[1:], status=1)
    assert message in told
    assert told.count("\n") == 1
