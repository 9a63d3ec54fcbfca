"""Importing MuJoCo so that physics never needs a graphics library."""

from __future__ import annotations

import functools
import os
import sys
from types import ModuleType

from emghand.errors import UserError


@functools.cache
def import_mujoco() -> ModuleType:
    """MuJoCo, imported without its graphics back end.

    With ``MUJOCO_GL`` set, importing MuJoCo fails where that library is missing; here only
    rendering may fail.

    Raises
    ------
    UserError
        When MuJoCo is not installed.
    """
    chosen = os.environ.get("MUJOCO_GL")
    if "mujoco" not in sys.modules:
        os.environ["MUJOCO_GL"] = "disable"
    try:
        import mujoco
    except ImportError as error:
        raise UserError(f"MuJoCo is missing: pip install mujoco ({error})") from error
    finally:
        os.environ.pop("MUJOCO_GL", None)
        if chosen is not None:
            os.environ["MUJOCO_GL"] = chosen
    return mujoco
