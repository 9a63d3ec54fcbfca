from pathlib import Path

import pytest

from emghand.errors import UserError
from emghand.protocol import Delay, ProtocolRunner, RunAction, VirtualWorld, load_protocol

CONFIG = Path(__file__).resolve().parents[4] / "config/protocols"


def load(folder, text, name="p.yaml", **parameters):
    path = folder / name
    path.write_text(text)
    return load_protocol(path, parameters)


def test_a_yaml_protocol_becomes_a_tree_of_stages(tmp_path):
    protocol = load(
        tmp_path,
        """
name: example
description: Two delays.
parameters: {wait: 2.0, times: 3}
stage:
  name: root
  repeat: ${times}
  order: parallel
  complete_on: any
  complete_on_whom: [a, self]
  max_duration: 60
  stages:
  - {kind: delay, name: a, seconds: "${wait}"}
  - {kind: gate, name: "g ${times}", topic: /x, type: std_msgs/msg/Bool, disabled: true}
  - {kind: gaussian_random_delay, name: d, mean: 1, high: .inf}
""",
        wait=5.0,
    )
    root = protocol.root
    assert (protocol.name, protocol.description) == ("example", "Two delays.")
    assert (root.repeat, root.order, root.complete_on) == (3, "parallel", "any")
    assert root.max_duration == 60.0
    assert root.complete_on_whom == ("a", "self")
    assert root.stages[0] == Delay("a", 5.0)
    assert root.stages[1].name == "g 3" and root.stages[1].disabled
    assert protocol.parameters == {"wait": 5.0, "times": 3}


def test_the_digest_is_of_everything_that_makes_the_tree(tmp_path):
    text = "parameters: {s: 1.0}\nstage: {kind: delay, name: a, seconds: '${s}'}"
    first = load(tmp_path, text)
    assert load(tmp_path, f"# comment\n{text}", "q.yaml").digest == first.digest
    assert load(tmp_path, text, s=2.0).digest != first.digest
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    assert load(moved, text).digest == first.digest


def test_variables_of_the_run_stay_to_be_filled_in_later(tmp_path):
    protocol = load(
        tmp_path,
        """
stage:
  name: r
  stages:
  - kind: run_action
    name: train
    action: /a
    type: p/action/A
    goal: {session: "${session}", seed: "${seed}", file: "${folder}/x.yaml"}
    store: {model: uri}
  - {kind: publish, name: p, topic: /t, type: p/msg/M, message: {data: "${model}"}}
""",
    )
    train = protocol.root.stages[0]
    assert isinstance(train, RunAction)
    assert train.goal == {"session": "${session}", "seed": "${seed}", "file": "${folder}/x.yaml"}


