"""What a host lets itself be asked for."""

import re
from pathlib import Path

import pytest

from emghand.errors import UserError
from host_node.allow_list import load_allow_list

CONFIG = Path(__file__).parents[3] / "config" / "hosts.yaml"
GOOD = (
    "kinds: {a: {package: p, executable: e, "
    "arguments: {n: {type: int, low: 1, high: 5}, x: {type: float}}}}"
)


def load(tmp_path, text):
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    return load_allow_list(path)


def test_the_list_that_comes_with_the_project_is_valid():
    kinds = load_allow_list(CONFIG)
    assert set(kinds) == {"feeder", "board", "emg"}
    parameters = kinds["board"].resolve('{"firmata.interval_ms": 100}')
    assert parameters["firmata.interval_ms"] == 100 and parameters["device"] == "firmata"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ('{"other": 1}', "'other' cannot be chosen, only: n, x"),
        ('{"n": 6}', "not between 1 and 5"),
        ('{"n": 1.5}', "expected int"),
        ('{"n": true}', "expected int"),
        ('{"x": NaN}', "no number"),
        ('{"x": 1e999}', "no number"),
        ('{"x": 1' + 400 * "0" + "}", "no number"),
        ('{"n": "1; rm -rf /"}', "expected int"),
        ("[1]", "JSON mapping"),
        ("{", "not JSON"),
        ("[" * 9000, "not JSON"),
        (" " * 20000, "longer than"),
    ],
)
def test_only_what_the_list_names_can_be_chosen(tmp_path, arguments, says):
    kind = load(tmp_path, GOOD)["a"]
    assert kind.resolve("") == {} and kind.resolve('{"n": 5}') == {"n": 5}
    with pytest.raises(UserError, match=says):
        kind.resolve(arguments)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kinds: {a: {package: p}}", "executable missing"),
        ("kinds: {a: {package: p, executable: ../../bin/sh}}", "plain name"),
        ("kinds: {a: {package: p, executable: e, comand: x}}", "'comand' is unknown, choose from"),
        ("kinds: {a: {package: p, executable: e, arguments: {s: {type: str}}}}", "needs choices"),
        ("kinds: {a: {package: p, executable: e, arguments: {s: {type: path}}}}", "choose from"),
        ("kinds: {a: {package: p, executable: e, arguments: {s: {type: [int]}}}}", "choose from"),
        ("kinds: " + 3000 * "[", "cannot be read"),
        ("kinds: {A B: {package: p, executable: e}}", "kind 'A B'"),
        ("kinds: [a]", "expected a mapping"),
        ("kind: {}", "'kind' is unknown"),
        ("kinds: {a: !!python/object/apply:os.system [ls]}", "cannot be read"),
    ],
)
def test_a_wrong_list_is_refused_with_the_place(tmp_path, text, says):
    with pytest.raises(UserError, match=says) as error:
        load(tmp_path, text)
    assert "hosts.yaml" in str(error.value)


def test_the_list_in_the_documentation_is_valid(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "clocks.md").read_text()
    (code,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert load(tmp_path, code)["feeder"].resolve('{"virtual.seed": 3}')["virtual.seed"] == 3
