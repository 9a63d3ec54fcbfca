"""The people of a generated study: how each of them learns, and what happens to them on the way.

`PEOPLE` is made by hand, so that their weeks pass through every level of training and every case
that makes the upkeep of the tables difficult. Sessions are numbered from 1.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from emghand.errors import UserError


@dataclass(frozen=True)
class Curve:
    """Skill over sessions: exponential learning, with a stretch in which it is lost for a while.

    The mean of many people looks like a power law, a single person's curve is exponential
    (Heathcote, Brown and Mewhort 2000, doi 10.3758/BF03212979).

    Parameters
    ----------
    start, asymptote : float
        Skill in the first session, and after endless practice; 0 none, 1 perfect.
    rate : float
        Part of what is still to be learned that each session brings.
    regress : tuple of int
        First and last session of a bad stretch; empty: none.
    drop : float
        Part of the skill that is lost meanwhile.
    """

    start: float
    asymptote: float
    rate: float
    regress: tuple[int, int] | tuple[()] = ()
    drop: float = 0.0

    def at(self, session: int) -> float:
        """Skill in a session."""
        left = (1.0 - self.rate) ** (session - 1)
        skill = self.asymptote - (self.asymptote - self.start) * left
        if self.regress and self.regress[0] <= session <= self.regress[1]:
            skill *= 1.0 - self.drop
        return skill


NEVER: Collection[int] = ()


@dataclass(frozen=True)
class Person:
    """One person of the study.

    Parameters
    ----------
    name : str
        Pseudonym.
    story : str
        What is special about them.
    skill : Curve
    trials : tuple of (int, int, int)
        From which session on how many trials are made to targets of one DOF, and of two.
    no_tasks : collection of int
        Sessions without scored trials: calibration and collection, or free control alone.
    hand : int
        First session on the hand; before it, and with 0 always, in the simulator.
    pauses : collection of int
        Sessions with a pause of 20 min, with trials before and after it.
    recalibrated : collection of int
        Those of them in which it was calibrated after the pause.
    doubled : collection of int
        Sessions on the date of the one before.
    missed : collection of int
        Sessions before which a planned date was missed.
    chained : collection of int
        Sessions with a third protocol, `tac` with three DOFs.
    passive : collection of int
        Sessions in which the hand was also used freely.
    perturbed : collection of int
        Sessions with a run of perturbed trials beside.
    slow, faulty : collection of int
        Sessions in which commands were late, or the hand had faults and an e-stop.
    lost_tables : collection of int
        Sessions that have bags with everything, but no trial tables.
    leak : float
        Part of a movement that other DOFs make beside what skill explains.
    """

    name: str
    story: str
    skill: Curve
    trials: tuple[tuple[int, int, int], ...]
    no_tasks: Collection[int] = NEVER
    hand: int = 0
    pauses: Collection[int] = NEVER
    recalibrated: Collection[int] = NEVER
    doubled: Collection[int] = NEVER
    missed: Collection[int] = NEVER
    chained: Collection[int] = NEVER
    passive: Collection[int] = NEVER
    perturbed: Collection[int] = NEVER
    slow: Collection[int] = NEVER
    faulty: Collection[int] = NEVER
    lost_tables: Collection[int] = NEVER
    leak: float = 0.0

    def trials_in(self, session: int) -> tuple[int, int]:
        """Trials of a session to targets of one DOF, and of two."""
        if session in self.no_tasks:
            return 0, 0
        singles, pairs = 0, 0
        for first, one, two in self.trials:
            if session >= first:
                singles, pairs = one, two
        return singles, pairs


FAST = Curve(0.45, 0.95, 0.18)
STEADY = Curve(0.35, 0.93, 0.12)
USUAL = ((1, 16, 8), (6, 24, 12), (14, 40, 22))
"""Too few trials for any trained level, enough for the first, enough for all."""
ALWAYS = range(1, 1000)

# fmt: off
PEOPLE = (
    Person("p01", "learns fast; on the hand from session 24 on, with pauses: ready for home",
           FAST, USUAL, no_tasks=(1,), hand=24, pauses=(25, 30)),
    Person("p02", "is on the hand twice at the end, once with a pause: ready to retain",
           FAST, ((1, 20, 8), (9, 24, 12), (20, 40, 22)), no_tasks=(1,), hand=39, pauses=(40,)),
    Person("p03", "never leaves the simulator, and is late at times: ready for the hand",
           STEADY, USUAL, no_tasks=(1, 2), slow=(20, 21), missed=(9, 17)),
    Person("p04", "does many trials, at a computer that is always late: proficient, and no further",
           Curve(0.15, 0.95, 0.13), ((1, 40, 22),), slow=ALWAYS),
    Person("p05", "stays on a plateau below the second level: basic",
           Curve(0.50, 0.62, 0.30), ((1, 16, 8), (6, 40, 22)), passive=(7, 8)),
    Person("p06", "has other things to do than tasks: in training to the end",
           Curve(0.25, 0.40, 0.05), ((1, 20, 10),),
           no_tasks=tuple(range(1, 4)) + tuple(range(12, 41)), passive=range(20, 41)),
    Person("p07", "never gains control: in training, with the advice after 20 dates",
           Curve(0.10, 0.22, 0.05), ((1, 12, 8),)),
    Person("p08", "is fitted again and again and never trains: fitting",
           Curve(0.20, 0.30, 0.05), (), no_tasks=ALWAYS),
    Person("p09", "lost the tables of the first four sessions: not computed, then steady",
           STEADY, USUAL, lost_tables=range(1, 5), perturbed=(16, 17)),
    Person("p10", "falls ill in sessions 26 to 32 and comes back: regress and recovery",
           Curve(0.45, 0.95, 0.18, regress=(26, 32), drop=0.8), USUAL, hand=20),
    Person("p11", "comes twice a day, misses dates, does three protocols in a row, uses the hand",
           STEADY, USUAL, no_tasks=(1, 18), doubled=(4, 10, 15, 21, 22, 33), missed=(8, 20),
           chained=range(12, 41, 4), passive=(6, 13, 18, 24), perturbed=(19, 28), faulty=(30, 31)),
    Person("p12", "calibrates again after each pause on the hand: nothing is retained",
           FAST, USUAL, hand=22, pauses=range(24, 40, 3), recalibrated=range(24, 40, 3)),
)
# fmt: on


def people(count: int) -> tuple[Person, ...]:
    """The first people of the study; beyond those of `PEOPLE`, others who learn like them.

    Raises
    ------
    UserError
        When there is none.
    """
    if not 1 <= count <= MOST_PEOPLE:
        raise UserError(f"subjects: give 1 to {MOST_PEOPLE}, not {count}")
    known = len(PEOPLE)
    return tuple(
        PEOPLE[i] if i < known else replace(PEOPLE[i % known], name=f"p{i + 1:02}")
        for i in range(count)
    )


MOST_PEOPLE = 500


@dataclass(frozen=True)
class Ability:
    """What a person is able to do in one session.

    Parameters
    ----------
    tremor : float
        Standard deviation of the position at full effort [normalised position].
    pace : float
        Time constant of a movement to a target [s].
    lapses : tuple of float
        Part of the trials in which the wrong movement comes out: of one DOF, of more.
    leak : float
        Part of a movement that the other DOFs make.
    gain_error : float
        Part by which the amplitude is missed where nobody corrects it.
    """

    tremor: float
    pace: float
    lapses: tuple[float, float]
    leak: float
    gain_error: float


def ability(skill: float, leak: float = 0.0) -> Ability:
    """What a skill from 0 to 1 means for the movements of the hand."""
    left = min(max(1.0 - skill, 0.0), 1.0)
    lapses = 0.9 * left * left
    return Ability(
        tremor=0.02 + 0.08 * left,
        pace=0.25 + 0.65 * left,
        lapses=(lapses, min(1.5 * lapses, 0.95)),
        leak=leak + 0.55 * math.pow(left, 1.6),
        gain_error=0.35 * left,
    )
