"""Runs into a session: log, checkpoints, resume after a crash at any moment."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.protocol import (
    Delay,
    Function,
    GateStage,
    Protocol,
    ProtocolRunner,
    RunAction,
    Stage,
    UniformRandomDelay,
    VirtualAnswer,
    VirtualWorld,
    load_protocol,
)
from emghand.protocol.checkpoint import Checkpoint, last_checkpoint
from emghand.storage.session_repair import repair_session
from emghand.storage.sessions import Session


class Crash(BaseException):
    """As if the process had been killed: nothing of it is handled."""


def example():
    two = (UniformRandomDelay("x"), Delay("y", 0.7, repeat=3))
    pair = Stage("pair", order="parallel", stages=two)
    block = Stage("block", repeat=3, stages=(Delay("a", 1.0), pair, UniformRandomDelay("b")))
    train = RunAction("train", action="/job", type="p/action/A", store={"model": "uri"})
    return Protocol("example", Stage("day", stages=(train, block, Delay("end", 1.0))))


def runner(session, events=None, crash_after=None, **options):
    heard = [] if events is None else events

    def hear(event):
        heard.append(event)
        if crash_after is not None and len(heard) == crash_after:
            raise Crash

    world = VirtualWorld(answers={"/job": VirtualAnswer(5.0, values={"uri": "m"})})
    return ProtocolRunner(
        options.pop("protocol", example()),
        world,
        session=session,
        subject="s1",
        on_event=hear,
        **options,
    )


def completed(events):
    """Leaf trials whose ending was `completed`."""
    inner = ("day", "day/block", "day/block/pair")
    return [
        (e.stage, e.trial)
        for e in events
        if (e.trigger, e.value) == ("trial_done", "completed") and e.stage not in inner
    ]


def draws(events):
    return [(e.stage, e.value) for e in events if e.trigger == "draw"]


def test_a_run_writes_log_checkpoint_and_what_was_run(tmp_path):
    events = []
    result = runner(tmp_path / "s", events, seed=7).execute()
    assert (result.status, result.events) == ("complete", len(events))
    session = Session.open(tmp_path / "s")
    assert session.check() == [] and session.subject == "s1"
    with open(result.log, newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["index", "timestamp", "name", "trigger", "item", "value"]
    assert rows[1:] == [list(e.row) for e in events]
    described = json.loads((session.path / "results/protocol.json").read_text())
    assert (described["protocol"], described["seed"]) == ("example", 7)
    checkpoint = Checkpoint.load(session.path / "results/protocol_checkpoint.json")
    assert checkpoint.finished and checkpoint.variables == {"model": "m"}


def test_a_second_run_replaces_nothing(tmp_path):
    runner(tmp_path / "s").execute()
    second = runner(tmp_path / "s").execute()
    assert second.log.endswith("protocol_events_2.csv")
    assert Session.open(tmp_path / "s").check() == []


def test_the_same_seed_gives_the_same_events(tmp_path):
    first, second, other = [], [], []
    runner(None, first, seed=7).execute()
    runner(None, second, seed=7).execute()
    runner(None, other, seed=8).execute()
    assert first == second and draws(first) != draws(other)


@settings(max_examples=10, deadline=None)
@given(at=st.integers(min_value=1, max_value=158))
def test_after_a_crash_at_any_event_a_resume_does_the_rest(tmp_path_factory, at):
    folder = tmp_path_factory.mktemp("crash") / "s"
    whole, before, after = [], [], []
    runner(None, whole, seed=7).execute()
    with pytest.raises(Crash):
        runner(folder, before, crash_after=min(at, len(whole) - 1), seed=7).execute()
    result = runner(folder, after, resume=True).execute()
    assert result.status == "complete"
    # Everything was done, and nothing that a checkpoint had counted was done again.
    done = completed(before) + completed(after)
    assert set(done) == set(completed(whole))
    # A draw depends on the trial, not on when the protocol was interrupted.
    assert set(draws(before)) | set(draws(after)) == set(draws(whole))
    assert after[0].index > 0 or len(before) < 20
    assert after[0].time >= 0.0 and Session.open(folder).manifest["files"]


def test_a_finished_trial_is_not_done_again(tmp_path):
    events = []

    def crash_at_third(event):
        events.append(event)
        if [(e.stage, e.trigger) for e in events].count(("day/block/a", "trial_start")) == 3:
            raise Crash

    world = VirtualWorld(answers={"/job": VirtualAnswer(5.0, values={"uri": "m"})})
    first = ProtocolRunner(
        example(), world, session=tmp_path / "s", subject="s1", on_event=crash_at_third
    )
    with pytest.raises(Crash):
        first.execute()
    after = []
    runner(tmp_path / "s", after, resume=True).execute()
    starts = [e.value for e in after if (e.stage, e.trigger) == ("day/block", "trial_start")]
    assert starts == ["2"]
    assert not any(e.stage == "day/train" for e in after)
    assert after[0].time == pytest.approx(events[-1].time, abs=1e-9)


def test_finished_parallel_children_are_not_done_again(tmp_path):
    root = Stage("r", order="parallel", stages=(Delay("a", 1.0), Delay("b", 5.0)))
    protocol = Protocol("p", root)

    def run(resume, crash_at=None, events=None):
        world = VirtualWorld()

        def crash():
            raise Crash

        if crash_at:
            world.schedule(crash_at, crash)
        made = ProtocolRunner(
            protocol,
            world,
            session=tmp_path / "s",
            subject="s1",
            resume=resume,
            on_event=(lambda e: None) if events is None else events.append,
        )
        return made.execute()

    with pytest.raises(Crash):
        run(False, crash_at=3.0)
    events = []
    run(True, events=events)
    assert {e.stage for e in events} == {"r", "r/b"}


def test_a_resumed_stage_has_the_rest_of_its_time(tmp_path):
    root = Stage("r", stages=(Delay("a", 1.0, repeat=-1, max_duration=10.5),))
    events = []

    def run(crash_at, resume):
        world = VirtualWorld()

        def crash():
            raise Crash

        if crash_at:
            world.schedule(crash_at, crash)
        ProtocolRunner(
            Protocol("p", root),
            world,
            session=tmp_path / "s",
            subject="s1",
            resume=resume,
            on_event=events.append,
        ).execute()

    with pytest.raises(Crash):
        run(4.2, False)
    run(None, True)
    assert events[-1].time == pytest.approx(10.5)


def test_a_cancelled_protocol_can_be_resumed(tmp_path):
    made = runner(tmp_path / "s")
    made.world.schedule(7.0, made.run.cancel)
    assert made.execute().status == "cancelled"
    after = []
    assert runner(tmp_path / "s", after, resume=True).execute().status == "complete"
    assert not any(e.stage == "day/train" for e in after)


def test_a_failed_protocol_says_where_and_can_be_resumed(tmp_path):
    broken = [True]

    async def work(context):
        if broken:
            raise UserError("no electrode")

    protocol = Protocol("p", Stage("r", stages=(Delay("a", 1.0), Function("f", work))))
    result = runner(tmp_path / "s", protocol=protocol).execute()
    assert (result.status, result.message) == ("failed", "r/f: no electrode")
    broken.clear()
    after = []
    again = runner(tmp_path / "s", after, protocol=protocol, resume=True)
    assert again.execute().status == "complete"
    assert not any(e.stage == "r/a" for e in after)


def test_resuming_what_cannot_be_resumed_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing can be resumed"):
        runner(tmp_path / "s", resume=True)
    with pytest.raises(UserError, match="without a session"):
        runner(None, resume=True)
    Session.create(tmp_path / "s", "s1")
    with pytest.raises(UserError, match="no protocol was interrupted"):
        runner(tmp_path / "s", resume=True)
    runner(tmp_path / "s").execute()
    with pytest.raises(UserError, match="was completed"):
        runner(tmp_path / "s", resume=True)
    with pytest.raises(Crash):
        runner(tmp_path / "s", crash_after=30).execute()
    with pytest.raises(UserError, match="not the same"):
        runner(tmp_path / "s", resume=True, protocol=Protocol("p", Delay("a", 1.0)))


def test_a_resumed_protocol_has_the_parameters_that_it_was_interrupted_with(tmp_path, capsys):
    file, session = tmp_path / "p.yaml", tmp_path / "s"
    file.write_text(
        "parameters: {n: null}\nstage: {name: r, kind: delay, repeat: '${n}', seconds: 3.0}\n"
    )
    for n in (4, 3):
        with pytest.raises(Crash):
            runner(session, protocol=load_protocol(file, {"n": n}), crash_after=8).execute()
    resume = ["protocol", "run", str(file), str(session), "--virtual", "--resume"]
    assert main([*resume, "--set", "n=5"]) == 1
    assert "not the same" in capsys.readouterr().err
    assert main(resume) == 0
    assert main([*resume, "--set", "n=3"]) == 1
    assert "was completed" in capsys.readouterr().err
    assert main([*resume, "--set", "n=4"]) == 0
    described = [json.loads(p.read_text()) for p in sorted(session.glob("results/protocol*.json"))]
    assert [d["parameters"]["n"] for d in described if "stage" in d] == [4, 3, 3, 4]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "x"}', "null"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, content):
    path = tmp_path / "protocol_checkpoint.json"
    path.write_text(content)
    with pytest.raises(UserError, match="no checkpoint"):
        Checkpoint.load(path)


def test_the_newest_checkpoint_counts(tmp_path):
    progress = {"trial": 0, "finished": [], "children": {}}
    for number, digest in ("", "a"), ("_2", "b"), ("_10", "b"), ("_11", "c"):
        made = Checkpoint(f"p{number}", digest, 1, False, 0, 0.0, progress, {})
        made.save(tmp_path / f"protocol_checkpoint{number}.json")
    found = [last_checkpoint(tmp_path, digest) for digest in "abcd"]
    assert [c.protocol for c in found] == ["p", "p_10", "p_11", "p_11"]
    assert last_checkpoint(tmp_path / "nothing", "a") is None


def test_another_protocol_in_between_does_not_keep_one_from_being_resumed(tmp_path):
    with pytest.raises(Crash):
        runner(tmp_path / "s", crash_after=100, seed=7).execute()
    short = Protocol("short", Delay("a", 1.0))
    assert runner(tmp_path / "s", protocol=short).execute().status == "complete"
    after = []
    assert runner(tmp_path / "s", after, resume=True).execute().status == "complete"
    assert after[0].index > 0
    with pytest.raises(UserError, match="example was completed"):
        runner(tmp_path / "s", resume=True)


def test_what_waits_in_vain_is_named_and_ended(tmp_path):
    gate = GateStage("g", topic="/x", type="std_msgs/msg/Bool")
    protocol = Protocol("p", Stage("r", order="parallel", stages=(gate, Delay("d", 1.0))))
    result = runner(tmp_path / "s", protocol=protocol).execute()
    assert result.status == "failed" and result.message.endswith("waiting: r/g")
    assert "r,stage_end" in Path(result.log).read_text()


def test_a_log_that_cannot_be_written_ends_the_protocol_in_order(tmp_path):
    events = []

    def full(event):
        events.append(event)
        if event.stage == "day/block/a":
            raise UserError("protocol_events.csv: cannot be written: No space left on device")

    ended = []

    async def work(context):
        await context.sleep(1e3)

    class Careful(Function):
        async def stage_done(self, context, ending):
            ended.append(ending.kind)

    block = Stage("block", stages=(Delay("a", 1.0),))
    root = Stage("day", order="parallel", stages=(Careful("f", work), block))
    made = ProtocolRunner(Protocol("p", root), VirtualWorld(), on_event=full)
    result = made.execute()
    assert result.status == "failed" and "No space left" in result.message
    assert ended == ["cancelled"]


KILLED = """
import sys, time
from emghand.protocol import *
root = Stage("r", repeat=4, stages=(Delay("a", 0.05), Delay("b", 0.05)))
class World(VirtualWorld):
    def __init__(self):
        super().__init__(); self.loop = RealLoop()
