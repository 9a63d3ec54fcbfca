import pytest

from emghand.launchfile import LaunchError, declared_arguments, evaluate
from emghand.launchfile.context import Context
from emghand.launchfile.expression import evaluate_expression
from emghand.launchfile.substitution import parse_template, perform

NODE = "- node: {pkg: fake, exec: echo, name: a}\n"


def expand(text, **variables):
    from pathlib import Path

    return perform(parse_template(text), Context(Path("/x/y.yaml"), variables, {"HOME": "/h"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$(var a)/$(var b).txt", "1/two.txt"),
        ("$(var $(var c))", "1"),
        ("$(var nothing default)", "default"),
        ("$(env HOME)", "/h"),
        ("$(env NOT_THERE 'a b')", "a b"),
        ("$(dirname)/../config", "/x/../config"),
        ("$(filename)", "/x/y.yaml"),
        ("$(eval '$(var a) + 1')", "2"),
        ("$(eval \"'$(var b)' == 'two'\")", "True"),
        ("$(eval \"'$(var b)' in ['one', 'two'] and not 1 > 2\")", "True"),
        ("$(equals $(var b) two)", "true"),
        ("$(equals 1 1.0)", "true"),
        ("$(not-equals $(var b) two)", "false"),
        ("$(not $(equals a b))", "true"),
        ("$(and true $(or false 1))", "true"),
        ("5 $ and \\$(var a)", "5 $ and $(var a)"),
    ],
)
def test_substitutions(text, expected):
    assert expand(text, a="1", b="two", c="a") == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("$(var nothing)", "no such argument"),
        ("$(env NOT_THERE)", "not set"),
        ("$(command ls)", "not known here"),
        ("$(var a", "not closed"),
        ("$(var 'a)", "quote is not closed"),
        ("$(equals a)", "takes 2 arguments"),
        ("$(not maybe)", "expected true or false"),
        ("$(find-pkg-share nowhere_at_all)", "is not installed"),
    ],
)
def test_broken_substitutions_are_named(text, error):
    with pytest.raises(LaunchError, match=error):
        expand(text, a="1")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "().__class__",
        "[x for x in range(9)]",
        "lambda: 1",
        "'a' * 1000000000",
        "'%1000000000d' % 1",
        "9 ** 9 ** 9",
        "1 / 0",
        "a",
        "1 is 1",
    ],
)
def test_expressions_cannot_do_anything_but_compare_and_calculate(text):
    with pytest.raises(LaunchError, match="eval"):
        evaluate_expression(text)


def test_arguments_defaults_and_choices(write):
    path = write(
        """
        - arg: {name: device, default: synthetic, description: Source,
                choice: [{value: synthetic}, {value: cyton}]}
        - arg: {name: model}
        - let: {name: both, value: "$(var device)-$(var model)"}
        - node: {pkg: fake, exec: echo, name: a, param: [{name: x, value: "$(var both)"}]}
        """
    )
    assert [a.name for a in declared_arguments(path)] == ["device", "model"]
    assert evaluate(path, {"model": "m"}).processes[0].parameters == ({"x": "synthetic-m"},)
    with pytest.raises(LaunchError, match="argument model must be given"):
        evaluate(path, {})
    with pytest.raises(LaunchError, match="choose from synthetic, cyton"):
        evaluate(path, {"model": "m", "device": "toaster"})
    with pytest.raises(LaunchError, match="no argument 'modle', but: device, model"):
        evaluate(path, {"modle": "m"})


def test_parameters_get_the_types_that_launch_gives_them(write, tmp_path):
    (tmp_path / "p.yaml").write_text("/**: {ros__parameters: {}}")
    path = write(
        """
        - arg: {name: n, default: "3"}
        - node:
            pkg: fake
            exec: echo
            name: a
            param:
            - {from: "$(dirname)/p.yaml"}
            - {name: i, value: "$(var n)"}
            - {name: s, value: "$(var n)", type: str}
            - {name: f, value: 1.5}
            - {name: b, value: "$(equals 1 1)"}
            - {name: plain, value: "true"}
            - {name: names, value: [x, "y$(var n)"]}
            - {name: flow, value: "['a', '$(var n)']"}
            - name: deep
              param: [{name: er, value: 1}]
        """
    )
    file, *values = evaluate(path, {}).processes[0].parameters
    assert file == tmp_path / "p.yaml"
    merged = {k: v for value in values for k, v in value.items()}
    assert merged == {
        "i": 3, "s": "3", "f": 1.5, "b": True, "plain": "true", "names": ["x", "y3"],
        "flow": ["a", "3"], "deep.er": 1,
    }  # fmt: skip


def test_conditions_groups_and_includes(write):
    write(
        """
        - arg: {name: who, default: nobody}
        - node: {pkg: fake, exec: echo, name: "$(var who)"}
        """,
        "inner.launch.yaml",
    )
    path = write(
        """
        - arg: {name: enabled, default: "true"}
        - node: {pkg: fake, exec: echo, name: first, if: "$(var enabled)"}
        - node: {pkg: fake, exec: echo, name: second, unless: "$(var enabled)"}
        - group:
          - set_env: {name: FLAVOUR, value: sweet}
          - let: {name: x, value: "1"}
          - node: {pkg: fake, exec: echo, name: inside}
        - node: {pkg: fake, exec: echo, name: outside}
        - include:
            file: $(dirname)/inner.launch.yaml
            arg: [{name: who, value: somebody}]
        """
    )
    processes = evaluate(path, {}).processes
    assert [p.name for p in processes] == ["first", "inside", "outside", "somebody"]
    assert [p.environment.get("FLAVOUR") for p in processes] == [None, "sweet", None, None]
    assert evaluate(path, {"enabled": "0"}).processes[0].name == "second"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("- timer: {period: 1.0}", "timer.*not known here"),
        ("- node: {pkg: fake, exec: echo, nmae: a}", "unknown here: nmae"),
        ("- node: {pkg: fake}", "exec is missing"),
        ("- node: {pkg: fake, exec: none}", "no executable none, but: brief, echo"),
        ("- node: {pkg: no_such_package, exec: none}", "is not installed"),
        ("- node: {pkg: fake, exec: echo, on_exit: restart}", "on_exit can only be shutdown"),
        ("- node: {pkg: fake, exec: echo, respawn: true}", "write it in quotes"),
        ("- node: {pkg: fake, exec: echo, if: 'true', unless: 'true'}", "exclude each other"),
        ("- node: {pkg: fake, exec: echo, param: [{from: nothing.yaml}]}", "does not exist"),
        ("- node: {pkg: fake, exec: echo, param: [{name: x}]}", "either a value or nested"),
        (NODE + NODE, "two nodes are called /a"),
        ("- arg: {name: x, default: 3}", "write it in quotes"),
        ("- arg: {name: x, default: '3'}", "nothing to run"),
        ("- include: {file: $(filename)}", "include each other without end"),
        ("- node: nothing", "expected keys"),
    ],
)
def test_what_is_not_understood_is_an_error_before_anything_starts(write, text, error):
    path = write(text)
    with pytest.raises(LaunchError, match=error):
        evaluate(path, {})


def test_a_python_launch_file_is_sent_to_ros2_launch(tmp_path):
    (tmp_path / "x.launch.py").write_text("")
    with pytest.raises(LaunchError, match="ros2 launch"):
        evaluate(tmp_path / "x.launch.py", {})
