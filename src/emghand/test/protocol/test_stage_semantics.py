"""One test per sentence of the semantics of stages, in virtual time."""

import dataclasses
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.errors import UserError
from emghand.protocol import SELF, Delay, Ending, Function, Run, Stage, StageError, VirtualWorld
from emghand.protocol.coroutines import Cancelled
from emghand.protocol.stage_run import END_LIMIT_S
from emghand.settings import setting

ORDER = [
    "active",
    "init_stage",
    "stage_start",
    "init_trial",
    "trial_start",
    "trial_done",
    "trial_end",
    "stage_done",
    "stage_end",
]
CALLS = []


@dataclass(frozen=True)
class Probe(Stage):
    """Takes some time, notes what is called, and fails where it is told to."""

    seconds: float = setting(0.0, "Duration of do_trial.")
    fails_in: str = setting("", "Method that fails.")
    slow_in: str = setting("", "Method that takes 1 s.")

    async def _note(self, context, method, ending=None):
        CALLS.append((self.name, method, ending.kind if ending else context.world.now()))
        if self.slow_in == method:
            await context.sleep(1.0)
        if self.fails_in == method:
            raise RuntimeError(f"broken {method}")

    async def init_stage(self, context):
        await self._note(context, "init_stage")

    async def init_trial(self, context):
        await self._note(context, "init_trial")

    async def do_trial(self, context):
        await self._note(context, "do_trial")
        await context.sleep(self.seconds)
        CALLS.append((self.name, "did_trial", context.world.now()))

    async def trial_done(self, context, ending: Ending):
        await self._note(context, "trial_done", ending)

    async def stage_done(self, context, ending: Ending):
        await self._note(context, "stage_done", ending)


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def start(root, **options):
    world = VirtualWorld()
    events = []
    run = Run(root, world, on_event=events.append, **options)
    return run, world, events


def finish(run, world):
    world.run(lambda: run.task.ended.done)
    return run.error


def run(root, cancel_at=None, **options):
    """Events, and how it ended."""
    made, world, events = start(root, **options)
    if cancel_at is not None:
        world.schedule(cancel_at, made.cancel)
    return events, finish(made, world)


def of(events, name):
    return [e for e in events if e.stage.rpartition("/")[2] == name]


def times(events, name, trigger):
    return [round(e.time, 9) for e in of(events, name) if e.trigger == trigger]


def endings(name):
    return [(m, e) for n, m, e in CALLS if n == name and m.endswith("_done")]


def names_started(events):
    return [e.stage.rpartition("/")[2] for e in events if e.trigger == "stage_start"]


# Order of one run.


def test_one_run_goes_through_every_step_in_order():
    events, error = run(Probe("a", seconds=2.0))
    assert error is None
    assert [e.trigger for e in events] == ORDER
    assert [m for _, m, _ in CALLS] == [
        "init_stage",
        "init_trial",
        "do_trial",
        "did_trial",
        "trial_done",
        "stage_done",
    ]
    assert [e.index for e in events] == list(range(9))


def test_each_trial_is_initialised_done_and_ended():
    events, _ = run(Probe("a", seconds=1.0, repeat=3))
    assert [e.trigger for e in events] == [*ORDER[:3], *(ORDER[3:7] * 3), *ORDER[7:]]
    ends = [(e.time, e.value) for e in events if e.trigger == "trial_end"]
    assert ends == [(1.0, "0"), (2.0, "1"), (3.0, "2")]


def test_events_come_after_the_method_of_their_name():
    events, _ = run(Probe("a", slow_in="init_stage"))
    assert [e.time for e in events][:3] == [0.0, 1.0, 1.0]
    events, _ = run(Probe("a", slow_in="trial_done"))
    assert [e.time for e in events][4:7] == [0.0, 1.0, 1.0]


def test_the_own_action_runs_together_with_the_children():
    events, _ = run(Probe("a", seconds=2.0, stages=(Delay("b", 3.0),)))
    assert times(events, "b", "stage_start") == [0.0]
    assert ("a", "did_trial", 2.0) in CALLS
    assert times(events, "a", "trial_end") == [3.0]


