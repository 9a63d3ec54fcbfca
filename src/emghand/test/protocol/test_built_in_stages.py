import math
import statistics

import pytest

from emghand.errors import UserError
from emghand.protocol import (
    AnalogGate,
    CallService,
    Delay,
    DigitalGate,
    Function,
    GateStage,
    GaussianRandomDelay,
    Publish,
    Pulse,
    RealLoop,
    Run,
    RunAction,
    Stage,
    UniformRandomDelay,
    VirtualAnswer,
    VirtualTopic,
    VirtualWorld,
)
from emghand.protocol.coroutines import Cancelled
from emghand.protocol.fields import Field

FIRST_DRAWS = [22.78331495329857, 30.488436773237275]


def run(root, topics=None, answers=None, cancel_at=None, **options):
    world = VirtualWorld(topics, answers)
    events = []
    made = Run(root, world, on_event=events.append, **options)
    if cancel_at is not None:
        world.schedule(cancel_at, made.cancel)
    world.run(lambda: made.task.ended.done)
    return events, made, world


def end(events):
    return round(events[-1].time, 9)


def draws(events):
    return [float(e.value) for e in events if e.trigger == "draw"]


def gate(**settings):
    values = {"topic": "/hand", "type": "std_msgs/msg/Float64", "value": 0.5}
    return GateStage("g", **(values | settings))


def steps(*pairs):
    return {"/hand": VirtualTopic(steps=pairs)}


# Delays


def test_uniform_delays_are_within_their_bounds_recorded_and_waited_for():
    events, _, _ = run(UniformRandomDelay("d", 20.0, 40.0, repeat=200), seed=4)
    values = draws(events)
    assert len(set(values)) == 200 and min(values) >= 20.0 and max(values) <= 40.0
    assert statistics.mean(values) == pytest.approx(30.0, abs=1.5)
    assert end(events) == pytest.approx(sum(values))


def test_gaussian_delays_have_their_mean_and_deviation_and_stay_within_bounds():
    events, _, _ = run(GaussianRandomDelay("d", 5.0, 1.0, repeat=400), seed=4)
    values = draws(events)
    assert statistics.mean(values) == pytest.approx(5.0, abs=0.2)
    assert statistics.stdev(values) == pytest.approx(1.0, abs=0.15)
    events, _, _ = run(GaussianRandomDelay("d", 5.0, 10.0, 4.0, 6.0, repeat=50))
    assert set(draws(events)) >= {4.0, 6.0} and all(4.0 <= v <= 6.0 for v in draws(events))


def test_the_first_draws_of_a_seed_never_change():
    events, _, _ = run(UniformRandomDelay("ITI", 20.0, 40.0, repeat=2), seed=1)
    assert draws(events) == FIRST_DRAWS


def test_draws_depend_on_seed_path_and_trial_but_not_on_what_runs_beside():
    delay = UniformRandomDelay("d", repeat=3)
    alone, _, _ = run(Stage("r", stages=(delay,)), seed=1)
    other, _, _ = run(Stage("r", stages=(delay,)), seed=2)
    beside, _, _ = run(
        Stage("r", order="parallel", stages=(UniformRandomDelay("c", repeat=9), delay)), seed=1
    )
    assert draws(alone) != draws(other) and len(set(draws(alone))) == 3
    assert draws([e for e in beside if e.stage == "r/d"]) == draws(alone)


def test_draws_differ_between_trials_of_the_parent():
    events, _, _ = run(Stage("r", repeat=3, stages=(UniformRandomDelay("d"),)))
    assert len(set(draws(events))) == 3


# Gates


@pytest.mark.parametrize(
    ("compare", "value", "opens"),
    [("<", 0.5, 0.0), ("<=", 0.0, 0.0), ("==", 0.7, 3.0), ("!=", 0.0, 1.0), (">=", 0.5, 2.0)],
)
def test_a_gate_compares_a_field_with_a_value(compare, value, opens):
    topics = steps((0, 0.0), (1, 0.3), (2, 0.5), (3, 0.7))
    assert end(run(gate(compare=compare, value=value), topics)[0]) == opens


