"""The benchmark of NinaPro DB8: finger positions of an acquisition nobody has learned from.

Krasoulis, Vijayakumar and Nazarpour 2019 (doi 10.3389/fnins.2019.00891). Each subject was recorded
three times; acquisitions 1 and 2 are for training, 3 is for testing, and nothing else of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.evaluate.metrics import Scores, score
from emghand.signal.settings import FeatureSettings
from emghand.storage.datasets.glove_map import DEGREES_PER_UNIT, GloveMap, db8_glove_map
from emghand.storage.datasets.ninapro import read_ninapro
from emghand.storage.repairs import announce
from emghand.training import TrainSettings, dataset_from_recording, fit, join
from emghand.training.dataset import Dataset

TRAIN, TEST = (1, 2), 3

DB8_FEATURES = FeatureSettings(
    hop=64,
    window_hops=4,
    bandpass_low=10.0,
    bandpass_high=500.0,
    notch_hz=0.0,
    features=("mav", "wl", "zc", "ssc"),
)
"""Windows of 128 ms at 2 kHz, as in the paper, every 32 ms (the paper: 50 ms); the features of
Hudgins et al. 1993 (doi 10.1109/10.204774)."""

_NAME = re.compile(r"S(\d+)_E1_A([123])\.mat", re.IGNORECASE)


@dataclass(frozen=True)
class Db8Subject:
    """Files of one subject: acquisitions 1 and 2 to learn from, 3 to be scored on."""

    subject: int
    train: tuple[Path, Path]
    test: Path


@dataclass(frozen=True)
class Db8Scores:
    """What became of one subject.

    Parameters
    ----------
    subject : int
    scores : Scores
        Of the raw `x_hat` at the same moment, on all ticks of acquisition 3.
    rmse_deg, mae_deg : ndarray, shape (n_dofs,)
        Errors in degrees of the glove.
    train_digest, test_digest : str
        SHA-256 of the recordings.
    train_ticks, test_ticks : int
    """

    subject: int
    scores: Scores
    rmse_deg: NDArray[np.float64]
    mae_deg: NDArray[np.float64]
    train_digest: str
    test_digest: str
    train_ticks: int
    test_ticks: int


def db8_subjects(folder: str | Path) -> list[Db8Subject]:
    """Subjects of a folder with files such as ``S1_E1_A1.mat``, in order.

    Raises
    ------
    UserError
        When there is none, or an acquisition of one is missing.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder}: is not a folder, name the folder of the DB8 files")
    found: dict[int, dict[int, Path]] = {}
    for path in sorted(folder.rglob("*.mat")):
        name = _NAME.fullmatch(path.name)
        if name is not None:
            found.setdefault(int(name[1]), {})[int(name[2])] = path
    if not found:
        raise UserError(f"{folder}: holds no file of DB8, such as S1_E1_A1.mat")
    for subject, files in found.items():
        missing = [f"S{subject}_E1_A{a}.mat" for a in (*TRAIN, TEST) if a not in files]
        if missing:
            raise UserError(f"{folder}: {', '.join(missing)} is missing")
    return [
        Db8Subject(s, (files[TRAIN[0]], files[TRAIN[1]]), files[TEST])
        for s, files in sorted(found.items())
    ]


def score_db8(
    files: Db8Subject,
    settings: TrainSettings | None = None,
    features: FeatureSettings = DB8_FEATURES,
    glove_map: GloveMap | None = None,
) -> Db8Scores:
    """Train on acquisitions 1 and 2 of a subject and score the decoder on acquisition 3.

    Parameters
    ----------
    files : Db8Subject
    settings : TrainSettings, optional
        By default ridge regression without alignment.
    features : FeatureSettings
    glove_map : GloveMap, optional
        From the 18 sensors to DOFs; by default the published one.

    Raises
    ------
    UserError
        When a file is damaged beyond repair or is not of DB8.
    """
    settings = settings or TrainSettings("ridge", max_lag_s=0.0)
    glove_map = glove_map or db8_glove_map()
    train = join([_dataset(path, features, glove_map) for path in files.train])
    fitted = fit(train, settings)
    test = _dataset(files.test, features, glove_map)
    x_hat, x_d = fitted.predict(test)[test.use], test.X[test.use]
    error = (x_hat - x_d) * DEGREES_PER_UNIT
    return Db8Scores(
        subject=files.subject,
        scores=score(x_d, x_hat, glove_map.dofs),
        rmse_deg=np.sqrt((error**2).mean(axis=0)),
        mae_deg=np.abs(error).mean(axis=0),
        train_digest=train.digest,
        test_digest=test.digest,
        train_ticks=int(train.use.sum()),
        test_ticks=int(test.use.sum()),
    )


def _dataset(path: Path, features: FeatureSettings, glove_map: GloveMap) -> Dataset:
    recording = read_ninapro(path, glove_map)
    announce(str(path), recording.repairs)
    return dataset_from_recording(recording, features, [Dof(n) for n in glove_map.dofs])
