from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glove_driver.protocols.cyberglove import SENSORS_18, SENSORS_22, CyberGloveParser

# Kind of glove: number of sensors, status byte, 16 bit.
KINDS = [(18, False, False), (22, False, False), (18, True, False), (22, False, True)]


def frame(values, kind, status=0):
    _, has_status, wide = kind
    if wide:
        payload = b"".join(v.to_bytes(2, "big") for v in values)
        return b"\x0d\x0a\x00" + b"12:34:56.789 S"[:14] + payload
    return b"S" + bytes(values) + (bytes([status]) if has_status else b"") + b"\x00"


def parser(kind):
    n, status, wide = kind
    return CyberGloveParser(SENSORS_22 if n == 22 else SENSORS_18, status=status, wide=wide)


@st.composite
def streams(draw, least=0):
    kind = draw(st.sampled_from(KINDS))
    one = st.integers(1, 4094 if kind[2] else 254) | st.just(0x53)
    values = st.lists(one, min_size=kind[0], max_size=kind[0])
    contents = draw(st.lists(st.tuples(values, st.integers(0, 255)), min_size=least, max_size=8))
    return kind, [v for v, _ in contents], [frame(v, kind, s) for v, s in contents]


def feed(parser, data, cuts):
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    return [list(v.values()) for a, b in pairwise(edges) for v in parser.push(data[a:b])]


def test_sensor_names_are_complete():
    assert len(set(SENSORS_18)) == 18 and len(set(SENSORS_22)) == 22


@given(streams(), st.lists(st.integers(0, 500)))
def test_values_survive_any_cut(stream, cuts):
    kind, wanted, frames = stream
    glove = parser(kind)
    assert feed(glove, b"".join(frames), cuts) == wanted
    assert (glove.frames, glove.junk_bytes, glove.pending) == (len(wanted), 0, 0)


@given(st.sampled_from(KINDS), st.binary(max_size=500), st.lists(st.integers(0, 500)))
def test_any_bytes_are_accounted_for(kind, data, cuts):
    glove = parser(kind)
    found = feed(glove, data, cuts)
    length = len(frame([1] * kind[0], kind))
    assert length * len(found) + glove.junk_bytes + glove.pending == len(data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", range(1, 61, 7))
def test_the_letter_s_as_a_sensor_value_is_not_taken_for_a_start(kind, offset):
    # Every sensor of every frame is 0x53 (or 0x5353 >> 3): the trap that drivers fall into.
    value = 0x0D53 if kind[2] else 0x53
    frames = [frame([value] * kind[0], kind, status=0x53) for _ in range(10)]
    data = b"".join(frames)[offset:]
    glove = parser(kind)
    found = feed(glove, data, [])
    whole = len(data) // len(frames[0])
    assert found == [[value] * kind[0]] * whole
    assert glove.junk_bytes == len(data) % len(frames[0])


@given(streams(least=4), st.integers(1, 19))
def test_a_truncated_frame_costs_only_itself(stream, kept):
    kind, wanted, frames = stream
    glove = parser(kind)
    data = frames[0] + frames[1][:kept] + b"".join(frames[2:])
    found = feed(glove, data, [])
    length = len(frames[0])
    assert found[0] == wanted[0]
    assert length * len(found) + glove.junk_bytes + glove.pending == len(data)
    if not kind[1] and not kind[2]:
        assert found == [wanted[0], *wanted[2:]]
        assert glove.junk_bytes == kept


@given(streams(least=3), st.binary(min_size=1, max_size=80))
def test_junk_between_frames_is_counted_exactly(stream, junk):
    kind, wanted, frames = stream
    junk = bytes(b for b in junk if b not in b"S\x00\x0d\x0a") + b"?"
    glove = parser(kind)
    assert feed(glove, frames[0] + junk + b"".join(frames[1:]), []) == wanted
    assert glove.junk_bytes == len(junk)


def test_values_out_of_range_are_no_frame():
    kind = KINDS[3]
    wrong = frame([4095] * 22, kind)
    right = frame([4094] * 22, kind)
    glove = parser(kind)
    assert feed(glove, wrong + right + right, []) == [[4094] * 22] * 2
    assert glove.junk_bytes == len(wrong)
