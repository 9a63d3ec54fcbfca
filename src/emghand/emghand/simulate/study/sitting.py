"""One session of a generated study, made by the activities that make live ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from emghand.activities.activity import Activity
from emghand.activities.control import ControlRun
from emghand.activities.prompted import PromptedRun
from emghand.activities.task import TaskRun
from emghand.settings import check, setting
from emghand.signal.settings import FeatureSettings
from emghand.simulate.study.changes import lose_tables
from emghand.simulate.study.hand import MovingHand
from emghand.simulate.study.people import ability
from emghand.simulate.study.plan import FITTING, FREE, TASKS, Sitting
from emghand.simulate.study.room import DOFS, ESTOP, FAULT, StudyRoom
from emghand.storage import manifest
from emghand.storage.sessions import Session
from emghand.tasks.spec import TrialSpec
from emghand.training.calibration import EXTENSION, Calibration, save_calibration
from emghand.virtual.topics import Topics

PROTOCOLS = "protocols"
"""Folder of a study for `FILES`."""
PAUSE_S = 20 * 60.0
BETWEEN_S = 60.0
FREE_S = 20.0
CHANNELS = 8
TAC_TRIALS = 8
PERTURBED_TRIALS = 10

MOVEMENTS = """\
name: study
dofs: [thumb_flex, index_flex, wrist_flex]
repetitions: 1
rest: 0.8
rise: 0.4
hold: 0.8
fall: 0.4
movements:
  - {name: thumb, targets: {thumb_flex: 0.8}}
  - {name: index, targets: {index_flex: 0.8}}
  - {name: wrist, targets: {wrist_flex: 0.8}}
  - {name: wrist extension, targets: {wrist_flex: -0.8}}
