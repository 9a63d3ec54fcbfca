"""Things of a session that lie within others, taken out so that they can be saved alone.

Movement sets lie in trial tables and plans, the settings of features and output filters in models,
and so does an encoder. What already lies in a file of its own is not taken out again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from emghand.errors import UserError
from emghand.storage.kinds import AUTOENCODER, FILTER, MOVEMENTS

MAX_TABLE_BYTES = 64 * 2**20


def derived_parts(
    path: Path, names: Iterable[str], kinds: frozenset[str]
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each part of these kinds.

    A table or a model that cannot be read has no parts: it is saved as it is all the same.
    """
    names = list(names)
    if MOVEMENTS in kinds:
        yield from _movement_sets(path, names)
    if not {FILTER, AUTOENCODER} & kinds:
        return
    for name in names:
        if PurePosixPath(name).parent.as_posix() == "models" and name.endswith(".emgmodel"):
            yield from _of_model(path / name, names, kinds)


def _movement_sets(path: Path, names: list[str]) -> Iterator[tuple[str, bytes]]:
    there = [_plain_set(path / n) for n in names if n.startswith("movements/")]
    for name in names:
        if not name.startswith("results/") or not name.endswith(".json"):
            continue
        found = _table(path / name).get("movement_set")
        if not isinstance(found, dict) or found in there:
            continue
        try:
            content = movement_set_yaml(found)
        except (KeyError, TypeError, yaml.YAMLError):
            continue
        there.append(found)
        taken = sum(1 for s in there if isinstance(s, dict) and s.get("name") == found.get("name"))
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in str(found.get("name")))[:64]
        number = f"_{taken}" if taken > 1 else ""
        yield f"movements/{stem or 'set'}{number}.yaml", content


def movement_set_yaml(plain: dict[str, Any]) -> bytes:
    """File of a movement set whose fields a table holds as plain values."""
    dofs = [f"{d['name']}:{d['low']}:{d['high']}" for d in plain["dofs"]]
    return yaml.safe_dump({**plain, "dofs": dofs}, sort_keys=False).encode()


def _plain_set(path: Path) -> dict[str, Any] | None:
    from emghand.tasks.movements import load_movement_set

    try:
        plain = json.dumps(dataclasses.asdict(load_movement_set(path)), default=dict)
    except UserError:
        return None
    loaded: dict[str, Any] = json.loads(plain)
    return loaded


def _table(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            return {}
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _of_model(path: Path, names: list[str], kinds: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    from emghand.storage.encoders import encoder_bytes, encoder_of

    try:
        model = _model(path, path.stat().st_mtime_ns)
    except (OSError, UserError):
        return
    wanted = f"filter/{path.stem}.yaml"
    if FILTER in kinds and wanted not in names:
        parameters = {
            "feature_node": {"ros__parameters": _values(model.features)},
            "decoder_node": {
                "ros__parameters": {"output_source": "parameters", "output": _values(model.output)}
            },
        }
        yield wanted, yaml.safe_dump(parameters, sort_keys=False).encode()
    wanted = f"models/{path.stem}.emgencoder"
    if AUTOENCODER in kinds and wanted not in names and model.encoder is not None:
        yield wanted, encoder_bytes(encoder_of(model))


@functools.lru_cache(maxsize=8)
def _model(path: Path, changed_ns: int) -> Any:
    from emghand.storage.models import load_model

    return load_model(path)


def _values(settings: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return values
