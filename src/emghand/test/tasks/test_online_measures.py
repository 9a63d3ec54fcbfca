import json
import math
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.evaluate.online import Measures, measures, summary
from emghand.evaluate.online_bag import read_trials
from emghand.storage.bags import Topic
from emghand.storage.bags.definitions import Types, find_definition
from emghand.storage.bags.writer import BagWriter
from emghand.tasks.losses import LossWeights, loss
from emghand.tasks.spec import TrialSpec, with_id

HZ = 10.0
DIFFICULTY = math.log2(1.0 / 0.25 + 1.0)


def spec(kind="fitts", **changes):
    fields = {
        "task": "t",
        "kind": kind,
        "trial": 0,
        "seed": 1,
        "dofs": ("a", "b", "c"),
        "start": (0.0, 0.0, 0.0),
        "goal": (0.6, 0.8, 0.0),
        "active": (True, True, False),
        "radius": 0.125,
        "dwell": 0.3,
        "epochs": ("movement",),
        "bounds": (5.0,),
    }
    return with_id(TrialSpec(**(fields | changes)))


def path(*points):
    """Positions of the two active DOFs, the third one drifts."""
    return np.array([[a, b, 0.02 * i] for i, (a, b) in enumerate(points)])


AROUND = [(0, 0), (0.3, 0), (0.6, 0), (0.6, 0.4), (0.6, 0.8)]


def test_measures_of_a_path_around_the_corner_equal_those_by_hand():
    m = measures(spec(), path(*AROUND, (0.6, 0.85), (0.6, 0.8), (0.6, 0.8)), tick_rate=HZ)
    assert m.outcome == "completed"
    assert m.index_of_difficulty == pytest.approx(2.321928, abs=1e-6)
    assert m.completion_time == pytest.approx(0.4)  # entered at tick 4; the dwell is left out
    assert m.throughput == pytest.approx(5.804820, abs=1e-6)
    assert m.path_efficiency == pytest.approx(1.0 / 1.4)
    assert m.reaction_time == pytest.approx(0.1)
    assert m.overshoots == 0
    assert m.stopping_distance == pytest.approx(0.1)
    assert m.longest_hold == pytest.approx(0.3)
    assert m.details["time_in_target"] == pytest.approx(4 / 8)


def test_an_overshoot_counts_and_costs_time_and_path():
    m = measures(spec(), path(*AROUND, (0.6, 1.0), *[(0.6, 0.8)] * 4), tick_rate=HZ)
    assert (m.overshoots, m.completion_time) == (1, pytest.approx(0.6))
    assert m.throughput == pytest.approx(DIFFICULTY / 0.6)
    assert m.path_efficiency == pytest.approx(1.0 / 1.8)


def test_a_straight_path_has_efficiency_one_and_the_dwell_does_not_change_the_throughput():
    straight = [(0.6 * s, 0.8 * s) for s in np.linspace(0, 1, 6)]
    found = [
        measures(spec(dwell=dwell), path(*straight, *[(0.6, 0.8)] * 30), tick_rate=HZ)
        for dwell in (0.0, 0.5, 2.0)
    ]
    assert [m.path_efficiency for m in found] == pytest.approx([1.0] * 3)
    # Inside from distance 0: 0.8 of the way leaves 0.2, the edge is at 0.125.
    assert [m.throughput for m in found] == pytest.approx([DIFFICULTY / 0.5] * 3)


def test_a_time_out_has_no_time_but_its_holds_and_overshoots():
    x = path((0, 0), (0.6, 0.8), (0.6, 0.8), *[(0, 0)] * 100)
    m = measures(spec(), x, tick_rate=HZ)
    assert m.outcome == "timeout" and math.isnan(m.completion_time) and math.isnan(m.throughput)
    assert (m.overshoots, m.longest_hold) == (1, pytest.approx(0.1))


