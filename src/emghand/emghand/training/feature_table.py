"""Features of a recording, computed anew with any settings, as a table for other tools."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.pipeline import feature_pipeline, feature_ticks
from emghand.settings import digest, to_json
from emghand.signal.settings import FeatureSettings
from emghand.storage.files import write_file
from emghand.storage.recording import Recording
from emghand.training.labels import label_periods, label_values


def feature_table(
    recording: Recording, features: FeatureSettings
) -> dict[str, NDArray[np.generic]]:
    """Features at every tick, by the code that computes them live.

    Parameters
    ----------
    recording : Recording
    features : FeatureSettings

    Returns
    -------
    dict of str to ndarray
        With n ticks, f features and d DOFs: ``stamp_ns`` (n,) acquisition time of the last sample
        of the window; ``tick`` (n,); ``quality`` (n,), bits of `emghand.signal.quality.Quality`;
        ``reset`` (n,), whether the filters started anew; ``names`` (f,) and ``values`` (n, f);
        ``dofs`` (d,) and ``labels`` (n, d), NaN where there is none; ``period`` (n,),
        `PeriodKind`; ``movement``, ``repetition`` and ``trial`` (n,); ``settings`` and ``stream``,
        JSON; ``settings_sha256`` and ``recording_sha256``.

    Raises
    ------
    UserError
        When the settings do not fit the recording, or it is shorter than a window.
    """
    found = list(feature_ticks(features, recording))
    if not found:
        raise UserError(f"{recording.source}: has no tick; is it shorter than the window?")
    stamps = np.array([stamp for stamp, _ in found], dtype=np.int64)
    ticks = [tick for _, tick in found]
    periods = label_periods(recording.periods, stamps)
    names: tuple[str, ...] = ()
    labels = np.zeros((len(stamps), 0))
    if recording.x_d is not None:
        names = recording.x_d.names
        labels, known = label_values(recording.x_d, names, stamps)
        labels = np.where(known[:, None], labels, np.nan)
    return {
        "stamp_ns": stamps,
        "tick": np.array([t.tick for t in ticks], dtype=np.int64),
        "quality": np.array([t.quality for t in ticks], dtype=np.uint8),
        "reset": np.array([t.reset for t in ticks], dtype=np.bool_),
        "names": np.array(feature_pipeline(features, recording.stream).names, dtype=np.str_),
        "values": np.array([t.z for t in ticks]),
        "dofs": np.array(names, dtype=np.str_),
        "labels": labels,
        "period": periods.kind,
        "movement": periods.movement,
        "repetition": periods.repetition,
        "trial": periods.trial,
        "settings": np.array(to_json(features)),
        "stream": np.array(json.dumps(dataclasses.asdict(recording.stream), sort_keys=True)),
        "settings_sha256": np.array(digest(features)),
        "recording_sha256": np.array(recording.digest),
    }


def write_feature_table(
    table: Mapping[str, NDArray[np.generic]], path: str | Path, *, replace: bool = False
) -> None:
    """Write a table as an npz file; the same table gives the same bytes.

    Raises
    ------
    UserError
        When the file exists (and may not be replaced) or cannot be written.
    """
    buffer = io.BytesIO()
    arrays: dict[str, Any] = dict(table)
    np.savez_compressed(buffer, **arrays)
    write_file(path, buffer.getvalue(), replace=replace)
