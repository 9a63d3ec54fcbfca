"""Ports that exist in software only, on whatever clock they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emghand.ports.port import Port, PortReading
from emghand.settings import SettingsError, check, setting

SECOND = 1_000_000_000


@dataclass(frozen=True)
class VirtualSettings:
    """Channels of a virtual board, and what happens on its inputs."""

    digital_out: tuple[str, ...] = setting(("motor",), "Channels of the port `out`", live=False)
    digital_in: tuple[str, ...] = setting(("photobeam",), "Channels of the port `in`", live=False)
    analog: tuple[str, ...] = setting(("dac",), "Channels of the port `analog`", live=False)
    adc: tuple[str, ...] = setting(("adc",), "Channels of the port `adc`", live=False)
    highest: float = setting(
        5.0, "Greatest voltage of `analog` and `adc`", unit="V", low=0.1, high=50.0, live=False
    )
    wires: tuple[str, ...] = setting(
        (), "Inputs that follow an output, each as `output>input`", live=False
    )
    random: tuple[str, ...] = setting(
        (), "Channels of `in` that become 0 or 1 at random times", live=False
    )
    shortest_s: float = setting(
        1.0, "Shortest time between two random draws", unit="s", low=0.001, high=3600.0, live=False
    )
    longest_s: float = setting(
        11.0, "Longest time between two random draws", unit="s", low=0.001, high=3600.0, live=False
    )
    seed: int = setting(1, "Makes the draws", low=0, live=False)

    def __post_init__(self) -> None:
        check(self)
        names = [*self.digital_out, *self.digital_in, *self.analog, *self.adc]
        twice = {name for name in names if names.count(name) > 1}
        if twice or "" in names:
            raise SettingsError(f"channels need names of their own: {', '.join(sorted(twice))}")
        for wire in self.wires:
            start, _, end = wire.partition(">")
            digital = start in self.digital_out and end in self.digital_in
            if not digital and not (start in self.analog and end in self.adc):
                raise SettingsError(
                    f"wires: {wire!r} does not lead from an output to an input of its kind"
                )
        for name in self.random:
            if name not in self.digital_in:
                raise SettingsError(f"random: {name!r} is no channel of digital_in")
        if self.longest_s < self.shortest_s:
            raise SettingsError("longest_s: is below shortest_s")


class VirtualBoard:
    """Up to four ports: ``out`` and ``in`` (digital), ``analog``, ``adc``.

    Its inputs follow the outputs they are wired to, change at random times, and can be set like
    outputs, by whoever plays the world around it. The same settings and calls give the same
    readings.

    Parameters
    ----------
    settings : VirtualSettings
    start_ns : int
        Time from which on the random draws count.
    """

    def __init__(self, settings: VirtualSettings, start_ns: int) -> None:
        s = self._settings = settings
        self.ports = ports_of(settings)
        self._values = {c: 0.0 for port in self.ports for c in port.channels}
        self._ports = {c: port for port in self.ports for c in port.channels}
        self._wires: dict[str, list[str]] = {}
        for wire in s.wires:
            start, _, end = wire.partition(">")
            self._wires.setdefault(start, []).append(end)
        self._rng = np.random.default_rng(s.seed)
        self._draws = {name: start_ns + self._pause() for name in s.random}

    @property
    def next_ns(self) -> int | None:
        """When the next random draw is due; None: never."""
        return min(self._draws.values(), default=None)

    def state(self, port: str, now_ns: int) -> PortReading:
        """A port as it is."""
        (found,) = (p for p in self.ports if p.name == port)
        return PortReading(port, now_ns, tuple(self._values[c] for c in found.channels))

    def set(self, values: Mapping[str, float], now_ns: int) -> list[PortReading]:
        """Set channels and what is wired to them; readings of the ports that changed."""
        before = dict(self._values)
        for channel, value in values.items():
            self._values[channel] = value
            for end in self._wires.get(channel, ()):
                self._values[end] = value
        changed = {self._ports[c].name for c, v in self._values.items() if v != before[c]}
        return [self.state(p.name, now_ns) for p in self.ports if p.name in changed]

    def advance(self, now_ns: int) -> list[PortReading]:
        """Random draws up to a time; readings of the changes, stamped with when they were due."""
        readings: list[PortReading] = []
        while (due := self.next_ns) is not None and due <= now_ns:
            name = min(self._draws, key=lambda n: (self._draws[n], n))
            self._draws[name] = due + self._pause()
            readings += self.set({name: float(self._rng.integers(2))}, due)
        return readings

    def _pause(self) -> int:
        s = self._settings
        return round(float(self._rng.uniform(s.shortest_s, s.longest_s)) * SECOND)


def ports_of(settings: VirtualSettings) -> tuple[Port, ...]:
    """Ports of a virtual board; those without channels are left out."""
    s = settings
    ports = (
        Port("out", "digital", s.digital_out, True),
        Port("in", "digital", s.digital_in, True),
        Port("analog", "analog", s.analog, True, s.highest),
        Port("adc", "adc", s.adc, True, s.highest),
    )
    return tuple(port for port in ports if port.channels)
