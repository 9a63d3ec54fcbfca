"""Synthetic people whose features are calibrated and used without raw EMG in between."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from emghand.adapt.window import Window
from emghand.dofs import Dof
from emghand.signal.settings import FeatureSettings
from emghand.simulate.feature_arm import FeatureArm, delayed
from emghand.simulate.use import Course, calibration, free_use
from emghand.storage.models import Model
from emghand.storage.recording import PeriodKind, Source, Stream
from emghand.training import Dataset, TrainSettings, train

HOP, RATE = 16, 60.0
DELAY = 9


def feature_dataset(arm, course, Z):
    """Calibration as training sees it: prompts that the features follow by 150 ms."""
    n = len(Z)
    names = tuple(f"ch{i + 1}" for i in range(arm.n_electrodes))
    moving = np.abs(course.prompt).max(axis=1) > 1e-6
    digest = hashlib.sha256(Z.tobytes()).hexdigest()
    return Dataset(
        Z=Z,
        X=delayed(course.prompt, DELAY),
        stamps_ns=1_700_000_000_000_000_000 + np.round(np.arange(n) * 1e9 / RATE).astype(np.int64),
        use=np.ones(n, dtype=bool),
        period=np.where(moving, PeriodKind.MOVE, PeriodKind.REST).astype(np.int64),
        movement=np.where(moving, "go", ""),
        repetition=course.repetition.astype(np.int64),
        trial=course.trial.astype(np.int64),
        recording=np.zeros(n, dtype=np.int64),
        segment=np.zeros(n, dtype=np.int64),
        dofs=tuple(Dof(f"dof_{i}") for i in range(arm.n_dofs)),
        feature_settings=FeatureSettings(hop=HOP),
        stream=Stream("synthetic", "s", names, RATE * HOP, HOP),
        digests=(digest,),
        sources=(Source("arm", digest),),
    )


@dataclass(frozen=True)
class Person:
    """An arm, its calibration, and models of it."""

    arm: FeatureArm
    dataset: Dataset
    seed: int

    def model(self, decoder="kalman", **settings) -> Model:
        return train(self.dataset, TrainSettings(decoder=decoder, max_lag_s=0.0, **settings))

    def use(self, model, seconds, run=0, drift=None) -> tuple[Window, np.ndarray]:
        """Free use decoded by a model, and what the person meant at each tick."""
        rng = np.random.default_rng([self.seed, 50, run])
        course = _after_rest(free_use(rng, self.arm.n_dofs, RATE, seconds), 60)
        Z = self.arm.features(course, rng, drift)
        x_hat = model.decoder.predict(model.normaliser.apply(Z))
        good = np.ones(len(Z), dtype=bool)
        return Window(Z, x_hat, np.arange(len(Z)), good, RATE), delayed(course.x, DELAY)


def _after_rest(course, ticks):
    before = np.zeros(ticks, dtype=np.int64)
    x = np.concatenate([np.zeros((ticks, course.x.shape[1])), course.x])
    trial = np.concatenate([before, course.trial])
    return Course(x, x, trial, np.concatenate([before - 1, course.repetition]))


def make_person(seed=1, n_dofs=3, n_electrodes=8) -> Person:
    arm = FeatureArm(seed, n_dofs, n_electrodes, RATE)
    rng = np.random.default_rng([seed, 30])
    course = calibration(rng, n_dofs, RATE)
    return Person(arm, feature_dataset(arm, course, arm.features(course, rng)), seed)
