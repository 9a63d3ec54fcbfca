"""Cross-validation of every decoder and setting of a grid on every recording."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emghand.decoders.registry import decoder_class
from emghand.errors import UserError
from emghand.evaluate.crossval import CrossValidation, leave_one_repetition_out
from emghand.settings import from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings
from emghand.sweep.sources import (
    feature_settings,
    recorded_dataset,
    recordings_of,
    simulated_dataset,
)
from emghand.sweep.sweep import Row, check_keys
from emghand.sweep.task import Data, Task, code_digest, data_digest
from emghand.tasks.movements import load_movement_set
from emghand.training import Dataset, TrainSettings, fit

MEASURES = ("r2", "rmse", "nrmse", "correlation", "intended", "unintended")


def cross_validate(dataset: Dataset, settings: TrainSettings) -> CrossValidation:
    """Leave one repetition out: the one way in which sweeps and action selection validate."""
    return leave_one_repetition_out(
        dataset, lambda part: fit(part, settings), settings.longest_lag_s
    )


def run(settings: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Task: cross-validate one decoder on one source of examples."""
    train = from_mapping(TrainSettings, settings["train"])
    person = settings.get("person")
    if person is None:
        dataset = recorded_dataset(paths, settings["features"])
    else:
        dataset = simulated_dataset(
            load_movement_set(paths[0]),
            from_mapping(SyntheticSettings, person),
            settings["features"],
        )
    found = cross_validate(dataset, train)
    return {
        "compensated": found.compensated.as_dict(),
        "uncompensated": found.uncompensated.as_dict(),
        "repetitions_mean_r2": [f if math.isfinite(f) else None for f in found.folds],
        "lags_s": found.lags_s,
        "recordings": list(dataset.digests),
    }


@dataclass(frozen=True)
class _Source:
    """A recording, a session, or a simulated person."""

    name: str
    data: tuple[Data, ...]
    person: SyntheticSettings | None = None


@dataclass(frozen=True)
class CrossvalSweep:
    """Sources x feature settings x training settings, each cross-validated as one task.

    Made by `from_document`.
    """

    sources: tuple[_Source, ...]
    features: tuple[Mapping[str, Any], ...]
    grid: tuple[Mapping[str, Any], ...]
    kind = "crossval"

    @classmethod
    def from_document(cls, document: Mapping[str, Any], folder: Path) -> CrossvalSweep:
        """Sweep from the content of its file.

        Raises
        ------
        UserError
            When a recording does not exist, or a setting is unknown or out of range.
        """
        check_keys(document, {"recordings": list, "simulate": dict, "features": list, "grid": dict})
        sources = []
        for name in document.get("recordings", ()):
            data = recordings_of(folder / Path(str(name)).expanduser())
            if not data:
                raise UserError(f"session {name}: has no bag collect*")
            sources.append(_Source(str(name), data))
        if "simulate" in document:
            sources += _people(document["simulate"], folder)
        if not sources:
            raise UserError("name recordings, or people to simulate")
        grid = _product(document.get("grid", {}))
        for values in grid:
            decoder_class(from_mapping(TrainSettings, values).decoder)
        features = tuple(document.get("features") or [{}])
        for changes in features:
            if not isinstance(changes, Mapping):
                raise UserError(f"features: {changes!r} is no mapping of settings")
            from_mapping(FeatureSettings, changes)
        return cls(tuple(sources), features, grid)

    def plain(self) -> dict[str, Any]:
        """All settings as plain values."""
        return {
            "sources": [s.name for s in self.sources],
            "features": list(self.features),
            "grid": list(self.grid),
        }

    def tasks(self, results: Mapping[str, dict[str, Any]]) -> list[Task]:
        """One task per combination; none depends on results."""
        return [task for task, _ in self._all()]

    def table(self, results: Mapping[str, dict[str, Any]], errors: Mapping[str, str]) -> list[Row]:
        """Means over DOFs; ``lag_r2`` with the lag of the training part taken out."""
        rows = []
        for task, row in self._all():
            found = results.get(task.key)
            if found is None:
                rows.append(row | {"error": errors.get(task.key, "did not run")})
                continue
            scores = {m: _mean(found["uncompensated"][m].values()) for m in MEASURES}
            rows.append(row | {"lag_r2": _mean(found["compensated"]["r2"].values())} | scores)
        return rows

    def _all(self) -> list[tuple[Task, Row]]:
        # Sources outermost: a worker keeps the examples of the last ones it read.
        made = []
        for source, changes in itertools.product(self.sources, self.features):
            features = dataclasses.asdict(
                feature_settings(source.data if source.person is None else (), changes)
            )
            for values in self.grid:
                settings = {
                    "features": features,
                    "train": dataclasses.asdict(from_mapping(TrainSettings, values)),
                }
                if source.person is not None:
                    settings["person"] = dataclasses.asdict(source.person)
                task = Task(f"{__name__}:run", settings, source.data, code_digest())
                row = {"data": source.name} | {k: _text(v) for k, v in (changes | values).items()}
                made.append((task, row))
        return made


def _people(document: Mapping[str, Any], folder: Path) -> list[_Source]:
    check_keys(document, {"movements": str, "seeds": list, "settings": dict})
    if "movements" not in document:
        raise UserError("simulate: name the file of a movement set as movements")
    path = str((folder / Path(document["movements"]).expanduser()).absolute())
    data = (Data(path, data_digest(path)),)
    load_movement_set(path)
    changes = document.get("settings", {})
    return [
        _Source(f"person {seed}", data, from_mapping(SyntheticSettings, changes | {"seed": seed}))
        for seed in document.get("seeds", [1])
    ]


def _product(grid: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"grid: {name} must be a list of values")
    return tuple(
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    )


def _mean(values: Any) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def _text(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else str(value)