def test_times_count_from_the_go_of_a_delayed_reach():
    epochs = ("fixation", "cue", "delay", "movement")
    late = spec("delayed_reach", epochs=epochs, bounds=(0.2, 0.5, 1.0, 5.0))
    m = measures(late, path(*[(0, 0)] * 10, *AROUND, *[(0.6, 0.8)] * 3), tick_rate=HZ)
    assert (m.outcome, m.hold_violations) == ("completed", 0)
    assert (m.completion_time, m.reaction_time) == pytest.approx((0.4, 0.1))
    early = measures(late, path(*[(0, 0)] * 8, *AROUND, *[(0.6, 0.8)] * 9), tick_rate=HZ)
    assert (early.outcome, early.hold_violations) == ("violation", 1)
    # At the go it was under way: from (0.6, 0) straight up.
    assert (early.completion_time, early.path_efficiency) == pytest.approx((0.2, 1.0))


def test_a_hold_is_measured_by_its_longest_stay_and_its_sway():
    keep = spec("hold", goal=(0.0,) * 3, dwell=0.0, epochs=("hold",), bounds=(1.0,))
    m = measures(keep, path(*[(0, 0)] * 4, (0.2, 0), *[(0, 0)] * 6), tick_rate=HZ)
    assert (m.outcome, m.hold_violations) == ("violation", 1)
    assert (m.longest_hold, m.stopping_distance) == pytest.approx((0.5, 0.4))
    assert math.isnan(m.throughput)


def test_a_motion_is_selected_when_it_is_the_largest_movement():
    motion = spec("motion", goal=(0.8, 0, 0), active=(True, False, False), dwell=0.0)
    x = path((0, 0), (0.02, 0.3), (0.2, 0.3), (0.4, 0.1), (0.9, 0.1))
    m = measures(motion, x, tick_rate=HZ)
    assert (m.outcome, m.completion_time) == ("completed", pytest.approx(0.4))
    assert m.details["selection_time"] == pytest.approx(0.3)


def test_measures_while_the_trial_runs_are_those_afterwards():
    from emghand.evaluate.online import measures_of
    from emghand.tasks.trial import TrialRun

    x = path(*AROUND, (0.6, 1.0), *[(0.6, 0.8)] * 4)
    run = TrialRun(spec(), HZ)
    overshoots = []
    for position in x:
        run.step(position)
        overshoots.append(measures_of(run).overshoots)
    assert overshoots == [0] * 5 + [1] * 5
    assert repr(measures_of(run)) == repr(measures(spec(), x, tick_rate=HZ))


