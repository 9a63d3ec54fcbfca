"""What adaptation does on real recordings; prints a table.

    python benchmark/adaptation_real.py

No one used a hand in these recordings, so that "own use" is prompted or free movement itself.

* JHU (EMGHAND_DATA, default ../shared/data), one sitting of ten minutes: calibration and reference
  are the first 45 %, adaptation sees the EMG of the next 40 %, the last 15 % is scored.
* Myo wrist, two sessions of a participant: calibration and reference are the first session;
  adaptation sees the EMG of cycles 1 to 4 of the second one, cycles 5 and 6 are scored.

Supervised: refitted with the labels of what adaptation saw.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emghand.adapt.adapter import TemplateAdapter, frozen, reference_of
from emghand.adapt.window import Window
from emghand.dofs import Dof, dof_names
from emghand.errors import UserError
from emghand.evaluate.metrics import score
from emghand.signal.settings import FeatureSettings
from emghand.storage.datasets import read_any, read_jhu
from emghand.storage.models import Model
from emghand.training import Dataset, TrainSettings, dataset_from_recording, fit, shifted, train

JHU_FEATURES = FeatureSettings(
    hop=2, window_hops=15, bandpass_low=0.0, bandpass_high=0.0, notch_hz=0.0
)
MYO_FEATURES = FeatureSettings(hop=10, window_hops=6, bandpass_low=20.0, bandpass_high=95.0)
CYCLES = 6

Parts = tuple[str, Dataset, Dataset, Dataset]
"""Name, calibration, what is seen, what is scored."""


def jhu(folder: Path) -> Iterator[Parts]:
    """One sitting, cut in three."""
    recording = read_jhu(folder / "jhu_myo_mediapipe", rate=60.0)
    assert recording.x_d is not None
    data = dataset_from_recording(recording, JHU_FEATURES, [Dof(n) for n in recording.x_d.names])
    at = np.arange(len(data)) / len(data)
    parts = (at < 0.45, (at >= 0.45) & (at < 0.85), at >= 0.85)
    first, second, third = (data.rows(part) for part in parts)
    yield "JHU, one sitting", first, second, third


def myo_wrist(folder: Path) -> Iterator[Parts]:
    """Two sessions of each participant, both ways."""
    for person in ("77777", "91827"):
        sessions = [
            dataset_from_recording(
                read_any(folder / "myo_wrist" / "dev" / f"{person}-{i}.tar.xz"), MYO_FEATURES
            )
            for i in (1, 2)
        ]
        for first, second in ((0, 1), (1, 0)):
            data = sessions[second]
            late = cycle_of(data) >= 4
            name = f"Myo wrist {person}, session {first + 1} to {second + 1}"
            yield name, sessions[first], data.rows(~late), data.rows(late)


def cycle_of(data: Dataset) -> NDArray[np.int64]:
    """Sixth of each gesture's minute that a tick is in, 0 to 5, shape (m,)."""
    cycle = np.zeros(len(data), dtype=np.int64)
    for segment in np.unique(data.segment):
        rows = np.flatnonzero(data.segment == segment)
        cycle[rows] = np.arange(len(rows)) * CYCLES // len(rows)
    return cycle


def try_parts(parts: Parts, kind: str) -> list[str]:
    """Row of the table."""
    name, calibration, seen, unseen = parts
    settings = TrainSettings(kind)
    model = train(calibration, settings)
    reference = reference_of(model, window_of(model, calibration), rings=1)
    adapter = TemplateAdapter(model, calibration, settings, reference)
    proposal = adapter.propose(window_of(model, seen))
    labelled = replace(seen, X=shifted(seen, model.lag_s))
    refitted = fit(labelled, frozen(settings, model))
    supervised = replace(model, decoder=refitted.decoder, normaliser=refitted.normaliser)
    models = (model, proposal.model or model, supervised)
    return [
        name,
        kind,
        *(f"{r2(m, unseen):.3f}" for m in models),
        proposal.chosen or "kept",
        " ".join(f"{s.plausibility:.2f}" for s in proposal.scores),
        f"{proposal.changes.rotation_deg:.0f}",
    ]


def r2(model: Model, data: Dataset) -> float:
    """Mean over the DOFs, with the lag of the calibration taken out."""
    x_hat = model.estimates(data.Z)
    use = data.use
    return score(shifted(data, model.lag_s)[use], x_hat[use], dof_names(model.dofs)).mean_r2


def window_of(model: Model, data: Dataset) -> Window:
    """A data set as use: its labels are not looked at."""
    breaks = np.cumsum(np.diff(data.segment, prepend=data.segment[:1]) != 0)
    ticks = np.arange(len(data)) + breaks
    good = np.ones(len(data), dtype=np.bool_)
    return Window(data.Z, model.estimates(data.Z), ticks, good, data.tick_rate)


def main() -> None:
    """Print the table."""
    console = Console(width=120)
    folder = Path(os.environ.get("EMGHAND_DATA", "../shared/data"))
    table = Table(title="Adaptation on real recordings: mean R²")
    for heading in ("recording", "decoder", "calibration", "adapted", "supervised", "chosen"):
        table.add_column(heading)
    table.add_column("plausibility")
    table.add_column("turn [deg]")
    for source in (jhu, myo_wrist):
        for kind in ("kalman", "ridge"):
            try:
                for parts in source(folder):
                    table.add_row(*try_parts(parts, kind))
            except UserError as error:
                console.print(f"{source.__name__} left out: {error}")
    console.print(table)


if __name__ == "__main__":
    main()