def test_the_action_waits_for_init_trial():
    run(Probe("a", slow_in="init_trial"))
    assert ("a", "do_trial", 1.0) in CALLS


def test_the_next_trial_begins_after_the_done_method_of_the_last():
    run(Probe("a", repeat=2, slow_in="trial_done"))
    assert [at for _, m, at in CALLS if m == "init_trial"] == [0.0, 1.0]


# repeat


def test_repeat_minus_one_goes_on_until_it_is_cancelled():
    events, error = run(Delay("a", 1.0, repeat=-1), cancel_at=10.5)
    assert isinstance(error, Cancelled)
    assert times(events, "a", "trial_end") == [*map(float, range(1, 11)), 10.5]


def test_repeat_minus_one_ends_with_its_sibling():
    root = Stage(
        "r",
        order="parallel",
        complete_on="any",
        complete_on_whom=("timer",),
        stages=(Delay("forever", 1.0, repeat=-1), Delay("timer", 3.5)),
    )
    events, error = run(root)
    assert error is None and events[-1].time == 3.5
    assert len(times(events, "forever", "trial_start")) == 4


def test_repeat_zero_runs_no_trial():
    events, error = run(Probe("a", repeat=0))
    assert error is None and [e.trigger for e in events] == [*ORDER[:3], *ORDER[7:]]


def test_repeating_forever_without_taking_time_is_an_error_not_a_hang():
    _, error = run(Stage("a", repeat=-1))
    assert isinstance(error, StageError) and "take no time" in str(error)


# order


def test_serial_children_run_one_after_the_other():
    events, _ = run(Stage("r", stages=(Delay("a", 1.0), Delay("b", 2.0), Delay("c", 3.0))))
    assert [times(events, n, "stage_start")[0] for n in "abc"] == [0.0, 1.0, 3.0]
    assert events[-1].time == 6.0


def test_parallel_children_run_at_the_same_time():
    stages = (Delay("a", 1.0), Delay("b", 2.0), Delay("c", 3.0))
    events, _ = run(Stage("r", order="parallel", stages=stages))
    assert [times(events, n, "stage_start")[0] for n in "abc"] == [0.0, 0.0, 0.0]
    assert names_started(events) == ["r", "a", "b", "c"]
    assert events[-1].time == 3.0


def test_children_run_again_in_every_trial_of_their_parent():
    events, _ = run(Stage("r", repeat=2, stages=(Delay("a", 1.0, repeat=2),)))
    assert times(events, "a", "stage_start") == [0.0, 2.0]
    assert [e.trial for e in of(events, "a") if e.trigger == "trial_start"] == [0, 1, 0, 1]


# complete_on and complete_on_whom


@pytest.mark.parametrize(("rule", "end"), [("all", 3.0), ("any", 1.0)])
def test_parallel_children_end_a_trial_when_all_or_any_are_done(rule, end):
    stages = (Delay("a", 1.0), Delay("b", 3.0))
    events, error = run(Stage("r", order="parallel", complete_on=rule, stages=stages))
    assert error is None and events[-1].time == end


def test_any_of_serial_children_ends_the_trial_after_the_first():
    events, _ = run(Stage("r", complete_on="any", stages=(Delay("a", 1.0), Delay("b", 1.0))))
    assert names_started(events) == ["r", "a"] and events[-1].time == 1.0


def test_the_rest_is_cancelled_before_trial_done_of_the_parent():
    slow = Probe("b", seconds=9.0, slow_in="stage_done")
    events, _ = run(Stage("r", order="parallel", complete_on="any", stages=(Delay("a", 1.0), slow)))
    assert endings("b") == [("trial_done", "cancelled"), ("stage_done", "cancelled")]
    assert times(events, "b", "stage_end") == [2.0] and times(events, "r", "trial_done") == [2.0]