run = ProtocolRunner(Protocol("p", root), World(), session=sys.argv[1], subject="s1",
    resume=sys.argv[2] == "resume",
    on_event=lambda e: print(e.stage, e.trigger, e.value, flush=True))
print(run.execute().status)
"""


def test_a_killed_process_is_resumed_at_the_next_stage(tmp_path):
    words = [sys.executable, "-c", KILLED, str(tmp_path / "s")]
    with subprocess.Popen([*words, "new"], stdout=subprocess.PIPE, text=True) as first:
        seen = []
        try:
            for line in first.stdout:
                seen.append(line.strip())
                if line.strip() == "r trial_start 2":
                    first.kill()
        finally:
            first.kill()
    assert "complete" not in seen
    again = subprocess.run([*words, "resume"], capture_output=True, text=True, timeout=60)
    lines = again.stdout.split("\n")
    assert "complete" in lines, again.stderr
    assert "r trial_start 2" in lines and "r trial_start 1" not in lines
    repair_session(tmp_path / "s")
    assert Session.open(tmp_path / "s").check() == []


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        "parameters: {n: 2}\nstage: {name: r, kind: delay, repeat: '${n}', seconds: 3.0}\n"
    )
    return str(path)


def test_the_session_may_be_named_from_the_working_directory(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["protocol", "run", file, "s", "--subject", "s1", "--virtual"]) == 0
    assert Session.open(tmp_path / "s").check() == []


@pytest.mark.parametrize("value", ["n=[", "n=2020-13-45", "n=" + 5000 * "["])
def test_a_parameter_that_is_not_yaml_is_one_sentence(file, value, capsys):
    assert main(["protocol", "check", file, "--set", value]) == 1
    assert "the value is not YAML" in capsys.readouterr().err


def test_a_parameter_that_contains_itself_is_one_sentence(tmp_path, capsys):
    file = tmp_path / "p.yaml"
    file.write_text(
        "parameters: {word: a}\nstage: {kind: publish, name: t, topic: /w,\n"
        "  type: std_msgs/msg/String, message: {data: '${word}'}}\n"
    )
    words = ["protocol", "run", str(file), "--virtual", "--set", "word=&a [*a]"]
    assert main(words) == 1
    assert "contains itself" in capsys.readouterr().err


def test_the_command_checks_shows_and_runs(file, tmp_path, capsys):
    assert main(["protocol", "check", file]) == 0
    assert "1 stages, without mistakes" in capsys.readouterr().out
    assert main(["protocol", "show", file, "--set", "n=5"]) == 0
    assert "- r  [Delay; repeat=5; seconds=3.0]" in capsys.readouterr().out
    session = str(tmp_path / "s")
    assert main(["protocol", "run", file, session, "--subject", "s1", "--virtual"]) == 0
    out = capsys.readouterr().out
    assert "trial_end" in out and "6.000" in out and "p: completed" in out
    assert main(["protocol", "run", file, "--virtual", "--json", "--set", "n=1"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["events"]) == ("complete", 9)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["check", "nowhere.yaml"], "cannot be read"),
        (["run", "FILE", "--virtual", "--set", "m=1"], "no parameter m"),
        (["run", "FILE", "--virtual", "--seed", "-1"], "--seed"),
        (["run", "FILE", "SESSION", "--virtual"], "subject"),
        (["run", "FILE", "SESSION", "--virtual", "--resume"], "nothing can be resumed"),
        (["run", "FILE"], "--virtual"),
        (["run", "FILE", "SESSION", "--set", "m=3"], "no parameter m"),
    ],
)
def test_mistakes_at_the_command_line_are_one_sentence(file, tmp_path, capsys, words, text):
    names = {"FILE": file, "SESSION": str(tmp_path / "s")}
    assert main(["protocol", *(names.get(w, w) for w in words)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and text in error and error.count("\n") == 1
