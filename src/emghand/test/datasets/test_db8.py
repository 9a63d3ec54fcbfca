"""The DB8 benchmark on generated files."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from ninapro_files import write_ninapro
from scipy.io import loadmat, savemat
from sklearn.metrics import r2_score

from emghand.errors import UserError
from emghand.evaluate.db8 import DB8_FEATURES, db8_subjects, score_db8
from emghand.storage.datasets import read_ninapro
from emghand.training import dataset_from_recording, fit
from emghand.training.fitting import TrainSettings

BENCHMARK = Path(__file__).resolve().parents[4] / "benchmark" / "accuracy_db8.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("db8")
    for subject in (1, 2):
        for acquisition in (1, 2, 3):
            name = path / f"S{subject}_E1_A{acquisition}.mat"
            write_ninapro(name, 16, 18, 2000.0, subject=subject, seed=10 * subject + acquisition)
    return path


def test_acquisitions_1_and_2_are_learned_from_and_3_is_scored(folder):
    subjects = db8_subjects(folder)
    assert [s.subject for s in subjects] == [1, 2]
    assert [p.name for p in subjects[1].train] == ["S2_E1_A1.mat", "S2_E1_A2.mat"]
    assert subjects[1].test.name == "S2_E1_A3.mat"
    result = score_db8(subjects[0])
    assert result.test_digest == read_ninapro(folder / "S1_E1_A3.mat").digest
    assert result.scores.mean_r2 > 0.5
    assert len(result.mae_deg) == 5 and (result.mae_deg <= result.rmse_deg).all()


def test_the_scores_are_those_of_scikit_learn(folder):
    subject = db8_subjects(folder)[0]
    result = score_db8(subject)
    a1, a2, a3 = (
        dataset_from_recording(read_ninapro(p), DB8_FEATURES)
        for p in (*subject.train, subject.test)
    )
    from emghand.training import join

    fitted = fit(join([a1, a2]), TrainSettings("ridge", max_lag_s=0.0))
    x_hat = fitted.predict(a3)
    r2 = r2_score(a3.X[a3.use], x_hat[a3.use], multioutput="raw_values")
    assert np.allclose(result.scores.r2, r2, atol=1e-9)


def test_the_test_acquisition_does_not_change_what_is_learned(folder, tmp_path):
    for name in ("S1_E1_A1.mat", "S1_E1_A2.mat"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    arrays = {k: v for k, v in loadmat(folder / "S1_E1_A3.mat").items() if k[0] != "_"}
    arrays["glove"] = arrays["glove"][::-1] + 25.0
    savemat(tmp_path / "S1_E1_A3.mat", arrays)
    before, after = score_db8(db8_subjects(folder)[0]), score_db8(db8_subjects(tmp_path)[0])
    assert before.train_digest == after.train_digest
    assert before.test_digest != after.test_digest
    assert after.scores.mean_r2 < before.scores.mean_r2


def test_folders_that_lack_an_acquisition_are_named(folder, tmp_path):
    with pytest.raises(UserError, match="no file of DB8"):
        db8_subjects(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        db8_subjects(tmp_path / "nothing")
    (tmp_path / "S4_E1_A1.mat").write_bytes((folder / "S1_E1_A1.mat").read_bytes())
    with pytest.raises(UserError, match=r"S4_E1_A2\.mat, S4_E1_A3\.mat is missing"):
        db8_subjects(tmp_path)


def test_the_benchmark_prints_a_row_per_subject(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accuracy_db8.py", str(folder)])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(BENCHMARK), run_name="__main__")
    assert done.value.code == 0
    text = capsys.readouterr().out
    assert "ring_little_flex" in text and "subject 2" in text and "degrees" in text
    monkeypatch.setattr(sys, "argv", ["accuracy_db8.py", str(folder / "none")])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(BENCHMARK), run_name="__main__")
    assert done.value.code == 1
