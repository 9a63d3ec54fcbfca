"""Does adaptation help synthetic people whose electrodes drift? Prints tables, draws a figure.

    python benchmark/adaptation.py
    python benchmark/adaptation.py --seeds 5 --output figures
    python benchmark/adaptation.py --part raw

Six kinds of drift in three strengths, no drift, and changed habits without drift, for each person;
through the decoder and the adapter that run live, from the features on. Recovery: (adapted -
drifted) / (supervised - drifted) in R², pooled over the people; cells in which a supervised refit
gains less than 0.03 are left out. Takes about a minute for each person on two cores. Then three
people as raw EMG, and three who see the hand and correct it (closed loop).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from emghand.adapt.raw_study import RawPerson
from emghand.adapt.study import USAGES, Outcome, Person
from emghand.simulate.drift import KINDS, STRENGTHS

LEAST_GAIN = 0.03
FEW = 3
"""People with raw EMG, and in the closed loop."""
CASES = [(kind, strength) for kind in KINDS for strength in STRENGTHS]


@dataclass(frozen=True)
class Row:
    """One trial of one person."""

    seed: int
    case: tuple[str, int]
    rings: bool
    drifted: float
    adapted: float
    supervised: float
    chosen: str


def trials(seed: int, rings: bool) -> list[Row]:
    """Every case of one person."""
    person = Person(seed)
    adapter = person.adapter(rings)
    rows = [_row(seed, case, rings, person.try_drift(adapter, *case)) for case in [("", 0), *CASES]]
    for name, usage in USAGES.items():
        other = Person(seed, usage)
        rows.append(_row(seed, (name, 0), rings, other.try_drift(other.adapter(rings))))
    return rows


def raw_trials(seed: int) -> list[Row]:
    """No drift and each kind at strength 2, of one person as raw EMG."""
    person = RawPerson(seed)
    cases = [("", 0), *((kind, 2) for kind in KINDS)]
    return [_row(seed, case, True, person.try_drift(*case)) for case in cases]


def closed_trials(seed: int) -> list[Row]:
    """Drifts at strength 2 of one person who corrects what they see."""
    person = Person(seed)
    adapter = person.adapter(True)
    cases = [(kind, 2) for kind in KINDS if kind not in ("gain", "dead")]
    return [_row(seed, c, True, person.try_closed_loop(adapter, *c)) for c in cases]


def print_few(console: Console, title: str, rows: list[Row]) -> None:
    """Table of few people, each by itself."""
    table = Table(title=title)
    for heading in ("drift", "person", "drifted", "adapted", "supervised", "recovery", "chosen"):
        table.add_column(heading, justify="left" if heading in ("drift", "chosen") else "right")
    for case in dict.fromkeys(r.case for r in rows):
        for r in (r for r in rows if r.case == case):
            table.add_row(
                f"{case[0]} {case[1]}" if case[0] else "none",
                str(r.seed),
                *(f"{v:.3f}" for v in (r.drifted, r.adapted, r.supervised)),
                _percent(recovery([r])) if case[0] else "-",
                r.chosen,
            )
    console.print(table)


def _row(seed: int, case: tuple[str, int], rings: bool, found: Outcome) -> Row:
    return Row(
        seed,
        case,
        rings,
        found.drifted,
        found.adapted,
        found.supervised,
        found.proposal.chosen or "kept",
    )


def recovery(rows: Iterable[Row]) -> float:
    """Pooled over rows; NaN where a refit gains too little."""
    rows = list(rows)
    gained = sum(r.adapted - r.drifted for r in rows)
    possible = sum(r.supervised - r.drifted for r in rows)
    return gained / possible if possible / len(rows) >= LEAST_GAIN else float("nan")


def cells(rows: list[Row]) -> dict[tuple[str, int], float]:
    """Recovery by case."""
    return {case: recovery(r for r in rows if r.case == case) for case in CASES}


def worst_person(rows: list[Row]) -> float:
    """Least recovery of a person, pooled over the cells that count."""
    counted = {case for case, value in cells(rows).items() if np.isfinite(value)}
    seeds = {r.seed for r in rows}
    return min(recovery(r for r in rows if r.seed == s and r.case in counted) for s in seeds)


def print_tables(console: Console, rows: list[Row]) -> None:
    """One table for each knowledge of the electrodes."""
    for rings in (True, False):
        some = [r for r in rows if r.rings == rings]
        known = "ring of electrodes known" if rings else "ring of electrodes not known"
        table = Table(title=f"Drift of {len({r.seed for r in some})} people, {known}; mean R²")
        for heading in ("drift", "drifted", "adapted", "supervised", "recovery", "least", "most"):
            table.add_column(heading, justify="left" if heading == "drift" else "right")
        for case in CASES:
            own = [r for r in some if r.case == case]
            single = [recovery([r]) for r in own]
            means = [np.mean([getattr(r, k) for r in own]) for k in ("drifted", "adapted")]
            means.append(np.mean([r.supervised for r in own]))
            table.add_row(
                f"{case[0]} {case[1]}",
                *(f"{m:.3f}" for m in means),
                _percent(recovery(own)),
                *(_percent(f(single)) for f in (_least, _most)),
            )
        console.print(table)
        changes = Table(title=f"No drift, {known}: change of R²")
        for heading in ("use", "R² before", "mean change", "worst", "kept"):
            changes.add_column(heading, justify="left" if heading == "use" else "right")
        for name in ("", *USAGES):
            own = [r for r in some if r.case == (name, 0)]
            change = [r.adapted - r.drifted for r in own]
            changes.add_row(
                name or "as in the reference",
                f"{np.mean([r.drifted for r in own]):.3f}",
                f"{np.mean(change):+.3f}",
                f"{min(change):+.3f}",
                f"{sum(r.chosen == 'kept' for r in own)} of {len(own)}",
            )
        console.print(changes)
        mean = np.nanmean(list(cells(some).values()))
        console.print(
            f"mean recovery of the cells {_percent(mean)}, worst person "
            f"{_percent(worst_person(some))}\n"
        )


def _least(values: list[float]) -> float:
    return float(np.nanmin(values)) if np.isfinite(values).any() else float("nan")


def _most(values: list[float]) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else float("nan")


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else "-"


def draw(rows: list[Row], path: Path) -> None:
    """Figure of R² before and after, by kind and strength."""
    from emghand.report import style

    with style.drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.subplots(2, 3, sharex=True, sharey=True)
        for ax, kind in zip(axes.flat, KINDS, strict=True):
            for name, colour, marker in (
                ("drifted", "#8a8a8a", "o"),
                ("adapted", "#0072b2", "s"),
                ("supervised", "#e69f00", "^"),
            ):
                values = [
                    [max(getattr(r, name), -0.5) for r in rows if r.case == (kind, s) and r.rings]
                    for s in STRENGTHS
                ]
                low, mid, high = np.array([np.percentile(v, (10, 50, 90)) for v in values]).T
                at = (
                    np.array(STRENGTHS)
                    + {"drifted": -0.12, "adapted": 0.0, "supervised": 0.12}[name]
                )
                ax.errorbar(
                    at,
                    mid,
                    [mid - low, high - mid],
                    color=colour,
                    marker=marker,
                    markersize=4,
                    linewidth=1,
                    label=name,
                )
            ax.set_title(kind)
            ax.set_xticks(STRENGTHS)
            ax.set_ylim(-0.55, 1.0)
        for ax in axes[1]:
            ax.set_xlabel("strength of the drift")
        for ax in axes[:, 0]:
            ax.set_ylabel("mean R² (from -0.5)")
        axes[0, 0].legend(loc="lower left")
        figure.savefig(path, dpi=160)


def main() -> None:
    """Print the tables, and draw."""
    parser = argparse.ArgumentParser(description="Adaptation to drift, on synthetic people.")
    parser.add_argument("--seeds", type=int, default=20, help="people (default: 20)")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: one per core)")
    parser.add_argument("--part", choices=("grid", "raw", "closed"), help="only this one")
    parser.add_argument("--output", type=Path, help="folder for the figure")
    args = parser.parse_args()
    start = time.perf_counter()
    pool = Parallel(n_jobs=args.jobs)
    console = Console(width=100)
    if args.part in (None, "grid"):
        jobs = [(seed, rings) for seed in range(args.seeds) for rings in (True, False)]
        rows = [row for part in pool(delayed(trials)(*job) for job in jobs) for row in part]
        print_tables(console, rows)
        if args.output is not None:
            args.output.mkdir(parents=True, exist_ok=True)
            draw(rows, args.output / "adaptation.png")
    for part, title, work in (
        ("raw", "Raw EMG of 32 electrodes; R²", raw_trials),
        ("closed", "Closed loop: R² of x_hat to the target", closed_trials),
    ):
        if args.part in (None, part):
            few = pool(delayed(work)(seed) for seed in range(min(FEW, args.seeds)))
            print_few(console, title, [row for own in few for row in own])
    console.print(f"took {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