@given(st.lists(st.tuples(*[st.floats(-1, 1)] * 2), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_measures_stay_within_their_bounds_whatever_the_hand_does(points):
    m = measures(spec(dwell=0.1), path(*points), tick_rate=HZ)
    assert math.isnan(m.path_efficiency) or 0 <= m.path_efficiency <= 1 + 1e-9
    assert 0 <= m.longest_hold <= len(points) / HZ and 0 <= m.overshoots <= len(points) / 2
    assert (m.outcome == "completed") == math.isfinite(m.completion_time)
    assert m.outcome in ("completed", "timeout", "cancelled")
    assert json.dumps(m.details, allow_nan=False)


def test_a_summary_leaves_cancelled_trials_out_and_averages_throughput_over_successes():
    found = [
        Measures("completed", completion_time=1.0, throughput=2.0),
        Measures("completed", completion_time=3.0, throughput=1.0, hold_violations=0),
        Measures("timeout"),
        Measures("violation", completion_time=1.0, throughput=9.0, hold_violations=2),
        Measures("cancelled"),
    ]
    s = summary(found)
    assert (s.trials, s.cancelled, s.completion_rate, s.throughput) == (4, 1, 0.5, 1.5)
    assert s.medians["completion_time"] == 2.0 and s.hold_violations == 2
    assert summary([]).to_plain()["completion_rate"] is None


def test_losses_are_those_by_hand_and_add_up():
    x = np.array([[0, 0, 0], [0.6, 0, 0.1], [0.6, 0.8, 0.1]], np.float64)
    times = np.array([0.0, 0.5, 1.0])
    found = loss(spec(), times, x, LossWeights(effort=1.0))
    # |e|² = 1, 0.64, 0 with (t/T)^6 = 0, 1/64, 1; line along (0.6, 0.8): (0.6, 0) is 0.48 off it.
    assert found.terms == pytest.approx(
        {
            "position": 0.64 / 64 / 3,
            "fixation": 0.0,
            "final_velocity": 1.6**2,
            "straightness": 0.48**2 / 3,
            "effort": (0.37 + 1.01) / 3,
            "unintended": 0.02 / 3,
        }
    )
    weights = {"position": 1, "final_velocity": 0.05, "straightness": 0.5, "unintended": 0.5}
    expected = sum(w * found.terms[n] for n, w in weights.items()) + found.terms["effort"]
    assert found.total == pytest.approx(expected)
    assert "position" not in loss(spec(), times, x, LossWeights(position=0.0)).terms


def test_moving_early_costs_fixation():
    epochs = ("fixation", "cue", "delay", "movement")
    late = spec("delayed_reach", epochs=epochs, bounds=(0.1, 0.2, 0.3, 1.0))
    x = path((0, 0), (0.3, 0), (0, 0), (0, 0))
    found = loss(late, np.arange(4) / 10, x)
    assert found.terms["fixation"] == pytest.approx(0.09 / 3)


def as_message(trial, start_ns):
    return types.SimpleNamespace(
        header=header(start_ns),
        session="s",
        task=trial.task,
        kind=trial.kind,
        trial=trial.trial,
        id=trial.id,
        seed=trial.seed,
        dofs=list(trial.dofs),
        start=np.array(trial.start),
        goal=np.array(trial.goal),
        active=np.array(trial.active),
        radius=trial.radius,
        dwell=trial.dwell,
        time_limit=trial.time_limit,
        epochs=list(trial.epochs),
        bounds=np.array(trial.bounds),
        perturbations=list(trial.perturbations),
        validation=trial.validation,
    )


def header(ns):
    sec, nanosec = divmod(ns, 10**9)
    stamp = types.SimpleNamespace(sec=sec, nanosec=nanosec)
    return types.SimpleNamespace(stamp=stamp, frame_id="")


@pytest.fixture
def bag(tmp_path):
    """Two trials, one of them without a result: the recording ended before."""
    kinds = {
        "/session/spec": "emghand_interfaces/msg/TrialSpec",
        "/hand/state": "sensor_msgs/msg/JointState",
    }
    store = Types()
    now = 1_700_000_000 * 10**9
    second = spec(trial=1, perturbations=("dead",))
    with BagWriter(tmp_path / "task") as writer:
        topics = {n: Topic(n, t, definition=find_definition(t)) for n, t in kinds.items()}
        for topic in topics.values():
            writer.add_topic(topic)

        def put(name, message, ns):
            data = store.encode(topics[name], message)
            assert writer.write(name, data, ns, ns, 0, wait=True)

        done = path(*AROUND, *[(0.6, 0.8)] * 4)
        for trial, course in ((spec(), done), (second, done[:3])):
            put("/session/spec", as_message(trial, now), now)
            for row in course:
                state = types.SimpleNamespace(
                    header=header(now),
                    name=["c", "extra", "a", "b"],
                    position=np.array([row[2], 9.0, row[0], row[1]]),
                    velocity=np.zeros(0),
                    effort=np.zeros(0),
                )
                put("/hand/state", state, now)
                now += 10**8
            now += 10**9
    return tmp_path / "task"


def test_measures_come_from_a_bag_alone(bag, capsys):
    first, second = read_trials(bag)
    assert first.spec == spec() and first.measures.completion_time == pytest.approx(0.4)
    assert first.measures.throughput == pytest.approx(DIFFICULTY / 0.4)
    assert second.measures.outcome == "cancelled" and second.spec.perturbations == ("dead",)
    assert main(["tasks", "measures", str(bag), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["summary"]["completion_rate"] == 1.0
    assert document["trials"][0]["overshoots"] == 0
    assert document["trials"][1]["throughput"] is None


def test_measures_are_printed_and_drawn(bag, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "measures.png"
    assert main(["tasks", "measures", str(bag), "--figure", str(figure)]) == 0
    out = capsys.readouterr().out
    assert "100% of 1 trials completed" in out and "perturbed by dead: no trial" in out
    assert "5.80" in out and "cancelled" in out and "[bit/s]" in out
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert main(["tasks", "measures", str(bag), "--figure", str(figure)]) == 1


def test_a_bag_without_trials_of_a_task_is_refused(bag):
    with pytest.raises(UserError, match="no positions of the hand on /elsewhere"):
        read_trials(bag, "/elsewhere")
