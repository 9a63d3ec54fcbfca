import json
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emg_driver.protocols.cyton import (
    CytonParser,
    DaisyPairs,
    Unwrapper,
    int24,
    volts_per_count,
)

VECTORS = (
    Path(os.environ.get("EMGHAND_DATA", "../shared/data"))
    / "packets"
    / "openbci_cyton_vectors.json"
)
real_data = pytest.mark.skipif(not VECTORS.exists(), reason=f"no vectors at {VECTORS}")


def packet(number, counts=(0,) * 8, end=0xC0):
    data = b"".join(int(c).to_bytes(3, "big", signed=True) for c in counts)
    return bytes([0xA0, number % 256]) + data + bytes(6) + bytes([end])


packets = st.builds(
    lambda counts, end: (counts, end),
    st.lists(st.integers(-(2**23), 2**23 - 1), min_size=8, max_size=8),
    st.integers(0xC0, 0xC6),
)


def feed(parser, data, cuts):
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    return [p for a, b in pairwise(edges) for p in parser.push(data[a:b])]


@pytest.mark.data
@real_data
def test_published_vectors():
    vectors = json.loads(VECTORS.read_text())
    for item in vectors["int24"]:
        assert int24(bytes.fromhex(item["hex"])).tolist() == [item["value"]]
    for item in vectors["packets"]:
        (found,) = CytonParser().push(bytes.fromhex(item["hex"]))
        assert found.number == item["sample"]
        assert found.counts.tolist() == item["counts"]
        assert found.aux.hex() == item["aux_hex"]
        assert found.end == item["stop"]
    assert volts_per_count(24.0) == pytest.approx(vectors["scale_volts_per_count"], rel=1e-12)


def test_a_railed_and_a_negative_channel():
    assert int24(bytes.fromhex("7fffff800000ffffff")).tolist() == [8388607, -8388608, -1]
    assert volts_per_count(24.0) * 8388607 == pytest.approx(0.1875)


@given(st.lists(packets, max_size=40), st.lists(st.integers(0, 1500)))
def test_values_survive_any_cut(contents, cuts):
    data = b"".join(packet(i, counts, end) for i, (counts, end) in enumerate(contents))
    parser = CytonParser()
    found = feed(parser, data, cuts)
    assert [(p.number, p.counts.tolist(), p.end) for p in found] == [
        (i, counts, end) for i, (counts, end) in enumerate(contents)
    ]
    assert (parser.packets, parser.junk_bytes) == (len(contents), 0)


@given(st.binary(max_size=600), st.lists(st.integers(0, 600)))
def test_any_bytes_are_accounted_for(data, cuts):
    parser = CytonParser()
    found = feed(parser, data, cuts)
    assert 33 * len(found) + parser.junk_bytes + parser.pending == len(data)


@given(
    st.lists(packets, min_size=3, max_size=20),
    st.integers(1, 32),
    st.binary(max_size=50).map(lambda b: bytes(c & 0x5F for c in b)),
)
def test_truncation_and_junk_cost_one_packet_and_are_counted_exactly(contents, kept, junk):
    quiet = [([c & 0x1F for c in counts], end) for counts, end in contents]
    wanted = [packet(i, counts, end) for i, (counts, end) in enumerate(quiet)]
    lost = len(wanted) // 3
    if lost == len(wanted) - 1:
        return
    data = b"".join([*wanted[:lost], wanted[lost][:kept], junk, *wanted[lost + 1 :]])
    # The packet behind the damage is confirmed by one more; send it.
    data += packet(len(wanted))
    parser = CytonParser()
    numbers = [p.number for p in parser.push(data)]
    assert numbers == [i for i in range(len(wanted) + 1) if i != lost]
    assert parser.junk_bytes == kept + len(junk)


def test_a_start_byte_in_every_payload_is_not_locked_onto():
    # 0xA0 and, 32 bytes later, 0xC0 at the same places of every packet.
    counts = [0, 0, -0x5FFFFF, 0, 0, 0, 0, 0]
    data = b"".join(packet(i, counts) for i in range(50))
    data = data.replace(b"\xa0\x00\x01\x00", b"\xa0\x00\x01\xc0")
    parser = CytonParser()
    found = parser.push(data[5:])
    assert [p.number for p in found] == list(range(1, 50))
    assert parser.junk_bytes == 28


def test_counter_is_unwrapped_and_losses_show():
    unwrapper = Unwrapper(250.0)
    assert unwrapper.unwrap([254, 255, 0, 1], 0.016) == [254, 255, 256, 257]
    assert unwrapper.unwrap([4], 0.028) == [260]
    assert unwrapper.unwrap([4], 0.029) == [260]


@given(st.integers(0, 2000), st.floats(-0.3, 0.3))
def test_losses_beyond_the_counter_are_told_by_the_time(lost, jitter):
    unwrapper = Unwrapper(250.0)
    unwrapper.unwrap([10], 1.0)
    index = 11 + lost
    arrival = max(1.0 + (index - 10) / 250.0 + jitter, 1.0)
    assert unwrapper.unwrap([index % 256], arrival) == [index]


def test_a_burst_after_a_stall_is_no_loss():
    unwrapper = Unwrapper(250.0)
    unwrapper.unwrap([0], 0.0)
    numbers = [i % 256 for i in range(1, 501)]
    assert unwrapper.unwrap(numbers, 2.0) == list(range(1, 501))


def test_daisy_packets_are_paired_odd_then_even():
    pairs = DaisyPairs()
    low, high = np.arange(8), np.arange(8, 16)
    assert pairs.push(0, high) is None
    assert pairs.push(1, low) is None
    index, counts = pairs.push(2, high)
    assert index == 0 and counts.tolist() == list(range(16))
    assert pairs.push(3, low) is None
    assert pairs.push(5, low) is None
    assert pairs.push(8, high) is None
    assert pairs.push(9, low) is None
    assert pairs.push(10, high)[0] == 4
    assert pairs.unpaired == 4
