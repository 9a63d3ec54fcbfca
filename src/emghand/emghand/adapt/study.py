"""Synthetic people whose electrodes drift: does adaptation help them?

Calibration, own use, drifted use and a test on more drifted use, at the level of features, through
the decoder and the adapter that run live. Recovery is what the adapter regains of what a refit with
the true intention would: (adapted - drifted) / (supervised - drifted) in R².
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.adapter import TemplateAdapter, frozen, reference_of
from emghand.adapt.proposal import Proposal
from emghand.adapt.window import Window
from emghand.dofs import DEFAULT_DOFS, Dof, dof_names
from emghand.evaluate.metrics import score
from emghand.signal.settings import FeatureSettings
from emghand.simulate.drift import KINDS, Drift, make_drift
from emghand.simulate.feature_arm import FeatureArm, delayed
from emghand.simulate.use import Course, Usage, calibration, free_use
from emghand.storage.models import Model
from emghand.storage.recording import PeriodKind, Stream
from emghand.training import Dataset, TrainSettings, fit, train

Floats = NDArray[np.float64]

RATE, HOP = 960.0, 16
FEATURES = FeatureSettings(
    hop=HOP, window_hops=18, bandpass_low=0.0, bandpass_high=0.0, notch_hz=0.0
)
OWN_USE_S = 300.0
WINDOW_S = 480.0
TEST_S = 150.0
TRAINED = 4
"""Repetitions of the calibration that are learned from; the last one is left out."""

SEEN_S, CORRECTED_S, CORRECTION = 0.15, 0.5, 0.5
"""A person in a closed loop: delay of what is seen, time to correct it, and share corrected."""

USAGES = {
    "grasps": Usage(grasps=0.35),
    "small": Usage(amplitude=0.6),
    "narrow": Usage(directions=4),
}
"""Other habits than those of the study: no drift, but a change that looks like one."""


@dataclass(frozen=True)
class Outcome:
    """R² on drifted use, of the DOFs that move, with the lag of the calibration taken out.

    Parameters
    ----------
    drifted, adapted, supervised : float
        Of the calibration decoder, of the one that was proposed (or stayed), and of a refit with
        the true intention.
    proposal : Proposal
    """

    drifted: float
    adapted: float
    supervised: float
    proposal: Proposal


class Person:
    """A synthetic person with a calibrated decoder and own use without drift.

    Parameters
    ----------
    seed : int
    usage : Usage, optional
        Habits, in the reference and ever after.
    decoder : str
        Kind.
    n_electrodes : int
    dofs : sequence of Dof
    """

    def __init__(
        self,
        seed: int,
        usage: Usage | None = None,
        decoder: str = "kalman",
        n_electrodes: int = 32,
        dofs: tuple[Dof, ...] = DEFAULT_DOFS,
    ) -> None:
        self.seed, self.dofs = seed, dofs
        self.usage = None if usage is None else replace(usage, seed=seed)
        self.arm = FeatureArm(seed, len(dofs), n_electrodes, RATE / HOP)
        rng = np.random.default_rng([seed, 30])
        course = calibration(rng, len(dofs), self.arm.rate)
        whole = self._dataset(course, self.arm.features(course, rng))
        self.calibration = whole.rows(whole.repetition < TRAINED)
        self.training = TrainSettings(decoder)
        self.model: Model = train(self.calibration, self.training)
        own = free_use(rng, len(dofs), self.arm.rate, OWN_USE_S, self.usage)
        self.own_use = self._window(self.arm.features(own, rng))

    def adapter(self, known_rings: bool) -> TemplateAdapter:
        """The adapter of this person."""
        rings = self.arm.rings if known_rings else 0
        reference = reference_of(self.model, self.own_use, rings)
        return TemplateAdapter(self.model, self.calibration, self.training, reference)

    def try_drift(self, adapter: TemplateAdapter, kind: str = "", strength: int = 0) -> Outcome:
        """Use the hand with drifted electrodes, adapt, and test on more of it.

        Parameters
        ----------
        adapter : TemplateAdapter
        kind : str
            One of `emghand.simulate.drift.KINDS`; empty: no drift.
        strength : int
            1 to 3.
        """
        number = KINDS.index(kind) + 1 if kind else 0
        rng = np.random.default_rng([self.seed, 40, number, strength])
        drift = (
            make_drift(self.arm, kind, strength, rng) if kind else Drift.none(self.arm.n_electrodes)
        )
        used, tested = (
            free_use(rng, len(self.dofs), self.arm.rate, s, self.usage) for s in (WINDOW_S, TEST_S)
        )
        Z, unseen = (self.arm.features(c, rng, drift) for c in (used, tested))
        proposal = adapter.propose(self._window(Z))
        known = self._dataset(used, Z)
        known = replace(known, X=self._labels(known.X))
        supervised = fit(known, frozen(self.training, self.model))
        refitted = replace(self.model, decoder=supervised.decoder, normaliser=supervised.normaliser)
        return Outcome(
            drifted=self._r2(self.model, unseen, tested),
            adapted=self._r2(proposal.model or self.model, unseen, tested),
            supervised=self._r2(refitted, unseen, tested),
            proposal=proposal,
        )

    def try_closed_loop(self, adapter: TemplateAdapter, kind: str, strength: int) -> Outcome:
        """The same with a person who sees the hand and corrects it; R² of `x_hat` to the target."""
        rng = np.random.default_rng([self.seed, 50, KINDS.index(kind) + 1, strength])
        drift = make_drift(self.arm, kind, strength, rng)

        def use(model: Model, seconds: float, seed: int) -> tuple[Floats, Floats, Floats]:
            own = np.random.default_rng([self.seed, 60, seed])
            course = free_use(own, len(self.dofs), self.arm.rate, seconds, self.usage)
            return self._closed_loop(model, course, own, drift)

        Z, x_hat, target = use(self.model, WINDOW_S, 0)
        m = len(Z)
        window = Window(Z, x_hat, np.arange(m), np.ones(m, dtype=np.bool_), self.arm.rate)
        proposal = adapter.propose(window)
        course = Course(target, target, np.zeros(m, np.int64), np.full(m, -1))
        known = replace(self._dataset(course, Z), X=self._labels(target))
        supervised = fit(known, frozen(self.training, self.model))
        refitted = replace(self.model, decoder=supervised.decoder, normaliser=supervised.normaliser)
        scores = []
        for model in (self.model, proposal.model or self.model, refitted):
            _, x_hat, target = use(model, TEST_S, 1)
            names = dof_names(self.dofs)
            scores.append(score(self._labels(target), x_hat, names).mean_r2)
        return Outcome(scores[0], scores[1], scores[2], proposal)

    def _closed_loop(
        self, model: Model, course: Course, rng: np.random.Generator, drift: Drift
    ) -> tuple[Floats, Floats, Floats]:
        """Features, estimates and targets of a person who corrects what they see.

        The intention is the target and a correction, which follows the error seen 150 ms ago.
        """
        stream = self.arm.stream(rng, drift)
        decoder = type(model.decoder).from_arrays(
            model.decoder.get_params(), model.decoder.to_arrays()
        )
        delay = round(SEEN_S * self.arm.rate)
        pace = 1.0 / (CORRECTED_S * self.arm.rate)
        n = len(course.x)
        Z = np.empty((n, self.arm.n_electrodes))
        x_hat = np.zeros((n, len(self.dofs)))
        correction = np.zeros(len(self.dofs))
        for i, target in enumerate(course.x):
            if i >= delay:
                error = course.x[i - delay] - x_hat[i - delay]
                correction += pace * (CORRECTION * error - correction)
            moves = np.any(target != 0.0)
            intended = np.clip(target + correction if moves else target, -1.0, 1.0)
            Z[i] = stream.step(intended, int(course.trial[i]))
            x_hat[i] = decoder.step(model.normaliser.apply(Z[i]))
        return Z, x_hat, course.x

    def _r2(self, model: Model, Z: Floats, course: Course) -> float:
        x_hat = model.estimates(Z)
        return score(self._labels(course.x), x_hat, dof_names(self.dofs)).mean_r2

    def _labels(self, x: Floats) -> Floats:
        """Labels of the lag of the calibration ago."""
        return delayed(x, round(self.model.lag_s * self.arm.rate))

    def _window(self, Z: Floats) -> Window:
        m = len(Z)
        return Window(
            Z, self.model.estimates(Z), np.arange(m), np.ones(m, dtype=np.bool_), self.arm.rate
        )

    def _dataset(self, course: Course, Z: Floats) -> Dataset:
        m, n = Z.shape
        names = tuple(f"ch{i + 1:02d}" for i in range(n))
        moving = np.asarray(course.prompt.any(axis=1))
        period = np.where(moving, int(PeriodKind.MOVE), int(PeriodKind.REST))
        return Dataset(
            Z=Z,
            X=course.prompt,
            stamps_ns=np.round(np.arange(m) * 1e9 / self.arm.rate).astype(np.int64),
            use=np.ones(m, dtype=np.bool_),
            period=period.astype(np.int64),
            movement=course.trial.astype(np.str_),
            repetition=course.repetition,
            trial=course.trial,
            recording=np.zeros(m, dtype=np.int64),
            segment=np.zeros(m, dtype=np.int64),
            dofs=self.dofs,
            feature_settings=FEATURES,
            stream=Stream("simulated", "", names, RATE, HOP, "V", 1.0),
            digests=(f"synthetic person {self.seed}",),
        )
