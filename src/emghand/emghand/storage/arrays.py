"""Arrays of npz data that anybody may have written."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError

DAMAGED = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, IndexError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, SyntaxError, tokenize.TokenError),
)
"""What zipfile, zlib and numpy's parser of headers raise for damaged data."""


def read_arrays(source: Path | io.BytesIO) -> dict[str, NDArray[Any]]:
    """Arrays of an npz file by name; pickled ones are refused.

    Raises
    ------
    UserError
        When the data are damaged.
    """
    try:
        with np.load(source, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except DAMAGED as error:
        raise UserError(f"cannot be read as npz, is it damaged? ({error})") from error
