"""Lines of lucidgloves and other OpenGloves devices.

Alpha encoding: keys with numbers in any order, such as ``A100B200(AB)30(BAA)7H`` and a line feed.
A to E are the curls of thumb to little finger, ``(AB)`` a splay, ``(BAA)`` a joint; H to O are
buttons without a number. Legacy encoding: 13 numbers joined by ``&``, curls first.
"""

from __future__ import annotations

import re

FINGERS = ("thumb", "index", "middle", "ring", "little")
LARGEST = 4095
_LONGEST_LINE = 512
_LEGACY_FIELDS = 13

_TOKEN = re.compile(rb"(\([A-Z]{2,3}\)|[A-Z])([0-9]*)")
_LEGACY = re.compile(rb"[0-9]+(?:&[0-9]+){12}")
_JOINTS = {"A": ("mcp", "ip"), **dict.fromkeys("BCDE", ("mcp", "pip", "dip"))}
_OTHERS = ("joystick_x", "joystick_y")
BUTTONS = {
    "H": "joystick_button",
    "I": "trigger",
    "J": "a_button",
    "K": "b_button",
    "L": "grab",
    "M": "pinch",
    "N": "menu",
    "O": "calibrate",
}


def _keys() -> dict[str, str]:
    keys = {"F": _OTHERS[0], "G": _OTHERS[1], "P": "trigger_value"}
    for letter, finger in zip("ABCDE", FINGERS, strict=True):
        keys[letter] = f"{finger}_curl"
        keys[f"({letter}B)"] = f"{finger}_splay"
        for joint, name in zip("ABC", _JOINTS[letter], strict=False):
            keys[f"({letter}A{joint})"] = f"{finger}_{name}"
    return keys


KEYS = _keys()
"""Sensor names by key."""


class OpenGlovesParser:
    """Sensor values from bytes in pieces of any size; never raises.

    A line with bytes that are neither key nor number, with a number above 4095 or with a key
    given twice was damaged on its way and is dropped as a whole. Unknown keys, and keys without
    their number, are ignored and counted.

    Attributes
    ----------
    lines : int
        Lines that gave values.
    bad_lines : int
        Lines that were dropped.
    junk_bytes : int
        Bytes of the dropped lines, line feeds included.
    ignored_keys : int
        Keys that gave no value in lines that did.
    buttons : frozenset of str
        Buttons that are pressed, by the last good line.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._too_long = 0
        self.lines = 0
        self.bad_lines = 0
        self.junk_bytes = 0
        self.ignored_keys = 0
        self.buttons: frozenset[str] = frozenset()

    @property
    def pending(self) -> int:
        """Bytes that wait for the end of their line."""
        return len(self._buffer) + self._too_long

    def push(self, data: bytes) -> list[dict[str, int]]:
        """Values by sensor of the lines that are complete with these bytes."""
        found = []
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            too_long = self._too_long > 0 or len(line) > _LONGEST_LINE
            values = None if too_long else self._parse(line)
            if values is None:
                self.bad_lines += 1
                self.junk_bytes += len(line) + self._too_long
            else:
                self.lines += 1
                found.append(values)
            self._too_long = 0
        if len(self._buffer) > _LONGEST_LINE:
            self._too_long += len(self._buffer)
            self._buffer.clear()
        return found

    def _parse(self, line: bytes) -> dict[str, int] | None:
        text = line.strip()
        if _LEGACY.fullmatch(text):
            return self._legacy(text)
        values: dict[str, int] = {}
        buttons: set[str] = set()
        ignored = 0
        end = 0
        for match in _TOKEN.finditer(text):
            if match.start() != end:
                return None
            end = match.end()
            key, digits = match[1].decode(), match[2]
            if key in BUTTONS and not digits:
                buttons.add(BUTTONS[key])
            elif key not in KEYS or not digits:
                ignored += 1
            elif len(digits) > 9 or int(digits) > LARGEST or KEYS[key] in values:
                return None
            else:
                values[KEYS[key]] = int(digits)
        if end != len(text) or not values:
            return None
        self.ignored_keys += ignored
        self.buttons = frozenset(buttons)
        return values

    def _legacy(self, text: bytes) -> dict[str, int] | None:
        fields = text.split(b"&")
        if len(fields) != _LEGACY_FIELDS or any(len(f) > 9 or int(f) > LARGEST for f in fields):
            return None
        names = (*(f"{finger}_curl" for finger in FINGERS), *_OTHERS)
        numbers = [int(f) for f in fields]
        pressed = zip(list("HIJKLM"), numbers[7:], strict=True)
        self.buttons = frozenset(BUTTONS[key] for key, value in pressed if value)
        return dict(zip(names, numbers[:7], strict=True))
