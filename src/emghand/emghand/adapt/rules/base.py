"""What the simpler rules of adaptation share: what they learn from, and what they propose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from emghand.adapt.proposal import CandidateScore, Changes, Proposal
from emghand.adapt.rules import labels
from emghand.adapt.rules.labels import Labelled, Segmenter, detected_segments
from emghand.adapt.rules.linear import Linear, check_stable, inputs, linear_of, with_rows
from emghand.adapt.window import Window
from emghand.decoders.base import Decoder
from emghand.decoders.kalman import KalmanDecoder
from emghand.errors import UserError, one_line
from emghand.settings import check, setting
from emghand.storage.models import Model
from emghand.training.dataset import Dataset

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Score = Callable[[Model, Window], float]


@dataclass(frozen=True)
class RuleSettings:
    """What every rule can be told."""

    labels: str = setting(
        "movements",
        "Learn from detected movements, from the decoder's own output during them, or from x_d "
        "(prompts or a glove).",
        choices=labels.SOURCES,
    )
    snap: float = setting(
        0.2, "Ends of a movement that are nearer to rest than this are at rest.", low=0.0, high=1.0
    )
    moving_dofs_only: bool = setting(
        False, "Only the rows of DOFs that moved change; the others stay to the bit."
    )
    least_s: float = setting(
        10.0, "With less labelled use nothing is proposed.", unit="s", low=0.1, high=3600.0
    )

    def __post_init__(self) -> None:
        check(self)


def calibration_weight(default: float) -> float:
    """The setting of rules that fit to calibration data beside what was seen."""
    weight: float = setting(
        default,
        "Weight of a calibration example beside one of use: large ties the decoder to the "
        "electrodes as they were, 0 forgets what was not seen.",
        low=0.0,
        high=1000.0,
    )
    return weight


S = TypeVar("S", bound=RuleSettings)


@dataclass(frozen=True)
class Batch:
    """Labelled use, as the decoder sees it.

    Parameters
    ----------
    Z : ndarray, shape (k, n_features)
        As published.
    inputs : ndarray, shape (k, f)
        Normalised, encoded, with delayed copies.
    labelled : Labelled
    ticks : ndarray of int, shape (k,)
    """

    Z: Floats
    inputs: Floats
    labelled: Labelled
    ticks: Ints


class LinearRule(ABC, Generic[S]):
    """A simple way to adapt a ridge or Kalman decoder.

    Rules of this kind serve as comparison. Those that are `chained` go on from what they proposed
    last and never see a tick twice; the calibration is kept, and `undo` goes back to it.

    Parameters
    ----------
    model : Model
        The calibration.
    dataset : Dataset
        What it was fitted to; `use` marks the rows that were learned from.
    settings : RuleSettings
        Those of the rule.
    segmenter : callable
        Movements and plateaus of a window; by default those of the detector.
    score : callable, optional
        How plausible a model's output is during a window; reported with the proposal.
    margin : float, optional
        A model whose score is not better than that of the calibration by more than this is
        refused; None: the score decides nothing.

    Attributes
    ----------
    model : Model
        The calibration, as it was given.

    Raises
    ------
    UserError
        For a decoder that the rule cannot adapt, or settings that do not go with it.
    """

    name: ClassVar[str]
    chained: ClassVar[bool]

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        settings: S,
        *,
        segmenter: Segmenter = detected_segments,
        score: Score | None = None,
        margin: float | None = None,
    ) -> None:
        self.model = model
        self.settings = settings
        self._segmenter, self._score, self._margin = segmenter, score, margin
        with threadpool_limits(1):
            self.linear: Linear = linear_of(self.name, model, dataset)
        decoder = model.decoder
        standard = isinstance(decoder, KalmanDecoder) and decoder.gain == "standard"
        if standard and self.settings.moving_dofs_only:
            raise UserError(
                "moving_dofs_only: a Kalman decoder with the standard gain has no rows of single "
                "DOFs; train it with the steady gain"
            )
        self._begin()

    def undo(self) -> None:
        """Back to the calibration: what was proposed is forgotten, what was seen may come again."""
        self._begin()

    def propose(self, window: Window) -> Proposal:
        """A model for what was seen; see `emghand.adapt.proposal.Rule`.

        The same windows give the same bits, whatever the number of threads. What cannot be learned
        from is refused, with the reason; the rule is then as before.
        """
        # What overflows is not finite, and found below.
        with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):
            try:
                return self._propose(window)
            except UserError as error:
                return self._refused(one_line(error))
            except np.linalg.LinAlgError as error:
                return self._refused(f"what was seen does not determine a decoder ({error})")

    def _begin(self) -> None:
        self._decoder: Decoder = self.model.decoder
        self._seen: int | None = None
        self._start()

    @abstractmethod
    def _start(self) -> None:
        """Forget everything but the calibration."""

    @abstractmethod
    def _learn(self, batch: Batch, changed: Bools) -> tuple[Decoder, Callable[[], None]]:
        """Decoder of what was seen, and how to go on from it once it is proposed.

        Rows of DOFs that are not in `changed`, shape (n_dofs,), need not be right.
        """

    def _only_new(self) -> bool:
        """Whether ticks that were learned from are left out."""
        return self.chained

    def _propose(self, window: Window) -> Proposal:
        expected = (self.model.n_features, len(self.model.dofs))
        if (window.Z.shape[1], window.x_hat.shape[1]) != expected:
            raise UserError(
                f"the window has {window.Z.shape[1]} features and {window.x_hat.shape[1]} DOFs, "
                f"the model {expected[0]} and {expected[1]}"
            )
        labelled = self._labels(window)
        # Ticks that begin anew are those of another run: none of them was seen.
        if (
            self._only_new()
            and self._seen is not None
            and self._seen <= window.ticks.max(initial=-1)
        ):
            labelled = labelled.where(window.ticks[labelled.rows] > self._seen)
        seconds = len(labelled) / window.tick_rate
        if seconds < self.settings.least_s:
            raise UserError(
                f"only {seconds:.1f} s of labelled use, {self.settings.least_s:g} s are needed"
            )
        moved = labelled.moved
        if not moved.any():
            raise UserError("no DOF moved in what was seen")
        changed = moved if self.settings.moving_dofs_only else np.ones_like(moved)
        batch = self._batch(window, labelled)
        decoder, go_on = self._learn(batch, changed)
        if not changed.all():
            before = self._decoder if self.chained else self.model.decoder
            decoder = with_rows(decoder, before, self.linear.rows, changed)
        check_stable(decoder)
        adapted = self._model(decoder)
        scores = self._scores(adapted, window)
        if scores and self._margin is not None:
            calibration, proposed = (s.plausibility for s in scores)
            # NaN, as of a window without a hold, is no improvement.
            if not proposed > calibration + self._margin:
                return self._refused("not more plausible than the calibration", scores)
        go_on()
        self._decoder, self._seen = decoder, int(batch.ticks[-1])
        names = [d.name for d, m in zip(self.model.dofs, moved, strict=True) if m]
        return Proposal(
            model=adapted,
            cause=f"learned from {seconds:.0f} s of labelled use that moved {', '.join(names)}",
            rule=self.name,
            chosen=self.name,
            scores=scores,
            changes=Changes.none(self.model.n_features),
        )

    def _labels(self, window: Window) -> Labelled:
        if self.settings.labels == "prompts":
            return labels.prompt_labels(window, self.model.lag_s)
        segments = self._segmenter(window)
        if self.settings.labels == "output":
            return labels.output_labels(window, segments)
        return labels.movement_labels(window, segments, self.settings.snap)

    def _batch(self, window: Window, labelled: Labelled) -> Batch:
        # Delayed copies come from the ticks before, labelled or not.
        usable = labels.usable(window)
        seen = inputs(self.model, window.Z[usable], labels.runs(window.ticks[usable]))
        place = np.cumsum(usable) - 1
        rows = labelled.rows
        return Batch(window.Z[rows], seen[place[rows]], labelled, window.ticks[rows])

    def _model(self, decoder: Decoder) -> Model:
        scores = {"adapted": {"rule": self.name, "from": self.model.model_id}}
        return replace(self.model, decoder=decoder, scores=scores, stored=("", ""))

    def _scores(self, adapted: Model, window: Window) -> tuple[CandidateScore, ...]:
        if self._score is None:
            return ()
        return (
            CandidateScore("calibration", self._score(self.model, window)),
            CandidateScore(self.name, self._score(adapted, window)),
        )

    def _refused(self, cause: str, scores: tuple[CandidateScore, ...] = ()) -> Proposal:
        nothing = Changes.none(self.model.n_features)
        return Proposal(None, cause, self.name, "", scores, nothing)


def no_state() -> None:
    """How a rule goes on that carries nothing from window to window."""
