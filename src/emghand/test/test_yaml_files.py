"""YAML of users cannot fill the memory, nor end in a traceback."""

import re
import time
from pathlib import Path

import pytest
import yaml

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.yaml_files import MOST_BYTES, MOST_DEPTH, MOST_VALUES, parse_yaml, read_yaml

ROOT = Path(__file__).parents[3]
LISTS = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join(9 * [f'*a{i - 1}'])}]\n" for i in range(1, 30)
)
MERGES = "a0: &a0 {k: 1, m: 2}\n" + "".join(
    f"a{i}: &a{i}\n  <<: [{', '.join(9 * [f'*a{i - 1}'])}]\n" for i in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LISTS, "values, those of aliases counted in full"),
        (MERGES, "values, those of aliases counted in full"),
        ("[" + MOST_VALUES * "a," + "]", "more than 100000 values"),
        ((MOST_DEPTH + 1) * "[", "levels inside each other"),
        ("&a [*a]", "contains itself"),
        ("a: &a {b: *a}", "contains itself"),
        (50_000 * "1:" + "1", "a number of more than"),
        ("!!int x", "not of its kind"),
        ("!!bool x", "not of its kind"),
        ("!!timestamp x", "not of its kind"),
        ("2001-99-99", "not of its kind"),
        ("[", "expected"),
        ("\0", "not allowed"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_what_would_take_memory_or_time_is_refused_soon(text, message):
    start = time.process_time()
    with pytest.raises(UserError) as error:
        parse_yaml(text)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert time.process_time() - start < 20.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1\nb: [1.5, yes, null, 2020-01-01, 'x']",
        "base: &b {x: 1}\nother: {<<: *b, y: 2}\nlist: [*b, *b]",
        (MOST_DEPTH - 1) * "[" + (MOST_DEPTH - 1) * "]",
        "- &b 1\n- *b\n- !!set {a, b}",
    ],
)
def test_all_else_is_what_pyyaml_makes_of_it(text):
    assert parse_yaml(text) == yaml.safe_load(text)


def test_a_file_names_itself_and_is_never_read_in_full(tmp_path):
    path = tmp_path / "x.yaml"
    for data, reason in (
        (b"#" * (MOST_BYTES + 1), "larger than"),
        (b"\xff", "utf-8"),
        (LISTS.encode(), "values"),
        (None, "No such file"),
    ):
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(UserError, match=rf"^task .*x\.yaml: cannot be read: .*{reason}"):
            read_yaml(path, "task")


def test_nothing_else_reads_yaml():
    readers = [
        f"{path.relative_to(ROOT)}"
        for path in ROOT.glob("src/*/*/**/*.py")
        if "test" not in path.parts
        and re.search(r"yaml\.(safe_load|load|full_load|compose)", path.read_text())
    ]
    assert readers == []


@pytest.mark.parametrize("text", [LISTS, MERGES])
@pytest.mark.parametrize(
    "command",
    [
        ["protocol", "check", "FILE"],
        ["protocol", "run", "FILE", "--virtual"],
        ["protocol", "show", "FILE"],
        ["movement-set", "show", "FILE"],
        ["tasks", "show", "FILE"],
        ["sweep", "FILE"],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_every_command_says_so_in_a_sentence(tmp_path, capsys, command, text):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    assert main([str(path) if word == "FILE" else word for word in command]) != 0
    error = capsys.readouterr().err
    assert "bomb.yaml" in error and "values, those of aliases" in error, error


def test_files_that_include_each_other_end_too(tmp_path, capsys):
    (tmp_path / "p.yaml").write_text(
        "stage:\n  name: a\n  stages:\n"
        + "".join(f"  - {{include: p.yaml, name: s{i}}}\n" for i in range(500))
    )
    (tmp_path / "q.yaml").write_text(
        "parameters: {t: xxxxxxxxx}\nstage:\n  name: a\n  stages:\n"
        "  - {include: q.yaml, parameters: {t: '" + 100 * "${t}" + "'}}\n"
    )
    for name, message in (("p.yaml", "includes inside each other"), ("q.yaml", "characters")):
        assert main(["protocol", "check", str(tmp_path / name)]) == 1
        assert message in capsys.readouterr().err
    for i in range(8):  # No file includes itself, and yet there are 30**8 stages.
        (tmp_path / f"r{i}.yaml").write_text(
            "stage:\n  name: a\n  stages:\n"
            + "".join(f"  - {{include: r{i + 1}.yaml, name: s{k}}}\n" for k in range(30))
        )
    (tmp_path / "r8.yaml").write_text("stage: {name: a}")
    assert main(["protocol", "check", str(tmp_path / "r0.yaml")]) == 1
    assert "characters" in capsys.readouterr().err