def test_finishers_outside_complete_on_whom_are_ignored():
    stages = (Delay("a", 1.0), Delay("b", 2.0), Delay("c", 3.0))
    for rule, whom, end in (
        ("any", ("b", "c"), 2.0),
        ("all", ("a", "b"), 2.0),
        ("all", ("c",), 3.0),
        ("any", ("a",), 1.0),
    ):
        root = Stage("r", order="parallel", complete_on=rule, complete_on_whom=whom, stages=stages)
        events, _ = run(root)
        assert events[-1].time == end, (rule, whom)


def test_a_serial_chain_goes_on_past_a_finisher_that_does_not_count():
    root = Stage(
        "r",
        complete_on="any",
        complete_on_whom=("b",),
        stages=(Delay("a", 1.0), Delay("b", 1.0), Delay("c", 1.0)),
    )
    events, _ = run(root)
    assert names_started(events) == ["r", "a", "b"]


def test_the_stage_itself_can_be_one_of_whom():
    root = Probe(
        "r", seconds=1.5, complete_on="any", complete_on_whom=(SELF,), stages=(Delay("a", 9.0),)
    )
    events, _ = run(root)
    assert events[-1].time == 1.5 and times(events, "a", "stage_end") == [1.5]


def test_without_itself_in_whom_its_own_action_is_cancelled():
    root = Probe("r", seconds=9.0, complete_on_whom=("a",), stages=(Delay("a", 1.0),))
    events, _ = run(root)
    assert events[-1].time == 1.0 and not any(m == "did_trial" for _, m, _ in CALLS)


def test_all_of_a_stage_with_an_action_waits_for_the_action_too():
    events, _ = run(Probe("r", seconds=2.0, stages=(Delay("a", 1.0),)))
    assert events[-1].time == 2.0


def test_any_of_a_stage_with_an_action_can_be_ended_by_it():
    events, _ = run(Probe("r", seconds=2.0, complete_on="any", stages=(Delay("a", 9.0),)))
    assert events[-1].time == 2.0


def test_the_empty_action_of_a_plain_stage_does_not_end_a_trial_of_any():
    events, _ = run(Stage("r", complete_on="any", stages=(Delay("a", 1.0),)))
    assert events[-1].time == 1.0


def test_two_that_finish_at_the_same_moment_end_the_trial_once():
    stages = (Delay("a", 1.0), Delay("b", 1.0))
    events, error = run(Stage("r", order="parallel", complete_on="any", stages=stages))
    assert error is None and times(events, "r", "trial_end") == [1.0]


# disabled


def test_disabled_children_count_as_done():
    stages = (Delay("a", 1.0), Delay("off", 9.0, disabled=True))
    for order in ("serial", "parallel"):
        events, error = run(Stage("r", order=order, stages=stages))
        assert error is None and events[-1].time == 1.0
        assert of(events, "off") == []


def test_a_disabled_child_completes_any():
    off = Delay("off", 9.0, disabled=True)
    root = Stage("r", order="parallel", complete_on="any", stages=(Delay("a", 1.0), off))
    events, _ = run(root)
    assert names_started(events) == ["r"] and events[-1].time == 0.0
    # In a serial chain only when it is its turn.
    events, _ = run(
        Stage("r", complete_on_whom=("off",), stages=(Delay("a", 1.0), off, Delay("c", 1.0)))
    )
    assert names_started(events) == ["r", "a"] and events[-1].time == 1.0


def test_a_tree_of_disabled_children_is_done_at_once():
    off = Delay("off", 9.0, disabled=True)
    events, error = run(Stage("r", stages=(off,), repeat=3))
    assert error is None and len(times(events, "r", "trial_end")) == 3


def test_a_disabled_root_runs_nothing():
    assert run(Delay("r", 1.0, disabled=True)) == ([], None)


# Time-outs


def test_max_trial_duration_cancels_the_trial_and_the_next_one_follows():
    events, error = run(Probe("a", seconds=9.0, repeat=2, max_trial_duration=1.5))
    assert error is None and events[-1].time == 3.0
    assert endings("a") == [
        ("trial_done", "timed_out"),
        ("trial_done", "timed_out"),
        ("stage_done", "completed"),
    ]


