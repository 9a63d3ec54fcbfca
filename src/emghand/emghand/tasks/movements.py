"""Movements, movement sets, and the prompt trajectory made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from emghand.dofs import Dof, dof_names, parse_dofs
from emghand.errors import UserError, one_line
from emghand.storage.recording import PeriodKind


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
    """

    name: str
    targets: Mapping[str, float]
    rise: float = 0.7
    hold: float = 1.5
    fall: float = 0.7

    @property
    def duration(self) -> float:
        """Rise, hold and fall together [s]."""
        return self.rise + self.hold + self.fall


@dataclass(frozen=True)
class MovementSet:
    """Movements that are prompted one after the other, `repetitions` times.

    Parameters
    ----------
    prompt, rest : float
        Time in which the movement is announced, and rest after it [s].
    """

    name: str
    dofs: tuple[Dof, ...]
    movements: tuple[Movement, ...]
    repetitions: int = 3
    prompt: float = 0.0
    rest: float = 1.0

    def __post_init__(self) -> None:
        if not self.movements:
            raise UserError(f"movement set {self.name}: has no movements")
        if self.repetitions < 1:
            raise UserError(f"movement set {self.name}: needs at least 1 repetition")
        if self.prompt < 0 or self.rest < 0:
            raise UserError(f"movement set {self.name}: prompt and rest must not be negative")
        by_name = {d.name: d for d in self.dofs}
        for movement in self.movements:
            where = f"movement set {self.name}, movement {movement.name}"
            if movement.rise <= 0 or movement.fall <= 0 or movement.hold < 0:
                raise UserError(f"{where}: rise and fall must be positive, hold not negative")
            for name, target in movement.targets.items():
                if name not in by_name:
                    raise UserError(f"{where}: unknown DOF {name}, known: {', '.join(by_name)}")
                if not by_name[name].low <= target <= by_name[name].high:
                    low, high = by_name[name].low, by_name[name].high
                    raise UserError(f"{where}: {name} = {target} is outside [{low}, {high}]")


def load_movement_set(path: str | Path) -> MovementSet:
    """Read a movement set from YAML (`docs/formats.md` describes the file).

    Raises
    ------
    UserError
        When the file cannot be read or holds something unknown or out of range.
    """
    try:
        document = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"movement set {path}: cannot be read: {one_line(error)}") from error
    if not isinstance(document, Mapping):
        raise UserError(f"movement set {path}: expected a mapping with the key 'movements'")
    try:
        return _parse(document, Path(path).stem)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"movement set {path}: {error}") from error


def _parse(document: Mapping[str, Any], name: str) -> MovementSet:
    known = {"name", "dofs", "repetitions", "prompt", "rest", "rise", "hold", "fall", "movements"}
    unknown = set(document) - known
    if unknown:
        raise UserError(f"unknown keys: {', '.join(sorted(map(str, unknown)))}")
    timing = {k: float(document[k]) for k in ("rise", "hold", "fall") if k in document}
    movements = []
    for item in document.get("movements") or ():
        extra = set(item) - {"name", "targets", "rise", "hold", "fall"}
        if extra:
            raise UserError(
                f"movement {item.get('name')}: unknown keys: {', '.join(sorted(extra))}"
            )
        own = {k: float(item[k]) for k in ("rise", "hold", "fall") if k in item}
        targets = {str(k): float(v) for k, v in item["targets"].items()}
        movements.append(Movement(name=str(item["name"]), targets=targets, **(timing | own)))
    return MovementSet(
        name=str(document.get("name", name)),
        dofs=parse_dofs(document["dofs"]),
        movements=tuple(movements),
        repetitions=int(document.get("repetitions", 3)),
        prompt=float(document.get("prompt", 0.0)),
        rest=float(document.get("rest", 1.0)),
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
        Shuffle the movements within each repetition.
    seed : int
        Of the shuffle.
    first : int
        Number of the trial to begin with; those before it are left out, and the others keep their
        numbers.

    Attributes
    ----------
    trials : list of Trial
        Those that are shown.
    n_trials : int
        With those that are left out.

    Raises
    ------
    UserError
        When there is no trial `first`.
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
        rng = np.random.default_rng(seed)
        self.trials: list[Trial] = []
        self.n_trials = 0
        clock = movement_set.rest
        for repetition in range(repetitions or movement_set.repetitions):
            order = np.arange(len(movement_set.movements))
            if shuffle:
                rng.shuffle(order)
            for index in order.tolist():
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

    def at(self, t: float) -> Prompt:
        """Prompt at `t` seconds after the start; rest outside of the schedule."""
        i = int(np.searchsorted(self._starts, t, side="right")) - 1
        x_d = np.zeros(len(self.dofs))
        if i < 0 or t >= self.duration:
            return Prompt(x_d, PeriodKind.REST, None)
        trial = self.trials[i]
        movement = trial.movement
        since = t - trial.move
        if since < 0:
            return Prompt(x_d, PeriodKind.PROMPT, trial)
        if t >= trial.end:
            return Prompt(x_d, PeriodKind.REST, trial)
        if since < movement.rise:
            level, period = minimum_jerk(since / movement.rise), PeriodKind.MOVE
        elif since < movement.rise + movement.hold:
            level, period = 1.0, PeriodKind.HOLD
        else:
            past = since - movement.rise - movement.hold
            level, period = 1.0 - minimum_jerk(past / movement.fall), PeriodKind.MOVE
        for name, target in movement.targets.items():
            x_d[self.dofs.index(name)] = level * target
        return Prompt(x_d, period, trial)
