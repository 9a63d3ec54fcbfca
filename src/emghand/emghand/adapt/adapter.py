"""The adapter: explain what the user does with the calibration's muscles, and refit to that.

Every proposal starts from the calibration, never from the one before: nothing adds up. Which
decoder is proposed is decided by how plausible its output is for this person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from emghand.adapt.alignment import FLOOR, Alignment, align
from emghand.adapt.amplitudes import check_features, from_amplitudes, to_amplitudes
from emghand.adapt.holds import Holds, find_holds
from emghand.adapt.plausibility import plausibility
from emghand.adapt.proposal import CandidateScore, Changes, Proposal
from emghand.adapt.reference import Reference, learn_reference, load_calibrated
from emghand.adapt.registry import RuleOptions
from emghand.adapt.template import (
    GAIN_BOUNDS,
    Fit,
    fit_template,
    halves_of,
    learn_template,
    make_supports,
)
from emghand.adapt.window import Window
from emghand.decoders.base import LARGEST
from emghand.errors import UserError, one_line
from emghand.settings import check, setting
from emghand.storage.models import Model
from emghand.training import Dataset, TrainSettings, fit, shifted

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AdapterSettings:
    """How the adapter works."""

    least_s: float = setting(240.0, "Shortest use to adapt to", unit="s", low=60.0, high=3600.0)
    least_holds: int = setting(30, "Fewest holds to adapt to, rests included", low=5, high=10_000)
    margin: float = setting(
        0.05, "By how much plausibility must rise for the next candidate", low=0.0, high=10.0
    )

    def __post_init__(self) -> None:
        check(self)


class TemplateAdapter:
    """Alignment, template, transport of the calibration data, choice by plausibility.

    Parameters
    ----------
    model : Model
        The calibration decoder.
    calibration : Dataset
        What it was trained on.
    training : TrainSettings
        How it was trained.
    reference : Reference
        Own use without drift.
    settings : AdapterSettings, optional

    Raises
    ------
    UserError
        When the features are not amplitudes of single channels, or too few postures were held.
    """

    name = "template"

    def __init__(
        self,
        model: Model,
        calibration: Dataset,
        training: TrainSettings,
        reference: Reference,
        settings: AdapterSettings | None = None,
    ) -> None:
        self._settings = settings or AdapterSettings()
        check_features(model.features)
        self._model, self._reference = model, reference
        n = model.n_features
        self._unused = np.ones(n, dtype=np.bool_)
        chosen = model.normaliser.columns
        self._unused[slice(None) if chosen is None else chosen] = False
        if len(reference.rest) != n:
            raise UserError(f"reference: has {len(reference.rest)} channels, the model {n}")
        x = shifted(calibration, model.lag_s)
        self._training = frozen(training, model)
        self._calibration = replace(calibration, X=x)
        self._transform = model.features.transform
        self._amplitudes = to_amplitudes(calibration.Z, self._transform)
        use = calibration.use
        follows = np.diff(calibration.segment, prepend=calibration.segment[:1] - 1) == 0
        held = find_holds(x, calibration.tick_rate, follows & use)
        both = np.hstack([self._amplitudes, x])
        if len(held) < self._settings.least_holds:
            raise UserError(
                f"calibration: has {len(held)} holds, the adapter needs "
                f"{self._settings.least_holds}; record prompted movements"
            )
        self._template = learn_template(
            self._amplitudes[use], x[use], reference.rest, held.means(both)
        )
        mean, sd = (float(v) for v in reference.amplitude)
        self._supports = make_supports(
            [d.low for d in model.dofs], reference.patterns, mean, sd, reference.use
        )

    def propose(self, window: Window) -> Proposal:
        """A model for the use in a window; see `Rule`.

        The same windows give the same bits, whatever the number of threads. What cannot be learned
        from is refused, with the reason.
        """
        none = Changes.none(self._model.n_features)
        with threadpool_limits(1):
            try:
                found = self._propose(window)
            except UserError as error:
                return self._refuse(one_line(error), (), none)
            except np.linalg.LinAlgError as error:
                cause = f"what was seen does not determine a decoder ({error})"
                return self._refuse(cause, (), none)
        if not np.isfinite([s.plausibility for s in found.scores]).all():
            return self._refuse("an estimate is not finite", found.scores, found.changes)
        return found

    def _propose(self, window: Window) -> Proposal:
        n = self._model.n_features
        if window.Z.shape[1] != n:
            raise UserError(f"the window has {window.Z.shape[1]} features, the model {n}")
        window, amplitudes = _measured(window, self._transform)
        none = Changes.none(n)
        if window.seconds < self._settings.least_s:
            return self._refuse(
                f"only {window.seconds:.0f} s of use, of {self._settings.least_s:.0f} s", (), none
            )
        aligned = align(amplitudes, self._reference)
        changes = self._changes(aligned, None)
        if aligned.dead.mean() > 0.5:
            return self._refuse("more than half of the channels are dead", (), changes)
        first = self._refit(aligned, self._amplitudes)
        follows = np.diff(window.ticks, prepend=window.ticks[:1] - 1) == 1
        segments = np.cumsum(~follows)
        held = find_holds(first.estimates(window.Z, segments), window.tick_rate, follows)
        if len(held) < self._settings.least_holds:
            return self._refuse(
                f"only {len(held)} holds, of {self._settings.least_holds}", (), changes
            )
        explained = fit_template(
            held.means(aligned.to_reference(amplitudes)),
            self._template,
            self._supports,
            ~aligned.dead,
            int(self._reference.rings[0]),
        )
        second = self._refit(aligned, self._transported(explained))
        candidates = {"calibration": self._model, "align": first, "template": second}
        scores = tuple(
            CandidateScore(name, self._score(model, window, held, segments))
            for name, model in candidates.items()
        )
        # Where there is something to align, the score of the calibration is for people to see and
        # decides nothing: a decoder whose channels became weaker hardly moves, and rest is always
        # plausible.
        best = scores[0] if aligned.unchanged else scores[1]
        if scores[2].plausibility > best.plausibility + self._settings.margin:
            best = scores[2]
        if best.name == "template":
            changes = self._changes(aligned, explained)
        return Proposal(
            model=candidates[best.name],
            cause=(
                f"plausibility {best.plausibility:.2f}, of the calibration decoder "
                f"{scores[0].plausibility:.2f}"
            ),
            rule=self.name,
            chosen=best.name,
            scores=scores,
            changes=changes,
        )

    def _transported(self, explained: Fit) -> Floats:
        """The calibration's amplitudes as the muscles would make them with the new template."""
        s = halves_of(self._calibration.X)
        s = np.where(np.isfinite(s), s, 0.0)
        before, after = self._template, explained.template
        power = np.square(before.mixing).sum(axis=1)
        along = (before.mixing * after.mixing).sum(axis=1)
        gain = np.divide(along, power, out=np.ones_like(along), where=power > 0.0)
        residual = (self._amplitudes - before.amplitudes(s)) * np.clip(gain, *GAIN_BOUNDS)
        return np.maximum(after.amplitudes(s) + residual, FLOOR * after.rest)

    def _refit(self, aligned: Alignment, amplitudes: Floats) -> Model:
        now = np.maximum(aligned.to_now(amplitudes), 1e-12)
        # What does not vary says nothing: the normaliser gives it the scale 0.
        silent = aligned.dead | self._unused
        now[:, silent] = aligned.now[silent]
        examples = replace(self._calibration, Z=from_amplitudes(now, self._transform))
        fitted = fit(examples, self._training)
        return replace(
            self._model,
            decoder=fitted.decoder,
            normaliser=fitted.normaliser,
            encoder=fitted.encoder,
            scores={"adapted": {"rule": self.name, "from": self._model.model_id}},
            stored=("", ""),
        )

    def _score(
        self, model: Model, window: Window, held: Holds, segments: NDArray[np.int64]
    ) -> float:
        return plausibility(held.means(model.estimates(window.Z, segments)), self._reference)

    def _changes(self, aligned: Alignment, explained: Fit | None) -> Changes:
        n = self._model.n_features
        return Changes(
            gain=np.ones(n) if explained is None else explained.gain,
            dead=aligned.dead,
            baseline=aligned.now - aligned.before,
            global_gain=aligned.gain,
            rotation_deg=0.0 if explained is None else explained.rotation_deg,
        )

    def _refuse(self, cause: str, scores: tuple[CandidateScore, ...], changes: Changes) -> Proposal:
        return Proposal(None, cause, self.name, "", scores, changes)