def test_max_duration_cancels_the_trial_and_ends_the_stage():
    events, error = run(Probe("a", seconds=1.0, repeat=-1, max_duration=2.5))
    assert error is None and events[-1].time == 2.5
    assert endings("a")[-2:] == [("trial_done", "timed_out"), ("stage_done", "timed_out")]
    assert len(times(events, "a", "trial_start")) == 3


def test_time_outs_count_as_cancelled():
    assert Ending("timed_out").cancelled and Ending("cancelled").cancelled
    assert not Ending("completed").cancelled and not Ending("error").cancelled


def test_a_stage_that_timed_out_counts_as_done_for_its_parent():
    root = Stage("r", stages=(Delay("a", 9.0, max_duration=1.0), Delay("b", 1.0)))
    events, error = run(root)
    assert error is None and times(events, "b", "stage_end") == [2.0]


def test_a_time_out_cancels_children_at_every_depth():
    deep = Stage("r", max_duration=1.0, stages=(Stage("m", stages=(Probe("leaf", seconds=9.0),)),))
    events, error = run(deep)
    assert error is None and events[-1].time == 1.0
    assert endings("leaf") == [("trial_done", "cancelled"), ("stage_done", "cancelled")]
    assert [e.stage for e in events if e.trigger == "stage_end"] == ["r/m/leaf", "r/m", "r"]


def test_a_time_out_in_init_stage_ends_the_stage_with_its_done_method():
    events, error = run(Probe("a", slow_in="init_stage", max_duration=0.5))
    assert error is None and endings("a") == [("stage_done", "timed_out")]
    assert [e.trigger for e in events] == ["active", "stage_done", "stage_end"]


def test_a_time_out_while_trial_done_runs_waits_for_it_and_starts_no_further_trial():
    events, error = run(Probe("a", repeat=2, slow_in="trial_done", max_duration=0.5))
    assert error is None and times(events, "a", "trial_end") == [1.0]
    assert endings("a") == [("trial_done", "completed"), ("stage_done", "timed_out")]


def test_no_time_out_strikes_a_stage_that_is_just_ending():
    root = Stage("r", stages=(Delay("a", 1.0, max_duration=1.0), Delay("b", 1.0)))
    assert run(root)[1] is None


# Errors


@pytest.mark.parametrize("method", ["init_stage", "init_trial", "do_trial"])
def test_done_methods_run_after_an_error_and_know_it(method):
    events, error = run(Probe("a", fails_in=method))
    assert isinstance(error, StageError) and str(error) == f"a: RuntimeError: broken {method}"
    expected = [("trial_done", "error"), ("stage_done", "error")]
    assert endings("a") == (expected[1:] if method == "init_stage" else expected)
    assert [e.value for e in events if e.trigger == "error"] == [f"RuntimeError: broken {method}"]


@pytest.mark.parametrize("method", ["trial_done", "stage_done"])
def test_an_error_in_a_done_method_is_an_error_of_the_stage(method):
    _, error = run(Probe("a", fails_in=method))
    assert isinstance(error, StageError) and f"broken {method}" in str(error)
    assert endings("a")[-1][0] == "stage_done"


def test_the_first_error_counts():
    broken = Probe("b", fails_in="do_trial")
    _, error = run(Probe("a", seconds=1.0, fails_in="trial_done", stages=(broken,)))
    assert str(error) == "a/b: RuntimeError: broken do_trial"


def test_an_error_of_a_child_cancels_its_siblings_and_reaches_the_root():
    stages = (Probe("good", seconds=9.0), Probe("bad", fails_in="do_trial", slow_in="init_stage"))
    events, error = run(Probe("r", stages=(Stage("m", order="parallel", stages=stages),)))
    assert str(error).startswith("r/m/bad: ")
    assert endings("good") == [("trial_done", "cancelled"), ("stage_done", "cancelled")]
    assert endings("r") == [("trial_done", "error"), ("stage_done", "error")]
    assert events[-1].time == 1.0 and events[-1].stage == "r"


