"""Movements that the detector finds in the estimates behind a report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emghand.adapt.recorded import (
    Estimates,
    FoundMovements,
    decoded_estimates,
    find_movements,
    published_estimates,
    ticks_of_stamps,
)
from emghand.errors import UserError
from emghand.evaluate.results import Result
from emghand.report.sources import Material
from emghand.report.tracking import Mark
from emghand.storage.recording import Recording

Found = Mapping[str, Mapping[str, FoundMovements]]
"""What was found by the digest of the recording and the name of the series."""


def found_movements(material: Material) -> Found:
    """Movements in the estimates of every model, and in those that bags hold where there is none.

    A model and its recording are decoded anew, so that announced movements (PROMPT) are watched
    too; a result whose recording is not there is taken tick by tick.
    """
    by_digest = {r.digest: r for r in material.recordings.values()}
    found: dict[str, dict[str, FoundMovements]] = {}
    for name, result in material.results.items():
        for index, source in enumerate(result.sources):
            recording = by_digest.get(source.digest)
            try:
                own = _of_result(material, name, result, index, recording)
            except UserError as error:
                material.leave_out(f"movements of {name} in {source.name}", error)
                continue
            if own is not None:
                found.setdefault(source.digest, {})[name] = own
    for digest, recording in by_digest.items():
        estimates = published_estimates(recording) if digest not in found else None
        if estimates is not None:
            found[digest] = {"x_hat as recorded": find_movements(recording, estimates)}
    return found


def _of_result(
    material: Material, name: str, result: Result, index: int, recording: Recording | None
) -> FoundMovements | None:
    model = material.models.get(name)
    if model is not None and recording is not None:
        estimates = decoded_estimates(recording, model, name)
        return find_movements(recording, estimates, features=model.features)
    if result.ticks is None:
        return None
    rows = np.flatnonzero(result.ticks.recording == index)
    rows = rows[np.argsort(result.ticks.stamps_ns[rows], kind="stable")]
    if not len(rows):
        return None
    stamps = result.ticks.stamps_ns[rows]
    estimates = Estimates(
        origin=name,
        dofs=result.ticks.names,
        tick_rate=result.ticks.tick_rate,
        ticks=ticks_of_stamps(stamps, result.ticks.tick_rate),
        stamps_ns=stamps,
        x_hat=result.ticks.x_hat[rows],
        quiet=np.zeros(len(rows), dtype=np.bool_),
        lag_s=result.lag_s,
    )
    return find_movements(recording, estimates)


def marks_of(series: Mapping[str, FoundMovements], start_ns: int) -> list[Mark]:
    """Where a figure that begins at `start_ns` marks the movements of each series."""
    marks = []
    for name, found in series.items():
        dofs = found.estimates.dofs
        for s in found.movements:
            left, right = (
                (found.stamp_ns(tick) - start_ns) * 1e-9 for tick in (s.t0_tick, s.t1_tick)
            )
            moving = tuple(d for d, moves in zip(dofs, s.moving, strict=True) if moves)
            marks.append(Mark(left, right, moving, name))
    return marks
