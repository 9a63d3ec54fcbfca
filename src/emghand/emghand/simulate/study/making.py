"""Makes the whole of a generated study."""

from __future__ import annotations

import functools
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from emghand.errors import UserError
from emghand.simulate.study.people import Person, people
from emghand.simulate.study.plan import Sitting, plan
from emghand.simulate.study.sitting import FILES, PROTOCOLS, StudySettings, make_sitting
from emghand.steps import step
from emghand.storage.files import hasty, make_folder, write_file
from emghand.virtual.topics import Topics

MOST_SESSIONS = 500


@dataclass(frozen=True)
class Study:
    """What was made.

    Parameters
    ----------
    path : Path
    people : tuple of Person
    sessions : int
        Of each.
    """

    path: Path
    people: tuple[Person, ...]
    sessions: int


def make_study(
    path: str | Path,
    subjects: int = 12,
    sessions: int = 40,
    settings: StudySettings | None = None,
    jobs: int = 0,
) -> Study:
    """Generate a study; the same arguments make the same bytes.

    The sessions are made by the activities that make live ones, in virtual time. Instead of
    muscles, EMG and decoder there is a `MovingHand`, so that bags hold no EMG.

    Parameters
    ----------
    path : path
        Folder to make; must not exist, or be empty. When it fails, nothing is left in it.
    subjects : int
        The first people of `emghand.simulate.study.people.PEOPLE`.
    sessions : int
        Of each.
    settings : StudySettings, optional
    jobs : int
        Processes; 0: as many as there are processors.

    Raises
    ------
    UserError
        When there is something in the folder, it cannot be written, or a number is out of range.
    """
    path = Path(path).absolute()
    settings = settings or StudySettings()
    if not 1 <= sessions <= MOST_SESSIONS:
        raise UserError(f"sessions: give 1 to {MOST_SESSIONS}, not {sessions}")
    if jobs < 0:
        raise UserError(f"jobs: give 1 or more, or 0 for all processors, not {jobs}")
    chosen = people(subjects)
    sittings = [sitting for person in chosen for sitting in plan(person, sessions)]
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(sittings))
    make_folder(path)
    if any(path.iterdir()):
        raise UserError(f"{path}: is not empty; choose another folder")
    try:
        make_folder(path / PROTOCOLS)
        for name, text in FILES.items():
            write_file(path / PROTOCOLS / name, text.encode())
        _make_all(sittings, path, settings, jobs)
    except BaseException:
        # Part of a study would look like a study in which sessions are missing.
        for made in path.iterdir():
            shutil.rmtree(made, ignore_errors=True)
        raise
    return Study(path, chosen, sessions)


def _make_all(sittings: Sequence[Sitting], path: Path, settings: StudySettings, jobs: int) -> None:
    make = functools.partial(_make, path=path, settings=settings)
    if jobs == 1:
        _follow(map(make, sittings), len(sittings))
        return
    # Forked processes would inherit the threads of whoever calls this.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _leave_ctrl_c) as pool:
        _follow(pool.map(make, sittings), len(sittings))


def _leave_ctrl_c() -> None:
    """It is for the process that started this one, which gives nothing more to do then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _follow(names: Iterable[str], count: int) -> None:
    for done, name in enumerate(names, 1):
        step(f"made {name}", done / count)


def _make(sitting: Sitting, path: Path, settings: StudySettings) -> str:
    with hasty():
        make_sitting(sitting, path, settings, _topics())
    return f"{sitting.person.name}/{sitting.name}"


@functools.cache
def _topics() -> Topics:
    return Topics()