def test_an_error_of_a_child_stops_the_serial_chain():
    events, error = run(Stage("r", stages=(Probe("bad", fails_in="do_trial"), Delay("b", 1.0))))
    assert error is not None and names_started(events) == ["r", "bad"]


def test_a_mistake_of_a_user_keeps_its_sentence():
    async def fail(context):
        raise UserError("the electrode is off")

    assert str(run(Stage("r", stages=(Function("f", fail),)))[1]) == "r/f: the electrode is off"


# Cancelling


def test_done_methods_run_after_a_cancel_and_know_it():
    _, error = run(Probe("a", seconds=9.0, stages=(Probe("b", seconds=9.0),)), cancel_at=1.0)
    assert isinstance(error, Cancelled)
    assert endings("a") == [("trial_done", "cancelled"), ("stage_done", "cancelled")]
    assert endings("b") == endings("a")


def test_done_methods_may_take_their_time_after_a_cancel():
    events, _ = run(Probe("a", seconds=9.0, slow_in="stage_done"), cancel_at=1.0)
    assert times(events, "a", "stage_end") == [2.0]


def test_a_second_cancel_does_not_break_a_done_method():
    made, world, events = start(Probe("a", seconds=9.0, slow_in="stage_done"))
    for at in (1.0, 1.2, 1.4):
        world.schedule(at, made.cancel)
    assert isinstance(finish(made, world), Cancelled)
    assert times(events, "a", "stage_end") == [2.0]


def test_a_cancel_before_the_first_step_runs_nothing():
    made, world, events = start(Probe("a"))
    made.cancel()
    assert isinstance(finish(made, world), Cancelled) and events == [] and CALLS == []


def test_a_cancelled_stage_starts_no_further_child():
    root = Stage("r", stages=(Probe("a", slow_in="stage_done"), Delay("b", 1.0)))
    events, error = run(root, cancel_at=0.5)
    assert isinstance(error, Cancelled) and names_started(events) == ["r", "a"]


def test_a_done_method_that_never_ends_is_given_up():
    @dataclass(frozen=True)
    class Stuck(Stage):
        async def stage_done(self, context, ending):
            await context.sleep(1e6)

    events, error = run(Stuck("a"))
    assert isinstance(error, StageError) and "stage_done" in str(error)
    assert events[-1].time == END_LIMIT_S


def test_an_action_that_ignores_its_cancellation_is_given_up():
    async def stubborn(context):
        while True:
            try:
                await context.sleep(1.0)
            except Cancelled:
                continue

    events, error = run(Function("a", stubborn), cancel_at=1.0)
    assert isinstance(error, StageError) and "do_trial did not end" in str(error)
    assert events[-1].time == 1.0 + END_LIMIT_S


def test_a_stage_or_a_trial_can_be_stopped_from_outside():
    root = Stage("r", stages=(Delay("a", 9.0, repeat=3), Delay("b", 1.0)))
    made, world, events = start(root)
    assert not made.stop_stage("r/b")
    world.schedule(1.0, lambda: made.stop_trial("r/a"))
    world.schedule(2.0, lambda: made.stop_stage("r/a"))
    assert finish(made, world) is None
    assert times(events, "a", "trial_end") == [1.0, 2.0]
    assert times(events, "b", "stage_end") == [3.0]
    assert [e.value for e in of(events, "a") if e.item == "ending"] == ["cancelled"] * 3


# Nesting and size


def test_nested_parallel_stages_agree_with_their_maxima_and_minima():
    def group(name, rule, *children):
        return Stage(name, order="parallel", complete_on=rule, stages=children)

    left = group("left", "all", Delay("a", 2.0), Delay("b", 5.0))
    right = group("right", "any", Delay("c", 4.0), group("d", "all", Delay("e", 3.0)))
    events, _ = run(group("r", "all", left, right, Delay("f", 1.0)))
    assert times(events, "left", "stage_end") == [5.0]
    assert times(events, "right", "stage_end") == [3.0]
    assert times(events, "c", "stage_end") == [3.0]
    assert events[-1].time == 5.0


