"""Ways to hold a part of the examples out, so that nothing of it is known to the training part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from emghand.errors import UserError
from emghand.signal.filters import band_sections, notch_sections
from emghand.signal.settings import FeatureSettings
from emghand.training.alignment import MAX_LAG_S
from emghand.training.dataset import Dataset

SCHEMES = ("repetition", "first", "last", "recording", "session", "day", "subject")
"""What is held out: one repetition at a time; the first or the last repetition of every recording;
one recording, session, day or subject at a time."""

SETTLED = 1e-4
"""A filter has settled when less than this share of its response's energy is still to come."""

MAX_SETTLING_S = 10.0

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """A training and a test part.

    Parameters
    ----------
    name : str
        What is held out.
    train, test : ndarray of bool, shape (m,)
        Rows of the data set. Rows in neither are the guard.
    """

    name: str
    train: Bools
    test: Bools


def split(dataset: Dataset, scheme: str, max_lag_s: float = MAX_LAG_S) -> list[Split]:
    """Training and test parts of a data set.

    Rows of the training part that share raw samples or labels with a test row are left out: see
    `guard_s`. A decoder must be fitted to ``dataset.rows(split.train)`` and to nothing else.

    Parameters
    ----------
    dataset : Dataset
    scheme : str
        One of `SCHEMES`.
    max_lag_s : float
        Largest lag that the training looks for [s].

    Raises
    ------
    UserError
        When the scheme is unknown, there is nothing to hold out or to learn from, a recording does
        not say what the scheme asks for, or one is there twice.
    """
    if len(set(dataset.digests)) < len(dataset.digests):
        raise UserError("a recording is given twice: it would be learned from and scored at once")
    guard = guard_s(dataset, max_lag_s)
    splits = []
    for name, test in _held_out(dataset, scheme):
        train = ~(test | _near(dataset, test, guard))
        if not (train & dataset.use).any():
            raise UserError(
                f"scheme {scheme}: with {name} held out nothing is left to learn from; record more"
            )
        splits.append(Split(name, train, test))
    return splits


def check_scheme(scheme: str) -> None:
    """Raise a `UserError` unless it is one of `SCHEMES`."""
    if scheme not in SCHEMES:
        raise UserError(f"scheme {scheme!r}: unknown, choose from: {', '.join(SCHEMES)}")


def guard_s(dataset: Dataset, max_lag_s: float = MAX_LAG_S) -> float:
    """So long before and after a test row nothing is learned [s].

    Two feature vectors share raw samples when they are closer than one window and the time the
    filters take to settle; their aligned labels share a moment when they are closer than the
    largest lag. The longer of both.
    """
    settings = dataset.feature_settings
    rate = dataset.stream.rate
    return max(settings.window / rate + settling_s(settings, rate), max_lag_s)


def settling_s(settings: FeatureSettings, rate: float) -> float:
    """Time in which the filters forget: all but 1e-4 of the energy of their response [s]."""
    sections = np.vstack([band_sections(settings, rate), notch_sections(settings, rate)])
    if not len(sections):
        return 0.0
    impulse = np.zeros(int(MAX_SETTLING_S * rate))
    impulse[0] = 1.0
    power = signal.sosfilt(sections, impulse) ** 2
    to_come = np.cumsum(power[::-1])[::-1]
    return float(np.count_nonzero(to_come > SETTLED * to_come[0])) / rate


def _held_out(dataset: Dataset, scheme: str) -> list[tuple[str, Bools]]:
    """Name and rows of each part that is held out."""
    check_scheme(scheme)
    if scheme == "repetition":
        return _each_repetition(dataset)
    if scheme in ("first", "last"):
        return [(f"the {scheme} repetition", _end(dataset, scheme))]
    keys = [_key(dataset, scheme, int(r)) for r in range(int(dataset.recording.max()) + 1)]
    of_row = np.array(keys)[dataset.recording]
    # In the order of the recordings, not of the alphabet.
    names = [k for k in dict.fromkeys(keys) if (dataset.use & (of_row == k)).any()]
    if len(names) < 2:
        raise UserError(
            f"scheme {scheme}: needs examples of at least 2 {scheme}s; there is only "
            f"{', '.join(names)}"
        )
    return [(name, of_row == name) for name in names]


def _each_repetition(dataset: Dataset) -> list[tuple[str, Bools]]:
    groups = dataset.groups
    held_out = np.unique(groups[dataset.use])
    if len(held_out) < 2:
        raise UserError("leave-one-repetition-out needs at least 2 repetitions; record more")
    found = []
    several = len(np.unique(dataset.recording)) > 1
    counts: dict[int, int] = {}
    for group in held_out:
        test = groups == group
        first = np.flatnonzero(test & dataset.use)[0]
        recording = int(dataset.recording[first])
        number = counts[recording] = counts.get(recording, -1) + 1
        repetition = int(dataset.repetition[first])
        name = f"repetition {repetition}" if repetition >= 0 else f"part {number}"
        found.append((f"{_name(dataset, recording)}: {name}" if several else name, test))
    return found


def _end(dataset: Dataset, scheme: str) -> Bools:
    groups = dataset.groups
    test = np.zeros(len(dataset), dtype=np.bool_)
    for recording in np.unique(dataset.recording[dataset.use]):
        inside = np.unique(groups[dataset.use & (dataset.recording == recording)])
        test |= groups == (inside[0] if scheme == "first" else inside[-1])
    return test


def _key(dataset: Dataset, scheme: str, recording: int) -> str:
    if scheme == "recording":
        name = _name(dataset, recording)
        same = [r for r, s in enumerate(dataset.sources) if s.name == name]
        return f"{name} ({same.index(recording) + 1})" if len(same) > 1 else name
    source = dataset.sources[recording] if recording < len(dataset.sources) else None
    asked = {"session": "session", "day": "date", "subject": "subject"}[scheme]
    if source is None or not getattr(source, asked):
        raise UserError(
            f"scheme {scheme}: {_name(dataset, recording)} does not say its {asked}; recordings in "
            "a session do"
        )
    # Two subjects may have a session s01 each, or one on the same day.
    return " ".join(dict.fromkeys(k for k in (source.subject, getattr(source, asked)) if k))


def _name(dataset: Dataset, recording: int) -> str:
    if recording < len(dataset.sources):
        return dataset.sources[recording].name
    return f"recording {recording}"


def _near(dataset: Dataset, test: Bools, guard: float) -> Bools:
    """Rows of the same recording closer than `guard` seconds to a row of the test part."""
    near = np.zeros(len(dataset), dtype=np.bool_)
    for recording in np.unique(dataset.recording[test]):
        rows = np.flatnonzero(dataset.recording == recording)
        stamps = dataset.stamps_ns[rows]
        held_out = np.sort(stamps[test[rows]])
        after = np.clip(np.searchsorted(held_out, stamps), 0, len(held_out) - 1)
        distance = np.minimum(
            np.abs(stamps - held_out[after]), np.abs(stamps - held_out[np.maximum(after - 1, 0)])
        )
        near[rows] = distance < guard * 1e9
    return near
