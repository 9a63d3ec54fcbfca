import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emg_driver.blocks import Blocks


def samples(first, n):
    return np.arange(first, first + n, dtype=np.float32)[:, None]


@given(
    st.integers(1, 16),
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 30)), min_size=1, max_size=20),
)
def test_blocks_lie_on_the_grid_and_account_for_every_sample(size, start, readings):
    blocks = Blocks(size)
    first, sent, out = start, [], []
    for n, gap in readings:
        sent += range(first, first + n)
        out += blocks.push(first, samples(first, n))
        first += n + gap
    values = [int(v) for _, _, block in out for v in block[:, 0]]
    assert values == sent[: len(values)]
    assert len(sent) - len(values) < size
    for i, (at, dropped, block) in enumerate(out):
        assert block[0, 0] == at
        assert at // size == (at + len(block) - 1) // size
        if i + 1 < len(out) and out[i + 1][0] == at + len(block):
            assert (at + len(block)) % size == 0
        missing = set(range(start, at)) - set(sent)
        assert dropped == len(missing)


def test_repeated_samples_are_refused():
    blocks = Blocks(4)
    blocks.push(0, samples(0, 6))
    (block,) = blocks.push(4, samples(4, 5))
    assert block[0] == 4 and block[2][:, 0].tolist() == [4, 5, 6, 7]
    assert blocks.repeated == 2
    assert blocks.push(3, samples(3, 2)) == []
    assert blocks.repeated == 4 and blocks.dropped == 0
