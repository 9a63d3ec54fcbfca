import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.errors import UserError
from emghand.tasks.loader import task_from_mapping
from emghand.tasks.perturbation import (
    EmgPerturber,
    EstimatePerturber,
    Perturbation,
    PerturbationSchedule,
    select,
)

RATE = 1000.0
RNG = np.random.default_rng(5)
EMG = RNG.standard_normal((400, 4))


def emg(*perturbations):
    return EmgPerturber([Perturbation(**p) for p in perturbations], 4, RATE)


def perturbed(perturber, samples=EMG, labels=("p",), seed=1):
    perturber.activate(labels, seed)
    return perturber.push(samples)


def test_nothing_active_leaves_the_signal_as_it_is_to_the_bit():
    perturber = emg({"label": "p", "kind": "dead", "channels": (1,)})
    assert perturber.push(EMG) is EMG
    assert not np.array_equal(perturbed(perturber), EMG)
    perturber.activate((), 1)
    assert perturber.push(EMG) is EMG


def test_a_dead_electrode_is_silent_and_the_others_are_untouched():
    before = EMG.copy()
    out = perturbed(emg({"label": "p", "kind": "dead", "channels": (1,)}))
    assert (out[:, 1] == 0).all() and np.array_equal(out[:, [0, 2, 3]], EMG[:, [0, 2, 3]])
    assert np.array_equal(before, EMG)


def test_swapped_electrodes_carry_each_others_signal():
    out = perturbed(emg({"label": "p", "kind": "swap", "channels": (0, 3)}))
    assert np.array_equal(out, EMG[:, [3, 1, 2, 0]])


def test_a_gain_drifts_from_nothing_to_its_whole_strength():
    p = {"label": "p", "kind": "gain", "strength": 0.5, "ramp": 0.2, "channels": (2,)}
    gain = perturbed(emg(p), np.ones((400, 4)))[:, 2]
    assert gain[0] == 1.0 and gain[100] == pytest.approx(1.25)
    assert gain[200:] == pytest.approx(1.5)


def test_a_shift_by_one_electrode_turns_the_ring_and_half_a_one_averages():
    one = perturbed(emg({"label": "p", "kind": "shift", "strength": 1.0}))
    assert np.allclose(one, np.roll(EMG, -1, axis=1))
    half = perturbed(emg({"label": "p", "kind": "shift", "strength": -0.5}))
    assert np.allclose(half, (EMG + np.roll(EMG, 1, axis=1)) / 2)


def test_noise_has_its_standard_deviation_and_follows_from_the_seed():
    p = {"label": "p", "kind": "noise", "strength": 0.1, "channels": (0, 1)}
    quiet = np.zeros((20000, 4))
    out = perturbed(emg(p), quiet, seed=3)
    assert out[:, :2].std() == pytest.approx(0.1, rel=0.02) and (out[:, 2:] == 0).all()
    assert np.array_equal(out, perturbed(emg(p), quiet, seed=3))
    assert not np.array_equal(out, perturbed(emg(p), quiet, seed=4))


ALL_OF_EMG = (
    {"label": "g", "kind": "gain", "strength": 0.5, "ramp": 0.3},
    {"label": "n", "kind": "noise", "strength": 0.1},
    {"label": "s", "kind": "shift", "strength": 0.7, "ramp": 0.1},
    {"label": "d", "kind": "dead", "channels": (1,)},
    {"label": "w", "kind": "swap", "channels": (0, 2)},
)


@given(st.lists(st.integers(0, 400), max_size=12))
@settings(max_examples=40, deadline=None)
def test_the_result_does_not_depend_on_how_the_signal_is_cut(cuts):
    labels = [p["label"] for p in ALL_OF_EMG]
    whole = perturbed(emg(*ALL_OF_EMG), labels=labels)
    perturber = emg(*ALL_OF_EMG)
    perturber.activate(labels, 1)
    edges = [0, *sorted(cuts), len(EMG)]
    parts = [perturber.push(EMG[a:b]) for a, b in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), whole)


