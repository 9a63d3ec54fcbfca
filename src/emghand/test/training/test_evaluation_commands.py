"""`evaluate`, `crossval`, `compare` and `rescore` on sessions with bags."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from emghand.cli.main import main
from emghand.evaluate.results import Result
from emghand.storage.datasets import save_npz
from emghand.storage.sessions import Session

DOFS = ("index_flex", "wrist_flex")
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


def test_who_evaluates_on_what_a_model_knows_in_part_is_warned(tmp_path, collected, unseen, capsys):
    names = {"seen": collected, "more": unseen}
    paths = {name: str(tmp_path / f"{name}.npz") for name in names}
    for name, recording in names.items():
        save_npz(recording, paths[name])
    model = str(tmp_path / "m.emgmodel")
    encoder = ["--encoder", "linear", "--encoder-size", "4", "--param", "lambdas=[0.01]"]
    encoder.append("--encoder-data")
    argv = ["train", paths["seen"], "--until", "70%", "--decoder", "ridge", "--output", model]
    assert main([*argv, "--until", "0%"]) == 1
    assert "--until 0%: nothing" in capsys.readouterr().err
    assert main([*argv, *encoder, paths["seen"]]) == 1
    assert "labelled recording" in capsys.readouterr().err
    assert main([*argv, *encoder, paths["more"]]) == 0
    for path in paths.values():
        assert main(["evaluate", model, path]) == 0
        assert f"warning: the model was trained on {path}" in capsys.readouterr().err


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
    assert "  -" in run("compare", files[0], files[0])


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


def test_where_the_hand_is_relaxed_enters_the_scores(session, run):
    model = session / "models" / "kalman.emgmodel"
    plain, moved = (
        json.loads(run("evaluate", model, session, "--json", *more))
        for more in ((), ("--chain", "relax_pos=[0.0, 0.3]"))
    )
    assert moved["settings"]["output"]["relax_pos"] == [0.0, 0.3]
    assert moved["x_hat"] == plain["x_hat"]
    for metric in ("rmse", "unintended"):
        of_index, of_wrist = ([p["out_x_hat"][metric][d] for p in (plain, moved)] for d in DOFS)
        assert of_index[0] == of_index[1]
        assert of_wrist[1] == pytest.approx(of_wrist[0], abs=0.1), "no error of 0.3 at rest"
    ticks = json.loads(run("crossval", session, "--chain", "relax_pos=[0.3]", "--json"))
    assert ticks["results"][0]["settings"]["output"]["relax_pos"] == [0.3]


def test_the_bits_do_not_depend_on_hash_seed_or_threads(tmp_path, collected):
    """Two processes; matrices large enough for the linear algebra to share them among threads."""
    save_npz(collected, tmp_path / "c.npz")
    for n in ("1", "2"):
        subprocess.run(
            [
                *(sys.executable, "-m", "emghand.cli.main", "crossval", tmp_path / "c.npz"),
                *("--scheme", "last", "--decoder", "kernel_ridge", "kalman"),
                *("--output", tmp_path / n),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONHASHSEED": n, "OPENBLAS_NUM_THREADS": n, "OMP_NUM_THREADS": n},
        )
    names = sorted(p.name for p in (tmp_path / "1").iterdir())
    assert names == ["kalman.json", "kalman.npz", "kernel_ridge.json", "kernel_ridge.npz"]
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_mistakes_are_found_before_anything_is_computed(session, capsys, monkeypatch, tmp_path):
    def never(*args, **options):
        raise AssertionError("a recording was read")

    monkeypatch.setattr("emghand.storage.datasets.read_any", never)
    (tmp_path / "old.json").touch()
    (tmp_path / "ticks.npz").touch()
    for argv in (
        ["compare", "ridge", "kalman", "--on", session, "--unit", "tick"],
        ["compare", "ridge", "kalman", "--on", session, "--metric", "magic"],
        ["compare", "ridge", "kalman", "--on", session, "--output", tmp_path / "old.json"],
        ["crossval", session, "--by", "finger"],
        ["crossval", session, "--output", tmp_path / "old.json"],
        ["crossval", session, "--output", tmp_path / "ticks.json"],
        ["crossval", session, "--output", tmp_path / "nowhere" / "new.json"],
        ["train", session, "--output", tmp_path / "nowhere" / "new.emgmodel"],
        ["crossval", session, "--chain", "relax_pos=[9]"],
        ["crossval", session, "--scheme", "magic"],
    ):
        assert main([str(a) for a in argv]) == 1
        assert capsys.readouterr().err.startswith("error: ")


def test_a_comparison_fits_a_narrow_terminal(session, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    models = [session / "models" / f"{kind}.emgmodel" for kind in ("ridge", "kalman")]
    lines = run("compare", *models, "--on", session).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.rstrip().endswith("better") for line in lines)


@pytest.mark.parametrize("decoder", ["kalman", "lda"])
def test_a_dof_that_never_moves_is_none_in_json(tmp_path, collected, run, decoder):
    x_d = collected.x_d
    values = x_d.values.copy()
    values[:, 0] = 0.0
    still = dataclasses.replace(collected, x_d=dataclasses.replace(x_d, values=values))
    save_npz(still, tmp_path / "still.npz")
    out = run("crossval", tmp_path / "still.npz", "--decoder", decoder, "--json")
    found = json.loads(out, parse_constant=pytest.fail)["results"][0]["x_hat"]
    assert found["r2"]["index_flex"] is None
    assert found["nrmse"]["index_flex"] is None
    assert found["r2"]["wrist_flex"] > 0.2


def test_a_dof_without_any_number_is_named(tmp_path, collected, capsys):
    x_d = collected.x_d
    values = x_d.values.copy()
    values[:, 0] = np.nan
    empty = dataclasses.replace(collected, x_d=dataclasses.replace(x_d, values=values))
    save_npz(empty, tmp_path / "empty.npz")
    assert main(["crossval", str(tmp_path / "empty.npz")]) == 1
    assert "x_d holds no number for index_flex" in capsys.readouterr().err


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
        (["crossval", "SESSION", "--fit", "params=3"], "expected names with values"),
        (["crossval", "SESSION", "SESSION"], "given twice"),
        (["crossval", "nowhere"], "does not exist"),
        (["compare", "ridge", "kalman"], "--on"),
        (["train", "SESSION", "--until", "70%"], "not in a session"),
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
