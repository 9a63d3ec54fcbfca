"""What disturbs a trial on purpose: on raw EMG, or on the estimate on its way to the hand.

The same objects run live and offline. They advance by samples and ticks, so that what they do does
not depend on how the signal was cut into blocks.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emghand.errors import UserError
from emghand.settings import check, digest, from_mapping, setting
from emghand.tasks.spec import Floats, derived_seed

EMG_KINDS = ("dead", "swap", "gain", "shift", "noise")
ESTIMATE_KINDS = ("bias", "curl", "latency")
ALL = "*"


@dataclass(frozen=True)
class Perturbation:
    """One perturbation with its label; which fields count depends on its kind."""

    label: str = setting("", "Name by which it is switched")
    kind: str = setting("noise", "What it does", choices=EMG_KINDS + ESTIMATE_KINDS)
    channels: tuple[int, ...] = setting(
        (), "dead, swap, gain, noise: channels, counted from 0; none: all (swap: two)", low=0
    )
    dofs: tuple[str, ...] = setting((), "bias, curl: DOFs; none: all (curl: two)")
    strength: float = setting(
        0.0,
        "gain: factor - 1; shift: electrodes; noise: SD in the unit of the signal; bias: "
        "added position; curl: share of one DOF that is added to the other",
        low=-1e6,
        high=1e6,
    )
    ramp: float = setting(
        0.0, "gain, shift: time from nothing to the whole strength", unit="s", low=0.0, high=3600.0
    )
    delay: float = setting(0.0, "latency: added delay", unit="s", low=0.0, high=2.0)

    def __post_init__(self) -> None:
        check(self)
        where = f"perturbation {self.label or self.kind}"
        if not self.label or not self.label.replace("_", "").isalnum():
            raise UserError(f"{where}: label it with letters, digits and underscores")
        if self.kind == "dead" and not self.channels:
            raise UserError(f"{where}: name its channels")
        if self.kind == "swap" and (len(self.channels) != 2 or len(set(self.channels)) != 2):
            raise UserError(f"{where}: name two channels to swap")
        if self.kind == "curl" and (len(self.dofs) != 2 or len(set(self.dofs)) != 2):
            raise UserError(f"{where}: name two DOFs to couple")
        if self.kind == "gain" and self.strength <= -1:
            raise UserError(f"{where}: strength must be above -1")
        if self.kind == "noise" and self.strength <= 0:
            raise UserError(f"{where}: strength must be above 0")
        if self.kind == "latency" and self.delay <= 0:
            raise UserError(f"{where}: delay must be above 0")

    @property
    def on_emg(self) -> bool:
        """Whether it acts on raw EMG, not on the estimate."""
        return self.kind in EMG_KINDS


def parse_perturbations(items: Any) -> tuple[Perturbation, ...]:
    """Perturbations from a list of mappings.

    Raises
    ------
    UserError
        When one is malformed, or a label is used twice.
    """
    if not isinstance(items, list) or not all(isinstance(i, Mapping) for i in items):
        raise UserError("perturbations: expected a list of mappings")
    found = tuple(from_mapping(Perturbation, item) for item in items)
    labels = [p.label for p in found]
    if len(set(labels)) != len(labels):
        raise UserError(f"perturbations: a label is used twice: {', '.join(labels)}")
    return found


def definitions_digest(perturbations: Sequence[Perturbation]) -> str:
    """SHA-256 of definitions, hexadecimal: tells a run whether what it hears is of its own."""
    return digest([asdict(p) for p in perturbations])


def select(perturbations: Sequence[Perturbation], labels: Sequence[str]) -> tuple[str, ...]:
    """Labels that are asked for, in the order of the definitions; ``*`` asks for all.

    Raises
    ------
    UserError
        When there is no perturbation of a label.
    """
    known = [p.label for p in perturbations]
    if tuple(labels) == (ALL,):
        return tuple(known)
    for label in labels:
        if label not in known:
            raise UserError(
                f"perturbation {label!r}: unknown, choose from: {', '.join(known) or 'none'}"
            )
    return tuple(name for name in known if name in labels)


@dataclass(frozen=True)
class When:
    """In which trials an activated perturbation is in force."""

    first: int = setting(0, "From this trial on, counted from 0", low=0)
    every: int = setting(1, "Of so many trials the first one", low=1)
    last: int = setting(-1, "Up to this trial; -1: to the end", low=-1)
    probability: float = setting(1.0, "Drawn for each of these trials", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class PerturbationSchedule:
    """When each perturbation is in force; one that is not named: in every trial.

    Parameters
    ----------
    when : mapping of str to When
    """

    when: Mapping[str, When]

    @classmethod
    def parse(cls, values: Any, known: Sequence[str]) -> PerturbationSchedule:
        """From a mapping of label to the fields of `When`.

        Raises
        ------
        UserError
            When a label is unknown or a field is malformed.
        """
        if not isinstance(values, Mapping):
            raise UserError("schedule: expected a mapping of label to when it is in force")
        for label, item in values.items():
            if label not in known:
                raise UserError(f"schedule: unknown label {label!r}, known: {', '.join(known)}")
            if not isinstance(item, Mapping):
                raise UserError(f"schedule: {label}: expected a mapping")
        return cls({str(label): from_mapping(When, item) for label, item in values.items()})

    def labels(self, activated: Sequence[str], trial: int, seed: int) -> tuple[str, ...]:
        """Labels in force in a trial; `seed` is that of the trial."""
        return tuple(label for label in activated if self._is_on(label, trial, seed))

    def _is_on(self, label: str, trial: int, seed: int) -> bool:
        when = self.when.get(label, When())
        past = trial - when.first
        if past < 0 or past % when.every or (when.last >= 0 and trial > when.last):
            return False
        return random.Random(derived_seed(seed, label)).random() < when.probability


class EmgPerturber:
    """Perturbs raw EMG in blocks of any size; what is switched on begins with the next sample.

    Parameters
    ----------
    perturbations : sequence of Perturbation
        Those on the estimate are passed over.
    n_channels : int
    rate : float
        Samples per second [Hz].

    Raises
    ------
    UserError
        When one names a channel that is not there.
    """

    def __init__(self, perturbations: Sequence[Perturbation], n_channels: int, rate: float) -> None:
        self._known = {p.label: p for p in perturbations if p.on_emg}
        for p in self._known.values():
            if any(c >= n_channels for c in p.channels):
                raise UserError(
                    f"perturbation {p.label}: there are {n_channels} channels, counted from 0"
                )
        self.n_channels = n_channels
        self._rate = rate
        self._active: list[tuple[Perturbation, np.random.Generator]] = []
        self._since = 0

    def activate(self, labels: Sequence[str], seed: int) -> None:
        """From the next sample on exactly these; labels of the estimate's are passed over.

        Parameters
        ----------
        labels : sequence of str
        seed : int
            Of the trial: the same seed gives the same noise.
        """
        self._active = [
            (self._known[label], np.random.default_rng(derived_seed(seed, label, "noise")))
            for label in labels
            if label in self._known
        ]
        self._since = 0

    def push(self, samples: Floats) -> Floats:
        """The next samples, shape (n, n_channels), as they are with what is active."""
        if self._active:
            result = np.array(samples, np.float64)
            for perturbation, rng in self._active:
                result = self._apply(perturbation, rng, result)
        else:
            result = samples
        self._since += len(samples)
        return result

    def _apply(self, p: Perturbation, rng: np.random.Generator, x: Floats) -> Floats:
        columns = list(p.channels) or list(range(self.n_channels))
        if p.kind == "dead":
            x[:, columns] = 0.0
        elif p.kind == "swap":
            x[:, columns] = x[:, columns[::-1]]
        elif p.kind == "gain":
            x[:, columns] *= 1.0 + p.strength * self._share(p, len(x))
        elif p.kind == "noise":
            noise = rng.standard_normal((len(x), len(columns)))
            x[:, columns] += p.strength * noise
        else:
            x = self._shifted(x, p.strength * self._share(p, len(x)))
        return x

    def _share(self, p: Perturbation, n: int) -> Floats:
        """Share of the whole strength at each sample, shape (n, 1)."""
        seconds = np.arange(self._since, self._since + n)[:, None] / self._rate
        return np.minimum(seconds / p.ramp, 1.0) if p.ramp > 0 else np.ones((n, 1))

    def _shifted(self, x: Floats, shift: Floats) -> Floats:
        """Electrodes moved around the arm: each one reads between those that were there."""
        places = np.arange(self.n_channels) + shift
        below = np.floor(places).astype(np.intp)
        between = places - below
        rows = np.arange(len(x))[:, None]
        return (1 - between) * x[rows, below % self.n_channels] + between * x[
            rows, (below + 1) % self.n_channels
        ]


class EstimatePerturber:
    """Perturbs the estimate on its way to the hand, tick by tick.

    Parameters
    ----------
    perturbations : sequence of Perturbation
        Those on raw EMG are passed over.
    dofs : sequence of str
    tick_rate : float
        [Hz].
    low, high : float
        Range that the result is clipped to.

    Raises
    ------
    UserError
        When one names a DOF that is not there.
    """

    def __init__(
        self,
        perturbations: Sequence[Perturbation],
        dofs: Sequence[str],
        tick_rate: float,
        low: float = -1.0,
        high: float = 1.0,
    ) -> None:
        self._known = {p.label: p for p in perturbations if not p.on_emg}
        for p in self._known.values():
            missing = [d for d in p.dofs if d not in dofs]
            if missing:
                raise UserError(f"perturbation {p.label}: {missing[0]} is not decoded")
        self._columns = {
            p.label: [list(dofs).index(d) for d in p.dofs] or list(range(len(dofs)))
            for p in self._known.values()
        }
        self._rate = tick_rate
        self._limits = low, high
        # What was, whether or not a delay is active: it then begins without a jump to rest.
        longest = self._latency(list(self._known.values()))
        self._past: deque[Floats] = deque(maxlen=longest + 1)
        self._active: list[Perturbation] = []

    def activate(self, labels: Sequence[str]) -> None:
        """From the next tick on exactly these; labels of the EMG's are passed over."""
        self._active = [self._known[label] for label in labels if label in self._known]

    def reset(self) -> None:
        """Forget the past: the estimates began anew."""
        self._past.clear()

    def step(self, x: Floats) -> Floats:
        """The estimate of the next tick, shape (n_dofs,), as it is with what is active."""
        x = np.asarray(x, np.float64)
        self._past.append(x)
        if not self._active:
            return x
        ticks = self._latency(self._active)
        result = self._past[max(0, len(self._past) - 1 - ticks)].copy()
        for p in self._active:
            columns = self._columns[p.label]
            if p.kind == "bias":
                result[columns] += p.strength
            elif p.kind == "curl":
                # Each one pushes the other, in opposite senses: the velocity field of a curl.
                first, second = columns
                a, b = result[first], result[second]
                result[first], result[second] = a + p.strength * b, b - p.strength * a
        return np.clip(result, *self._limits)

    def _latency(self, perturbations: Sequence[Perturbation]) -> int:
        """Delays of all of them together, in ticks."""
        return sum(round(p.delay * self._rate) for p in perturbations if p.kind == "latency")
