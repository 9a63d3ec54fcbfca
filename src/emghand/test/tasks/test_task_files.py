import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.tasks.loader import TASKS, load_task, task_from_mapping
from emghand.tasks.reach import directions, grid_points
from emghand.tasks.spec import set_digest

SHIPPED = sorted((Path(__file__).resolve().parents[4] / "config/tasks").glob("*.yaml"))

# Frozen: a change of one of these makes earlier results incomparable.
DIGESTS = {
    "delayed_reach": (8, "33b496288101869fae26e741698fe83565d7306c148f7af82ea73929bd83431f"),
    "fitts": (32, "cacaf75b272b8029351d38a8b1733a90e8d980f1a8f48d15ba3444162cea45a8"),
    "hold": (4, "f86aa7a6b211d8589395686ac3cadb1171f24c6fe3bcea6348b8b9613ed25d71"),
    "motion": (12, "7437368eecb22ce4e0a56ee399dd0211aa9d0ec8c1f8032108b51c2e4acba8d4"),
    "perturbed_reach": (8, "378d6cc1a634f3e739d9714f05f40da82791f515196ce83813d07129658da4c6"),
    "simple_reach": (8, "378d6cc1a634f3e739d9714f05f40da82791f515196ce83813d07129658da4c6"),
    "tac": (18, "8f381e5847201fe271b72535dbdc3fe0100a456e6fc702a9cb3baa7dbdf78bdb"),
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_the_validation_set_of_a_shipped_task_is_frozen(path):
    task = load_task(path)
    specs = task.validation()
    assert (len(specs), task.validation_digest()) == DIGESTS[path.stem]
    assert task.n_validation == len(specs)
    assert [s.trial for s in specs] == list(range(len(specs)))
    assert all(s.validation and s.kind == task.kind for s in specs)


def test_every_kind_of_task_is_shipped():
    assert {load_task(p).kind for p in SHIPPED} == set(TASKS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_random_trials_follow_from_the_seed_alone(path):
    task, again = load_task(path), load_task(path)
    first = [task.trial(i, 7) for i in range(30)]
    assert first == [again.trial(i, 7) for i in reversed(range(30))][::-1]
    assert len({s.id for s in first}) > 1
    assert [s.id for s in first] != [task.trial(i, 8).id for i in range(30)]
    for spec in first:
        assert np.abs([*spec.start, *spec.goal]).max() <= 1.0
        if task.kind not in ("hold",):
            assert not spec.inside(np.array(spec.start))
        assert spec.inside(np.array(spec.goal))


def test_equal_trials_have_equal_ids_whatever_their_number():
    task = task_from_mapping({"kind": "fitts"})
    spec = task.validation()[3]
    renamed = dataclasses.replace(task, name="other").validation()[3]
    assert renamed.id == spec.id
    assert set_digest([spec]) != set_digest([spec, spec])


def test_a_stronger_perturbation_of_the_same_label_is_another_trial():
    def ids(strength):
        item = {"label": "pull", "kind": "bias", "strength": strength}
        task = task_from_mapping({"kind": "simple_reach", "perturbations": [item]})
        return task.validation_digest(), task.activate(["*"]).validation_digest()

    plain, pulled = ids(0.1)
    assert plain == DIGESTS["simple_reach"][1] != pulled
    assert ids(0.2)[0] == plain and ids(0.2)[1] != pulled


@given(n=st.integers(1, 4), grid=st.integers(1, 3), take=st.integers(0, 8))
@settings(max_examples=25, deadline=None)
def test_centre_out_has_directions_times_grid_points_to_the_power_of_dofs(n, grid, take):
    take = min(take, 2 * n * n)
    task = task_from_mapping(
        {
            "kind": "simple_reach",
            "dofs": [f"d{i}" for i in range(n)],
            "eval_directions": take,
            "eval_grid": grid,
            "eval_length": 0.25,
        }
    )
    specs = task.validation()
    assert len(specs) == task.n_validation == (take or 2 * n * n) * grid**n
    lengths = [np.linalg.norm(np.subtract(s.goal, s.start)) for s in specs]
    assert np.allclose(lengths, 0.25, atol=2e-6)
    inner = np.linspace(-1, 1, grid + 2)[1:-1]
    starts = sorted({s.start for s in specs})
    assert np.allclose(starts, sorted(itertools.product(inner, repeat=n)), atol=1e-6)


def test_directions_are_the_signed_axes_and_then_the_signed_pairs():
    half = 0.5**0.5
    assert np.allclose(
        directions(2),
        [(1, 0), (-1, 0), (0, 1), (0, -1), *itertools.product((half, -half), repeat=2)],
    )
    assert directions(2, 4) == [(1, 0), (-1, 0), (0, 1), (0, -1)]
    assert grid_points(0, 9, 2) == [3, 6]


def test_a_one_sided_dof_has_no_target_below_rest():
    task = task_from_mapping({"kind": "tac", "dofs": ["grip:0:1", "wrist_flex"]})
    goals = {s.goal for s in task.validation()}
    assert len(goals) == 3 + 2 and min(g[0] for g in goals) == 0.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "reach"}, "kind: 'reach' is unknown"),
        ({"distance": 3}, "distance: unknown setting, choose from: name, dofs"),
        ({"radius": -1}, "radius: -1.0 is below"),
        ({"active": ["thumb"]}, "thumb is none of the DOFs"),
        ({"dwell": 9.0}, "does not fit"),
        ({"eval_length": 1.5}, "use shorter reaches"),
        ({"eval_directions": 9}, "have 8, not 9"),
        ({"min_distance": 0.9}, "use at most 0.4"),
        ({"losses": {"speed": 1}}, "speed: unknown setting"),
        ({"schedule": {"pull": {}}}, "unknown label 'pull'"),
        ({"activated": ["pull"]}, "until a run activates it"),
        ({"perturbations": [{"label": "a", "kind": "bias"}] * 2}, "used twice"),
        ({"perturbations": [{"label": "a", "kind": "curl", "dofs": ["x", "y"]}]}, "x is none"),
        ({"perturbations": [{"label": "a", "kind": "swap", "channels": [1]}]}, "two channels"),
        ({"eval_grid": 100}, "has 80000 trials"),
        ({"kind": "fitts", "radius": 0.2}, "means nothing in a task of kind fitts, set radii"),
        ({"kind": "hold", "dwell": 0.0}, "set time_limit"),
        ({"kind": "tac", "complexity": [3]}, "only 2 DOFs are active"),
        ({"kind": "tac", "complexity": []}, "each needs a number"),
        ({"kind": "tac", "dofs": ["grip:0:0.5"], "complexity": [1]}, "no posture lies within"),
        ({"kind": "motion", "dofs": ["grip:0:0.5"]}, "no movement lies within"),
        ({"kind": "fitts", "radii": []}, "each needs a number"),
        ({"kind": "fitts", "distances": [10**400]}, "too large a number"),
        ({"perturbations": [{"label": "a", "kind": "dead", "channels": ["x"]}]}, "is not a number"),
        ({"kind": "delayed_reach", "time_limit": 3.0}, "leave no time to move"),
        ({"kind": "delayed_reach", "epoch_ranges": [1, 2]}, "expected 6 numbers"),
        ({"kind": "delayed_reach", "step_rate": 60.0}, "whole steps"),
    ],
)
def test_a_mistake_in_a_task_is_named(change, reason):
    with pytest.raises(UserError, match=reason.replace("[", r"\[")):
        task_from_mapping({"kind": "simple_reach"} | change).validation()


def test_a_file_that_is_no_task_is_refused_in_one_sentence(tmp_path):
    for text in ("", "kind: [", "- 1", "5: 1\nkind: hold", "\xff"):
        path = tmp_path / "task.yaml"
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(UserError, match=r"task\.yaml"):
            load_task(path)
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read: No such file[^:]*$"):
        load_task(tmp_path / "nowhere.yaml")


def test_show_says_how_many_trials_there_are_before_anything_starts(capsys):
    path = str(next(p for p in SHIPPED if p.stem == "tac"))
    assert main(["tasks", "show", path]) == 0
    out = capsys.readouterr().out
    assert "18 trials in the validation set" in out and DIGESTS["tac"][1] in out
    assert main(["tasks", "show", path, "--trials", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["validation_trials"] == len(document["validation"]) == 18


def test_a_session_where_the_task_belongs_is_recognised(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["task", str(tmp_path), str(SHIPPED[0])])
    assert "the task file comes first, then the session" in capsys.readouterr().err
