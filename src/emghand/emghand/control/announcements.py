"""What the nodes of the pipeline say of themselves: fields of their messages beside the headers."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.control.settings import OutputSettings
from emghand.dofs import dof_names
from emghand.settings import digest, to_json
from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model
from emghand.storage.recording import Stream


def emg_info(stream: Stream) -> dict[str, Any]:
    """Fields of ``EmgInfo``."""
    return dataclasses.asdict(stream) | {"channel_names": list(stream.channel_names)}


def feature_info(
    pipeline: FeaturePipeline, settings: FeatureSettings, stream: Stream
) -> dict[str, Any]:
    """Fields of ``FeatureInfo``."""
    return {
        "stream": stream.stream,
        "names": list(pipeline.names),
        "rate": stream.rate,
        "hop": settings.hop,
        "window_hops": settings.window_hops,
        "settings": to_json(settings),
        "settings_hash": digest(settings),
    }


def model_info(model: Model, uri: str, output: OutputSettings, tick: int) -> dict[str, Any]:
    """Fields of ``ModelInfo``; `tick`: the first one that is decoded with it."""
    return {
        "tick": tick,
        "model_id": model.model_id,
        "kind": model.decoder.kind,
        "dofs": list(dof_names(model.dofs)),
        "training_hash": model.training_hash,
        "settings_hash": digest(model.features),
        "uri": uri,
        "settings": to_json(
            {"decoder": model.decoder.get_params(), "output": dataclasses.asdict(output)}
        ),
    }


def pipeline_event(
    node: str, kind: str, tick: int, last_tick: int | None = None, **detail: Any
) -> dict[str, Any]:
    """Fields of ``PipelineEvent``; `detail` becomes JSON."""
    return {
        "node": node,
        "kind": kind,
        "tick": tick,
        "last_tick": tick if last_tick is None else last_tick,
        "detail": json.dumps(detail, sort_keys=True, separators=(",", ":")),
    }


def feature_start(stream: Stream, settings: FeatureSettings, first_sample: int) -> dict[str, Any]:
    """Detail of the event that a feature pipeline starts."""
    return {
        "first_sample": first_sample,
        "stream": dataclasses.asdict(stream),
        "settings": dataclasses.asdict(settings),
    }


def model_in_force(model: Model, uri: str, output: OutputSettings) -> dict[str, Any]:
    """Detail of the events that a model starts or takes over."""
    return {"model_id": model.model_id, "uri": uri, "output": dataclasses.asdict(output)}


def pack_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Arrays as the bytes of an .npz file without pickles."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
