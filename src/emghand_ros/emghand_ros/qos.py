"""The quality of service of every topic, named once.

Reliable delivery is not lossless: a reader that stalls longer than the writer keeps loses
messages without an event. Every depth below is rate x the longest stall we accept, and every
stream carries a counter, so that what is lost all the same is seen.
"""

from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

MAX_STALL_S = 2.0
MAX_TICK_RATE_HZ = 100.0


def _keep_last(depth: int, *, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE,
    )


EMG = _keep_last(500)
"""Raw EMG: 62.5 blocks/s by default, 250/s for a device that sends single samples at 250 Hz:
250 /s x 2 s = 500 (8 s at the default)."""

TICK = _keep_last(int(MAX_TICK_RATE_HZ * MAX_STALL_S))
"""One message a tick, writers and recorders: 100 /s x 2 s = 200."""

COMMAND = _keep_last(4)
"""The bridge's own subscription to commands: the newest of the last 64 ms count, so that no backlog
ever reaches a motor. Not 1: the command of a second publisher that arrives just behind it would
displace that of the first. It is compatible with a writer that offers `TICK`."""

EVENT = _keep_last(1000)
"""Rare events that must not be lost to a stall: 1000 before anything is dropped."""

LATCHED = _keep_last(1, latched=True)
"""Infos and states: a late joiner gets the last one."""

STATE = _keep_last(5, latched=True)
"""States that change in quick succession: a reader may fall 5 changes behind. A late joiner gets
the last one, or up to 5 when it asks for a depth above 1."""

HISTORY = _keep_last(1000, latched=True)
"""What adaptation did: at a proposal in 2 min and some pauses, all of a day. A late joiner gets as
much of it as it asks for."""

SNAPSHOT = _keep_last(4)
"""State snapshots of up to some 100 kB: one in 5 s and a few on request."""

ANY_WRITER = QoSProfile(
    history=QoSHistoryPolicy.KEEP_LAST,
    depth=10,
    reliability=QoSReliabilityPolicy.BEST_EFFORT,
    durability=QoSDurabilityPolicy.VOLATILE,
)
"""Matches every writer, whatever it offers. Beside a reliable subscription to the same topic, for
an emergency stop: a reader that asks for more than the writer offers gets nothing at all."""

SLOW = _keep_last(60)
"""Plots and diagnostics at no more than 30 Hz: 30 /s x 2 s."""


def overridable() -> QoSOverridingOptions:
    """Let parameters `qos_overrides./topic.publisher.depth` etc. change a profile at start."""
    return QoSOverridingOptions.with_default_policies()
