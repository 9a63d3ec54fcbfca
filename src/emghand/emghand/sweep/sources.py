"""The examples a task works on: recordings, or a simulated person."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.settings import from_mapping, to_json
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.datasets import read_any
from emghand.storage.sessions import MANIFEST, Session
from emghand.sweep.task import Data, data_digest
from emghand.tasks.movements import MovementSet, Schedule
from emghand.training import Dataset, dataset_from_recording, join
from emghand.training.recorded import recorded_features


def recordings_of(path: str | Path, label: str = "collect") -> tuple[Data, ...]:
    """Bags of a session with a label, or the recording itself.

    Raises
    ------
    UserError
        When it does not exist; empty when the session has no such bag.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise UserError(f"{path}: does not exist")
    is_session = (path / MANIFEST).exists()
    found = Session.open(path).bags(label) if is_session else [path]
    return tuple(Data(str(p), data_digest(str(p))) for p in found)


def feature_settings(data: Sequence[Data], changes: Mapping[str, Any]) -> FeatureSettings:
    """Feature settings that the recordings were made with, and changes to them."""
    recorded: set[FeatureSettings] = set()
    for path in (Path(d.path) for d in data):
        # Tables and data sets state no features.
        if path.suffix == ".mcap" or any(path.glob("*.mcap")):
            found = recorded_features(path)
            recorded |= {found} if found is not None else set()
    if len(recorded) > 1:
        raise UserError("the bags of a session were recorded with different feature settings")
    base = dataclasses.asdict(recorded.pop()) if recorded else {}
    return from_mapping(FeatureSettings, {**base, **changes})


def recorded_dataset(paths: Sequence[str], features: Mapping[str, Any]) -> Dataset:
    """Examples of recordings, joined; kept for the next task of this process."""
    return _recorded(tuple((p, data_digest(p)) for p in paths), to_json(features))


def simulated_dataset(
    movements: MovementSet, person: SyntheticSettings, features: Mapping[str, Any]
) -> Dataset:
    """Examples of a synthetic person who follows a movement set, in an order of their own.

    Kept for the next task of this process.
    """
    return _simulated(_Hashed(movements), person, to_json(features))


@dataclasses.dataclass(frozen=True)
class _Hashed:
    movements: MovementSet

    def __hash__(self) -> int:
        return hash(to_json(self.movements))


@functools.lru_cache(maxsize=2)
def _recorded(data: tuple[tuple[str, str], ...], features: str) -> Dataset:
    settings = from_mapping(FeatureSettings, json.loads(features))
    return join([dataset_from_recording(read_any(path), settings) for path, _ in data])


@functools.lru_cache(maxsize=4)
def _simulated(movements: _Hashed, person: SyntheticSettings, features: str) -> Dataset:
    schedule = Schedule(movements.movements, shuffle=True, seed=person.run)
    settings = from_mapping(FeatureSettings, json.loads(features))
    return dataset_from_recording(simulate_recording(schedule, person), settings)
