"""Libraries that only the progress of a subject needs."""

from __future__ import annotations

import importlib

from emghand.errors import UserError


def need(module: str, extra: str, what: str) -> None:
    """Say in one sentence which extra is missing, before an import fails.

    Raises
    ------
    UserError
        When the module is not installed.
    """
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise UserError(
            f"{what} needs {error.name}, install it with: pip install 'emghand[{extra}]'"
        ) from error
