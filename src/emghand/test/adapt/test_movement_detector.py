"""Movements and plateaus found in courses whose truth is known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from emghand.adapt.detector import DetectorSettings, MovementDetector, detect
from emghand.adapt.profile import fit_profile
from emghand.errors import UserError
from emghand.tasks.movements import minimum_jerk

RATE = 60.0
NOISE = 0.01
SETTINGS = DetectorSettings()


def course(*parts, noise=NOISE, seed=0):
    """Ramps ("to", target, seconds) and stays ("stay", seconds) of two DOFs; begins at rest."""
    rows, now, spans = [], np.zeros(2), []
    for part in parts:
        if part[0] == "stay":
            rows += [now] * round(part[1] * RATE)
        else:
            n, target = round(part[2] * RATE), np.array(part[1], float)
            spans.append((len(rows) - 1, len(rows) - 1 + n))
            rows += [now + (target - now) * minimum_jerk((i + 1) / n) for i in range(n)]
            now = target
    x = np.array(rows) + noise * np.random.default_rng(seed).standard_normal((len(rows), 2))
    return x, spans


def found_in(x, kind="movement", settings=SETTINGS, ticks=None, quiet=None):
    ticks = np.arange(len(x)) if ticks is None else ticks
    return [s for s in detect(x, ticks, settings, RATE, quiet) if s.kind == kind]


def same(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert (one.kind, one.t0_tick, one.t1_tick) == (other.kind, other.t0_tick, other.t1_tick)
        for name in ("x0", "x_f", "moving"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


USE = (
    ("stay", 2.0),
    ("to", (0.8, 0.0), 0.7),
    ("stay", 1.2),
    ("to", (0.0, 0.0), 0.5),
    ("stay", 1.5),
    ("to", (0.5, -0.6), 0.9),
    ("stay", 1.0),
    ("to", (0.0, 0.0), 0.6),
    ("stay", 1.0),
)


def test_movements_have_their_times_ends_and_dofs():
    x, spans = course(*USE)
    found = found_in(x)
    assert len(found) == len(spans)
    for movement, (start, end) in zip(found, spans, strict=True):
        assert abs(movement.t0_tick - start) <= 3
        assert abs(movement.t1_tick - end) <= 3
    ends = [(0.8, 0.0), (0.0, 0.0), (0.5, -0.6), (0.0, 0.0)]
    for movement, x_f in zip(found, ends, strict=True):
        np.testing.assert_allclose(movement.x_f, x_f, atol=0.02)
    np.testing.assert_allclose([m.x0 for m in found[1:]], ends[:-1], atol=0.02)
    assert [m.moving.tolist() for m in found] == [[True, False]] * 2 + [[True, True]] * 2


def test_plateaus_fill_what_lies_between_the_movements():
    x, _ = course(*USE)
    everything = detect(x, np.arange(len(x)), SETTINGS, RATE)
    assert [s.kind for s in everything] == ["plateau", "movement"] * 4 + ["plateau"]
    for one, after in itertools.pairwise(everything):
        assert one.t1_tick == after.t0_tick
    assert everything[-1].t1_tick == len(x) - 1
    assert not any(s.moving.any() for s in everything if s.kind == "plateau")


def test_a_long_hold_does_not_fire_again():
    x, _ = course(("stay", 2.0), ("to", (1.0, 0.4), 0.6), ("stay", 30.0), noise=0.04)
    assert len(found_in(x)) == 1


def test_a_slow_drift_of_the_baseline_does_not_fire():
    x, _ = course(("stay", 60.0))
    assert found_in(x + np.linspace(0.0, 1.0, len(x))[:, None]) == []


def test_two_movements_after_a_short_hold_are_two():
    x, spans = course(
        ("stay", 2.0), ("to", (0.6, 0), 0.5), ("stay", 0.7), ("to", (-0.6, 0), 0.8), ("stay", 1.0)
    )
    found = found_in(x)
    assert [abs(m.t0_tick - a) <= 4 for m, (a, _) in zip(found, spans, strict=True)] == [True] * 2
    np.testing.assert_allclose(found[0].x_f, found[1].x0, atol=0.03)


def test_two_movements_without_a_hold_are_one():
    x, spans = course(
        ("stay", 2.0), ("to", (0.5, 0), 0.5), ("to", (1.0, 0), 0.5), ("stay", 1.0), noise=0.0
    )
    (movement,) = found_in(x)
    assert movement.x_f[0] == pytest.approx(1.0)
    assert movement.t0_tick == pytest.approx(spans[0][0], abs=15)
    assert movement.t1_tick == pytest.approx(spans[1][1], abs=25)


def test_there_and_back_without_a_hold_is_none():
    x, _ = course(("stay", 2.0), ("to", (0.6, 0), 0.4), ("to", (0, 0), 0.4), ("stay", 2.0))
    assert found_in(x) == []


@pytest.mark.parametrize(("size", "count"), [(0.15, 0), (0.3, 1)])
def test_small_movements_are_none(size, count):
    x, _ = course(("stay", 2.0), ("to", (size, 0.0), 0.5), ("stay", 2.0))
    assert len(found_in(x)) == count


@pytest.mark.parametrize(("seconds", "count"), [(0.05, 0), (0.3, 1), (3.0, 1), (7.0, 0)])
def test_too_short_and_too_long_movements_are_none(seconds, count):
    x, _ = course(("stay", 2.0), ("to", (1.0, 0.0), seconds), ("stay", 2.0))
    # A slope of one unit in seconds is rest by default: here it is not.
    settings = replace(SETTINGS, off_speed=0.1, off_share=0.2)
    assert len(found_in(x, settings=settings)) == count


def test_a_glitch_of_one_tick_is_no_movement():
    x, _ = course(("stay", 4.0))
    x[120] = 1.0
    assert found_in(x) == []


def test_noise_at_rest_does_not_fire():
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.standard_normal((18000, 6)), axis=0)
    # The noise of a window of 300 ms, with three times the spread that the decoder has at rest.
    x = 0.045 / np.sqrt(18.0) * (x[18:] - x[:-18])
    assert found_in(x) == []
    assert len(found_in(x, "plateau")) == 1


def test_a_missing_tick_ends_a_plateau_and_drops_the_movement_under_way():
    x, spans = course(*USE)
    ticks = np.arange(len(x))
    first = (spans[0][0] + spans[0][1]) // 2
    keep = ticks != first
    found = found_in(x[keep], ticks=ticks[keep])
    assert len(found) == 3
    rest = (spans[1][1] + 30, spans[1][1] + 31)
    keep = ~np.isin(ticks, rest)
    for plateau in found_in(x[keep], "plateau", ticks=ticks[keep]):
        assert not plateau.t0_tick <= rest[0] <= plateau.t1_tick


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_an_estimate_that_is_no_number_is_part_of_nothing(bad):
    x, spans = course(*USE)
    at = (spans[2][0] + spans[2][1]) // 2
    x[at, 1] = bad
    others = [start for start, _ in (*spans[:2], spans[3])]
    starts = [m.t0_tick for m in found_in(x)]
    assert [abs(a - b) <= 3 for a, b in zip(starts, others, strict=True)] == [True] * 3
    for segment in detect(x, np.arange(len(x)), SETTINGS, RATE):
        assert not segment.t0_tick <= at <= segment.t1_tick
        assert np.isfinite([segment.x0, segment.x_f]).all()


def test_quiet_ticks_are_in_no_segment_and_the_movement_after_them_is_found():
    x, spans = course(*USE)
    quiet = np.zeros(len(x), dtype=np.bool_)
    quiet[spans[2][0] - 40 : spans[2][0] - 2] = True
    quiet[spans[0][0] + 10 : spans[0][0] + 20] = True
    for segment in detect(x, np.arange(len(x)), SETTINGS, RATE, quiet):
        assert not quiet[segment.t0_tick : segment.t1_tick + 1].any()
    found = found_in(x, quiet=quiet)
    starts = [s for s, _ in spans[1:]]
    assert [abs(m.t0_tick - s) <= 3 for m, s in zip(found, starts, strict=True)] == [True] * 3
    np.testing.assert_allclose(found[1].x0, 0.0, atol=0.02)


@pytest.mark.parametrize(("after_s", "count"), [(0.25, 1), (0.05, 1), (-0.2, 0)])
def test_a_movement_is_confirmed_while_the_next_one_is_announced(after_s, count):
    x, ((_, end),) = course(("stay", 2.0), ("to", (0.7, 0), 0.5), ("stay", 2.0))
    quiet = np.arange(len(x)) > end + round(after_s * RATE)
    found = found_in(x, quiet=quiet)
    assert len(found) == count
    for movement in found:
        assert not quiet[movement.t0_tick : movement.t1_tick + 1].any()
        assert movement.x_f[0] == pytest.approx(0.7, abs=0.02)
    # What is announced may look like anything.
    x[quiet] = 0.7 + 0.3 * (np.arange(quiet.sum()) / quiet.sum())[:, None]
    assert len(found_in(x, quiet=quiet)) <= count


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_segments_are_in_order_and_hold_only_what_they_may(seed):
    rng = np.random.default_rng(seed)
    n = 3000
    jumps = rng.standard_normal((n, 3)) * (rng.random((n, 1)) < 0.01)
    x = np.cumsum(jumps, axis=0) + 10.0 ** rng.uniform(-3, -1) * rng.standard_normal((n, 3))
    x = np.clip(np.apply_along_axis(np.convolve, 0, x, np.ones(15) / 15, "same"), -1, 1)
    x[rng.random(n) < 0.001] = np.nan
    ticks = np.cumsum(1 + 3 * (rng.random(n) < 0.001))
    quiet = np.cumsum(rng.random(n) < 0.004) % 3 == 2
    settings = DetectorSettings(
        smooth_s=rng.uniform(0, 0.5),
        hold_s=rng.uniform(0.05, 0.5),
        pre_roll_s=rng.uniform(0, 0.6),
        longest_s=rng.uniform(0.2, 4.0),
        plateau_s=rng.uniform(0, 0.5),
    )
    found = detect(x, ticks, settings, RATE, quiet)
    assert found
    for one, after in itertools.pairwise(found):
        assert one.t1_tick <= after.t0_tick
    usable = dict(zip(ticks.tolist(), np.isfinite(x).all(axis=1) & ~quiet, strict=True))
    for s in found:
        assert s.t0_tick < s.t1_tick or s.kind == "plateau"
        assert all(usable.get(t, False) for t in range(s.t0_tick, s.t1_tick + 1))
        assert np.isfinite([s.x0, s.x_f]).all()
        if s.kind == "movement":
            assert s.displacement > settings.displacement
            assert s.moving.any()


def test_a_stream_that_starts_anew_is_another_one():
    x, spans = course(*USE)
    detector = MovementDetector(SETTINGS, 2, RATE)
    rounds = [[s for i, row in enumerate(x) for s in detector.step(i, row)] for _ in range(2)]
    assert [s.kind for s in rounds[1]].count("movement") == len(spans)
    # The last plateau of the first round ends with it.
    same(rounds[1][1:], rounds[0])


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_streaming_equals_offline_in_blocks_of_any_size(size):
    x, _ = course(*USE, *USE[1:], noise=0.03)
    ticks = np.delete(np.arange(len(x) + 2), [300, 777])
    quiet = (ticks // 50) % 9 == 8
    detector = MovementDetector(SETTINGS, 2, RATE)
    found = []
    for first in range(0, len(x), size):
        part = slice(first, first + size)
        rows = zip(ticks[part].tolist(), x[part].copy(), quiet[part].tolist(), strict=True)
        for tick, row, silent in rows:
            found += detector.step(tick, row, silent)
            row[:] = np.nan  # nothing of the caller's is kept
    same(found + detector.finish(), detect(x, ticks, SETTINGS, RATE, quiet))
    assert len(found) > 5


def test_a_snapshot_at_any_tick_continues_to_the_bit():
    x, _ = course(*USE, noise=0.03)
    whole = MovementDetector(SETTINGS, 2, RATE)
    for tick, row in enumerate(x):
        whole.step(tick, row)
        if tick % 23:
            continue
        state = whole.snapshot()
        other = MovementDetector(SETTINGS, 2, RATE)
        other.restore(state)
        again = MovementDetector(SETTINGS, 2, RATE)
        again.restore(state)
        rest = list(enumerate(x))[tick + 1 :]
        same(
            [s for t, r in rest for s in other.step(t, r)] + other.finish(),
            [s for t, r in rest for s in again.step(t, r)] + again.finish(),
        )
        for name, value in whole.snapshot().items():
            assert value.tobytes() == state[name].tobytes()


def test_what_a_restored_detector_finds_is_what_the_first_one_finds():
    x, _ = course(*USE, noise=0.03)
    expected = detect(x, np.arange(len(x)), SETTINGS, RATE)
    detector, found = MovementDetector(SETTINGS, 2, RATE), []
    for tick, row in enumerate(x):
        state = detector.snapshot()
        detector = MovementDetector(SETTINGS, 2, RATE)
        detector.restore(state)
        found += detector.step(tick, row)
    same(found + detector.finish(), expected)


def test_a_foreign_snapshot_is_refused_and_changes_nothing():
    x, _ = course(*USE)
    detector = MovementDetector(SETTINGS, 2, RATE)
    for tick, row in enumerate(x[:200]):
        detector.step(tick, row)
    before = detector.snapshot()
    for foreign in (
        MovementDetector(SETTINGS, 3, RATE).snapshot(),
        MovementDetector(replace(SETTINGS, longest_s=2.0), 2, RATE).snapshot(),
        {k: v for k, v in before.items() if k != "level"},
        before | {"numbers": before["numbers"] + 10**6},
    ):
        with pytest.raises(UserError, match="snapshot of the movement detector"):
            detector.restore(foreign)
    for name, value in detector.snapshot().items():
        assert value.tobytes() == before[name].tobytes()


def test_mistakes_are_told():
    with pytest.raises(UserError, match="tick rate"):
        MovementDetector(SETTINGS, 2, 0.0)
    with pytest.raises(UserError, match="expected 2 DOFs"):
        MovementDetector(SETTINGS, 2, RATE).step(0, np.zeros(3))
    with pytest.raises(UserError, match="equally long"):
        detect(np.zeros((5, 2)), np.arange(4), SETTINGS, RATE)
    with pytest.raises(UserError, match="off_speed"):
        DetectorSettings(off_speed=2.0)
    with pytest.raises(UserError, match="hold_s"):
        DetectorSettings(hold_s=-1.0)


@pytest.mark.parametrize("rate", [10.0, 30.0, 62.5, 250.0])
def test_any_tick_rate_finds_the_same_movements(rate):
    t = np.arange(0.0, 8.0, 1.0 / rate)
    x = np.array([[minimum_jerk((s - 2.0) / 0.6) - minimum_jerk((s - 5.0) / 0.8)] for s in t])
    found = [s for s in detect(x, np.arange(len(t)), SETTINGS, rate) if s.kind == "movement"]
    times = [(s.t0_tick / rate, s.t1_tick / rate) for s in found]
    np.testing.assert_allclose(times, [(2.0, 2.6), (5.0, 5.8)], atol=0.06 + 1.0 / rate)


def test_the_profile_of_a_course_without_noise_is_exact():
    course = np.array([minimum_jerk((i - 20.0) / 45.0) for i in range(100)])
    fit = fit_profile(course)
    assert fit.begin == pytest.approx(20.0, abs=0.2)
    assert fit.end == pytest.approx(65.0, abs=0.2)


@pytest.mark.parametrize("values", [[0.0], [1.0], [0.0, 1.0], [0.3, 0.3], [0.9, 0.0, 0.0]])
def test_the_profile_of_any_course_is_finite(values):
    fit = fit_profile(np.array(values))
    assert np.isfinite([fit.begin, fit.end]).all()
