"""What all tasks share: settings, random trials, the frozen validation set."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple, TypeVar

from emghand.dofs import Dof, dof_names, parse_dofs
from emghand.errors import UserError
from emghand.settings import check, setting
from emghand.tasks.losses import LossWeights
from emghand.tasks.perturbation import Perturbation, PerturbationSchedule, select
from emghand.tasks.spec import TrialSpec, derived_seed, rounded, set_digest, with_id
from emghand.tasks.trial import Acquisition

MAX_VALIDATION = 10_000
TaskT = TypeVar("TaskT", bound="Task")


class Reach(NamedTuple):
    """From where to where, shape (n_dofs,) each, and how near is near enough."""

    start: tuple[float, ...]
    goal: tuple[float, ...]
    radius: float
    active: tuple[bool, ...] = ()


class Timing(NamedTuple):
    """Epochs and their ends since the start of the trial [s]."""

    epochs: tuple[str, ...]
    bounds: tuple[float, ...]


@dataclass(frozen=True)
class Task(ABC):
    """Settings that every task has; a kind of task adds its own and says what its trials are.

    Trials depend on the settings and the seed alone, in every version and on every machine.
    """

    kind: ClassVar[str] = ""
    instead: ClassVar[Mapping[str, str]] = {}
    """Settings that mean nothing for this kind, and which one does."""

    name: str = setting("task", "Name of the task")
    dofs: tuple[str, ...] = setting(
        ("index_flex", "wrist_flex"), "DOFs of the task, NAME or NAME:LOW:HIGH"
    )
    active: tuple[str, ...] = setting((), "DOFs that count; none: all. Others stay at rest")
    radius: float = setting(0.15, "Radius of the target", low=0.001, high=2.0)
    dwell: float = setting(0.5, "Time to stay within the target", unit="s", low=0.0, high=60.0)
    time_limit: float = setting(8.0, "Length of a trial", unit="s", low=0.1, high=600.0)
    acquire: float = setting(
        10.0,
        "Time to take up the start posture, which is not scored; 0: trials start at once",
        unit="s",
        low=0.0,
        high=600.0,
    )
    acquire_hold: float = setting(
        0.3, "Time to keep the start posture before the trial starts", unit="s", low=0.0, high=60.0
    )
    pause: float = setting(1.0, "Rest between trials", unit="s", low=0.0, high=600.0)
    trials: int = setting(20, "Random trials of a run", low=1, high=100_000)
    seed_validation: int = setting(5566, "Seed of the validation set", low=0)
    losses: LossWeights = field(default_factory=LossWeights)
    perturbations: tuple[Perturbation, ...] = ()
    schedule: PerturbationSchedule = field(default_factory=lambda: PerturbationSchedule({}))
    schedule_validation: PerturbationSchedule = field(
        default_factory=lambda: PerturbationSchedule({})
    )
    activated: tuple[str, ...] = ()
    activated_validation: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self)
        names = dof_names(self.ranges)
        unknown = [d for d in self.active if d not in names]
        if unknown:
            raise UserError(f"active: {unknown[0]} is none of the DOFs {', '.join(names)}")
        if self.dwell >= self.time_limit:
            raise UserError(f"dwell: {self.dwell:g} s does not fit in {self.time_limit:g} s")
        for p in self.perturbations:
            missing = [d for d in p.dofs if d not in names]
            if missing:
                raise UserError(f"perturbation {p.label}: {missing[0]} is none of the DOFs")

    # What a kind of task says.

    @abstractmethod
    def draw(self, rng: random.Random) -> Reach:
        """A random trial."""

    @abstractmethod
    def grid(self) -> Sequence[Reach]:
        """Trials of the validation set, in order."""

    @property
    def n_validation(self) -> int:
        """Trials in the validation set, counted without making them."""
        return len(self.grid())

    def timing(self, rng: random.Random) -> Timing:
        """Epochs of a trial; here one, in which everything is scored."""
        return Timing(("movement",), (rounded(self.time_limit),))

    # What all have.

    @property
    def ranges(self) -> tuple[Dof, ...]:
        """The DOFs with their ranges."""
        return parse_dofs(self.dofs)

    @property
    def active_mask(self) -> tuple[bool, ...]:
        """DOFs that count, shape (n_dofs,)."""
        return tuple(not self.active or d.name in self.active for d in self.ranges)

    @property
    def acquisition(self) -> Acquisition | None:
        """How the start posture is taken up; None: trials start at once."""
        return Acquisition(self.acquire, self.acquire_hold) if self.acquire > 0 else None

    def trial(self, index: int, seed: int) -> TrialSpec:
        """Random trial of a number, for training: the same seed gives the same trial."""
        own = derived_seed(seed, self.kind, index)
        rng = random.Random(own)
        labels = self.schedule.labels(self.activated, index, own)
        return self._spec(self.draw(rng), rng, index, own, labels, validation=False)

    def validation(self) -> tuple[TrialSpec, ...]:
        """The frozen validation set.

        Raises
        ------
        UserError
            When it has more than `MAX_VALIDATION` trials, or one that cannot be reached.
        """
        if self.n_validation > MAX_VALIDATION:
            raise UserError(
                f"task {self.name}: its validation set has {self.n_validation} trials, at most "
                f"{MAX_VALIDATION} are run; use fewer directions or grid points"
            )
        specs = []
        for index, reach in enumerate(self.grid()):
            own = derived_seed(self.seed_validation, self.kind, "validation", index)
            labels = self.schedule_validation.labels(self.activated_validation, index, own)
            rng = random.Random(own)
            specs.append(self._spec(reach, rng, index, own, labels, validation=True))
        return tuple(specs)

    def validation_digest(self) -> str:
        """SHA-256 of the validation set, hexadecimal; stored with results."""
        return set_digest(self.validation())

    def activate(
        self: TaskT, labels: Sequence[str], validation: Sequence[str] | None = None
    ) -> TaskT:
        """The task with just these perturbations in force, as their schedules say.

        Parameters
        ----------
        labels : sequence of str
            ``("*",)``: all; empty: none.
        validation : sequence of str, optional
            Those of the validation set; default: the same.

        Raises
        ------
        UserError
            When there is no perturbation of a label.
        """
        chosen = select(self.perturbations, labels)
        other = chosen if validation is None else select(self.perturbations, validation)
        return replace(self, activated=chosen, activated_validation=other)

    def _spec(
        self,
        reach: Reach,
        rng: random.Random,
        index: int,
        seed: int,
        labels: tuple[str, ...],
        validation: bool,
    ) -> TrialSpec:
        timing = self.timing(rng)
        for dof, value in zip(self.ranges, reach.goal, strict=True):
            if not dof.low <= value <= dof.high:
                raise UserError(
                    f"task {self.name}: a goal of {value:g} is outside of the range of {dof.name}, "
                    f"[{dof.low:g}, {dof.high:g}]; use shorter reaches or fewer grid points"
                )
        spec = TrialSpec(
            task=self.name,
            kind=self.kind,
            trial=index,
            seed=seed,
            dofs=dof_names(self.ranges),
            start=reach.start,
            goal=reach.goal,
            active=reach.active or self.active_mask,
            radius=reach.radius,
            dwell=rounded(self.dwell),
            epochs=timing.epochs,
            bounds=timing.bounds,
            perturbations=labels,
            validation=validation,
        )
        return with_id(spec, [p for p in self.perturbations if p.label in labels])