def test_a_condition_has_to_hold_for_its_time_without_a_break():
    topics = steps((0, 0.0), (1, 1.0), (1.5, 0.0), (2, 1.0), (2.8, 0.9), (9, 0.0))
    assert end(run(gate(hold_time=1.0), topics)[0]) == 3.0


def test_a_gate_may_use_the_initial_state():
    assert end(run(gate(), steps((0, 1.0)))[0]) == 0.0
    first_value_later = steps((2, 1.0))
    assert end(run(gate(), first_value_later)[0]) == 2.0


def test_without_the_initial_state_a_fresh_transition_is_needed():
    topics = steps((0, 1.0), (1, 1.0), (2, 0.0), (3, 1.0))
    late = Stage("r", stages=(Delay("wait", 0.5), gate(use_initial=False)))
    assert end(run(late, topics)[0]) == 3.0
    assert end(run(gate(use_initial=False), steps((1, 1.0), (2, 0.0), (3, 1.0)))[0]) == 3.0
    assert end(run(gate(use_initial=False), steps((1, 0.0), (2, 1.0)))[0]) == 2.0


def test_the_last_value_from_before_is_the_initial_state():
    root = Stage("r", stages=(Delay("wait", 5.0), gate()))
    events, _, _ = run(root, steps((1, 1.0)))
    assert end(events) == 5.0


def test_a_gate_logs_its_state_when_it_changes_and_only_then():
    topics = steps((0, 0.0), (1, 0.1), (2, 0.2), (3, 0.9))
    events, _, _ = run(gate(), topics)
    assert [(e.time, e.value) for e in events if e.trigger == "gate"] == [(0, "0"), (3, "0.9")]


def test_nan_opens_no_gate():
    for compare in ("!=", ">="):
        topics = steps((0, math.nan), (4, 1.0))
        assert end(run(gate(compare=compare), topics)[0]) == 4.0


def test_a_gate_that_times_out_or_is_cancelled_stops_watching():
    events, _, world = run(gate(max_duration=2.0))
    assert end(events) == 2.0 and world._watches == []
    _, made, world = run(gate(hold_time=9.0), steps((0, 1.0)), cancel_at=1.0)
    assert isinstance(made.error, Cancelled) and world._watches == []


def test_two_gates_on_one_topic_open_with_the_same_message():
    gates = tuple(GateStage(n, topic="/hand", type="std_msgs/msg/Float64", value=0.5) for n in "ab")
    events, made, _ = run(Stage("r", order="parallel", stages=gates), steps((1, 1.0)))
    assert made.error is None and end(events) == 1.0


def test_a_field_that_the_message_lacks_ends_the_gate_with_a_sentence():
    _, made, _ = run(gate(field="position[wrist]"), steps((1, 1.0)))
    assert "position[wrist]" in str(made.error)


def test_digital_gates_wait_for_a_channel_by_name():
    topic = {"/port": VirtualTopic("values[beam]", steps=((0, 1), (3, 0), (5, 1)))}
    high = DigitalGate("g", topic="/port", channel="beam", use_initial=False)
    assert end(run(high, topic)[0]) == 5.0
    low = DigitalGate("g", topic="/port", channel="beam", exit_state=False)
    assert end(run(low, topic)[0]) == 3.0
    by_field = DigitalGate("g", topic="/hand", type="std_msgs/msg/Bool", field="data")
    assert end(run(by_field, steps((0, 0), (2, 1)))[0]) == 2.0


