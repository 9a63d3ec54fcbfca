"""The simpler rules where they run: made from files, with a replay memory or prompts."""

from __future__ import annotations

import dataclasses
import errno
import os

import numpy as np
import pytest

from emghand.adapt.companion import companion_of, companion_path, save_companion
from emghand.adapt.learner import Learner
from emghand.adapt.memory import MemorySettings, load_memory
from emghand.adapt.messages import Setup
from emghand.adapt.recent import Block
from emghand.adapt.reference import learn_reference
from emghand.adapt.registry import RuleOptions, rule_for
from emghand.errors import UserError
from emghand.storage.models import load_model, save_model


@pytest.fixture(scope="module")
def files(person, models, tmp_path_factory):
    """A calibrated model with its companion; its path."""
    uri = tmp_path_factory.mktemp("calibrated") / "m.emgmodel"
    model = models["kalman"]
    save_model(model, uri)
    own, _ = person.use(model, 300.0, run=7)
    reference = learn_reference(own, own.Z).to_arrays()
    companion = dataclasses.replace(companion_of(model, person.dataset), reference=reference)
    save_companion(companion, companion_path(uri))
    return uri


@pytest.fixture
def learner(files, tmp_path):
    def make(mode, update_s, memory=None, **options):
        rule = rule_for(str(files), RuleOptions(mode, margin=-100.0, **options))
        folder = str(tmp_path / "adapted")
        return Learner(Setup(rule, 60.0, update_s, 300.0, folder, "m", memory))

    return make


def block_of(window, x_d=None):
    shown = np.full(window.x_hat.shape, np.nan) if x_d is None else x_d
    return Block(window.Z, window.x_hat, window.ticks, window.good, shown)


def test_labelled_use_is_kept_in_a_file_that_the_next_worker_goes_on_with(
    models, drifted, learner, tmp_path
):
    memory, file = MemorySettings(max_ticks=3000), tmp_path / "adapted" / "m.emgmemory"
    window, _ = drifted(models["kalman"], 60.0)
    first = learner("relabel", 60.0, memory)
    (outcome,) = first.push(block_of(window))
    assert outcome.model_id, outcome.cause
    kept = load_memory(file, models["kalman"].model_id, memory)
    assert 0 < len(kept) <= 3000
    second = learner("relabel", 60.0, memory)
    later, _ = drifted(models["kalman"], 60.0, run=1)
    (after,) = second.push(block_of(later))
    alone = learner("relabel", 60.0)
    (without,) = alone.push(block_of(later))
    assert after.model_id not in ("", without.model_id)
    assert len(load_memory(file, models["kalman"].model_id, memory)) > len(kept)


def test_what_is_refused_is_not_kept(files, models, drifted, tmp_path):
    rule = rule_for(str(files), RuleOptions("relabel", margin=100.0))
    folder = str(tmp_path / "adapted")
    learner = Learner(Setup(rule, 60.0, 60.0, 300.0, folder, "m", MemorySettings()))
    window, _ = drifted(models["kalman"], 60.0)
    (outcome,) = learner.push(block_of(window))
    assert not outcome.model_id and "not more plausible" in outcome.cause
    # Both scores are told all the same.
    assert [outcome.score_before, outcome.score_after] == [s.plausibility for s in outcome.scores]
    assert np.isfinite(outcome.score_after)
    assert not (tmp_path / "adapted" / "m.emgmemory").exists()


def test_a_memory_that_cannot_be_written_is_told_and_the_old_one_stays(
    models, drifted, learner, tmp_path, monkeypatch
):
    memory, file = MemorySettings(), tmp_path / "adapted" / "m.emgmemory"
    worker = learner("relabel", 60.0, memory)
    window, _ = drifted(models["kalman"], 60.0)
    worker.push(block_of(window))
    before = file.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    later, _ = drifted(models["kalman"], 60.0, run=1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"m\.emgmemory: cannot be written: No space left"):
        worker.push(block_of(later))
    assert file.read_bytes() == before
    assert sorted(p.suffix for p in file.parent.iterdir()) == [".emgmemory", ".emgmodel"]


def test_a_memory_that_cannot_be_read_is_told_and_stays_as_it_is(learner, tmp_path):
    file = tmp_path / "adapted" / "m.emgmemory"
    file.parent.mkdir()
    file.write_bytes(b"PK damaged")
    with pytest.raises(UserError, match="move the file away, or clear the replay memory"):
        learner("relabel", 60.0, MemorySettings())
    assert file.read_bytes() == b"PK damaged"


def test_only_dofs_that_moved_change_where_that_is_wanted(models, drifted, learner):
    window, _ = drifted(models["kalman"], 60.0)
    x_hat = window.x_hat.copy()
    # The last DOF is still, as far as anybody can see.
    x_hat[:, -1] = 0.0
    still = dataclasses.replace(window, x_hat=x_hat)
    (every,) = learner("relabel", 60.0).push(block_of(still))
    (only,) = learner("relabel", 60.0, moving_dofs_only=True).push(block_of(still))
    before = models["kalman"].decoder.to_arrays()
    all_of_them, some = (load_model(o.uri).decoder.to_arrays() for o in (every, only))
    name = next(n for n, a in before.items() if a.ndim == 2 and len(a) == x_hat.shape[1])
    assert (some[name][-1] == before[name][-1]).all()
    assert (all_of_them[name] != before[name]).any()
    assert (some[name][:-1] != before[name][:-1]).any()


def test_supervised_it_follows_what_was_shown_and_needs_to_be_better(models, drifted, learner):
    model = models["kalman"]
    window, x_d = drifted(model, 120.0)
    (outcome,) = learner("supervised", 120.0).push(block_of(window, x_d))
    assert outcome.rule == "supervised" and outcome.model_id, outcome.cause
    assert outcome.score_before < outcome.score_after < 0.0
    fresh, truth = drifted(model, 60.0, run=3)

    def rmse(m):
        return np.sqrt(np.mean((m.estimates(fresh.Z) - truth) ** 2))

    assert rmse(load_model(outcome.uri)) < 0.9 * rmse(model)
    (unknown,) = learner("supervised", 60.0).push(block_of(drifted(model, 60.0)[0]))
    assert not unknown.model_id and "labelled use" in unknown.cause
