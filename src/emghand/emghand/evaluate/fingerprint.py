"""SHA-256 of everything that was learned, to show that two trainings are the same to the bit."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def fingerprint(fitted: Any) -> str:
    """SHA-256 of a fitted decoder and of all that was learned around it, hexadecimal.

    Parameters
    ----------
    fitted : dataclass
        Such as `emghand.training.Fitted`: arrays, plain values, objects with ``to_arrays`` (and
        ``get_params``), and mappings, sequences and dataclasses of these.
    """
    sha = hashlib.sha256()
    for path, value in _leaves("", fitted):
        sha.update(f"{path}\0".encode())
        if isinstance(value, np.ndarray):
            sha.update(f"{value.dtype.str}{value.shape}".encode())
            sha.update(np.ascontiguousarray(value).tobytes())
        else:
            sha.update(repr(value).encode())
    return sha.hexdigest()


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "to_arrays"):
        if hasattr(value, "get_params"):
            yield from _leaves(f"{path}.params", value.get_params())
        yield from _leaves(path, value.to_arrays())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from _leaves(f"{path}.{item.name}", getattr(value, item.name))
    elif isinstance(value, Mapping):
        for name in sorted(value):
            yield from _leaves(f"{path}.{name}", value[name])
    elif isinstance(value, list | tuple):
        yield f"{path}.length", len(value)
        for i, element in enumerate(value):
            yield from _leaves(f"{path}.{i}", element)
    elif value is None or isinstance(value, np.ndarray | np.generic | str | int | float | bool):
        yield path, value
    else:
        raise TypeError(f"{path}: {type(value).__name__} has no stated content")