def test_analogue_gates_wait_for_an_interval():
    topic = {"/port": VirtualTopic("values[grip]", steps=((0, 0.0), (1, 3.0), (2, 1.5)))}
    assert (
        end(run(AnalogGate("g", topic="/port", channel="grip", low=1.0, high=2.0), topic)[0]) == 2
    )
    assert end(run(AnalogGate("g", topic="/port", channel="grip", low=1.0), topic)[0]) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: gate(topic=""),
        lambda: gate(field="position["),
        lambda: gate(compare="=>"),
        lambda: gate(hold_time=-1.0),
        lambda: DigitalGate("g", topic="/port"),
        lambda: DigitalGate("g", topic="/port", channel="a", field="b"),
        lambda: AnalogGate("g", topic="/port", channel="a"),
        lambda: AnalogGate("g", topic="/port", channel="a", low=2.0, high=1.0),
        lambda: UniformRandomDelay("d", 2.0, 1.0),
        lambda: Publish("p", topic="/x"),
        lambda: CallService("c", service="/x", type="a/srv/B", request=[1]),
        lambda: RunAction("c", action="/x", type="a/action/B", store=["x"]),
        lambda: Pulse("p", service="/x"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(UserError):
        make()


# Publish, call, act


def test_publishing_opens_a_gate_on_the_same_topic():
    send = Publish("p", topic="/hand", type="std_msgs/msg/Float64", message={"data": 1.0})
    root = Stage("r", order="parallel", stages=(gate(), Stage("s", stages=(Delay("d", 2.0), send))))
    events, _, world = run(root)
    assert end(events) == 2.0
    assert [(r.time, r.what, r.name) for r in world.requests] == [(2.0, "publish", "/hand")]


def service(**settings):
    return CallService("c", service="/s", type="std_srvs/srv/Trigger", **settings)


def test_a_service_is_called_with_variables_filled_in():
    root = service(request={"a": "${x}", "b": "<${x}>", "c": [1, "${x}"]})
    _, made, world = run(root, variables={"x": 3})
    assert made.error is None
    assert world.requests[0].content == {"a": 3, "b": "<3>", "c": [1, 3]}


def test_an_answer_without_success_is_an_error_unless_told_otherwise():
    answers = {"/s": VirtualAnswer(ok=False, message="the port is closed")}
    assert str(run(service(), None, answers)[1].error) == "c: /s: the port is closed"
    events, made, _ = run(service(on_failure="continue"), None, answers)
    assert made.error is None
    assert ("failure", "the port is closed") in [(e.item, e.value) for e in events]


def test_a_service_that_does_not_answer_in_time_is_an_error():
    events, made, _ = run(service(timeout=2.0), None, {"/s": VirtualAnswer(seconds=60.0)})
    assert "no answer within 2 s" in str(made.error) and end(events) == 2.0


def action(**settings):
    return RunAction("act", action="/a", type="emghand_interfaces/action/Job", **settings)


def test_an_action_is_waited_for_and_its_result_logged_and_stored():
    answers = {"/a": VirtualAnswer(40.0, values={"uri": "x.emgmodel", "report": "y" * 500})}
    use = Publish("p", topic="/t", type="std_msgs/msg/String", message={"data": "${model}"})
    root = Stage("r", stages=(action(store={"model": "uri"}), use))
    events, made, world = run(root, None, answers)
    assert made.error is None and end(events) == 40.0
    assert [(e.item, e.value) for e in events if e.trigger == "value"] == [("uri", "x.emgmodel")]
    assert world.requests[-1].content == {"data": "x.emgmodel"}


def test_a_variable_that_is_not_set_yet_is_named():
    use = Publish("p", topic="/t", type="std_msgs/msg/String", message={"data": "${model}"})
    assert "no variable model" in str(run(use)[1].error)


def test_a_field_to_store_that_the_answer_lacks_is_named():
    assert "no field uri" in str(run(action(store={"model": "uri"}))[1].error)


def test_a_cancelled_action_is_cancelled_and_waited_for():
    answers = {"/a": VirtualAnswer(40.0)}
    _, made, world = run(action(), None, answers, cancel_at=3.0)
    assert isinstance(made.error, Cancelled)
    assert [(r.time, r.what) for r in world.requests] == [(0.0, "act"), (3.0, "cancel")]


def test_an_action_that_times_out_is_cancelled_and_the_protocol_goes_on():
    root = Stage("r", stages=(action(max_duration=5.0), Delay("d", 1.0)))
    events, made, world = run(root, None, {"/a": VirtualAnswer(40.0)})
    assert made.error is None and end(events) == 6.0 and world.requests[-1].what == "cancel"


def test_an_action_that_ignores_its_cancellation_is_left_after_a_time():
    class Deaf(VirtualWorld):
        def act(self, action, type, goal, on_answer):
            return self.schedule(1e6, lambda: None).__class__(1e6, lambda: None)

    world, events = Deaf(), []
    made = Run(action(), world, on_event=events.append)
    world.schedule(1.0, made.cancel)
    world.run(lambda: made.task.ended.done)
    assert isinstance(made.error, Cancelled) and end(events) == 31.0
    assert [e.value for e in events if e.trigger == "error"] == ["/a did not end within 30 s"]


@pytest.mark.parametrize("cancel_at", [None, 0.1])
def test_a_pulse_is_low_again_however_it_ends(cancel_at):
    pulse = Pulse("p", service="/set", port="motor", channel="pellet", seconds=0.2)
    _, _, world = run(pulse, cancel_at=cancel_at)
    values = [(round(r.time, 3), r.content["values"]) for r in world.requests]
    assert values == [(0.0, [1.0]), (cancel_at or 0.2, [0.0])]


def test_a_pulse_is_low_again_after_an_error_beside_it():
    async def fail(context):
        await context.sleep(0.1)
        raise UserError("something else")

    pulse = Pulse("p", service="/set", port="motor", channel="pellet", seconds=5.0)
    root = Stage("r", order="parallel", stages=(pulse, Function("f", fail)))
    _, made, world = run(root)
    assert str(made.error) == "r/f: something else"
    assert world.requests[-1].content["values"] == [0.0]


def test_a_function_is_a_stage():
    seen = []

    async def work(context):
        await context.sleep(2.0)
        context.variables["n"] = len(seen)
        seen.append(context.world.now())

    _, made, _ = run(Function("f", work, repeat=2))
    assert seen == [2.0, 4.0] and made.variables == {"n": 1}


# The world and its clock


def test_a_protocol_that_can_never_end_says_so():
    with pytest.raises(UserError, match="nothing is left"):
        run(gate())


def test_virtual_time_has_a_limit():
    world = VirtualWorld({"/hand": VirtualTopic(random=(1.0, 11.0))}, limit=1000.0)
    made = Run(gate(value=2.0), world)
    with pytest.raises(UserError, match="not over after 1000 s"):
        world.run(lambda: made.task.ended.done)


def test_random_topics_are_the_same_for_the_same_seed():
    def values(seed):
        world = VirtualWorld({"/hand": VirtualTopic(random=(1.0, 11.0))}, seed=seed)
        seen = []
        world.watch("/hand", "", "data", lambda v: seen.append((world.now(), v)))
        world.schedule(100.0, lambda: seen.append(None))
        world.run(lambda: None in seen)
        return seen

    assert values(1) == values(1) != values(2) and len(values(1)) > 8


def test_the_real_loop_keeps_time_and_takes_callbacks_of_other_threads():
    import threading

    loop, seen = RealLoop(), []
    loop.schedule(0.05, lambda: seen.append("late"))
    loop.schedule(0.0, lambda: seen.append("first"))
    loop.schedule(0.0, lambda: seen.append("second"))
    loop.schedule(0.01, lambda: seen.append("never")).cancel()
    threading.Timer(0.02, lambda: loop.post(lambda: seen.append("posted"))).start()
    loop.run(lambda: "late" in seen)
    assert seen == ["first", "second", "posted", "late"] and 0.05 <= loop.now() < 5.0


def test_the_same_stages_run_in_real_time():
    class World(VirtualWorld):
        def __init__(self):
            super().__init__()
            self.loop = RealLoop()

    world, events = World(), []
    made = Run(
        Stage("r", stages=(Delay("a", 0.02), Delay("b", 0.03))), world, on_event=events.append
    )
    world.run(lambda: made.task.ended.done)
    virtual, _, _ = run(Stage("r", stages=(Delay("a", 0.02), Delay("b", 0.03))))
    assert [(e.stage, e.trigger) for e in events] == [(e.stage, e.trigger) for e in virtual]
    assert 0.05 <= events[-1].time < 5.0


class Message:
    name = ("thumb", "index")
    position = (0.25, 0.5)
    ok = True
    text = "a"

    class header:
        class stamp:
            sec = 7


def test_fields_are_found_by_path_number_and_name():
    expected = {"position[1]": 0.5, "position[thumb]": 0.25, "ok": 1.0, "header.stamp.sec": 7.0}
    assert {path: Field(path).value(Message()) for path in expected} == expected


@pytest.mark.parametrize("path", ["nothing", "position[5]", "position[wrist]", "text", "position"])
def test_fields_that_are_no_number_are_named(path):
    with pytest.raises(UserError, match=path.replace("[", r"\[")):
        Field(path).value(Message())