def frozen(training: TrainSettings, model: Model) -> TrainSettings:
    """Settings that fit again what the model is, without choosing anything anew."""
    params = {k: v for k, v in model.decoder.get_params().items() if k != "delays"}
    for name, learned in (("process_gains", "process_gain_"), ("lambdas", "lambda_")):
        if name in params and hasattr(model.decoder, learned):
            params[name] = (float(getattr(model.decoder, learned)[0]),)
    return replace(
        training,
        delays=tuple(model.decoder.delays),
        max_lag_s=0.0,
        trial_lag_s=0.0,
        bad_channels="keep",
        max_features=0,
        selection_stop="none",
        params=params,
        search={},
    )


def reference_of(model: Model, window: Window, rings: int = 0) -> Reference:
    """Reference of own use with a model, for `TemplateAdapter`.

    Raises
    ------
    UserError
        When the use was too short, or the features are of no use for adaptation.
    """
    check_features(model.features)
    window, amplitudes = _measured(window, model.features.transform)
    return learn_reference(window, amplitudes, rings)


def for_model(uri: str, options: RuleOptions) -> TemplateAdapter:
    """The adapter from a model file and its companion; see `emghand.adapt.registry`.

    Raises
    ------
    UserError
        As `emghand.adapt.reference.load_calibrated`.
    """
    model, calibration, reference = load_calibrated(uri)
    settings = AdapterSettings(margin=options.margin)
    return TemplateAdapter(model, calibration.dataset, calibration.settings, reference, settings)


def _measured(window: Window, transform: str) -> tuple[Window, Floats]:
    """Usable ticks, and the amplitudes of the channels in them."""
    window = window.usable()
    with np.errstate(over="ignore"):
        amplitudes = to_amplitudes(window.Z, transform)
    keep = np.asarray((np.abs(amplitudes) < LARGEST).all(axis=1))
    return window.where(keep), amplitudes[keep]
