"""Parts of a recording, named as a person would."""

from __future__ import annotations

import re

from emghand.errors import UserError
from emghand.storage.recording import Block

_PLACE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*(%|s)\s*")


def cut(blocks: list[Block], rate: float, start: str, end: str) -> list[Block]:
    """Blocks that begin between two places, as shares or in seconds of the recording.

    Raises
    ------
    UserError
        When a place is not written like ``70%`` or ``12.5s``.
    """
    if not blocks:
        return []
    first = blocks[0].first_sample
    length = blocks[-1].first_sample + len(blocks[-1].samples) - first
    low, high = (first + _place(text, length, rate) for text in (start, end))
    return [b for b in blocks if low <= b.first_sample < high]


def _place(text: str, length: int, rate: float) -> float:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise UserError(f"{text!r} is no place in a recording, write it like '70%' or '12.5s'")
    number = float(found[1])
    return length * number / 100.0 if found[2] == "%" else number * rate
