"""Message classes by name, and QoS profiles as a bag stores them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from rclpy.duration import Duration
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from emghand.errors import UserError
from emghand_ros import qos

DEEP = qos.EVENT.depth
"""Depth of recording and of playing: 1000 messages, 2 s at 500 Hz, four times what any topic of
the graph needs."""

_INFINITE_NS = 2**63 - 1


def message_class(type_name: str) -> type:
    """Class of a message type such as ``std_msgs/msg/String``.

    Raises
    ------
    UserError
        When its package is not installed.
    """
    try:
        package, folder, name = type_name.split("/")
        return getattr(importlib.import_module(f"{package}.{folder}"), name)
    except (ImportError, AttributeError, ValueError):
        raise UserError(f"message type {type_name} is not installed") from None


def qos_to_bag(profile: QoSProfile) -> Qos:
    """QoS profile as a bag stores it."""
    return Qos(
        history=QosHistory[profile.history.name],
        depth=profile.depth,
        reliability=QosReliability[profile.reliability.name],
        durability=QosDurability[profile.durability.name],
        deadline=_to_time(profile.deadline),
        lifespan=_to_time(profile.lifespan),
        liveliness=QosLiveliness[profile.liveliness.name],
        liveliness_lease_duration=_to_time(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=profile.avoid_ros_namespace_conventions,
    )


def _to_time(duration: Duration) -> QosTime:
    # Middleware reports "unspecified" as 0 or as its largest number: rosbag2 writes the latter.
    return QosTime(*divmod(duration.nanoseconds or _INFINITE_NS, 1_000_000_000))


def recording_qos(offered: Sequence[QoSProfile]) -> QoSProfile:
    """Profile of a subscription that hears every one of these publishers.

    As strong as the weakest publisher offers: transient local only where all are, so that infos
    and latched states land in the bag. Deadline and liveliness are not asked for: a publisher
    that does not offer them would not be heard.
    """
    reliable = all(p.reliability == QoSReliabilityPolicy.RELIABLE for p in offered)
    latched = all(p.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL for p in offered)
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=DEEP,
        reliability=QoSReliabilityPolicy.RELIABLE if reliable else QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE,
    )


def playing_qos(recorded: Sequence[Qos]) -> QoSProfile:
    """Profile of a publisher that offers what the recorded ones offered.

    Discovery tells reliability and durability, but not the history: a transient local topic then
    keeps its last message, the others `DEEP` messages.
    """
    reliable = all(q.reliability != QosReliability.BEST_EFFORT for q in recorded)
    latched = bool(recorded) and all(
        q.durability == QosDurability.TRANSIENT_LOCAL for q in recorded
    )
    known = [q.depth for q in recorded if q.history == QosHistory.KEEP_LAST and q.depth > 0]
    depth = max(known) if known else 1 if latched else DEEP
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.RELIABLE if reliable else QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE,
        liveliness=QoSLivelinessPolicy.AUTOMATIC,
    )
