"""Movements, movement sets, and the prompt trajectory made from them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.dofs import Dof, dof_names, parse_dofs
from emghand.errors import UserError
from emghand.storage.recording import PeriodKind
from emghand.yaml_files import read_yaml

ORDERS = ("listed", "random", "blocked")
"""Repetition by repetition as in the file; shuffled within each repetition; all repetitions of a
movement in a row."""

MOST_TRIALS = 100_000
"""Of one run: weeks."""

RADIUS = 0.15
"""Radius of a target where none is given [normalised position]."""


@dataclass(frozen=True)
class Timing:
    """When one DOF moves, from the start of its movement on; durations in seconds."""

    delay: float = 0.0
    rise: float = 0.7
    hold: float = 1.5
    fall: float = 0.7

    @property
    def end(self) -> float:
        """When the DOF is back at rest [s]."""
        return self.delay + self.rise + self.hold + self.fall

    def at(self, t: float) -> tuple[float, PeriodKind]:
        """Share of the target in [0, 1], and what the DOF does, `t` seconds after the start."""
        since = t - self.delay
        if since < 0:
            return 0.0, PeriodKind.REST
        if since < self.rise:
            return minimum_jerk(since / self.rise), PeriodKind.MOVE
        if since < self.rise + self.hold:
            return 1.0, PeriodKind.HOLD
        past = since - self.rise - self.hold
        kind = PeriodKind.MOVE if past < self.fall else PeriodKind.REST
        return 1.0 - minimum_jerk(past / self.fall), kind


@dataclass(frozen=True)
class Movement:
    """From rest to a target posture, hold, and back.

    Parameters
    ----------
    name : str
    targets : mapping of DOF name to target in the DOF's range
        DOFs that are not named stay at rest.
    rise, hold, fall : float
        Durations [s]. Rise and fall follow a minimum-jerk profile.
    timing : mapping of DOF name to Timing
        Of the DOFs that do not start at once and follow `rise`, `hold` and `fall`.
    radius : float
        How far from the target still counts as reached [normalised position].
    flag : int
        Second field of the line format: kept, without effect.
    """

    name: str
    targets: Mapping[str, float]
    rise: float = 0.7
    hold: float = 1.5
    fall: float = 0.7
    timing: Mapping[str, Timing] = field(default_factory=dict)
    radius: float = RADIUS
    flag: int = 0

    @property
    def duration(self) -> float:
        """From its start until every DOF is back at rest [s]."""
        ends = [self.timing_of(name).end for name in self.targets]
        return max(ends, default=self._common.end)

    @property
    def _common(self) -> Timing:
        return Timing(0.0, self.rise, self.hold, self.fall)

    def timing_of(self, dof: str) -> Timing:
        """When a DOF moves."""
        return self.timing.get(dof, self._common)

    def at(self, t: float) -> tuple[dict[str, float], PeriodKind]:
        """Targets of the DOFs `t` seconds after the start of the movement, and the period.

        MOVE while any DOF moves, else HOLD while any is held, else REST: all that moved so far are
        back, and others follow.
        """
        courses = {name: self.timing_of(name).at(t) for name in self.targets}
        kinds = {kind for _, kind in courses.values()} or {self._common.at(t)[1]}
        if PeriodKind.MOVE in kinds or t >= self.duration:
            # At the end to within rounding the fall is not over.
            period = PeriodKind.MOVE
        else:
            period = PeriodKind.HOLD if PeriodKind.HOLD in kinds else PeriodKind.REST
        return {name: level * self.targets[name] for name, (level, _) in courses.items()}, period


@dataclass(frozen=True)
class MovementSet:
    """Movements that are prompted one after the other, `repetitions` times.

    Parameters
    ----------
    prompt, rest : float
        Time in which the movement is announced, and rest after it [s].
    order : str
        One of `ORDERS`.
    """

    name: str
    dofs: tuple[Dof, ...]
    movements: tuple[Movement, ...]
    repetitions: int = 3
    prompt: float = 0.0
    rest: float = 1.0
    order: str = "listed"

    def __post_init__(self) -> None:
        if not self.movements:
            raise UserError(f"movement set {self.name}: has no movements")
        if self.repetitions < 1:
            raise UserError(f"movement set {self.name}: needs at least 1 repetition")
        if not (0 <= self.prompt < math.inf and 0 <= self.rest < math.inf):
            raise UserError(f"movement set {self.name}: prompt and rest must not be negative")
        if self.order not in ORDERS:
            raise UserError(
                f"movement set {self.name}: order {self.order!r}, known: {', '.join(ORDERS)}"
            )
        by_name = {d.name: d for d in self.dofs}
        for movement in self.movements:
            _check(movement, by_name, f"movement set {self.name}, movement {movement.name}")


def _check(movement: Movement, dofs: Mapping[str, Dof], where: str) -> None:
    _check_timing(Timing(0.0, movement.rise, movement.hold, movement.fall), where)
    if not 0 < movement.radius <= 1:
        raise UserError(f"{where}: radius {movement.radius:g} must be above 0 and at most 1")
    for name, target in movement.targets.items():
        if name not in dofs:
            raise UserError(f"{where}: unknown DOF {name}, known: {', '.join(dofs)}")
        low, high = dofs[name].low, dofs[name].high
        if not low <= target <= high:
            raise UserError(f"{where}: {name} = {target} is outside [{low}, {high}]")
    for name, timing in movement.timing.items():
        if name not in movement.targets:
            raise UserError(f"{where}: has a timing of {name}, but no target")
        _check_timing(timing, f"{where}, {name}")


def _check_timing(timing: Timing, where: str) -> None:
    if not (timing.rise > 0 and timing.fall > 0 and timing.hold >= 0 and timing.delay >= 0):
        raise UserError(f"{where}: rise and fall must be positive, hold and delay not negative")
    if timing.end == math.inf:
        raise UserError(f"{where}: would never end")


def load_movement_set(path: str | Path) -> MovementSet:
    """Read a movement set from YAML (`docs/movements_files.md` describes the file).

    Raises
    ------
    UserError
        When the file cannot be read or holds something unknown or out of range.
    """
    document = read_yaml(path, "movement set")
    if not isinstance(document, Mapping):
        raise UserError(
            f"movement set {path}: expected a mapping with the key 'movements'; lines of "
            "NAME;FLAG;... are imported with emghand movement-set import"
        )
    try:
        return _parse(document, Path(path).stem)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise UserError(f"movement set {path}: {error}") from error


TIMES = ("rise", "hold", "fall")
SHARED = (*TIMES, "radius")
"""Keys that stand at a movement, or at the set for all movements."""


def _parse(document: Mapping[str, Any], name: str) -> MovementSet:
    known = ("name", "dofs", "repetitions", "prompt", "rest", "order", *SHARED, "movements")
    _check_keys(document, known, "")
    shared: dict[str, Any] = {k: float(document[k]) for k in SHARED if k in document}
    return MovementSet(
        name=str(document.get("name", name)),
        dofs=parse_dofs(document["dofs"]),
        movements=tuple(_movement(item, shared) for item in document.get("movements") or ()),
        repetitions=int(document.get("repetitions", 3)),
        prompt=float(document.get("prompt", 0.0)),
        rest=float(document.get("rest", 1.0)),
        order=str(document.get("order", "listed")),
    )


def _movement(item: Mapping[str, Any], shared: dict[str, Any]) -> Movement:
    where = f"movement {item.get('name')}"
    _check_keys(item, ("name", "targets", "flag", *SHARED), f"{where}: ")
    values = shared | {k: float(item[k]) for k in SHARED if k in item}
    bare = Movement(str(item["name"]), {}, **values)
    targets: dict[str, float] = {}
    timing: dict[str, Timing] = {}
    for dof, target in item["targets"].items():
        if isinstance(target, Mapping):
            _check_keys(target, ("amplitude", "delay", *TIMES), f"{where}, {dof}: ")
            own = {k: float(v) for k, v in target.items() if k != "amplitude"}
            targets[str(dof)] = float(target["amplitude"])
            timing[str(dof)] = replace(bare.timing_of(dof), **own)
        else:
            targets[str(dof)] = float(target)
    return replace(bare, targets=targets, timing=timing, flag=int(item.get("flag", 0)))


def _check_keys(document: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    unknown = [str(k) for k in document if k not in known]
    if unknown:
        raise UserError(
            f"{where}unknown keys: {', '.join(sorted(unknown))}; known: {', '.join(known)}"
        )


def minimum_jerk(s: float) -> float:
    """Minimum-jerk profile from 0 to 1 over s in [0, 1] (Flash and Hogan 1985)."""
    s = min(max(s, 0.0), 1.0)
    return min(1.0, s * s * s * (10.0 + s * (6.0 * s - 15.0)))


@dataclass(frozen=True)
class Trial:
    """One movement of a schedule; times in seconds from its start."""

    index: int
    movement: Movement
    movement_index: int
    repetition: int
    start: float
    move: float
    end: float


@dataclass(frozen=True)
class Prompt:
    """What is shown at one moment: `x_d`, shape (n_dofs,), the period and the trial."""

    x_d: NDArray[np.float64]
    period: PeriodKind
    trial: Trial | None


class Schedule:
    """The prompt trajectory of a whole movement set.

    Parameters
    ----------
    movement_set : MovementSet
    repetitions : int, optional
        Instead of the number in the set.
    shuffle : bool
        Shuffle the movements within each repetition; of a blocked set, shuffle the blocks.
    seed : int
        Of the shuffle.
    first : int
        Number of the trial to begin with; those before it are left out, and the others keep their
        numbers.

    Attributes
    ----------
    order : str
        One of `ORDERS`, or ``blocked_random``: blocks that were shuffled.
    trials : list of Trial
        Those that are shown.
    n_trials : int
        With those that are left out.

    Raises
    ------
    UserError
        When there is no trial `first`, or there are more than `MOST_TRIALS`.
    """

    def __init__(
        self,
        movement_set: MovementSet,
        repetitions: int | None = None,
        *,
        shuffle: bool = False,
        seed: int = 0,
        first: int = 0,
    ) -> None:
        self.movement_set = movement_set
        self.dofs = dof_names(movement_set.dofs)
        repetitions = repetitions or movement_set.repetitions
        if repetitions * len(movement_set.movements) > MOST_TRIALS:
            raise UserError(
                f"movement set {movement_set.name}: {repetitions} repetitions are more than "
                f"{MOST_TRIALS} trials"
            )
        blocked = movement_set.order == "blocked"
        shuffle = shuffle or movement_set.order == "random"
        if blocked:
            self.order = "blocked_random" if shuffle else "blocked"
        else:
            self.order = "random" if shuffle else "listed"
        self.seed = seed
        self.trials: list[Trial] = []
        self.n_trials = 0
        clock = movement_set.rest
        for index, repetition in self._sequence(repetitions, blocked, shuffle):
            number, self.n_trials = self.n_trials, self.n_trials + 1
            if number < first:
                continue
            movement = movement_set.movements[index]
            move = clock + movement_set.prompt
            end = move + movement.duration
            self.trials.append(Trial(number, movement, index, repetition, clock, move, end))
            clock = end + movement_set.rest
        if not 0 <= first < self.n_trials:
            raise UserError(
                f"movement set {movement_set.name}: there is no trial {first}, they are numbered "
                f"from 0 to {self.n_trials - 1}"
            )
        self.duration = clock
        self._starts = np.array([t.start for t in self.trials])

    def _sequence(
        self, repetitions: int, blocked: bool, shuffle: bool
    ) -> Iterator[tuple[int, int]]:
        """Movement and repetition of each trial."""
        rng = np.random.default_rng(self.seed)
        for block in range(1 if blocked else repetitions):
            order = np.arange(len(self.movement_set.movements))
            if shuffle:
                rng.shuffle(order)
            for index in order.tolist():
                if blocked:
                    yield from ((index, repetition) for repetition in range(repetitions))
                else:
                    yield index, block

    def at(self, t: float) -> Prompt:
        """Prompt at `t` seconds after the start; rest outside of the schedule."""
        i = int(np.searchsorted(self._starts, t, side="right")) - 1
        x_d = np.zeros(len(self.dofs))
        if i < 0 or t >= self.duration:
            return Prompt(x_d, PeriodKind.REST, None)
        trial = self.trials[i]
        since = t - trial.move
        if since < 0:
            return Prompt(x_d, PeriodKind.PROMPT, trial)
        if t >= trial.end:
            return Prompt(x_d, PeriodKind.REST, trial)
        targets, period = trial.movement.at(since)
        for name, value in targets.items():
            x_d[self.dofs.index(name)] = value
        return Prompt(x_d, period, trial)