def test_an_include_is_a_stage_with_its_own_parameters(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/part.yaml").write_text(
        "parameters: {s: 1.0, f: ''}\n"
        "stage:\n  name: part\n  stages:\n"
        "  - {kind: delay, name: d, seconds: '${s}'}\n"
        "  - {kind: publish, name: p, topic: /t, type: p/msg/M, message: {data: '${folder}/x'}}\n"
    )
    protocol = load(
        tmp_path,
        "parameters: {long: 9.0}\n"
        "stage:\n  name: r\n  stages:\n"
        "  - {include: sub/part.yaml, name: first}\n"
        "  - {include: sub/part.yaml, parameters: {s: '${long}'}}\n",
    )
    first, second = protocol.root.stages
    assert (first.name, second.name) == ("first", "part")
    assert (first.stages[0].seconds, second.stages[0].seconds) == (1.0, 9.0)
    assert first.stages[1].message == {"data": "${folder}/sub/x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["stage"]),
        ("[", ["cannot be read"]),
        ("- a", ["expected a mapping"]),
        ("stage: {name: a}\nstages: []", ["unknown key 'stages'", "parameters"]),
        ("stage: {repeat: 2}", ["no name"]),
        ("stage: {name: a, kind: wait}", ["'wait' is unknown", "uniform_random_delay"]),
        ("stage: {name: a, kind: function}", ["'function' is unknown"]),
        ("stage: {name: a, repeats: 2}", ["a:", "repeats", "repeat"]),
        ("stage: {name: a, stages: [{name: b, kind: delay, seconds: x}]}", ["a/b", "seconds", "x"]),
        ("stage: {name: a, stages: [{name: b}, {name: b}]}", ["two children"]),
        ("stage: {name: a, stages: {name: b}}", ["expected a list"]),
        ("stage: {name: a, repeat: '${n}'}", ["${n} is unknown", "session"]),
        ("parameters: {seed: 1}\nstage: {name: a}", ["will not do"]),
        ("parameters: {n: many}\nstage: {name: a, repeat: '${n}'}", ["repeat", "many"]),
        ("stage: {name: a, stages: [{include: nowhere.yaml}]}", ["nowhere.yaml", "cannot be read"]),
        ("stage: {name: a, stages: [{include: p.yaml}]}", ["includes inside each other"]),
        ("stage: {name: a, stages: [{include: p.yaml, repeat: 2}]}", ["unknown key 'repeat'"]),
        ("stage: {name: a}\nvirtual: {topic: {}}", ["unknown key 'topic'", "topics"]),
        ("stage: {name: a}\nvirtual: {topics: {/x: {step: []}}}", ["/x", "step", "steps"]),
        ("stage: {name: a}\nvirtual: {topics: {/x: {steps: [1]}}}", ["/x"]),
        ("stage: {name: a}\nvirtual: {answers: {/x: {seconds: -1}}}", ["/x", "seconds"]),
        ("stage: {name: a}\nvirtual: {answers: {/x: {seconds: .nan}}}", ["/x", "seconds"]),
        ("stage: {name: a, kind: [delay]}", ["['delay'] is unknown"]),
        ("stage: &a {name: a, stages: [*a]}", ["contains itself"]),
        ('stage: {include: "\\0"}', ["cannot be read"]),
        ("stage: {include: " + 5000 * "x" + "}", ["cannot be read"]),
        ("stage: {name: a}\nvirtual: {topics: {/x: {field: 1}}}", ["/x", "expected a text"]),
        ("stage: !!python/object/apply:os.system [ls]", ["cannot be read"]),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path, text, words):
    with pytest.raises(UserError) as error:
        load(tmp_path, text)
    assert "p.yaml" in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_unknown_parameters_and_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no parameter n, known: none"):
        load(tmp_path, "stage: {name: a}", n=1)
    with pytest.raises(UserError, match="cannot be read"):
        load_protocol(tmp_path / "nowhere.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        load_protocol(tmp_path / "nowhere.py")


PYTHON = """
from dataclasses import dataclass
from emghand.protocol import Delay, Stage
from emghand.settings import setting

@dataclass(frozen=True)
class Beep(Stage):
    times: int = setting(1, "How often.")

    async def do_trial(self, context):
        for _ in range(self.times):
            context.log("value", "beep", 1)
            await context.sleep(0.1)

def protocol(beeps=2):
    return Stage("r", stages=(Beep("b", beeps), Delay("d", 1.0)))
"""


def test_a_python_protocol_makes_its_own_stages(tmp_path):
    protocol = load(tmp_path, PYTHON, "p.py", beeps=3)
    assert protocol.root.stages[0].times == 3 and protocol.parameters == {"beeps": 3}
    assert protocol.digest != load(tmp_path, PYTHON, "p.py").digest
    assert load(tmp_path, PYTHON, "p.py").parameters == {"beeps": 2}


def test_python_protocols_can_be_refused(tmp_path):
    (tmp_path / "p.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(UserError, match="allow_python"):
        load_protocol(tmp_path / "p.py", python=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = (", "SyntaxError"),
        ("\n1 / 0", "line 2: ZeroDivisionError"),
        ("x = 1", "no function protocol"),
        ("def protocol(): return 3", "must return a Stage"),
        ("def protocol(a=1): return None", "no parameter n, known: a"),
    ],
)
def test_mistakes_in_python_protocols_are_one_sentence(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        load(tmp_path, text, "p.py", **({"n": 1} if "a=1" in text else {}))


def test_the_example_in_the_documentation_is_without_mistakes(tmp_path):
    page = (CONFIG.parents[1] / "docs/protocols.md").read_text()
    text = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "goodbye.yaml").write_text("parameters: {word: ''}\nstage: {name: goodbye}\n")
    protocol = load(tmp_path, text)
    assert [s.name for s in protocol.root.stages] == ["targets", "pause", "goodbye"]
    world = VirtualWorld(protocol.topics, protocol.answers)
    result = ProtocolRunner(protocol, world).execute()
    assert result.status == "complete" and world.now() == 3 * 360.0


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_protocols_that_ship_are_without_mistakes(path):
    assert len(list(load_protocol(path).root.walk())) > 5