def estimate(*perturbations, dofs=("a", "b")):
    return EstimatePerturber([Perturbation(**p) for p in perturbations], dofs, 50.0)


def test_a_bias_is_added_and_the_result_stays_in_range():
    p = estimate({"label": "p", "kind": "bias", "dofs": ("b",), "strength": 0.3})
    p.activate(["p"])
    assert p.step(np.array([0.5, 0.1])) == pytest.approx([0.5, 0.4])
    assert p.step(np.array([0.5, 0.9])) == pytest.approx([0.5, 1.0])


def test_a_curl_couples_two_dofs_in_opposite_senses():
    p = estimate({"label": "p", "kind": "curl", "dofs": ("a", "b"), "strength": 0.5})
    p.activate(["p"])
    assert p.step(np.array([0.4, 0.2])) == pytest.approx([0.5, 0.0])


def test_added_latency_delays_by_whole_ticks_and_begins_without_a_jump():
    p = estimate({"label": "p", "kind": "latency", "delay": 0.1})
    course = [np.array([0.01 * i, 0.0]) for i in range(30)]
    assert [p.step(x)[0] for x in course[:10]] == [x[0] for x in course[:10]]
    p.activate(["p"])
    assert [p.step(x)[0] for x in course[10:20]] == [x[0] for x in course[5:15]]
    p.activate([])
    assert p.step(course[20]) is course[20]
    p.reset()
    p.activate(["p"])
    assert p.step(course[25])[0] == course[25][0]


def test_added_latencies_add_up():
    p = estimate(*({"label": name, "kind": "latency", "delay": 0.06} for name in "ab"))
    p.activate(["a", "b"])
    course = [np.array([0.01 * i, 0.0]) for i in range(10)]
    assert [p.step(x)[0] for x in course][6:] == [x[0] for x in course[:4]]


def test_what_names_a_channel_or_dof_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="4 channels"):
        emg({"label": "p", "kind": "dead", "channels": (4,)})
    with pytest.raises(UserError, match="c is not decoded"):
        estimate({"label": "p", "kind": "bias", "dofs": ("c",)})


def test_perturbations_are_chosen_by_label_all_or_none():
    known = [Perturbation(label=n, kind="bias") for n in ("x", "y", "z")]
    assert select(known, ["*"]) == ("x", "y", "z")
    assert select(known, []) == ()
    assert select(known, ["z", "x"]) == ("x", "z")
    with pytest.raises(UserError, match="choose from: x, y, z"):
        select(known, ["q"])


def test_a_schedule_says_in_which_trials_one_is_in_force():
    schedule = PerturbationSchedule.parse(
        {"x": {"first": 4, "every": 2, "last": 8}, "y": {"probability": 0.3}}, ["x", "y", "z"]
    )
    labels = [schedule.labels(("x", "y", "z"), i, 1000 + i) for i in range(400)]
    assert [i for i, found in enumerate(labels) if "x" in found] == [4, 6, 8]
    assert 0.22 < np.mean(["y" in found for found in labels]) < 0.38
    assert all("z" in found for found in labels)
    assert schedule.labels((), 4, 1004) == ()


def test_training_and_validation_have_schedules_of_their_own():
    task = task_from_mapping(
        {
            "kind": "simple_reach",
            "perturbations": [{"label": "x", "kind": "bias"}, {"label": "y", "kind": "bias"}],
            "schedule": {"x": {"first": 5}},
            "schedule_validation": {"x": {"every": 2}},
        }
    )
    assert all(s.perturbations == () for s in task.validation())
    x = task.activate(["x"])
    assert [bool(x.trial(i, 1).perturbations) for i in range(10)] == [False] * 5 + [True] * 5
    assert [bool(s.perturbations) for s in x.validation()] == [True, False] * 4
    other = task.activate(["x"], ["y"])
    assert {s.perturbations for s in other.validation()} == {("y",)}
    assert other.trial(7, 1).perturbations == ("x",)
    assert task.activate(["*"]).trial(7, 1).perturbations == ("x", "y")
