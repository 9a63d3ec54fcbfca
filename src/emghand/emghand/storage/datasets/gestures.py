"""Labels given as gestures: periods of the recording, and the posture each one asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emghand.storage.recording import Period, PeriodKind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Gesture:
    """What one label means.

    Parameters
    ----------
    name : str
    dofs : mapping of str to float
        The posture; DOFs that are not named are at 0.
    """

    name: str
    dofs: Mapping[str, float] = field(default_factory=dict)


REST = -1
UNKNOWN = -2


def postures(index: Ints, gestures: Sequence[Gesture], names: Sequence[str]) -> Floats:
    """`x_d` of each label, shape (n, len(names)): a step to the posture; NaN where unknown.

    Parameters
    ----------
    index : ndarray of int, shape (n,)
        Into `gestures`; `REST` or `UNKNOWN`.
    """
    table = np.array([[g.dofs.get(name, 0.0) for name in names] for g in gestures])
    x_d = np.zeros((len(index), len(names)))
    known = index >= 0
    if known.any():
        x_d[known] = table[index[known]]
    x_d[index == UNKNOWN] = np.nan
    return x_d


def gesture_periods(
    index: Ints,
    stamps_ns: Ints,
    gestures: Sequence[Gesture],
    *,
    repetition: Ints | None = None,
    reaction_s: float = 0.0,
    first_trial: int = 0,
    numbers: Sequence[int] | None = None,
) -> list[Period]:
    """Periods of labels that are given sample by sample.

    A gesture is one trial. Its first `reaction_s` are MOVE, the rest HOLD; without a reaction time
    all of it is MOVE. Rest belongs to the trial before it. Samples with an unknown label are IDLE,
    so that nobody learns from them.

    Parameters
    ----------
    index : ndarray of int, shape (n,)
        Into `gestures`; `REST` or `UNKNOWN`.
    stamps_ns : ndarray of int, shape (n,)
    gestures : sequence of Gesture
    repetition : ndarray of int, shape (n,), optional
        From 0; negative: not said. By default a gesture's repetitions are counted.
    reaction_s : float
    first_trial : int
    numbers : sequence of int, optional
        `Period.movement_index` of each gesture; by default its place.
    """
    if not len(index):
        return []
    change = np.diff(index) != 0
    if repetition is not None:
        change |= (np.diff(repetition) != 0) & (index[1:] >= 0)
    starts = np.concatenate([[0], np.flatnonzero(change) + 1])
    ends = np.append(starts[1:], len(index))
    seen: dict[int, int] = {}
    now, trial = 0, first_trial - 1
    periods: list[Period] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        label, begin = int(index[start]), int(stamps_ns[start])
        if label < 0:
            kind, name = (
                (PeriodKind.REST, "rest") if label == REST else (PeriodKind.IDLE, "unknown")
            )
            periods.append(Period(begin, kind, name, 0, now, max(trial, first_trial)))
            continue
        trial += 1
        now = seen.get(label, 0)
        if repetition is not None and repetition[start] >= 0:
            now = int(repetition[start])
        seen[label] = now + 1
        number = label if numbers is None else numbers[label]
        place = (gestures[label].name, number, now, trial)
        periods.append(Period(begin, PeriodKind.MOVE, *place))
        steady = begin + round(reaction_s * 1e9)
        later = np.searchsorted(stamps_ns[start:end], steady)
        if reaction_s > 0 and later < end - start:
            periods.append(Period(int(stamps_ns[start + later]), PeriodKind.HOLD, *place))
    return periods
