"""Screening of simulated people, terms of the objective, and the map a decoder is trained by."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from emghand.actions import (
    ACTIONS,
    ActionMap,
    load_action_map,
    screening_set,
    simulated_person,
    unseen_set,
)
from emghand.actions.action_map import Drive, drive_dofs
from emghand.actions.branch_and_bound import objective
from emghand.actions.sweep import ActionSweep, simulated_subject
from emghand.actions.terms import first_order, second_order, strength, trials_of, unseen_scores
from emghand.cli.main import main
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.signal.settings import FeatureSettings
from emghand.simulate import SyntheticEmg, simulate_recording
from emghand.simulate.arm import Arm
from emghand.storage.models import load_model
from emghand.storage.recording import PeriodKind
from emghand.sweep.pools import open_pool
from emghand.sweep.run import run_sweep
from emghand.sweep.store import Store
from emghand.tasks.movements import Schedule, load_movement_set
from emghand.training import TrainSettings, dataset_from_recording

CONFIG = Path(__file__).resolve().parents[4] / "config" / "movements"
RIDGE = TrainSettings("ridge")
SMALL = ACTIONS[:4]


def record(movements, run=0):
    person = simulated_person(seed=2, run=run, actions=SMALL, n_channels=8)
    return simulate_recording(Schedule(movements, shuffle=True, seed=run), person)


@pytest.fixture(scope="module")
def screening():
    return dataset_from_recording(record(screening_set(SMALL, hold=0.5)), FeatureSettings())


def test_the_candidates_are_every_limb_in_every_direction():
    assert len(ACTIONS) == len(set(ACTIONS)) == 24
    assert {"extend_thumb", "flex_wrist", "left_ring", "right_little"} <= set(ACTIONS)


def test_movement_files_are_what_the_builders_make():
    for name, made in (("actions_screening", screening_set()), ("actions_test", unseen_set())):
        assert load_movement_set(CONFIG / f"{name}.yaml") == made
    levels = [max(m.targets.values()) for m in screening_set().movements]
    assert (levels.count(1.0), levels.count(0.5), screening_set().repetitions) == (24, 24, 3)
    assert {max(m.targets.values()) for m in unseen_set().movements} == {0.75}


def test_every_action_has_a_pattern_of_its_own_and_some_are_much_alike():
    for seed in range(5):
        tuning = Arm(np.random.default_rng([seed, 0]), 24, 16, 16).tuning
        assert tuning.shape == (16, 48)
        assert not tuning[:, 24:].any(), "an action has no opposite"
        patterns = tuning[:, :24] / np.linalg.norm(tuning[:, :24], axis=0)
        alike = (patterns.T @ patterns)[np.triu_indices(24, 1)]
        assert alike.max() < 0.9999
        assert alike.max() > 0.95
        assert np.median(alike) < 0.85


def test_a_person_repeats_to_the_bit_and_muscles_differ_between_people():
    intention = np.zeros((400, 24))
    intention[:, 7] = 1.0
    first, again, other = (
        SyntheticEmg(simulated_person(seed=s)).push(intention) for s in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_trials_of_actions_hold_those_trials_and_columns_alone(screening):
    kept = trials_of(screening, [SMALL[2], SMALL[0]])
    assert [d.name for d in kept.dofs] == [SMALL[2], SMALL[0]]
    made = {m.split()[0] for m in kept.movement if m}
    assert made == {SMALL[0], SMALL[2]}
    assert not kept.X[kept.movement == ""].any()
    assert len(np.unique(kept.trial)) == 2 * 2 * 3
    held = kept.period == PeriodKind.HOLD
    assert set(np.round(kept.X[held].max(axis=1), 2)) == {0.5, 1.0}
    with pytest.raises(UserError, match="flex_wrist: was not recorded"):
        trials_of(screening, ["flex_wrist"])


def test_terms_are_symmetric_not_negative_and_repeat_to_the_bit(screening):
    a, b = SMALL[:2]
    confusion = second_order(screening, a, b, RIDGE)
    assert confusion == second_order(screening, a, b, RIDGE)
    assert confusion == pytest.approx(second_order(screening, b, a, RIDGE), rel=1e-9)
    assert 0.0 < confusion < 1.0
    assert 0.0 < first_order(screening, a, RIDGE) < 0.5
    assert strength(screening, a) > 0.0


def test_actions_that_are_alike_are_confused(screening):
    """Confusion follows the overlap of the muscles that the simulator knows."""
    patterns = Arm(np.random.default_rng([2, 0]), 4, 8, 16).tuning[:, :4]
    patterns = patterns / np.linalg.norm(patterns, axis=0)
    pairs = list(itertools.combinations(range(4), 2))
    alike = [patterns[:, i] @ patterns[:, j] for i, j in pairs]
    confusion = [second_order(screening, SMALL[i], SMALL[j], RIDGE) for i, j in pairs]
    assert np.argmax(confusion) == np.argmax(alike)


def test_a_map_trains_a_decoder_of_the_dofs_it_names(screening, tmp_path):
    chosen = ActionMap((Drive("flex_thumb", "thumb_flex"), Drive("extend_thumb", "thumb_flex", -1)))
    mapped = chosen.apply(screening)
    assert mapped.dofs == (Dof("thumb_flex", -1.0, 1.0),)
    flexing = np.char.startswith(mapped.movement, "flex_thumb")
    held = mapped.period == PeriodKind.HOLD
    assert mapped.X[flexing & held].min() > 0.4
    assert mapped.X[~flexing & held].max() < -0.4
    path = tmp_path / "map.yaml"
    chosen.save(path)
    read = load_action_map(path)
    assert read.drives == chosen.drives
    with pytest.raises(UserError, match="exists"):
        chosen.save(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "cannot be read"),
        ("a: 1", "is no action map"),
        ("{format: emghand action map, version: 2}", "version 2"),
        ("{format: emghand action map, version: 1, actions: [{dof: a}]}", "action and a dof"),
        ("{format: emghand action map, version: 1, actions: []}", "none"),
        (
            "{format: emghand action map, version: 1, actions: [{action: a, dof: x, value: 2}]}",
            "value must be",
        ),
        (
            "{format: emghand action map, version: 1, "
            "actions: [{action: a, dof: x}, {action: b, dof: x}]}",
            "same side",
        ),
    ],
)
def test_a_bad_map_is_answered_by_one_sentence(tmp_path, text, message):
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        load_action_map(tmp_path / "map.yaml")


def test_actions_drive_the_dof_of_their_limb_where_it_is_free():
    drives = drive_dofs(["left_thumb", "flex_thumb", "flex_ring", "right_ring"])
    assert {d.action: d.dof for d in drives} == {
        "flex_thumb": "thumb_flex",
        "flex_ring": "ring_flex",
        "left_thumb": "index_flex",
        "right_ring": "middle_flex",
    }
    assert [d.dof for d in drive_dofs(ACTIONS[:7])] == list(ACTIONS[:7]), "more than the hand has"
    with pytest.raises(UserError, match="as many DOFs"):
        drive_dofs(ACTIONS[:3], ["a", "b"])


def test_a_whole_selection_is_the_optimum_of_its_terms_and_is_tested_on_unseen_levels(tmp_path):
    subject = simulated_subject(2, SMALL, changes={"n_channels": 8})
    sweep = ActionSweep((subject,), 2)
    with open_pool(jobs=2) as pool:
        report = run_sweep(sweep, Store(tmp_path / "s"), pool)
    assert not report.errors
    terms = sweep.terms(subject, report.results)
    best = min(
        (objective(terms.first, terms.second, s), s) for s in itertools.combinations(range(4), 2)
    )
    rows = {r["method"]: r for r in report.table}
    assert rows["exact"]["objective"] == best[0]
    assert rows["exact"]["actions"] == " ".join(SMALL[i] for i in best[1])
    assert rows["exact"]["r2"] > 0.6
    chosen = sweep.action_map(subject, report.results, "exact", ["one", "two"])
    chosen.save(tmp_path / "map.yaml")
    written = yaml.safe_load((tmp_path / "map.yaml").read_text())
    assert written["objective"] == best[0]
    assert written["unseen"]["r2"] == rows["exact"]["r2"]
    assert written["person"]["seed"] == 2


def test_train_learns_the_dofs_of_a_map(tmp_path, capsys, monkeypatch):
    recording = record(screening_set(SMALL, hold=0.5))
    (tmp_path / "r.npz").touch()
    monkeypatch.setattr("emghand.storage.datasets.read_any", lambda path: recording)
    chosen = ActionMap((Drive(SMALL[1], "index_flex"), Drive(SMALL[3], "wrist_flex")))
    chosen.save(tmp_path / "map.yaml")
    words = ["train", str(tmp_path / "r.npz"), "--output", str(tmp_path / "m.emgmodel"), "--json"]
    assert main([*words, "--actions", str(tmp_path / "map.yaml")]) == 0
    trained = json.loads(capsys.readouterr().out)
    model = load_model(tmp_path / "m.emgmodel")
    assert [d.name for d in model.dofs] == ["index_flex", "wrist_flex"]
    assert trained["actions"]["drives"][SMALL[1]]["dof"] == "index_flex"
    unseen = dataset_from_recording(record(unseen_set(SMALL, hold=0.5), 1), FeatureSettings())
    screening = dataset_from_recording(recording, FeatureSettings())
    assert unseen_scores(screening, unseen, SMALL[:2], RIDGE)["r2"] > 0.6
