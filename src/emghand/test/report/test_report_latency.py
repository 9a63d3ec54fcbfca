"""Latencies of a bag and delays of filters."""

import numpy as np
import pytest
from scipy import signal

from emghand.errors import UserError
from emghand.report.latency import delays_ms, latency_figure, read_latency
from emghand.signal.filters import band_sections, notch_sections
from emghand.signal.settings import FeatureSettings


def test_latencies_are_those_in_the_bag(timed_bag):
    found = read_latency(timed_bag)
    medians = {stage: one["p50"] for stage, one in found.percentiles().items()}
    received = medians.pop("received")
    assert medians == pytest.approx(
        {"arrival": 2.0, "decode": 0.1, "filter": 0.05, "publish": 0.25, "total": 2.4}
    )
    # The bag maker writes a message 1 ms after its stamp.
    assert received == pytest.approx(1.0)
    assert found.missed == 1
    assert len(found.stages_ms["total"]) == 200


def test_bag_without_timing_is_refused(session):
    with pytest.raises(UserError, match="holds no /decoder/timing"):
        read_latency(session.path / "bags" / "test")


@pytest.mark.parametrize("rate", [1000.0, 200.0])
def test_filter_delay_is_the_slope_of_the_phase(rate):
    settings = FeatureSettings()
    found = delays_ms(settings, rate)
    hz = min(80.0, rate / 8) + np.array([-0.01, 0.01])
    for name, sections in (
        ("band-pass", band_sections(settings, rate)),
        ("notches", notch_sections(settings, rate)),
    ):
        response = signal.sosfreqz(sections, hz, fs=rate)[1]
        slope = -np.angle(response[1] / response[0]) / (2 * np.pi * 0.02) * 1e3
        assert found[name] == pytest.approx(slope, rel=1e-3, abs=1e-3)
    assert found["window"] == (304 - 1) / 2 / rate * 1e3
    assert found["tick"] == 7.5 / rate * 1e3


def test_histograms_hold_every_tick(timed_bag):
    figure = latency_figure([read_latency(timed_bag, "a"), read_latency(timed_bag, "b")])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b"]
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == 6
    for axis in shown:
        for stairs in axis.patches:
            assert stairs.get_data().values.sum() == pytest.approx(100.0)
        assert axis.get_xlim()[0] > 0.0
