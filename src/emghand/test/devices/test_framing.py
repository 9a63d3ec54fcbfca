from hypothesis import given
from hypothesis import strategies as st

from emghand.devices.framing import FixedFrames


def numbered(n):
    """A frame: AB, a number, two payload bytes, CD."""
    return bytes([0xAB, n % 256, 7, 9, 0xCD])


def parser():
    return FixedFrames(5, b"\xab", lambda f: f[-1] == 0xCD, lambda a, b: b[1] == (a[1] + 1) % 256)


def feed(frames, data, cuts):
    found = []
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    for a, b in zip(edges[:-1], edges[1:], strict=True):  # noqa: RUF007
        found += frames.push(data[a:b])
    return found


@given(st.integers(0, 300), st.lists(st.integers(0, 2000)))
def test_clean_streams_lose_nothing_however_they_are_cut(n, cuts):
    frames = parser()
    data = b"".join(map(numbered, range(n)))
    assert feed(frames, data, cuts) == [numbered(i) for i in range(n)]
    assert (frames.frames, frames.junk_bytes, frames.pending) == (n, 0, 0)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400)))
def test_any_bytes_are_accounted_for_and_the_cut_changes_nothing(data, cuts):
    frames, whole = parser(), parser()
    found = feed(frames, data, cuts)
    assert found == whole.push(data)
    assert 5 * frames.frames + frames.junk_bytes + frames.pending == len(data)
    assert (frames.junk_bytes, frames.resyncs) == (whole.junk_bytes, whole.resyncs)


@given(
    st.binary(min_size=1, max_size=60).map(lambda b: b.replace(b"\xab", b"\x01")),
    st.integers(1, 20),
    st.integers(2, 20),
)
def test_junk_is_counted_exactly_and_costs_no_frame(junk, before, after):
    frames = parser()
    wanted = [numbered(i) for i in range(before + after)]
    data = b"".join(wanted[:before]) + junk + b"".join(wanted[before:])
    assert frames.push(data) == wanted
    assert (frames.junk_bytes, frames.resyncs) == (len(junk), 1)


@given(st.integers(1, 10), st.integers(1, 4))
def test_a_truncated_frame_costs_only_itself(before, kept):
    frames = parser()
    wanted = [numbered(i) for i in range(before + 5)]
    data = b"".join(wanted[:before]) + wanted[before][:kept] + b"".join(wanted[before + 1 :])
    assert frames.push(data) == wanted[:before] + wanted[before + 1 :]
    assert frames.junk_bytes == kept


def test_a_header_inside_of_the_payload_is_not_locked_onto():
    def tricky(n):
        return bytes([0xAB, n, 0xAB, 0xCD, 0xCD])

    frames = parser()
    data = bytes([0xCD, 0xCD]) + b"".join(map(tricky, range(1, 30)))
    assert frames.push(data) == [tricky(i) for i in range(1, 30)]
    assert frames.junk_bytes == 2


def test_a_head_cut_in_two_is_found():
    frames = FixedFrames(4, b"\r\n\x00", lambda f: True)
    found = [f for b in b"\r\r\n\x00A\r\n\x00B" for f in frames.push(bytes([b]))]
    assert found == [b"\r\n\x00A", b"\r\n\x00B"]
    assert frames.junk_bytes == 1
