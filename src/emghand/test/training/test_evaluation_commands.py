"""`evaluate`, `crossval`, `compare` and `rescore` on sessions with bags."""

from __future__ import annotations

import json

import pytest

from emghand.cli.main import main
from emghand.evaluate.results import Result
from emghand.storage.sessions import Session

OLD_KEYS = {
    *("model", "model_id", "bags", "lag_s", "ticks", "faults", "x_hat", "x_hat_compensated"),
    *("out_x_hat", "out_x_hat_compensated"),
}


@pytest.fixture(scope="module")
def session(tmp_path_factory, collected, unseen, write_bag):
    made = Session.create(tmp_path_factory.mktemp("evaluation") / "s01", "p01")
    write_bag(made.new_bag_path("collect"), collected)
    write_bag(made.new_bag_path("test"), unseen)
    for kind in ("ridge", "kalman"):
        assert main(["train", str(made.path), "--decoder", kind]) == 0
    return made.path


@pytest.fixture
def run(capsys):
    def call(*argv):
        capsys.readouterr()
        assert main([str(a) for a in argv]) == 0
        return capsys.readouterr().out

    return call


def test_evaluate_prints_and_keeps_the_same_numbers(session, run, tmp_path):
    model = session / "models" / "ridge.emgmodel"
    out = run("evaluate", model, session, "--json", "--output", tmp_path / "r.json")
    printed = json.loads(out)
    assert set(printed) >= OLD_KEYS
    kept = Result.load(tmp_path / "r.json")
    assert {k: printed[k] for k in kept.scores} == kept.scores
    assert printed["ticks"] == kept.n_ticks
    assert printed["digest"] == kept.digest
    assert kept.sources[0].subject == "p01"
    assert kept.sources[0].session == "s01"
    assert kept.sources[0].date.startswith("20")
    assert set(kept.settings) >= {"decoder", "params", "features", "output"}
    assert 150 < kept.latency_ms["x_hat"]["wrist_flex"] < 500


def test_two_runs_keep_the_same_bytes(session, run, tmp_path):
    for name in ("a", "b"):
        run("crossval", session, "--decoder", "ridge", "--output", tmp_path / f"{name}.json")
    for ending in ("json", "npz"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    kept = Result.load(tmp_path / "a.json")
    assert kept.scheme == "repetition"
    assert [f.name for f in kept.folds] == ["repetition 0", "repetition 1", "repetition 2"]
    assert len({f.learned for f in kept.folds}) == 3
    assert all(f.guard_ticks > 0 for f in kept.folds)


def test_tables_by_movement_and_repetition(session, run):
    model = session / "models" / "kalman.emgmodel"
    out = run("evaluate", model, session, "--by", "movement", "--by", "repetition")
    for word in ("wrist out", "repetition 1", "by movement", "unintended", "Latency"):
        assert word in out


def test_decoders_are_compared_trial_by_trial(session, run, tmp_path):
    folder = tmp_path / "results"
    out = run("crossval", session, "--decoder", "ridge", "kalman", "--json", "--output", folder)
    found = json.loads(out)["comparison"]
    assert [i["name"] for i in found["items"]] == ["ridge", "kalman"]
    assert found["pairs"][0]["n"] == 9
    assert found["test"] == "wilcoxon signed-rank"
    files = [folder / "ridge.json", folder / "kalman.json"]
    again = json.loads(run("compare", *files, "--json"))
    assert again["items"] == found["items"]
    assert again["pairs"] == found["pairs"]
    on = ("--on", session, "--json")
    assert json.loads(run("compare", "ridge", "kalman", *on))["pairs"] == found["pairs"]
    assert "not shown" in run("compare", files[0], files[0])


def test_models_and_settings_files_are_compared_on_recordings(session, run, tmp_path):
    models = [session / "models" / f"{kind}.emgmodel" for kind in ("ridge", "kalman")]
    kept = tmp_path / "c.json"
    out = run("compare", *models, "--on", session, "--metric", "rmse", "--output", kept)
    assert "rmse of x_hat_compensated, per trial" in out
    assert json.loads(kept.read_text())["metric"] == "rmse"
    settings = tmp_path / "delayed.yaml"
    settings.write_text("decoder: ridge\ndelays: [3, 6]\n")
    out = run("compare", settings, "ridge", "--on", session, "--unit", "repetition")
    assert "delayed" in out
    assert "nothing can be claimed" in out.replace("\n", " "), "3 repetitions"


def test_an_old_result_is_scored_with_other_metrics(session, run, tmp_path):
    model = session / "models" / "ridge.emgmodel"
    run("evaluate", model, session, "--output", tmp_path / "r.json")
    before = Result.load(tmp_path / "r.json")
    new = tmp_path / "new.json"
    out = run("rescore", tmp_path / "r.json", "--metrics", "r2,latency", "--json", "--output", new)
    printed = json.loads(out)
    assert printed["x_hat"]["r2"] == before.scores["x_hat"]["r2"]
    assert set(printed["x_hat"]) == {"r2", "latency"}
    assert Result.load(new).metrics == ("r2", "latency")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["evaluate", "MODEL", "SESSION", "--metrics", "magic"], "unknown, choose from: r2"),
        (["evaluate", "MODEL", "SESSION", "--metrics", ","], "at least one"),
        (["evaluate", "MODEL", "SESSION", "--by", "finger"], "choose from: movement"),
        (["evaluate", "MODEL", "SESSION", "--output", "r.txt"], "ends in .json"),
        (["crossval", "SESSION", "--scheme", "magic"], "choose from: repetition, first"),
        (["crossval", "SESSION", "--scheme", "session"], "at least 2"),
        (["crossval", "SESSION", "--decoder", "magic"], "unknown, choose from: kalman"),
        (["crossval", "SESSION", "--decoder", "ridge", "ridge"], "each once"),
        (["crossval", "SESSION", "--fit", "delays"], "write NAME=VALUE"),
        (["crossval", "SESSION", "--fit", "speed=1"], "unknown setting"),
        (["crossval", "SESSION", "SESSION"], "given twice"),
        (["crossval", "nowhere"], "does not exist"),
        (["compare", "ridge", "kalman"], "--on"),
        (["compare", "MODEL", "ridge", "--on", "SESSION"], "one kind"),
        (["compare", "nothing.json", "other.json"], "cannot be read"),
        (["compare", "ridge", "--on", "SESSION"], "at least 2"),
        (["compare", "ridge", "ridge", "--on", "SESSION"], "the same name"),
        (["compare", "nothing.yaml", "ridge", "--on", "SESSION"], "cannot be read"),
        (["rescore", "MODEL", "--metrics", "r2"], "not a result"),
    ],
)
def test_mistakes_in_an_evaluation_are_one_line(session, capsys, argv, text):
    words = {"SESSION": str(session), "MODEL": str(session / "models" / "kalman.emgmodel")}
    capsys.readouterr()
    assert main([words.get(a, a) for a in argv]) == 1
    error = capsys.readouterr().err
    assert "error: " in error
    assert text in error.replace("\n", " ")
