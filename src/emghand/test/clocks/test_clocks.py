"""The clock estimator against series of pings whose truth is known."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from emghand.clocks import ClockEstimate, ClockEstimator, ClockSettings, ClockTrack, Ping, PingError
from emghand.clocks.lines import lines_between
from emghand.clocks.simulate import PingSettings, simulate_pings
from emghand.errors import UserError

MS = 1_000_000
SECOND = 1_000_000_000
SEEDS = range(100)
NETWORKS = {
    "both ways late, exponential": PingSettings(),
    "one way late": PingSettings(jitter_out_s=0.0),
    "both ways late, uniform up to 5 ms": PingSettings(
        shape="uniform", jitter_out_s=0.0025, jitter_back_s=0.0025
    ),
    "ways of unequal length": PingSettings(delay_out_s=0.001, delay_back_s=0.0001),
    "one ping a second, one way late": PingSettings(jitter_back_s=0.0, period_s=1.0),
}


def follow(pings, estimator=None):
    estimator = estimator or ClockEstimator()
    for ping in pings:
        estimator.add(ping)
    return estimator


@pytest.mark.parametrize(
    ("network", "seeds"),
    [
        pytest.param(n, SEEDS if not i else SEEDS[:30], id=k)
        for i, (k, n) in enumerate(NETWORKS.items())
    ],
)
def test_a_minute_of_pings_gives_the_clock_and_an_honest_interval(network, seeds):
    covered, drift_covered = 0, 0
    for seed in seeds:
        estimate = follow(simulate_pings(network, seed)).estimate()
        truth = network.to_local(estimate.reference_ns) - estimate.reference_ns
        error = abs(estimate.offset_ns - truth)
        assert error < MS
        assert abs(estimate.drift_ppm - 80.0) < 20.0
        assert 2 * estimate.uncertainty_ns < 3 * MS
        covered += error <= estimate.uncertainty_ns
        drift_covered += abs(estimate.drift_ppm - 80.0) <= estimate.drift_uncertainty_ppm
    assert covered >= 0.95 * len(seeds)
    assert drift_covered >= 0.95 * len(seeds)


def test_least_squares_would_be_wrong_and_too_sure_where_one_way_is_late():
    network = NETWORKS["one way late"]
    pings = list(simulate_pings(network, 1))
    x = np.array([p.remote_taken - pings[0].remote_taken for p in pings]) / SECOND
    middle = np.array([(p.at_least + p.at_most) / 2 - 1.7 * SECOND for p in pings])
    error = np.polyval(np.polyfit(x, middle, 1), 30.0) - 80e-6 * 30.0 * SECOND
    estimator = follow(pings)
    at = pings[0].remote_taken + 30 * SECOND
    ours = estimator.to_local(at).ns - network.to_local(at)
    assert abs(error) > 2 * MS > 10 * abs(ours)


def test_every_stamp_within_the_series_and_behind_it_is_mapped_within_its_uncertainty():
    network = PingSettings()
    for seed in SEEDS[:20]:
        estimator = follow(simulate_pings(network, seed))
        first = network.to_remote(1_700_000_000 * SECOND)
        for second in (0, 10, 30, 60, 90):
            stamp = first + second * SECOND
            local = estimator.to_local(stamp)
            assert abs(local.ns - network.to_local(stamp)) <= local.uncertainty_ns
    assert estimator.to_local(first + 90 * SECOND).uncertainty_ns > local.uncertainty_ns / 2
    assert estimator.to_local(first + 600 * SECOND).uncertainty_ns > 2 * local.uncertainty_ns


@given(
    offset_ms=st.floats(-1e6, 1e6),
    drift=st.floats(-300, 300),
    delays=st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), min_size=1, max_size=40),
)
def test_the_truth_is_never_excluded_however_late_the_pings_are(offset_ms, drift, delays):
    estimator = ClockEstimator()
    local = 10**18

    def remote(ns):
        return ns - round(offset_ms * MS) - round((ns - 10**18) * drift * 1e-6)

    for out, back in delays:
        taken = local + round(out * MS)
        received = taken + round(back * MS)
        assert estimator.add(Ping(local, remote(taken), remote(taken), received))
        local = received + 250 * MS
    assert estimator.steps == estimator.refused == 0
    assert estimator.estimate() is not None  # weighs the lines
    x = estimator._x(remote(received))
    low, high = estimator._lines.range_at(x)
    truth = (received - remote(received) - estimator._origin[1]) / SECOND
    assert low - 1e-6 <= truth <= high + 1e-6
    assert low <= estimator._line[0] + estimator._line[1] * x <= high


@given(
    lower=st.lists(st.tuples(st.floats(0, 50), st.floats(-3, -1)), min_size=1, max_size=15),
    upper=st.lists(st.tuples(st.floats(0, 50), st.floats(-1.5, 3)), min_size=1, max_size=15),
)
def test_the_range_of_lines_is_that_of_an_independent_linear_programme(lower, upper):
    from scipy.optimize import linprog

    lines = lines_between(lower, upper, 1.0)
    constraints = [[-1.0, -x] for x, _ in lower] + [[1.0, x] for x, _ in upper]
    limits = [-y for _, y in lower] + [y for _, y in upper]
    slopes = (-1.0, 1.0)
    free = linprog(
        [0.0, 0.0, 1.0],
        [[*c, -1.0] for c in constraints],
        limits,
        bounds=[(None, None), slopes, (None, None)],
    )
    assume(abs(free.x[2]) > 1e-6)  # bounds that touch are a matter of rounding
    assert (lines is None) == (free.x[2] > 0.0)
    if lines is not None:
        for sign, found in ((1.0, 0), (-1.0, 1)):
            cost = [sign, sign * 60.0]
            solved = linprog(cost, constraints, limits, bounds=[(None, None), slopes])
            assert lines.range_at(60.0)[found] == pytest.approx(sign * solved.fun, abs=1e-5)


def shifted(ping, ns):
    return Ping(ping.sent, ping.remote_taken + ns, ping.remote_replied + ns, ping.received)


@pytest.mark.parametrize("step_ms", [-3_600_000, -20, 20, 3_600_000])
def test_a_clock_that_is_set_is_noticed_and_followed(step_ms):
    pings = list(simulate_pings(PingSettings(jitter_out_s=0.001, jitter_back_s=0.001), 3))
    middle = len(pings) // 2
    estimator = follow(pings[:middle])
    estimator = follow([shifted(p, step_ms * MS) for p in pings[middle:]], estimator)
    estimate = estimator.estimate()
    truth = PingSettings().to_local(estimate.reference_ns - step_ms * MS) - estimate.reference_ns
    assert estimator.steps == 1
    assert abs(estimate.offset_ns - truth) <= estimate.uncertainty_ns < 3 * MS


def test_a_single_wrong_answer_changes_nothing():
    pings = list(simulate_pings(PingSettings(), 4))
    clean = follow(pings)
    pings.insert(100, shifted(pings[100], 500 * MS))
    estimator = follow(pings)
    assert (estimator.steps, estimator.refused) == (0, 1)
    assert estimator.estimate() == clean.estimate()


def test_a_slow_ping_is_refused_and_an_impossible_one_cannot_be_made():
    estimator = ClockEstimator(ClockSettings(max_round_trip_s=0.1))
    assert not estimator.add(Ping(0, 50, 60, 200 * MS))
    assert estimator.estimate() is None and estimator.refused == 1
    for times in ((10, 5, 6, 9), (0, 6, 5, 9), (0, 5, 50, 9)):
        with pytest.raises(PingError):
            Ping(*times)
    with pytest.raises(ValueError, match="no ping"):
        estimator.to_local(0)


def test_memory_stays_bounded_and_only_the_window_counts():
    pings = simulate_pings(PingSettings(seconds=900.0), 5)
    estimator = follow(pings, ClockEstimator(ClockSettings(window_s=30.0)))
    assert len(estimator._bins) <= 60
    assert len(estimator._middles) <= 256
    assert estimator.estimate().pings == pytest.approx(30.0 / 0.25, abs=5)


def test_a_slewed_clock_is_followed_within_the_window():
    network = PingSettings(jitter_out_s=0.001, jitter_back_s=0.001, seconds=30.0)
    slewed = PingSettings(jitter_out_s=0.001, jitter_back_s=0.001, drift_ppm=-400.0, seconds=60.0)
    first = list(simulate_pings(network, 6))
    jump = network.to_remote(first[-1].received) - slewed.to_remote(first[-1].received)
    later = [shifted(p, jump) for p in simulate_pings(slewed, 7) if p.sent > first[-1].received]
    estimate = follow([*first, *later]).estimate()
    assert estimate.drift_ppm == pytest.approx(-400.0, abs=20.0)
    truth = slewed.to_local(estimate.reference_ns - jump) - estimate.reference_ns
    assert abs(estimate.offset_ns - truth) <= estimate.uncertainty_ns < 3 * MS


def recorded(network, seed=0):
    """Maps as a node publishes them, one a second."""
    estimator, track, due = ClockEstimator(), ClockTrack(), 0
    for ping in simulate_pings(network, seed):
        estimator.add(ping)
        if ping.received >= due:
            track.add(estimator.estimate())
            due = ping.received + SECOND
    return track


def test_a_recorded_track_maps_stamps_between_and_beyond_its_maps_honestly():
    network = PingSettings(seconds=30.0)
    track = recorded(network)
    first = network.to_remote(1_700_000_000 * SECOND)
    for tenth in range(-50, 400):
        stamp = first + tenth * SECOND // 10
        local = track.to_local(stamp)
        assert abs(local.ns - network.to_local(stamp)) <= local.uncertainty_ns
        if 100 <= tenth <= 300:
            assert local.uncertainty_ns < 2 * MS


def test_between_maps_of_different_settings_of_a_clock_both_are_possible():
    def at(reference, offset):
        return ClockEstimate(reference, offset, 0.0, 1000.0, 0.0, 0.0, 9, 0.0)

    track = ClockTrack()
    with pytest.raises(UserError, match="clock_node"):
        track.to_local(0)
    track.add(at(0, 0))
    track.add(at(SECOND, 50 * MS))
    inside = track.to_local(SECOND // 2)
    assert inside.ns - inside.uncertainty_ns <= SECOND // 2
    assert inside.ns + inside.uncertainty_ns >= SECOND // 2 + 50 * MS
    assert track.to_local(SECOND).ns == SECOND + 50 * MS
    track.add(at(SECOND // 4, -MS))  # set back: what lay behind does not hold any more
    assert len(track) == 2
