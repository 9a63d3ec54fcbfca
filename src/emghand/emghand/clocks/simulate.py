"""Pings between two simulated clocks over a simulated network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from emghand.clocks.ping import Ping
from emghand.settings import check, setting

SECOND = 1_000_000_000
EPOCH = 1_700_000_000 * SECOND
"""Local time of the first ping."""


@dataclass(frozen=True)
class PingSettings:
    """Two clocks and the way between them."""

    offset_s: float = setting(1.7, "Local minus remote time at the first ping", unit="s")
    drift_ppm: float = setting(80.0, "By how much the offset grows", unit="ppm")
    seconds: float = setting(60.0, "Length of the series", unit="s", low=0.0)
    period_s: float = setting(0.25, "Time between two pings", unit="s", low=0.001)
    delay_out_s: float = setting(0.0003, "Shortest way there", unit="s", low=0.0)
    delay_back_s: float = setting(0.0003, "Shortest way back", unit="s", low=0.0)
    jitter_out_s: float = setting(0.005, "Mean further delay there", unit="s", low=0.0)
    jitter_back_s: float = setting(0.005, "Mean further delay back", unit="s", low=0.0)
    shape: str = setting(
        "exponential", "Distribution of the further delay", choices=("exponential", "uniform")
    )
    work_s: float = setting(0.00005, "From question to answer", unit="s", low=0.0)

    def __post_init__(self) -> None:
        check(self)

    def to_local(self, remote_ns: int) -> int:
        """True local time of a remote one [ns]."""
        away = remote_ns - (EPOCH - round(self.offset_s * SECOND))
        return remote_ns + round(self.offset_s * SECOND) + round(self.drift_ppm * 1e-6 * away)

    def to_remote(self, local_ns: int) -> int:
        """True remote time of a local one [ns]."""
        return (
            EPOCH
            - round(self.offset_s * SECOND)
            + round((local_ns - EPOCH) / (1.0 + self.drift_ppm * 1e-6))
        )


def simulate_pings(settings: PingSettings, seed: int) -> Iterator[Ping]:
    """Pings in order; further delays are never negative, and independent.

    Parameters
    ----------
    settings : PingSettings
    seed : int
    """
    rng = np.random.default_rng(seed)
    end = EPOCH + round(settings.seconds * SECOND)
    sent = EPOCH
    while sent <= end:
        out, back = (
            delay
            + (
                rng.exponential(mean)
                if settings.shape == "exponential"
                else rng.uniform(0.0, 2.0 * mean)
            )
            for delay, mean in (
                (settings.delay_out_s, settings.jitter_out_s),
                (settings.delay_back_s, settings.jitter_back_s),
            )
        )
        taken = sent + round(out * SECOND)
        replied = taken + round(settings.work_s * SECOND)
        received = replied + round(back * SECOND)
        yield Ping(sent, settings.to_remote(taken), settings.to_remote(replied), received)
        sent = max(received, sent + round(settings.period_s * SECOND))
