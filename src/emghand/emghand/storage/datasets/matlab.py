"""MATLAB .mat files as a flat mapping of arrays."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError


def load_mat(path: str | Path) -> dict[str, NDArray[Any]]:
    """Numeric and text arrays of a .mat file (version 7 or older).

    Fields of structures come under ``structure.field``. Everything that is no array of numbers or
    text is left out.

    Raises
    ------
    UserError
        When the file is damaged, or of version 7.3 (HDF5).
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = Path(path)
    try:
        with path.open("rb") as file:
            found = loadmat(file, simplify_cells=True, verify_compressed_data_integrity=True)
    except NotImplementedError as error:
        raise UserError(
            f"{path}: is a MATLAB 7.3 file; save it in MATLAB with: save(..., '-v7')"
        ) from error
    except (
        *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError),
        *(MemoryError, OverflowError, struct.error, zlib.error, MatReadError, AssertionError),
    ) as error:
        raise UserError(f"{path}: cannot be read as .mat, is it damaged? ({error})") from error
    arrays: dict[str, NDArray[Any]] = {}
    _flatten("", found, arrays, 0)
    return arrays


_MAX_DEPTH = 4


def _flatten(
    prefix: str, values: dict[str, Any], into: dict[str, NDArray[Any]], depth: int
) -> None:
    for name, value in values.items():
        if name.startswith("__"):
            continue
        if isinstance(value, dict):
            if depth < _MAX_DEPTH:
                _flatten(f"{prefix}{name}.", value, into, depth + 1)
            continue
        array = np.asarray(value)
        if array.dtype.kind in "fiubU":
            into[f"{prefix}{name}"] = array
