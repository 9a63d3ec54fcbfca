"""Movements of a recording: detector and envelope bursts, against what was prompted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.bursts import Burst, BurstSettings, find_bursts
from emghand.adapt.detector import DetectorSettings, Segment, detect
from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.evaluate.latency import latency_s
from emghand.evaluate.onsets import OnsetScores, TrueMovement, prompted_movements, score_onsets
from emghand.pipeline import Pipeline
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model
from emghand.storage.recording import PeriodKind, Recording
from emghand.training.labels import label_periods, label_values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimates:
    """Raw estimates of a recording, tick by tick.

    Parameters
    ----------
    origin : str
        What they are from.
    dofs : tuple of str
    tick_rate : float
        Ticks per second [Hz].
    ticks, stamps_ns : ndarray of int, shape (m,)
    x_hat : ndarray, shape (m, n_dofs)
    quiet : ndarray of bool, shape (m,)
        Ticks of a movement that is announced (PROMPT).
    lag_s : float or None
        By which the EMG followed `x_d` in the training of the model; None: unknown.
    """

    origin: str
    dofs: tuple[str, ...]
    tick_rate: float
    ticks: Ints
    stamps_ns: Ints
    x_hat: Floats
    quiet: Bools
    lag_s: float | None = None


@dataclass(frozen=True)
class FoundMovements:
    """What was found in a recording.

    Parameters
    ----------
    source : str
    estimates : Estimates
    segments : list of Segment
    start_ns : int
        Acquisition time of the first estimate: 0 s of all times in tables.
    bursts : list of Burst
    prompted : list of TrueMovement
        Times on the clock of the stamps [s]; empty when nothing was prompted.
    lag_s, reaction_s : float
        Taken off the beginnings of movements and of bursts before they are scored.
    scores, burst_scores : OnsetScores or None
        None when nothing was prompted.
    """

    source: str
    estimates: Estimates
    segments: list[Segment]
    start_ns: int
    bursts: list[Burst] = field(default_factory=list)
    prompted: list[TrueMovement] = field(default_factory=list)
    lag_s: float = 0.0
    reaction_s: float = 0.0
    scores: OnsetScores | None = None
    burst_scores: OnsetScores | None = None

    @property
    def movements(self) -> list[Segment]:
        """Movements among the segments."""
        return [s for s in self.segments if s.kind == "movement"]

    def stamp_ns(self, tick: int) -> int:
        """Acquisition time of a tick [ns]."""
        row = int(np.searchsorted(self.estimates.ticks, tick))
        return int(self.estimates.stamps_ns[row])

    def seconds(self, tick: int) -> float:
        """Time of a tick since the first estimate [s]."""
        return (self.stamp_ns(tick) - self.start_ns) * 1e-9


def decoded_estimates(recording: Recording, model: Model, name: str = "") -> Estimates:
    """Estimates of a model, computed from the raw EMG.

    Raises
    ------
    UserError
        When the recording is of another stream than the model.
    """
    run = Pipeline(model, recording.stream).run(recording)
    return Estimates(
        origin=name or model.decoder.kind,
        dofs=dof_names(model.dofs),
        tick_rate=model.tick_rate,
        ticks=run.ticks,
        stamps_ns=run.stamps_ns,
        x_hat=run.x_hat,
        quiet=_announced(recording, run.stamps_ns),
        lag_s=model.lag_s,
    )


def published_estimates(recording: Recording, tick_rate: float | None = None) -> Estimates | None:
    """Estimates that a decoder published while the recording was made; None where none did.

    Parameters
    ----------
    recording : Recording
    tick_rate : float, optional
        Ticks per second [Hz]; by default from the stamps.
    """
    series = recording.x_hat
    if series is None or len(series.stamps_ns) < 2:
        return None
    order = np.argsort(series.stamps_ns, kind="stable")
    stamps = series.stamps_ns[order]
    apart = float(np.median(np.diff(stamps)))
    if not apart > 0.0:
        return None
    rate = tick_rate or 1e9 / apart
    return Estimates(
        origin="/decoder/x_hat",
        dofs=series.names,
        tick_rate=rate,
        ticks=ticks_of_stamps(stamps, rate),
        stamps_ns=stamps,
        x_hat=series.values[order],
        quiet=_announced(recording, stamps),
    )


def ticks_of_stamps(stamps_ns: Ints, tick_rate: float) -> Ints:
    """Numbers of ticks, from 0 on, by their stamps in ascending order, shape (m,).

    The clock of the stamps may run a little faster or slower than the rate says: ticks are counted
    from one to the next.
    """
    steps = np.maximum(1, np.round(np.diff(stamps_ns) * 1e-9 * tick_rate)).astype(np.int64)
    return np.concatenate([np.zeros(min(1, len(stamps_ns)), np.int64), np.cumsum(steps)])


def find_movements(
    recording: Recording | None,
    estimates: Estimates,
    settings: DetectorSettings | None = None,
    features: FeatureSettings | None = None,
    bursts: BurstSettings | None = None,
) -> FoundMovements:
    """Detect the movements of a recording and compare them with the prompts, if there are any.

    Before beginnings are compared, what is known to delay them is taken off: from movements the lag
    by which the EMG followed `x_d` in training, of estimates that a bag holds that by which they
    follow `x_d` (largest correlation); from bursts that lag without half a feature window, so the
    reaction of the person. A movement counts as found when its beginning lies within
    `emghand.evaluate.onsets.TOLERANCE_S` of a prompted one.

    Parameters
    ----------
    recording : Recording or None
        None: there are neither bursts nor prompts.
    estimates : Estimates
    settings : DetectorSettings, optional
    features : FeatureSettings, optional
        Filters of the bursts, and the window of the estimates.
    bursts : BurstSettings, optional

    Raises
    ------
    UserError
        When there is no estimate.
    """
    settings, features = settings or DetectorSettings(), features or FeatureSettings()
    e = estimates
    source = recording.source if recording is not None else e.origin
    if not len(e.ticks):
        raise UserError(f"{source}: has no estimate to find movements in")
    segments = detect(e.x_hat, e.ticks, settings, e.tick_rate, e.quiet)
    found = FoundMovements(source, e, segments, int(e.stamps_ns[0]))
    if recording is None:
        return found
    try:
        active = find_bursts(recording, bursts, features)
    except UserError:
        # Too short for a level of rest; the movements do not depend on it.
        active = []
    found = replace(found, bursts=active, prompted=prompted_movements(recording, e.dofs))
    return _scored(found, recording, settings, features) if found.prompted else found


def _scored(
    found: FoundMovements,
    recording: Recording,
    settings: DetectorSettings,
    features: FeatureSettings,
) -> FoundMovements:
    e = found.estimates
    lag = e.lag_s if e.lag_s is not None else _measured_lag(recording, e)
    window = features.window_hops * features.hop / recording.stream.rate
    reaction = max(0.0, lag - window / 2.0)
    large = [m for m in found.prompted if m.displacement > settings.displacement]
    small = [m.start_s for m in found.prompted if m.displacement <= settings.displacement]
    begun = [found.stamp_ns(s.t0_tick) * 1e-9 - lag for s in found.movements]
    scores = score_onsets(begun, [m.start_s for m in large], small)
    # A burst lasts as long as the muscles work: it begins where a movement leaves rest.
    active = [b.start_ns * 1e-9 - reaction for b in found.bursts]
    left = [m.start_s for m in large if m.from_rest]
    return replace(
        found,
        lag_s=lag,
        reaction_s=reaction,
        scores=scores,
        burst_scores=score_onsets(active, left, small),
    )


def _measured_lag(recording: Recording, e: Estimates) -> float:
    x_d = recording.x_d
    names = [n for n in e.dofs if x_d is not None and n in x_d.names]
    if x_d is None or not names:
        return 0.0
    wanted, known = label_values(x_d, names, e.stamps_ns)
    run = np.cumsum(np.diff(e.ticks, prepend=e.ticks[:1] - 1) != 1)
    columns = [e.dofs.index(n) for n in names]
    estimate = e.x_hat[:, columns]
    known &= np.isfinite(estimate).all(axis=1)
    lags = latency_s(wanted[known], estimate[known], run[known], e.tick_rate)
    return float(np.median(lags[np.isfinite(lags)])) if np.isfinite(lags).any() else 0.0


def _announced(recording: Recording, stamps_ns: Ints) -> Bools:
    return label_periods(recording.periods, stamps_ns).kind == PeriodKind.PROMPT


def total(scores: Sequence[OnsetScores | None]) -> OnsetScores | None:
    """Scores of several recordings counted together; None when there are none."""
    known = [s for s in scores if s is not None]
    if not known:
        return None
    whole = known[0]
    for other in known[1:]:
        whole = whole.plus(other)
    return whole
