import numpy as np

from decoder_node.envelope import Envelope


def test_the_envelope_holds_the_extremes_of_each_channel():
    samples = np.random.default_rng(0).normal(size=(96, 3))
    envelope = Envelope(3, 33)
    found = [envelope.push(samples[i : i + 16], 1000 + i) for i in range(0, 96, 16)]
    done = [f for f in found if f is not None]
    assert [f.last_sample for f in done] == [1047, 1095]
    for i, part in enumerate((samples[:48], samples[48:])):
        assert np.array_equal(done[i].minimum, part.min(axis=0))
        assert np.array_equal(done[i].maximum, part.max(axis=0))


def test_values_that_are_no_numbers_are_passed_over():
    samples = np.array([[1.0, np.nan], [np.nan, np.nan], [-1.0, np.nan]])
    found = Envelope(2, 3).push(samples, 0)
    assert found.minimum[0] == -1.0 and found.maximum[0] == 1.0
    assert np.isnan(found.minimum[1])
