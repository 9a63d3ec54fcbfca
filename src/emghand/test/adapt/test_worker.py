"""Whatever happens to the worker, ticks go on and it is said why."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
import worker_rules
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.adapt import worker as worker_module
from emghand.adapt.learner import Learner
from emghand.adapt.messages import Failure, Setup
from emghand.adapt.recent import Block, RecentUse
from emghand.adapt.worker import InProcess, WorkerProcess
from emghand.decoders.normaliser import Normaliser
from emghand.decoders.ridge import RidgeDecoder
from emghand.dofs import parse_dofs
from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model, load_model, save_model

RATE = 62.5
N, D = 4, 2
EVERY = 64  # ticks
TIMEOUT_S = 20.0


def make_model():
    rng = np.random.default_rng(1)
    return Model(
        decoder=RidgeDecoder().fit(rng.standard_normal((99, N)), rng.standard_normal((99, D))),
        normaliser=Normaliser.fit(np.abs(rng.standard_normal((99, N)))),
        dofs=parse_dofs(["index_flex", "wrist_flex"]),
        features=FeatureSettings(),
        n_channels=N,
        rate=1000.0,
        channel_names=("a", "b", "c", "d"),
    )


def setup_of(make_rule, tmp_path, **changes):
    values = {"update_s": EVERY / RATE, "window_s": 4.0} | changes
    return Setup(make_rule, RATE, folder=str(tmp_path / "adapted"), stem="m", **values)


def rows(n, first=0, seed=0):
    rng = np.random.default_rng(seed)
    Z = np.abs(rng.standard_normal((n, N)))
    ticks, good = np.arange(first, first + n), np.ones(n, dtype=bool)
    return Block(Z, 0.1 * Z[:, :D], ticks, good, np.full((n, D), np.nan))


def feed(worker, block, shown=False):
    for i, tick in enumerate(block.ticks.tolist()):
        x_d = block.x_d[i] if shown else None
        worker.feed(block.Z[i], block.x_hat[i], tick, bool(block.good[i]), x_d)


@pytest.fixture
def start(tmp_path):
    workers = []

    def make(rule, limit_s=TIMEOUT_S, memory_mb=400.0, **changes):
        setup = setup_of(rule, tmp_path, **changes)
        workers.append(WorkerProcess(setup, limit_s, memory_mb, first_pause_s=0.05))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()
    for worker in workers:
        worker.join()
        assert worker.pid == 0


def results(worker, n=1, timeout=TIMEOUT_S):
    """The next `n` results; the time of one call is what a tick would have waited."""
    found, deadline = [], time.monotonic() + timeout
    while len(found) < n:
        assert time.monotonic() < deadline, f"only {found}"
        found += worker.poll()
        time.sleep(0.01)
    return found


def test_what_the_worker_proposes_is_a_file_that_can_be_run(start, tmp_path):
    save_model(make_model(), tmp_path / "m.emgmodel")
    worker = start(worker_rules.centre(tmp_path / "m.emgmodel"))
    block = rows(EVERY)
    feed(worker, block)
    (result,) = results(worker)
    np.testing.assert_array_equal(result.model.normaliser.to_arrays()["mean"], block.Z.mean(0))
    assert load_model(result.outcome.uri).model_id == result.outcome.model_id
    assert result.outcome.uri.startswith(str(tmp_path / "adapted/m."))
    assert (result.outcome.score_before, result.outcome.score_after) == (-1.0, 1.0)


def test_the_process_and_the_synchronous_way_propose_the_same_bits(start, tmp_path):
    save_model(make_model(), tmp_path / "m.emgmodel")
    rule = worker_rules.centre(tmp_path / "m.emgmodel")
    worker, direct = start(rule), InProcess(setup_of(rule, tmp_path))
    block = rows(5 * EVERY)
    feed(worker, block)
    feed(direct, block)
    ids = [r.outcome.model_id for r in direct.poll()]
    assert len(set(ids)) == 5
    assert [r.outcome.model_id for r in results(worker, 5)] == ids


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        (worker_rules.kill, "was killed (SIGKILL)"),
        (worker_rules.tear, "was killed (SIGKILL)"),
        (worker_rules.leave, "ended by itself (status 3)"),
        (worker_rules.hang, "did not answer in time"),
        (worker_rules.stop, "did not answer in time"),
    ],
)
def test_a_worker_that_is_lost_is_told_and_another_one_goes_on(start, tmp_path, deed, cause):
    late = deed in (worker_rules.hang, worker_rules.stop)
    worker = start(worker_rules.once(tmp_path / "flag", deed), 0.3 if late else TIMEOUT_S)
    feed(worker, rows(EVERY))
    lost = next(r for r in results(worker) if isinstance(r, Failure))
    assert cause in lost.cause
    assert "the decoder goes on unchanged, a new worker starts in" in lost.cause
    feed(worker, rows(EVERY, EVERY))
    (after,) = results(worker)
    assert after.outcome.cause == f"{EVERY} ticks"


def test_a_worker_killed_from_outside_while_idle_is_replaced(start):
    worker = start(worker_rules.Refuser)
    feed(worker, rows(EVERY))
    results(worker)
    os.kill(worker.pid, signal.SIGKILL)
    feed(worker, rows(EVERY, EVERY))
    assert "SIGKILL" in results(worker)[0].cause
    feed(worker, rows(EVERY, 2 * EVERY))
    assert results(worker)[0].outcome.cause.startswith(f"{EVERY} ticks")


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        (worker_rules.fail, "the rule failed: FloatingPointError: singular"),
        (worker_rules.hog, "out of memory; nothing was proposed"),
        (worker_rules.unmakeable, "no reference yet"),
    ],
)
def test_a_rule_that_fails_is_told_and_the_worker_keeps_what_it_has(start, tmp_path, deed, cause):
    worker = start(worker_rules.once(tmp_path / "flag", deed))
    feed(worker, rows(EVERY))
    (failed,) = results(worker)
    assert failed.cause == cause
    feed(worker, rows(EVERY, EVERY))
    (after,) = results(worker)
    assert after.outcome.cause == f"{2 * EVERY} ticks"


def test_without_a_process_a_rule_that_fails_is_told_in_the_same_words(tmp_path):
    rule = worker_rules.once(tmp_path / "flag", worker_rules.fail)
    worker = InProcess(setup_of(rule, tmp_path))
    feed(worker, rows(2 * EVERY))
    failed, after = worker.poll()
    assert failed.cause == "the rule failed: FloatingPointError: singular"
    assert after.outcome.cause == f"{2 * EVERY} ticks"


def test_a_calibration_that_determines_no_rule_is_a_mistake_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"does not determine the rule \(Singular matrix\)"):
        InProcess(setup_of(worker_rules.singular, tmp_path))


def test_a_rule_that_cannot_be_made_says_why_again_and_again_with_growing_pauses(start):
    worker = start(worker_rules.unmakeable)
    causes = [r.cause for r in results(worker, 3)]
    assert all("the worker cannot work: no reference yet" in c for c in causes)
    pauses = [float(c.split()[-2]) for c in causes]
    assert pauses == [0.05, 0.1, 0.2]


def test_ticks_never_wait_for_a_worker_that_is_behind_and_are_counted(start):
    worker = start(worker_rules.always(worker_rules.hang))
    block = rows(20_000)
    longest = 0.0
    for i in range(len(block)):
        before = time.thread_time()
        worker.feed(block.Z[i], block.x_hat[i], i, True)
        longest = max(longest, time.thread_time() - before)
    assert worker.dropped > 10_000
    assert longest < 0.02


def test_closing_does_not_wait_for_a_worker_that_is_busy(start):
    worker = start(worker_rules.always(worker_rules.hang))
    feed(worker, rows(EVERY))
    before = time.thread_time()
    worker.close()
    assert time.thread_time() - before < 0.02
    worker.join()


def test_values_that_are_not_finite_reach_the_rule_marked_and_harm_nothing(start):
    worker = start(worker_rules.Sees)
    block = rows(EVERY)
    block.Z[3:6] = np.nan
    feed(worker, block)
    assert results(worker)[0].outcome.cause == "3 bad"


def test_another_setup_counts_from_the_next_block_on_and_keeps_the_use(start, tmp_path):
    worker = start(worker_rules.Refuser)
    feed(worker, rows(EVERY))
    results(worker)
    worker.change(setup_of(worker_rules.Refuser, tmp_path, update_s=2 * EVERY / RATE))
    feed(worker, rows(2 * EVERY, EVERY))
    (result,) = results(worker)
    assert result.outcome.cause.startswith(f"{3 * EVERY} ticks")


@pytest.mark.parametrize("synchronous", [True, False])
def test_begun_anew_it_knows_nothing_of_before_and_complains_of_nothing(
    start, tmp_path, synchronous
):
    rule = worker_rules.Refuser
    worker = InProcess(setup_of(rule, tmp_path)) if synchronous else start(rule)
    feed(worker, rows(EVERY + 50))
    results(worker)
    worker.restart()
    feed(worker, rows(EVERY, 500))
    (result,) = results(worker)
    assert result.outcome.cause == f"{EVERY} ticks, {EVERY} good, last {499 + EVERY}"


def test_begun_anew_nothing_is_heard_of_what_was_just_being_read(start, tmp_path, monkeypatch):
    reading, go_on, read = threading.Event(), threading.Event(), worker_module._read

    def slow(outcome):
        reading.set()
        assert go_on.wait(TIMEOUT_S)
        return read(outcome)

    monkeypatch.setattr(worker_module, "_read", slow)
    worker = start(worker_rules.Refuser)
    feed(worker, rows(EVERY))
    assert reading.wait(TIMEOUT_S)
    worker.restart()
    go_on.set()
    feed(worker, rows(EVERY, 500))
    assert [r.outcome.cause[-3:] for r in results(worker)] == [f"{499 + EVERY}"]


@pytest.mark.parametrize("synchronous", [True, False])
def test_what_was_shown_reaches_the_rule_and_what_is_not_known_is_nan(start, tmp_path, synchronous):
    rule = worker_rules.Shown
    worker = InProcess(setup_of(rule, tmp_path)) if synchronous else start(rule)
    block = rows(EVERY)
    block.x_d[:] = 0.5
    feed(worker, block, shown=True)
    feed(worker, rows(EVERY, EVERY))
    assert [r.outcome.cause for r in results(worker, 2)] == ["64 known, sum 64.0"] * 2


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    save_model(make_model(), tmp_path / "m.emgmodel")
    (tmp_path / "adapted").write_text("in the way")
    worker = InProcess(setup_of(worker_rules.centre(tmp_path / "m.emgmodel"), tmp_path))
    feed(worker, rows(EVERY))
    assert "cannot be made" in worker.poll()[0].cause


@given(cuts=st.lists(st.integers(0, 300), max_size=8), bad=st.sets(st.integers(0, 299)))
@settings(max_examples=25, deadline=None)
def test_outcomes_depend_on_the_ticks_not_on_the_blocks(tmp_path_factory, cuts, bad):
    block = rows(300)
    block.good[list(bad)] = False
    tmp_path = tmp_path_factory.getbasetemp()

    def causes(edges):
        learner = Learner(setup_of(worker_rules.Refuser, tmp_path, window_s=2.0))
        return [
            outcome.cause
            for a, b in zip([0, *edges], [*edges, 300], strict=True)
            if b > a
            for outcome in learner.push(block[a:b])
        ]

    expected = causes([])
    assert len(expected) == (300 - len(bad)) // EVERY
    assert causes(sorted(cuts)) == expected


@given(st.lists(st.integers(1, 70), min_size=1, max_size=20), st.integers(1, 64))
@settings(max_examples=25, deadline=None)
def test_the_latest_use_is_kept_in_order_and_within_bounds(sizes, capacity):
    use, seen, tick = RecentUse(N, D, capacity, RATE), [], 0
    for size in sizes:
        block = rows(size, tick, seed=tick)
        use.push(block)
        seen.append(block.Z)
        tick += size
    window = use.window()
    np.testing.assert_array_equal(window.Z, np.vstack(seen)[-capacity:])
    assert window.ticks.tolist() == list(range(tick))[-capacity:]


def test_a_tick_counter_that_begins_anew_is_counted_on():
    use = RecentUse(N, D, 100, RATE)
    use.push(rows(10, 500))
    use.push(rows(10, 0))
    ticks = use.window().ticks
    assert (np.diff(ticks) > 0).all() and ticks[10] - ticks[9] > 50


def test_memory_stays_bounded_with_very_many_features(monkeypatch):
    monkeypatch.setattr("emghand.adapt.recent.MAX_BYTES", 10_000)
    use = RecentUse(N, D, 10**9, RATE)
    use.push(rows(1000))
    assert 100 < len(use.window()) < 200
