"""The study of drifts with raw EMG: filters, features, decoder and adapter as they run live."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.adapter import TemplateAdapter, frozen, reference_of
from emghand.adapt.study import OWN_USE_S, TEST_S, WINDOW_S, Outcome
from emghand.adapt.window import Window
from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import score
from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticEmg, SyntheticSettings, simulate_recording
from emghand.simulate.drift import drift_sizes
from emghand.simulate.use import free_use
from emghand.tasks.movements import Movement, MovementSet, Schedule
from emghand.training import TrainSettings, dataset_from_recording, fit, train

Floats = NDArray[np.float64]

CHANNELS = 32
RINGS = 2
USE_RATE = 100.0
"""Rate of the intention [Hz]; between its points it is held."""
LARGEST_V = 200e-6
"""Amplitude that the noise of a drift is relative to [V]."""
SETTLE_S = 1.0
"""What is left out after the start of a stretch: filters and muscles settle."""


def drift_settings(kind: str, strength: int) -> dict[str, float]:
    """Settings of `SyntheticSettings` for a drift of `emghand.simulate.drift`.

    Raises
    ------
    UserError
        For an unknown kind or strength.
    """
    changes = {f"drift_{name}": size for name, size in drift_sizes(kind, strength).items()}
    if "drift_noise" in changes:
        changes["drift_noise"] *= LARGEST_V
    return changes | {"drift_dead": 5} if kind == "dead" else changes


class RawPerson:
    """A synthetic person recorded as raw EMG, with a calibrated decoder and a reference.

    Parameters
    ----------
    seed : int
    known_rings : bool
        Whether the adapter knows that the electrodes form rings.
    """

    def __init__(self, seed: int, known_rings: bool = True) -> None:
        self.seed = seed
        self.features = FeatureSettings()
        schedule = Schedule(_movements(), shuffle=True, seed=seed)
        recording = simulate_recording(schedule, self._settings(0))
        self.calibration = dataset_from_recording(recording, self.features)
        self.training = TrainSettings()
        self.model = train(self.calibration, self.training)
        own, _ = self._use(OWN_USE_S, 1, {})
        self.adapter = TemplateAdapter(
            self.model,
            self.calibration,
            self.training,
            reference_of(self.model, own, RINGS if known_rings else 0),
        )

    def try_drift(self, kind: str = "", strength: int = 0) -> Outcome:
        """Use the hand with drifted electrodes, adapt, and test on more of it."""
        changes = drift_settings(kind, strength) if kind else {}
        whole, intended = self._use(WINDOW_S + TEST_S, 2, changes)
        # One day: the electrodes stay as they are.
        seen = np.arange(len(whole)) < WINDOW_S * whole.tick_rate
        window, target = whole.where(seen), intended[seen]
        unseen, wanted = whole.where(~seen), intended[~seen]
        proposal = self.adapter.propose(window)
        known = self.calibration.rows(np.arange(len(self.calibration)) < len(window))
        if len(known) < len(window):
            raise UserError("study: the calibration is shorter than the window of use")
        m = len(window)
        known = replace(
            known,
            Z=window.Z,
            X=target,
            use=np.ones(m, dtype=np.bool_),
            segment=np.zeros(m, dtype=np.int64),
        )
        fitted = fit(known, frozen(self.training, self.model))
        refitted = replace(self.model, decoder=fitted.decoder, normaliser=fitted.normaliser)
        names = dof_names(self.model.dofs)
        drifted, adapted, supervised = (
            score(wanted, model.estimates(unseen.Z), names).mean_r2
            for model in (self.model, proposal.model or self.model, refitted)
        )
        return Outcome(drifted, adapted, supervised, proposal)

    def _use(self, seconds: float, run: int, changes: dict[str, float]) -> tuple[Window, Floats]:
        """Window of free use, and what was intended the lag of the calibration before."""
        settings = self._settings(run, **changes)
        rng = np.random.default_rng([self.seed, 70, run])
        course = free_use(rng, len(DEFAULT_DOFS), USE_RATE, seconds)
        held = np.repeat(course.x, round(settings.rate / USE_RATE), axis=0)
        emg = SyntheticEmg(settings).push(held)
        pipeline = FeaturePipeline(self.features, CHANNELS, settings.rate)
        ticks = [
            t
            for t in pipeline.push(emg, first_sample=0)
            if t.last_sample >= SETTLE_S * settings.rate and not t.quality
        ]
        Z = np.array([t.z for t in ticks])
        last = np.array([t.last_sample for t in ticks]) - self.model.lag_s * settings.rate
        target = held[np.maximum(last.astype(np.int64), 0)]
        number = np.array([t.tick for t in ticks])
        good = np.ones(len(ticks), dtype=np.bool_)
        rate = settings.rate / self.features.hop
        return Window(Z, self.model.estimates(Z), number, good, rate), target

    def _settings(self, run: int, **changes: float) -> SyntheticSettings:
        values = {"seed": self.seed, "run": run, "n_channels": CHANNELS, "drift_ramp_s": 0.0}
        return SyntheticSettings(**(values | changes))  # type: ignore[arg-type]


def _movements() -> MovementSet:
    """Every DOF both ways at two levels, and pairs: about nine minutes."""
    single = [
        Movement(f"{d.name} {level:g}", {d.name: level})
        for d in DEFAULT_DOFS
        for level in (1.0, -1.0, 0.5, -0.5)
    ]
    names = dof_names(DEFAULT_DOFS)
    pairs = [
        Movement(f"{a} {b}", {a: 0.75, b: 0.75 * sign})
        for a, b, sign in zip(names, (*names[1:], names[0]), (1, -1) * 3, strict=True)
    ]
    return MovementSet("adaptation", DEFAULT_DOFS, (*single, *pairs), 5)
