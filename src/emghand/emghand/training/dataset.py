"""Labelled examples: features and desired DOFs at the decoder's ticks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import Dof, dof_names
from emghand.errors import UserError
from emghand.pipeline import feature_ticks
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Recording, Series, Source, Stream
from emghand.training.labels import label_periods, label_values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Dataset:
    """Examples of one or several recordings, one row per tick with a good signal.

    Parameters
    ----------
    Z : ndarray, shape (m, n_features)
        Features, not normalised.
    X : ndarray, shape (m, n_dofs)
        `x_d` at the tick's stamp, as shown: not aligned.
    stamps_ns : ndarray of int, shape (m,)
        Acquisition time of the last sample of the tick.
    use : ndarray of bool, shape (m,)
        Rows to learn from and to score: labelled, and not in a PROMPT or IDLE period.
    period : ndarray of int, shape (m,)
        `PeriodKind`.
    movement : ndarray of str, shape (m,)
        Empty outside of trials.
    repetition, trial : ndarray of int, shape (m,)
        -1 where the recording was not prompted.
    recording : ndarray of int, shape (m,)
        Which recording the row is from.
    segment : ndarray of int, shape (m,)
        Changes wherever ticks are missing or the features started anew.
    dofs : tuple of Dof
    feature_settings : FeatureSettings
    stream : Stream
        The raw EMG; of the first recording.
    digests : tuple of str
        SHA-256 of each recording.
    sources : tuple of Source
        What each recording is; empty for examples that are of none.
    dofs_inferred : bool
        Whether the ranges of the DOFs were read from the labels. A part of the rows then has the
        ranges that its own labels show, so that it knows nothing of the rest.
    """

    Z: Floats
    X: Floats
    stamps_ns: Ints
    use: Bools
    period: Ints
    movement: NDArray[np.str_]
    repetition: Ints
    trial: Ints
    recording: Ints
    segment: Ints
    dofs: tuple[Dof, ...]
    feature_settings: FeatureSettings
    stream: Stream
    digests: tuple[str, ...]
    sources: tuple[Source, ...] = ()
    dofs_inferred: bool = False

    def __len__(self) -> int:
        return len(self.Z)

    @property
    def tick_rate(self) -> float:
        """Ticks per second [Hz]."""
        return self.stream.rate / self.feature_settings.hop

    @property
    def digest(self) -> str:
        """SHA-256 of all recordings together; of a single one its own."""
        if len(self.digests) == 1:
            return self.digests[0]
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()

    @property
    def groups(self) -> Ints:
        """What is left out at a time: one repetition of one recording; shape (m,).

        A recording without repetitions counts as five consecutive pieces.
        """
        found = self.repetition.copy()
        for r in np.unique(self.recording):
            rows = np.flatnonzero(self.recording == r)
            if (found[rows] < 0).all():
                found[rows] = np.arange(len(rows)) * 5 // len(rows)
        # Ticks before the first trial belong to the first repetition.
        found = np.maximum(found, 0)
        _, groups = np.unique(
            self.recording * (found.max(initial=0) + 1) + found, return_inverse=True
        )
        return groups.astype(np.int64)

    def rows(self, keep: Bools) -> Dataset:
        """The rows for which `keep`, shape (m,), is true; segments end where rows are missing."""
        index = np.flatnonzero(keep)
        gap = np.diff(index, prepend=index[:1] - 1) > 1
        change = np.diff(self.segment[index], prepend=self.segment[index][:1]) != 0
        fields = (
            "Z",
            "X",
            "stamps_ns",
            "use",
            "period",
            "movement",
            "repetition",
            "trial",
            "recording",
        )
        kept: dict[str, Any] = {name: getattr(self, name)[index] for name in fields}
        dofs = self.dofs
        if self.dofs_inferred:
            dofs = _ranges(dof_names(dofs), kept["X"])
        return replace(self, **kept, segment=np.cumsum(gap | change), dofs=dofs)


def dataset_from_recording(
    recording: Recording, features: FeatureSettings, dofs: Sequence[Dof] | None = None
) -> Dataset:
    """Examples of one recording.

    Labels are interpolated between their stamps to the stamp of each tick.

    Parameters
    ----------
    recording : Recording
        With `x_d`.
    features : FeatureSettings
    dofs : sequence of Dof, optional
        DOFs to learn, by name. By default all of `x_d`, one-sided where it never is negative.

    Raises
    ------
    UserError
        When the recording has no labels or no tick with a good signal.
    """
    x_d = recording.x_d
    if x_d is None or len(x_d.stamps_ns) < 2:
        raise UserError(f"{recording.source}: has no x_d (prompts or glove) to learn from")
    chosen = _dofs(recording.source, x_d, dofs)
    stamps, ticks = [], []
    for stamp, tick in feature_ticks(features, recording):
        if tick.quality == 0:
            stamps.append(stamp)
            ticks.append(tick)
    if not ticks:
        raise UserError(
            f"{recording.source}: has no tick with a good signal; is it shorter than the window?"
        )
    stamps_ns = np.array(stamps, dtype=np.int64)
    numbers = np.array([t.tick for t in ticks], dtype=np.int64)
    breaks = np.array([t.reset for t in ticks]) | (np.diff(numbers, prepend=numbers[:1] - 1) != 1)
    X, labelled = label_values(x_d, dof_names(chosen), stamps_ns)
    if not labelled.any():
        finite = np.isfinite(x_d.values)
        empty = [d.name for d in chosen if not finite[:, x_d.names.index(d.name)].any()]
        if empty:
            raise UserError(f"{recording.source}: x_d holds no number for {', '.join(empty)}")
        raise UserError(f"{recording.source}: x_d and EMG do not overlap in time")
    periods = label_periods(recording.periods, stamps_ns)
    return Dataset(
        Z=np.array([t.z for t in ticks]),
        X=X,
        stamps_ns=stamps_ns,
        use=labelled & periods.asked,
        period=periods.kind,
        movement=periods.movement,
        repetition=periods.repetition,
        trial=periods.trial,
        recording=np.zeros(len(ticks), dtype=np.int64),
        segment=np.cumsum(breaks),
        dofs=chosen,
        feature_settings=features,
        stream=recording.stream,
        digests=(recording.digest,),
        sources=(recording.describe(),),
        dofs_inferred=dofs is None,
    )


def join(datasets: Sequence[Dataset]) -> Dataset:
    """Several recordings as one set of examples.

    Raises
    ------
    UserError
        When they differ in DOFs, features or channels.
    """
    if not datasets:
        raise UserError("no recordings to learn from")
    first = datasets[0]
    names = tuple(d.name for d in first.dofs)
    for other in datasets[1:]:
        same = (
            tuple(d.name for d in other.dofs) == names
            and other.feature_settings == first.feature_settings
            and other.stream.channel_names == first.stream.channel_names
            and (other.stream.rate, other.stream.unit) == (first.stream.rate, first.stream.unit)
        )
        if not same:
            raise UserError(
                "the recordings differ in DOFs, channels, rate or unit; train on those that agree"
            )
    if len(datasets) == 1:
        return first
    dofs = tuple(
        Dof(name, min(d.dofs[i].low for d in datasets), max(d.dofs[i].high for d in datasets))
        for i, name in enumerate(names)
    )
    offsets = np.cumsum([0] + [int(d.segment.max()) + 1 for d in datasets])
    fields = ("Z", "X", "stamps_ns", "use", "period", "movement", "repetition", "trial")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(d, name) for d in datasets]) for name in fields
    }
    return replace(
        first,
        **joined,
        recording=np.concatenate([np.full(len(d), i) for i, d in enumerate(datasets)]),
        segment=np.concatenate([d.segment + o for d, o in zip(datasets, offsets, strict=False)]),
        dofs=dofs,
        digests=tuple(digest for d in datasets for digest in d.digests),
        sources=tuple(source for d in datasets for source in d.sources),
        dofs_inferred=all(d.dofs_inferred for d in datasets),
    )


def _dofs(source: str, x_d: Series, dofs: Sequence[Dof] | None) -> tuple[Dof, ...]:
    if dofs is None:
        return _ranges(x_d.names, x_d.values)
    for dof in dofs:
        if dof.name not in x_d.names:
            raise UserError(f"{source}: x_d has no {dof.name}, only: {', '.join(x_d.names)}")
    return tuple(dofs)


def _ranges(names: Sequence[str], X: Floats) -> tuple[Dof, ...]:
    """DOFs that are one-sided where the labels never are negative."""
    return tuple(
        Dof(name, 0.0 if (values[np.isfinite(values)] >= 0.0).all() else -1.0, 1.0)
        for name, values in zip(names, X.T, strict=True)
    )