"""
_TASK = """\
name: {name}
kind: {kind}
dofs: [thumb_flex, index_flex, wrist_flex]
active: [{active}]
dwell: 1.1
time_limit: 6.0
acquire_hold: 0.1
pause: 0.5
"""
FILES = {
    "movements.yaml": MOVEMENTS,
    **{
        f"singles_{dof}.yaml": _TASK.format(name="singles", kind="fitts", active=dof)
        + "distances: [0.4, 0.6, 0.8]\nradii: [0.1, 0.15, 0.25]\n"
        for dof in DOFS
    },
    "pairs.yaml": _TASK.format(name="pairs", kind="simple_reach", active="index_flex, wrist_flex")
    + "radius: 0.2\nfrom_rest: true\nmin_distance: 0.4\n",
    "three.yaml": _TASK.format(name="three", kind="tac", active=", ".join(DOFS))
    + "radius: 0.3\nlevels: [0.6]\ncomplexity: [3]\n",
    "perturbed.yaml": _TASK.format(name="perturbed", kind="fitts", active=DOFS[0])
    + "distances: [0.6]\nradii: [0.15]\n"
    + "perturbations:\n  - {label: push, kind: bias, dofs: [thumb_flex], strength: 0.3}\n",
}
"""Movement set and tasks of the study. The dwell is above 1 s, so that a kept target shows it."""


@dataclass(frozen=True)
class StudySettings:
    """How a study is generated."""

    seed: int = setting(1, "Makes everything that is random", low=0)
    tick_rate: float = setting(
        20.0, "Ticks per second of the hand", unit="Hz", low=10.0, high=100.0
    )
    trials: float = setting(1.0, "Factor of the numbers of trials", low=0.05, high=10.0)
    hand_every: int = setting(
        20, "In every so-manieth session the positions of the hand are recorded", low=1
    )

    def __post_init__(self) -> None:
        check(self)


class _Making:
    """What is done in one session, one method for each activity."""

    def __init__(
        self,
        sitting: Sitting,
        study: Path,
        session: Path,
        room: StudyRoom,
        settings: StudySettings,
    ) -> None:
        self.sitting = sitting
        self.folder = study / PROTOCOLS
        self.session = session
        self.room = room
        self.settings = settings
        person = sitting.person
        self._able = ability(sitting.skill, person.leak)
        self._seed = person_seed(settings.seed, person.name, sitting.number)

    def calibrate(self) -> None:
        rng = np.random.default_rng([*self._seed, 2])
        names = tuple(f"rms {i}" for i in range(CHANNELS))
        channels = tuple(f"ch{i}" for i in range(CHANNELS))
        rest = np.round(rng.uniform(1.0, 2.0, CHANNELS), 3)
        contraction = np.round(rng.uniform(10.0, 40.0, CHANNELS), 3)
        made = Calibration(
            FeatureSettings(), names, channels, 1000.0, rest, contraction, 300, 200, "simulated"
        )
        self.room.wait(20.0)
        session = Session.open(self.session)
        path = session.new_file_path("results", "calibration", EXTENSION)
        save_calibration(made, path)
        session.add_file(path)

    def prompted(self, name: str) -> None:
        goal = SimpleNamespace(
            session=str(self.session),
            subject="",
            movement_set=str(self.folder / "movements.yaml"),
            repetitions=0,
            shuffle=False,
            seed=0,
            first=0,
            record=True,
            label="",
        )
        self._run(PromptedRun(name, goal, self.room))

    def control(self) -> None:
        goal = SimpleNamespace(
            session=str(self.session),
            subject="",
            duration=FREE_S,
            ground_truth="none",
            record=True,
            label="",
        )
        self._run(ControlRun("control", goal, self.room))

    def task(self, name: str, trials: int, perturbations: Sequence[str] = ()) -> None:
        if not trials:
            return
        goal = SimpleNamespace(
            session=str(self.session),
            subject="",
            task=str(self.folder / f"{name}.yaml"),
            trials=trials,
            validation=False,
            seed=self.sitting.number,
            perturbations=list(perturbations),
            first=0,
            record=True,
            label="",
        )
        self.room.lapses = self._lapses(trials)
        self._run(TaskRun("task", goal, self.room))

    def _run(self, activity: Activity) -> None:
        self.room.run(activity)
        self.room.wait(BETWEEN_S)

    def _lapses(self, trials: int) -> Callable[[TrialSpec], bool]:
        """Lapses are spread evenly over the trials: their number is that of the ability."""
        rng = np.random.default_rng([*self._seed, 3, trials])
        order, offset = rng.permutation(trials).tolist(), float(rng.uniform())

        def lapses(spec: TrialSpec) -> bool:
            rate = self._able.lapses[sum(spec.active) > 1]
            place = order[spec.trial]
            return math.floor(rate * (place + 1) + offset) > math.floor(rate * place + offset)

        return lapses

    def whole(self) -> None:
        """All that is planned."""
        person, number, room = self.sitting.person, self.sitting.number, self.room
        self.calibrate()
        room.wait(BETWEEN_S)
        if self.sitting.purpose == FITTING:
            self.prompted("collect")
        if number in person.passive or self.sitting.purpose == FREE:
            self.control()
        if self.sitting.purpose == TASKS:
            self.tasks()

    def tasks(self) -> None:
        person, number, room = self.sitting.person, self.sitting.number, self.room
        faulty = number in person.faulty
        if faulty:
            room.interrupt(ESTOP, "", "the e-stop was pressed")
        self.prompted("test")
        if faulty:
            room.interrupt(FAULT, "bus", "a servo does not answer")
        singles, pairs = (math.ceil(n * self.settings.trials) for n in person.trials_in(number))
        dof = DOFS[number % len(DOFS)]
        if number in person.perturbed:
            self.task("perturbed", PERTURBED_TRIALS, ["push"])
        pause = number in person.pauses
        before = singles // 2 if pause else singles
        self.task(f"singles_{dof}", before)
        if pause:
            room.wait(PAUSE_S)
            if number in person.recalibrated:
                self.calibrate()
            self.task(f"singles_{dof}", singles - before)
        self.task("pairs", pairs)
        if number in person.chained:
            self.task("three", TAC_TRIALS)


def person_seed(seed: int, name: str, number: int) -> list[int]:
    """Seed of everything random in a session."""
    return [seed, *name.encode(), number]


def make_sitting(sitting: Sitting, study: Path, settings: StudySettings, topics: Topics) -> Path:
    """Make the session of a sitting; the same arguments make the same bytes.

    Parameters
    ----------
    sitting : Sitting
    study : Path
        Folder of the study, with `FILES` in `PROTOCOLS`.
    settings : StudySettings
    topics : Topics
        May be used for one session after the other.

    Returns
    -------
    Path
        ``study/SUBJECT/sNN``.

    Raises
    ------
    UserError
        When it cannot be written.
    """
    person, number = sitting.person, sitting.number
    seed = person_seed(settings.seed, person.name, number)
    hand = MovingHand(
        ability(sitting.skill, person.leak), len(DOFS), settings.tick_rate, [*seed, 0]
    )
    begin_ns = round(sitting.begin.timestamp()) * 1_000_000_000
    room = StudyRoom(
        hand, begin_ns, settings.tick_rate, topics, on_hand=sitting.on_hand, seed=[*seed, 1]
    )
    lost = number in person.lost_tables
    room.records_hand = lost or number % settings.hand_every == 0
    room.late = number in person.slow
    path = study / person.name / sitting.name
    id = np.random.default_rng([*seed, 4]).bytes(16).hex()
    with manifest.clock(lambda: room.date):
        about = {"generated": True, "seed": settings.seed}
        Session.create(path, person.name, about, id=id)
        _Making(sitting, study, path, room, settings).whole()
    if lost:
        lose_tables(path)
    return path
