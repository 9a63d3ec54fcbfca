"""`emghand train` and `emghand evaluate` on a session with bags."""

from __future__ import annotations

import json

import pytest

from emghand.cli.main import main
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import load_model
from emghand.storage.sessions import Session


@pytest.fixture(scope="module")
def session(tmp_path_factory, collected, unseen, write_bag):
    made = Session.create(tmp_path_factory.mktemp("cli") / "s01", "p01")
    write_bag(made.new_bag_path("collect"), collected, FeatureSettings(hop=20, window_hops=15))
    write_bag(made.new_bag_path("test"), unseen)
    return made


def test_a_session_is_trained_and_evaluated(session, capsys):
    assert main(["train", str(session.path), "--decoder", "ridge", "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    model = load_model(trained["model"])
    assert model.decoder.kind == "ridge"
    assert model.features == FeatureSettings(hop=20, window_hops=15), "as recorded"
    assert model.scores["uncompensated"] == trained["uncompensated"]
    found = Session.open(session.path)
    assert not [p for p in found.check() if not p.path.startswith("bags/")]
    assert main(["evaluate", trained["model"], str(session.path), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert min(scores["x_hat_compensated"]["r2"].values()) > 0.8
    assert scores["model_id"] == model.model_id


def test_tables_name_every_dof_and_models_are_numbered(session, capsys):
    for number in range(2):
        assert main(["train", str(session.path), "--set", "transform=sqrt"]) == 0
        out = capsys.readouterr().out
        assert "index_flex" in out
        assert "wrist_flex" in out
        assert ("kalman_2.emgmodel" if number else "kalman.emgmodel") in out.replace("\n", "")
    model = session.path / "models" / "kalman.emgmodel"
    assert load_model(model).features.transform == "sqrt"
    bag = session.path / "bags" / "collect"
    assert main(["evaluate", str(model), str(bag)]) == 0
    printed = capsys.readouterr()
    assert "unintended" in printed.out
    assert "was trained on" in printed.err


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["train", "nowhere"], "does not exist"),
        (["train", "SESSION", "--decoder", "magic"], "unknown, choose from: kalman, "),
        (["train", "SESSION", "--bags", "nothing"], "nothing"),
        (["train", "SESSION", "--set", "hop"], "write NAME=VALUE"),
        (["train", "SESSION", "--set", "hop=[}"], "not YAML"),
        (["train", "SESSION", "--set", "speed=1"], "unknown setting"),
        (["train", "SESSION", "--delays", "0"], "delays"),
        (["evaluate", "nowhere.emgmodel", "SESSION"], "cannot be read"),
        (["evaluate", "MODEL", "SESSION", "--label", "other"], "has no bag other"),
        (["evaluate", "MODEL", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line_and_no_traceback(session, capsys, argv, text):
    model = session.path / "models" / "kalman.emgmodel"
    words = {"SESSION": str(session.path), "MODEL": str(model)}
    assert main([words.get(a, a) for a in argv]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert text in error
