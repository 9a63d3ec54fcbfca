"""Accuracy on the Myo wrist recordings: eight gestures, and four prompted DOFs; prints tables.

    python benchmark/accuracy_myo_wrist.py

The recordings are those in EMGHAND_DATA (default ../shared/data): two subjects, three sessions
each, one file per gesture with six cycles of 5 s rest and 5 s hold. Features are those of Hudgins
(MAV, WL, ZC, SSC) of 8 channels, over 300 ms, every 50 ms, with their normalisation learned from
the training part. Gestures are told by linear discriminant analysis, DOFs by ridge regression.

* within a session: one of the six cycles of every gesture is left out in turn;
* across sessions: one of the three sessions of a subject is left out in turn.

The labels are prompts: the first 0.75 s after a change of the label are left out of training, but
scored; beside it stands the score without them. Half of the time is rest, so the mean of the eight
gestures' shares found (balanced accuracy) is given as well. The null test gives every rest and hold
a random gesture: a decoder that sees no label of the part left out then scores chance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from emghand.errors import UserError
from emghand.evaluate.metrics import score
from emghand.signal.settings import FeatureSettings
from emghand.storage.datasets import read_any
from emghand.storage.datasets.gestures import postures
from emghand.storage.datasets.myo_wrist import DOFS, GESTURES, REACTION_S
from emghand.training import Dataset, TrainSettings, dataset_from_recording, fit, join

HUDGINS = FeatureSettings(
    hop=10,
    window_hops=6,
    bandpass_low=20.0,
    bandpass_high=95.0,
    features=("mav", "wl", "zc", "ssc"),
    zc_threshold=1.0,
    ssc_threshold=1.0,
)
CYCLES = 6
PERMUTATIONS = 10
POSTURES = postures(np.arange(len(GESTURES)), GESTURES, DOFS)
"""`x_d` of every gesture, shape (8, 4)."""

HEADINGS = (
    *("session", "ticks", "all", "steady", "bal.", "bal. st."),
    *("flex", "dev", "rot", "fist", "mean", "steady"),
)
KEYS = ("all", "steady", "balanced", "balanced_steady")


@dataclass(frozen=True)
class Session:
    """One session, decoded into examples.

    Parameters
    ----------
    name : str
        Subject and number.
    data : Dataset
    gesture : ndarray of int, shape (m,)
        Label of each tick, 0 for rest.
    cycle : ndarray of int, shape (m,)
        0 to 5; of a rest that of the hold that follows. The file of rest alone is cut into six.
    steady : ndarray of bool, shape (m,)
        Later than 0.75 s after the last change of the label.
    """

    name: str
    data: Dataset
    gesture: np.ndarray
    cycle: np.ndarray
    steady: np.ndarray

    @property
    def subject(self) -> str:
        """Name without the number of the session."""
        return self.name.rpartition("-")[0]


def read_session(path: Path) -> Session:
    """Examples of one session."""
    recording = read_any(path)
    data = dataset_from_recording(recording, HUDGINS)
    names = [gesture.name for gesture in GESTURES]
    gesture = np.array([names.index(m) if m else 0 for m in data.movement.tolist()])
    # The files follow each other with a gap; each starts with a rest.
    times = data.stamps_ns * 1e-9
    new_file = np.diff(times, prepend=times[0]) > 0.5
    change = (np.diff(gesture, prepend=gesture[0]) != 0) | new_file
    since = times - np.maximum.accumulate(np.where(change, times, -np.inf))
    steady = ~(since < REACTION_S)
    cycle = np.empty(len(data), dtype=int)
    files = np.cumsum(new_file)
    for number in range(files[-1] + 1):
        rows = np.flatnonzero(files == number)
        if not gesture[rows].any():
            cycle[rows] = np.arange(len(rows)) * CYCLES // len(rows)
            continue
        begins = np.diff((gesture[rows] == 0).astype(int), prepend=0) == 1
        cycle[rows] = np.minimum(np.maximum(np.cumsum(begins) - 1, 0), CYCLES - 1)
    return Session(path.name.split(".")[0], data, gesture, cycle, steady)


def pooled(sessions: list[Session]) -> Session:
    """Several sessions as one, to train on."""
    return Session(
        "+".join(s.name for s in sessions),
        join([s.data for s in sessions]),
        *(
            np.concatenate([getattr(s, k) for s in sessions])
            for k in ("gesture", "cycle", "steady")
        ),
    )


def folds(sessions: list[Session]) -> Iterator[tuple[str, Session, Session]]:
    """Name of the scheme, training part and test part.

    Ticks that share a sample with the part left out are in neither.
    """
    for session in sessions:
        for cycle in range(CYCLES):
            yield "cycle", *without_cycle(session, cycle)
    for session in sessions:
        others = [s for s in sessions if s.subject == session.subject and s is not session]
        if others:
            yield "session", pooled(others), session


def without_cycle(session: Session, cycle: int) -> tuple[Session, Session]:
    """The other cycles, but for a window beside the one left out, and that one."""
    out = session.cycle == cycle
    shared = out.copy()
    for k in range(1, HUDGINS.window_hops):
        shared[k:] |= out[:-k]
        shared[:-k] |= out[k:]
    return part(session, ~shared), part(session, out)


def part(session: Session, keep: np.ndarray) -> Session:
    """Some of the rows of a session."""
    return Session(
        session.name,
        session.data.rows(keep),
        session.gesture[keep],
        session.cycle[keep],
        session.steady[keep],
    )


def gestures(train: Session, test: Session) -> np.ndarray:
    """Gesture of each test row, shape (m,), by LDA of the steady rows of the training part."""
    x_hat = estimate(train, test, "lda")
    return np.argmin([((x_hat - posture) ** 2).sum(axis=1) for posture in POSTURES], axis=0)


def estimate(train: Session, test: Session, decoder: str) -> np.ndarray:
    """`x_hat` of each test row, shape (m, 4)."""
    data = replace(train.data, use=train.data.use & train.steady)
    return fit(data, TrainSettings(decoder, max_lag_s=0.0)).predict(test.data)


def permuted(session: Session, seed: int) -> Session:
    """Another gesture for each block (rest or hold) of a session, each as likely.

    Drawn one by one: in a permutation of fixed counts, the gestures of the part left out are rarer
    in the other, and a decoder then scores less than chance.
    """
    data = session.data
    starts = np.diff(session.gesture, prepend=-1) != 0
    starts |= np.diff(session.cycle, prepend=-1) != 0
    starts |= np.diff(data.stamps_ns, prepend=data.stamps_ns[0]) > 5e8
    block = np.cumsum(starts) - 1
    labels = np.random.default_rng(seed).integers(len(GESTURES), size=block[-1] + 1)
    gesture = labels[block]
    return replace(session, gesture=gesture, data=replace(data, X=POSTURES[gesture]))


def balanced(true: np.ndarray, found: np.ndarray) -> float:
    """Mean over the gestures of the share of their ticks that are found."""
    return float(np.mean([(found[true == g] == g).mean() for g in np.unique(true)]))


@dataclass
class Tally:
    """Labels and estimates of the test parts of a session, in order."""

    tests: list[Session]
    found: list[np.ndarray]
    x_hat: list[np.ndarray]


def evaluate(sessions: list[Session]) -> dict[tuple[str, str], dict[str, object]]:
    """Scores by scheme and session."""
    tallies: dict[tuple[str, str], Tally] = {}
    for scheme, train, test in folds(sessions):
        tally = tallies.setdefault((scheme, test.name), Tally([], [], []))
        tally.tests.append(test)
        tally.found.append(gestures(train, test))
        tally.x_hat.append(estimate(train, test, "ridge"))
    result: dict[tuple[str, str], dict[str, object]] = {}
    for key, tally in tallies.items():
        found, x_hat = np.concatenate(tally.found), np.concatenate(tally.x_hat)
        true = np.concatenate([t.gesture for t in tally.tests])
        x_d = np.concatenate([t.data.X for t in tally.tests])
        steady = np.concatenate([t.steady for t in tally.tests])
        result[key] = {
            "all": float((found == true).mean()),
            "steady": float((found == true)[steady].mean()),
            "balanced": balanced(true, found),
            "balanced_steady": balanced(true[steady], found[steady]),
            "r2": score(x_d, x_hat, DOFS).r2,
            "r2_steady": score(x_d[steady], x_hat[steady], DOFS).r2,
            "ticks": len(true),
        }
    return result


def null_accuracy(sessions: list[Session]) -> float:
    """Accuracy within sessions with permuted gestures; chance is 1/8."""
    found = []
    for seed in range(PERMUTATIONS):
        for session in sessions:
            shuffled = permuted(session, seed)
            train, test = without_cycle(shuffled, seed % CYCLES)
            found.append(float((gestures(train, test) == test.gesture).mean()))
    return float(np.mean(found))


def read_all() -> list[Session]:
    """All sessions that are there."""
    folder = Path(os.environ.get("EMGHAND_DATA", "../shared/data")) / "myo_wrist" / "dev"
    return [read_session(p) for p in sorted(folder.glob("*.tar.xz"))]


def main() -> None:
    """Print both tables."""
    console = Console(width=110)
    try:
        sessions = read_all()
    except UserError as error:
        console.print(f"Myo wrist left out: {error}")
        return
    if not sessions:
        console.print("Myo wrist left out: no recordings in EMGHAND_DATA")
        return
    found = evaluate(sessions)
    for scheme, title in (
        ("cycle", "within a session, one cycle left out"),
        ("session", "across sessions of a subject, one session left out"),
    ):
        table = Table(title=f"Myo wrist, {title}: accuracy of LDA, R² of ridge")
        for heading in HEADINGS:
            table.add_column(heading, justify="right")
        rows = [(name, r) for (s, name), r in found.items() if s == scheme]
        for name, r in rows:
            table.add_row(name, str(r["ticks"]), *_numbers([r]))
        table.add_section()
        table.add_row("mean", "", *_numbers([r for _, r in rows]), style="bold")
        console.print(table)
    console.print(
        "bal.: balanced accuracy; steady, st.: without the first 0.75 s after a change of the "
        "prompt."
    )
    null, chance = 100 * null_accuracy(sessions), 100 / len(GESTURES)
    console.print(f"Random gestures, within a session: {null:.1f} % (chance {chance:.1f} %)")


def _numbers(results: list[dict]) -> list[str]:
    accuracies = [f"{100 * np.mean([r[k] for r in results]):.1f} %" for k in KEYS]
    r2 = np.mean([r["r2"] for r in results], axis=0)
    steady = float(np.mean([r["r2_steady"] for r in results]))
    return [*accuracies, *(f"{v:.3f}" for v in r2), f"{r2.mean():.3f}", f"{steady:.3f}"]


if __name__ == "__main__":
    main()
