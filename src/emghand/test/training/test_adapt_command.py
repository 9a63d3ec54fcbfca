"""`emghand adapt prepare` and `info` on a session with bags."""

from __future__ import annotations

import json

import pytest

from emghand.adapt.companion import load_companion
from emghand.cli.main import main
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import load_model
from emghand.storage.sessions import Session


@pytest.fixture(scope="module")
def trained(tmp_path_factory, collected, unseen, write_bag):
    made = Session.create(tmp_path_factory.mktemp("adapt") / "s01", "p01")
    write_bag(made.new_bag_path("collect"), collected, FeatureSettings(hop=20, window_hops=15))
    write_bag(made.new_bag_path("test"), unseen)
    assert main(["train", str(made.path), "--baseline", "rest"]) == 0
    return made.path, made.path / "models" / "kalman.emgmodel"


def test_a_trained_model_gets_its_companion_and_it_says_what_is_missing(trained, capsys):
    session, model_path = trained
    model = load_model(model_path)
    assert main(["adapt", "prepare", str(model_path), str(session)]) == 0
    out = capsys.readouterr().out
    assert "missing: no reference" in out
    companion = load_companion(session / "models" / "kalman.emgadapt", model)
    assert companion.calibration.settings.baseline == "rest"
    assert companion.calibration.dataset.feature_settings == model.features
    assert main(["adapt", "info", str(session / "models" / "kalman.emgadapt"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["model_id"] == model.model_id
    assert said["calibration"]["dofs"] == ["index_flex", "wrist_flex"]
    assert said["calibration"]["lag_s"] == model.lag_s
    assert said["reference"] is None
    assert main(["adapt", "prepare", str(model_path), str(session)]) == 1
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recordings", "options", "text"),
    [
        (["bags/test"], [], "was not trained on this recording"),
        (["bags/collect"], ["--until", "50%"], "or not on all of it"),
        (["bags/nothing"], [], "bags/nothing"),
    ],
)
def test_other_recordings_are_refused_in_one_sentence(
    trained, tmp_path, capsys, recordings, options, text
):
    session, model = trained
    paths = [str(session / r) for r in recordings]
    argv = ["adapt", "prepare", str(model), *paths, *options, "--output", str(tmp_path / "x")]
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_file_that_is_no_companion_is_refused(trained, capsys):
    assert main(["adapt", "info", str(trained[1])]) == 1
    assert "not a companion file" in capsys.readouterr().err
