"""Sessions and trials written by hand: a session says only what matters to its test."""

from dataclasses import replace
from datetime import date, timedelta

from emghand.progress.frames import sessions_frame, trials_frame
from emghand.progress.rows import (
    FITTING,
    HAND,
    NOWHERE,
    PENDING,
    SCORED,
    SIMULATOR,
    SessionRow,
    TrialRow,
)

FIRST = date(2026, 3, 2)
DAY_NS = 86_400 * 10**9


def day(number):
    return FIRST + timedelta(days=number)


def trial(session, number, **given):
    values = dict(
        session_id=session,
        protocol="results/fitts_trials.json",
        number=number,
        kind="fitts",
        target_class="single",
        dofs="index_flex",
        radius=0.15,
        dwell=1.0,
        difficulty=1.5,
        outcome="completed",
        time_to_target=1.5,
        reaction_time=0.3,
        path_efficiency=0.8,
        overshoots=0,
        longest_hold=1.2,
        hold_violations=0,
        throughput=1.0,
        unintended=None,
        validation=True,
        perturbed=False,
        start_ns=number * 10**9,
        end_ns=(number + 1) * 10**9,
        after_pause=False,
    )
    return TrialRow(**values | given)


def session(number, name="", *, singles=(0, 0), pairs=(0, 0), after_pause=(0, 0), each=None, **own):
    """A session on the day of this number, with (completed, all) trials of each class."""
    name = name or f"s{number:02d}"
    trials = []
    for kind, (completed, n) in (("single", singles), ("pair", pairs)):
        for i in range(n):
            done = i < completed
            given = {"target_class": kind, "outcome": "completed" if done else "timeout"}
            if not done:
                given |= {"time_to_target": None, "path_efficiency": None, "throughput": None}
            trials.append(trial(name, len(trials), **given | (each or {})))
    values = dict(
        subject="p01",
        session_id=name,
        content_hash="0" * 64,
        path=name,
        date=day(number),
        start_ns=number * DAY_NS,
        protocols="fitts" if trials else "",
        place=SIMULATOR if trials else NOWHERE,
        state=SCORED if trials else FITTING,
        duration=30.0,
        start_delay=60.0 if trials else None,
        n_trials=len(trials),
        n_single=singles[1],
        completed_single=singles[0],
        n_pair=pairs[1],
        completed_pair=pairs[0],
        n_multi=0,
        completed_multi=0,
        nrmse=0.2,
        unintended=0.1,
        time_to_target=None,
        path_efficiency=None,
        overshoots=None,
        hold=None,
        throughput=None,
        rest_offset='{"index_flex": 0.02}',
        resolvable="{}",
        latency_p99_ms=20.0,
        latency_ok=None,
        faults=0,
        faults_ok=None,
        pauses="[]",
        recalibrations=0,
        n_after_pause=after_pause[1],
        completed_after_pause=after_pause[0],
        problems="",
    )
    return SessionRow(**values | own), trials


def poor(number, name="", **own):
    return session(number, name, **{"singles": (8, 30), "pairs": (2, 12)} | own)


def basic(number, name="", **own):
    return session(number, name, **{"singles": (36, 40), "pairs": (5, 10)} | own)


def proficient(number, name="", **own):
    return session(number, name, **{"singles": (39, 40), "pairs": (18, 20)} | own)


def on_hand(number, name="", **own):
    checks = {"place": HAND, "latency_ok": True, "faults_ok": True}
    return proficient(number, name, **checks | own)


def calibration(number, name=""):
    return session(number, name, nrmse=None, unintended=None)


def pending(number, name=""):
    row, trials = session(number, name, nrmse=None, unintended=None)
    return replace(row, state=PENDING), trials


def frames(*made):
    rows = [row for row, _ in made]
    trials = [t for _, own in made for t in own]
    return sessions_frame(rows), trials_frame(trials)
