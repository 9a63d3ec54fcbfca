"""Limits on what the device itself reports: current, temperature, its own alerts."""

from __future__ import annotations

from hand_bridge.safety.settings import SafetySettings
from hand_bridge.safety.types import Reading


class LimitCheck:
    """Checks readings one after the other; remembers since when the current is too high."""

    def __init__(self) -> None:
        self._high_since: int | None = None

    def reset(self) -> None:
        """Forget what came before."""
        self._high_since = None

    def check(self, reading: Reading, now_ns: int, settings: SafetySettings) -> str:
        """One sentence about what is wrong; empty: nothing.

        Parameters
        ----------
        reading : Reading
        now_ns : int
            Steady time [ns].
        settings : SafetySettings
        """
        if reading.alerts:
            return "; ".join(reading.alerts)
        if reading.temperature is not None and reading.temperature.size:
            hottest = int(reading.temperature.argmax())
            degrees = float(reading.temperature[hottest])
            if degrees > settings.temperature_max:
                return f"motor {hottest + 1} has {degrees:.0f} deg C: let it cool down"
        if reading.current is not None and reading.current.size and settings.current_max > 0:
            return self._check_current(float(reading.current.max()), now_ns, settings)
        return ""

    def _check_current(self, largest: float, now_ns: int, settings: SafetySettings) -> str:
        if largest <= settings.current_max:
            self._high_since = None
            return ""
        if self._high_since is None:
            self._high_since = now_ns
        lasted = (now_ns - self._high_since) / 1e9
        if lasted < settings.current_time:
            return ""
        return f"a motor draws {largest:.0f} mA for {lasted:.1f} s"
