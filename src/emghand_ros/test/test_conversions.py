import array

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message

from emghand.storage.recording import Stream
from emghand_ros.conversions import (
    MessageError,
    bytes_to_field,
    dofs_from_ros,
    dofs_to_ros,
    emg_from_ros,
    emg_to_ros,
    features_from_ros,
    features_to_ros,
    ns_to_time,
    stream_from_ros,
    stream_to_ros,
    time_to_ns,
    to_field,
)

DOFS = ("thumb_flex", "index_flex", "wrist_flex")


@pytest.mark.parametrize("ns", [0, 1, 999_999_999, 1_000_000_000, 1_760_000_000_123_456_789])
def test_a_stamp_survives_to_the_nanosecond(ns):
    assert time_to_ns(ns_to_time(ns)) == ns


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_a_field_holds_the_numbers_whatever_their_layout(dtype):
    values = np.arange(24).reshape(4, 6)[:, ::2]
    assert to_field(values, dtype).tolist() == values.ravel().tolist()


def test_an_empty_array_makes_an_empty_field():
    assert to_field(np.zeros(0)) == array.array("d")


def test_raw_emg_passes_a_message_unchanged():
    samples = np.random.default_rng(0).normal(size=(16, 32)).astype(np.float32)
    message = emg_to_ros(samples, 2**40, 7, 1_500_000_000_000_000_001, "synthetic")
    received = deserialize_message(serialize_message(message), type(message))
    assert received.first_sample == 2**40
    assert received.dropped == 7
    assert received.header.frame_id == "synthetic"
    assert time_to_ns(received.header.stamp) == 1_500_000_000_000_000_001
    assert emg_from_ros(received).dtype == np.float64
    assert np.array_equal(emg_from_ros(received), samples)


def test_samples_taken_from_a_message_are_a_copy():
    message = emg_to_ros(np.ones((2, 2), np.float32), 0, 0, 0, "")
    emg_from_ros(message)[:] = 5
    assert message.data[0] == 1


@pytest.mark.parametrize(("channels", "values"), [(0, 4), (3, 4), (4, 0)])
def test_a_frame_that_is_not_whole_samples_is_refused(channels, values):
    message = emg_to_ros(np.zeros((1, max(channels, 1)), np.float32), 0, 0, 0, "")
    message.n_channels = channels
    message.data = array.array("f", [0.0] * values)
    with pytest.raises(MessageError, match=f"{values} values"):
        emg_from_ros(message)


def test_a_sample_counter_that_no_device_reaches_is_refused():
    message = emg_to_ros(np.zeros((1, 4), np.float32), 2**63, 0, 0, "")
    with pytest.raises(MessageError, match="counter 9223372036854775808 is out of range"):
        emg_from_ros(message)


def test_a_feature_vector_passes_a_message_to_the_bit():
    z = np.array([0.1, -np.pi, 1e-300, np.nan])
    message = features_to_ros(z, 12, ns_to_time(5), quality=3, reset=True)
    received = deserialize_message(serialize_message(message), type(message))
    assert features_from_ros(received).tobytes() == z.tobytes()
    assert (received.tick, received.quality, received.reset) == (12, 3, True)


def test_dofs_are_read_in_the_order_that_is_asked_for():
    message = dofs_to_ros(("wrist_flex", "thumb_flex"), np.array([0.5, -1.0]), ns_to_time(0))
    assert dofs_from_ros(message, DOFS).tolist() == [-1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("names", "values", "reason"),
    [
        (("thumb_flex", "tail"), [0.0, 0.0], "unknown DOF 'tail'"),
        (("thumb_flex", "thumb_flex"), [0.0, 0.0], "named twice"),
        (DOFS, [0.0, 0.0], "3 names but 2 positions"),
        (DOFS, [0.0, np.nan, 0.0], "not finite"),
        (DOFS, [0.0, np.inf, 0.0], "not finite"),
    ],
)
def test_a_bad_dof_vector_is_refused_with_the_reason(names, values, reason):
    message = dofs_to_ros(names, np.array(values), ns_to_time(0))
    with pytest.raises(MessageError, match=reason):
        dofs_from_ros(message, DOFS)


def test_the_description_of_a_stream_passes_a_message_unchanged():
    stream = Stream("cyton", "cyton-1", ("a", "b"), 250.0, 1, "V", 0.1875)
    message = stream_to_ros(stream)
    assert stream_from_ros(deserialize_message(serialize_message(message), type(message))) == stream


def test_bytes_pass_a_field_unchanged():
    data = bytes(range(256))
    assert bytes(bytes_to_field(data)) == data
