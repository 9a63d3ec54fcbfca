"""Numbers on the command line that are out of range, told before anything is done with them."""

from __future__ import annotations

import argparse

from emghand.errors import UserError

COUNTS = 2**32 - 1
"""Largest number of trials that a goal holds."""
SEEDS = 2**64 - 1
"""Largest seed that a goal holds."""


def check_ranges(args: argparse.Namespace, **highest: float) -> None:
    """Check that options are from 0 to a highest value.

    Parameters
    ----------
    args : Namespace
    **highest : float
        By name of the option; nan and inf never are in range.

    Raises
    ------
    UserError
        Names the option and its range.
    """
    for name, high in highest.items():
        value = getattr(args, name)
        if not 0 <= value <= high:
            limit = high if isinstance(high, int) else f"{high:g}"
            raise UserError(f"--{name}: must be from 0 to {limit}, got {value}")
