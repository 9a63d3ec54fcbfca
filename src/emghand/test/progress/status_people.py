"""Sessions and trials written by hand: a session says only what matters to its test."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

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


def learner(seed=0, *, subject="p01", n=32, ceiling=3.6, regress=True, hand_from=24):
    """Sessions of a person who learns: three of four days, later on the hand, with a regress."""
    rng = np.random.default_rng(seed)
    made = [calibration(0, f"{subject}-00")]
    number = 0
    for i in range(1, n):
        number += int(rng.choice([1, 1, 1, 2, 3]))
        skill = 1.0 - np.exp(-i / 9.0)
        if regress and n // 2 <= i < n // 2 + 4:
            skill *= 0.45
        made.append(_practice(rng, f"{subject}-{i:02d}", number, skill, ceiling, i >= hand_from))
        if i == 7:
            made.append(_practice(rng, f"{subject}-{i:02d}b", number, skill, ceiling, False))
    return frames(*((replace(row, subject=subject), trials) for row, trials in made))


def _practice(rng, name, number, skill, ceiling, hand):
    trials = []
    for i in range(int(rng.integers(64, 90))):
        kind = "pair" if rng.random() < 0.35 else "single"
        radius = float(rng.choice([0.1, 0.15, 0.2]))
        difficulty = float(np.log2(rng.choice([0.5, 0.8]) / (2 * radius) + 1.0))
        middle = 0.9 + ceiling * skill - (0.4 if kind == "pair" else 0.0)
        done = bool(rng.random() < 0.04 + 0.94 / (1.0 + np.exp((difficulty - middle) / 0.35)))
        time = float(0.6 + (0.4 + 1.8 * (1 - skill)) * difficulty * rng.lognormal(0, 0.25))
        trials.append(
            trial(
                name,
                i,
                target_class=kind,
                radius=radius,
                difficulty=difficulty,
                outcome="completed" if done else "timeout",
                time_to_target=time if done else None,
                path_efficiency=0.5 + 0.4 * skill if done else None,
                throughput=difficulty / time if done else None,
                overshoots=int(rng.poisson(1.5 - 1.2 * skill)),
                after_pause=hand and i > 50,
            )
        )
    done = [t.outcome == "completed" for t in trials]
    n, reached = {}, {}
    for kind in ("single", "pair"):
        own = [d for t, d in zip(trials, done, strict=True) if t.target_class == kind]
        n[kind], reached[kind] = len(own), sum(own)
    later = [d for t, d in zip(trials, done, strict=True) if t.after_pause]
    row, _ = session(
        number,
        name,
        state=SCORED,
        protocols="fitts",
        place=HAND if hand else SIMULATOR,
        duration=float(rng.uniform(25, 50)),
        n_trials=len(trials),
        n_single=n["single"],
        completed_single=reached["single"],
        n_pair=n["pair"],
        completed_pair=reached["pair"],
        n_after_pause=len(later),
        completed_after_pause=sum(later),
        nrmse=float(0.33 - 0.2 * skill),
        unintended=float(0.2 - 0.12 * skill),
        latency_ok=True if hand else None,
        faults_ok=True if hand else None,
        pauses="[[30.0, 16.0]]" if hand else "[]",
    )
    return row, trials