def trees():
    times = st.integers(0, 8).map(float)
    names = st.just("x")

    def groups(children):
        return st.builds(
            lambda parts, order, rule, repeat, limit: Stage(
                "x",
                stages=tuple(dataclasses.replace(c, name=f"c{i}") for i, c in enumerate(parts)),
                order=order,
                complete_on=rule,
                repeat=repeat,
                max_duration=limit,
            ),
            st.lists(children, min_size=1, max_size=3),
            st.sampled_from(["serial", "parallel"]),
            st.sampled_from(["all", "any"]),
            st.integers(1, 2),
            st.sampled_from([0.0, 0.0, 2.5, 5.5]),
        )

    leaves = st.builds(Delay, names, times, disabled=st.booleans(), repeat=st.integers(1, 2))
    return st.recursive(leaves, groups, max_leaves=12)


def duration(stage):
    """How long a stage takes, from the rules alone."""
    if stage.disabled:
        return 0.0
    if isinstance(stage, Delay):
        return stage.repeat * stage.seconds
    times = [duration(child) for child in stage.stages]
    if stage.order == "serial":
        trial = sum(times) if stage.complete_on == "all" else times[0]
    else:
        trial = max(times) if stage.complete_on == "all" else min(times)
    return min(stage.repeat * trial, stage.max_duration or 1e9)


@settings(max_examples=150, deadline=None)
@given(tree=trees())
def test_any_tree_takes_as_long_as_its_rules_say(tree):
    events, error = run(Stage("root", stages=(dataclasses.replace(tree, name="tree"),)))
    assert error is None and events[-1].time == duration(tree)
    for path in {e.stage for e in events}:
        begun = [e.trigger for e in events if e.stage == path]
        assert begun.count("stage_end") == begun.count("active")
        assert begun.count("trial_end") >= begun.count("trial_start")


def test_the_same_tree_gives_the_same_events():
    stages = tuple(Delay(f"d{i}", 0.5 * (i % 3), repeat=2) for i in range(20))
    root = Stage("r", order="parallel", repeat=3, stages=stages)
    assert run(root) == run(root)


def test_a_tree_may_be_deep():
    root = Delay("leaf", 1.0)
    for number in range(300):
        root = Stage(f"s{number}", stages=(root,))
    events, error = run(root)
    assert error is None and len(events) == 301 * len(ORDER)


def test_ten_thousand_stages_run_in_seconds():
    import time

    leaves = tuple(Delay(f"d{i}", 1.0) for i in range(100))
    root = Stage("r", repeat=100, stages=leaves)
    began = time.perf_counter()
    events, error = run(root)
    assert time.perf_counter() - began < 10.0
    assert error is None and len(names_started(events)) == 10_001 and events[-1].time == 1e4


def test_a_stage_may_have_thousands_of_parallel_children():
    leaves = tuple(Delay(f"d{i}", float(i % 7)) for i in range(2000))
    events, error = run(Stage("r", order="parallel", stages=leaves))
    assert error is None and len(names_started(events)) == 2001 and events[-1].time == 6.0


# Mistakes in a tree


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Stage(""), "needs a name"),
        (lambda: Stage("a/b"), "must not contain /"),
        (lambda: Stage("self"), "must not"),
        (lambda: Stage("a", repeat=-2), "repeat"),
        (lambda: Stage("a", order="mixed"), "order"),
        (lambda: Stage("a", max_duration=-1.0), "max_duration"),
        (lambda: Stage("a", complete_on_whom=("b",)), "no child 'b'"),
        (lambda: Stage("a", stages=(Stage("b"), Stage("b"))), "two children"),
        (lambda: Function("a"), "needs a function"),
    ],
)
def test_mistakes_in_a_tree_are_refused(make, text):
    with pytest.raises(UserError, match=text):
        make()
