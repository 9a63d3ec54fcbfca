"""Columns of a session over its trials, its prompted tests and its bags."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from emghand.progress.bag import BagContent
from emghand.progress.prompted import TestScores
from emghand.progress.rows import (
    HAND,
    HOLD_RADIUS,
    MULTI,
    NOWHERE,
    PAIR,
    SIMULATOR,
    SINGLE,
    TrialRow,
)
from emghand.progress.trials import rounded
from emghand.tasks.trial import COMPLETED

LATENCY_MS = 50.0
"""The check of the latency: so long from a sample to its command at most, in 99 of 100 ticks. A
choice: three ticks of 16 ms for computing and transport; filters and window are not in it."""
MISSED_SHARE = 0.01
"""The check of the latency: share of the ticks that were never decoded, at most."""
_PLAUSIBLE_MS = 10_000.0


def of_trials(trials: Sequence[TrialRow]) -> dict[str, Any]:
    """Columns over scored trials without a perturbation."""
    kept = [t for t in trials if not t.perturbed]
    done = [t for t in kept if t.outcome == COMPLETED]
    found: dict[str, Any] = {"n_trials": len(kept)}
    for kind in (SINGLE, PAIR, MULTI):
        found[f"n_{kind}"] = sum(t.target_class == kind for t in kept)
        found[f"completed_{kind}"] = sum(t.target_class == kind for t in done)
    return found | {
        "time_to_target": _median(t.time_to_target for t in done),
        "path_efficiency": _mean(t.path_efficiency for t in done),
        "overshoots": _mean(float(t.overshoots) for t in kept),
        "hold": _median(t.longest_hold for t in kept if t.radius <= HOLD_RADIUS),
        "throughput": _mean(t.throughput for t in done),
        "n_after_pause": sum(t.after_pause for t in kept),
        "completed_after_pause": sum(t.after_pause for t in done),
    }


def of_tests(tests: Sequence[TestScores], trials: Sequence[TrialRow]) -> dict[str, Any]:
    """Columns over prompted tests: means over the tests."""
    unintended = _mean(t.unintended for t in tests)
    if unintended is None:
        unintended = _mean(t.unintended for t in trials if not t.perturbed)
    return {
        "nrmse": _mean(t.nrmse for t in tests),
        "unintended": unintended,
        "rest_offset": _by_dof([t.rest_offset for t in tests]),
        "resolvable": _by_dof([t.resolvable for t in tests]),
    }


def of_checks(contents: Sequence[BagContent], problems: list[str]) -> dict[str, Any]:
    """Latency and faults; says in `problems` why a check was not passed."""
    heard = [c for c in contents if c.status_heard]
    faults = sum(c.faults for c in heard)
    total = np.array([t for c in contents for t in c.total_ns], np.float64) * 1e-6
    latency, passed = None, None
    if len(total) and 0.0 < float(np.median(total)) < _PLAUSIBLE_MS:
        latency = rounded(float(np.percentile(total, 99.0)))
        missed = sum(c.missed for c in contents)
        share = missed / (missed + len(total))
        passed = latency is not None and latency <= LATENCY_MS and share <= MISSED_SHARE
        if not passed:
            problems.append(
                f"latency: {latency:.1f} ms in 99 of 100 ticks (at most {LATENCY_MS:g}), "
                f"{100.0 * share:.1f} % of the ticks missed (at most {100.0 * MISSED_SHARE:g})"
            )
    elif len(total):
        problems.append("latency: the stamps of the samples are not of the clock of the run")
    if faults:
        problems.append(f"the hand was in a fault or stopped {faults} times")
    return {
        "latency_p99_ms": latency,
        "latency_ok": passed,
        "faults": faults,
        "faults_ok": faults == 0 if heard else None,
    }


def place_of(places: Sequence[str]) -> str:
    """Of a session: the hand where any of it was on the hand."""
    return next((p for p in (HAND, SIMULATOR) if p in places), NOWHERE)


def _by_dof(tests: Sequence[Mapping[str, float]]) -> str:
    """Mean over tests, as JSON."""
    names = sorted({name for test in tests for name in test})
    return json.dumps({n: _mean(test.get(n) for test in tests) for n in names})


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return rounded(statistics.fmean(known)) if known else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return rounded(statistics.median(known)) if known else None
