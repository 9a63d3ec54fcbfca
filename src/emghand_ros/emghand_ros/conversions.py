"""All translation between messages and numpy, as pure functions.

An array field is filled through `array.array`: assigning a numpy array to a sequence field costs
two orders of magnitude more (237 us against 0.9 us for 3200 floats).
"""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from emghand_interfaces.msg import EmgFrame, EmgInfo, FeatureFrame
from sensor_msgs.msg import JointState

from emghand.storage.recording import Stream

LAST_SAMPLE = 2**62
"""Largest sample counter that is believed; beyond it the state of a pipeline, int64, would not hold
what follows."""

_CODES = {np.dtype(np.float32): "f", np.dtype(np.float64): "d", np.dtype(np.uint8): "B"}


class MessageError(ValueError):
    """A message does not hold what it should."""


def to_field(values: np.ndarray, dtype: type = np.float64) -> array.array:
    """Numbers as the `array.array` a sequence field takes without conversion."""
    block = np.ascontiguousarray(values, dtype)
    field = array.array(_CODES[block.dtype])
    field.frombytes(memoryview(block).cast("B") if block.size else b"")
    return field


def time_to_ns(stamp: Time) -> int:
    """Time stamp in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def ns_to_time(ns: int) -> Time:
    """Nanoseconds as a time stamp."""
    sec, nanosec = divmod(int(ns), 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def emg_to_ros(
    samples: np.ndarray, first_sample: int, dropped: int, stamp_ns: int, frame_id: str
) -> EmgFrame:
    """Block of raw EMG, shape (n_samples, n_channels), as a message."""
    message = EmgFrame()
    message.header.stamp = ns_to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.first_sample = first_sample
    message.dropped = dropped
    message.n_channels = samples.shape[1]
    message.data = to_field(samples, np.float32)
    return message


def stream_to_ros(stream: Stream) -> EmgInfo:
    """Description of a stream of raw EMG as a message, without a stamp."""
    return EmgInfo(
        device=stream.device,
        stream=stream.stream,
        channel_names=list(stream.channel_names),
        rate=stream.rate,
        block_size=stream.block_size,
        unit=stream.unit,
        full_scale=stream.full_scale,
    )


def stream_from_ros(message: EmgInfo) -> Stream:
    """What a stream of raw EMG carries."""
    return Stream(
        device=message.device,
        stream=message.stream,
        channel_names=tuple(message.channel_names),
        rate=message.rate,
        block_size=message.block_size,
        unit=message.unit,
        full_scale=message.full_scale,
    )


def emg_from_ros(message: EmgFrame) -> np.ndarray:
    """Samples of a frame, float64, shape (n_samples, n_channels); a copy.

    Raises
    ------
    MessageError
        When the data are not a whole number of samples, or the sample counter is out of range.
    """
    if message.first_sample > LAST_SAMPLE:
        raise MessageError(f"the sample counter {message.first_sample} is out of range")
    flat = np.frombuffer(message.data, np.float32)
    channels = message.n_channels
    if channels == 0 or flat.size == 0 or flat.size % channels:
        raise MessageError(f"{flat.size} values are not whole samples of {channels} channels")
    return flat.reshape(-1, channels).astype(np.float64)


def features_to_ros(
    z: np.ndarray, tick: int, stamp: Time, *, quality: int = 0, reset: bool = False
) -> FeatureFrame:
    """Feature vector of one tick, shape (n_features,), as a message."""
    message = FeatureFrame()
    message.header.stamp = stamp
    message.tick = tick
    message.quality = quality
    message.reset = reset
    message.data = to_field(z)
    return message


def features_from_ros(message: FeatureFrame) -> np.ndarray:
    """Feature vector of a message, float64, shape (n_features,); a copy."""
    return np.array(message.data, np.float64)


def dofs_to_ros(names: Sequence[str], position: np.ndarray, stamp: Time) -> JointState:
    """Normalised DOF vector, shape (n_dofs,), as a message."""
    message = JointState()
    message.header.stamp = stamp
    message.name = list(names)
    message.position = to_field(position)
    return message


def dofs_from_ros(message: JointState, dofs: Sequence[str]) -> np.ndarray:
    """DOF vector in the order of `dofs`; DOFs the message does not name are 0.

    Raises
    ------
    MessageError
        For an unknown or repeated name, a wrong length, or a value that is not finite.
    """
    names = message.name
    values = np.array(message.position, np.float64)
    if len(names) != values.size:
        raise MessageError(f"{len(names)} names but {values.size} positions")
    if not np.isfinite(values).all():
        raise MessageError("a position is not finite")
    if list(names) == list(dofs):
        return values
    if len(set(names)) != len(names):
        raise MessageError("a DOF is named twice")
    index = {name: i for i, name in enumerate(dofs)}
    result = np.zeros(len(index))
    for name, value in zip(names, values, strict=True):
        if name not in index:
            raise MessageError(f"unknown DOF {name!r}, known: {', '.join(dofs)}")
        result[index[name]] = value
    return result


def bytes_to_field(data: bytes) -> array.array:
    """Bytes as the `array.array` of a uint8[] field."""
    return array.array("B", data)
