"""Movement sets as files: the line format, YAML, and the way between them."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emghand.cli.main import main
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.tasks.movement_files import (
    LINE_DOFS,
    format_lines,
    format_yaml,
    parse_lines,
    read_lines,
)
from emghand.tasks.movements import ORDERS, Movement, MovementSet, Timing, load_movement_set

STILL = "0.00,0.00,0.70,3.00"


def line(name="ThumbF", flag="0", radius="0.15", **groups):
    """A line whose groups, by DOF, are those given and else still."""
    fields = [name, flag, *(groups.get(dof, STILL) for dof in LINE_DOFS), radius]
    return ";".join(fields) + ";"


THUMB = line(thumb_flex="1.00,0.00,0.70,3.00")


def test_a_line_is_name_flag_twelve_groups_and_radius():
    text = line("Twist", "1", "0.10", wrist_rot="-0.50,0.25,0.80,1.50", thumb_int="1,0,.4,2.")
    movements = parse_lines(text + "\n\n# a remark\n" + THUMB + "\r\n", repetitions=4)
    twist, thumb = movements.movements
    assert movements.dofs == (Dof("thumb_flex"), Dof("thumb_int"), Dof("wrist_rot"))
    assert movements.repetitions == 4
    assert (twist.name, twist.flag, twist.radius) == ("Twist", 1, 0.10)
    assert twist.targets == {"thumb_int": 1.0, "wrist_rot": -0.5}
    assert twist.timing_of("thumb_int") == Timing(0.0, 0.4, 2.0, 0.4)
    assert twist.timing_of("wrist_rot") == Timing(0.25, 0.8, 1.5, 0.8)
    assert twist.duration == pytest.approx(0.25 + 0.8 + 1.5 + 0.8)
    assert thumb == Movement("ThumbF", {"thumb_flex": 1.0}, 0.7, 3.0, 0.7, radius=0.15)


@pytest.mark.parametrize("place", range(12))
def test_each_group_moves_its_own_dof(place):
    (movement,) = parse_lines(line(**{LINE_DOFS[place]: "-0.25,0,1,1"})).movements
    assert movement.targets == {LINE_DOFS[place]: -0.25}


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"thumb_flex": "2.0,0,1,1"}, "2.0", "amplitude of thumb_flex: 2.0 must be at least -1"),
        ({"wrist_rot": "1,x,1,1"}, "x,1", "delay of wrist_rot: 'x' is no number"),
        ({"ring_int": "1,0,nan,1"}, "nan", "rise of ring_int: 'nan' is no number"),
        ({"ring_int": "1,0,1e999,1"}, "1e999", "rise of ring_int: '1e999' is no number"),
        ({"ring_int": "1,0,1_0,1"}, "1_0", "'1_0' is no number"),
        ({"index_flex": "1,0,0.0,1"}, "0.0,1", "rise of index_flex: 0.0 must be above 0"),
        ({"index_flex": "0,-1,1,1"}, "-1,1", "delay of index_flex: -1 must be at least 0"),
        ({"index_flex": "1,0,1, -2"}, "-2", "hold of index_flex: -2 must be at least 0"),
        ({"little_flex": "1,0,1"}, "1,0,1;", "little_flex: 3 numbers instead of amplitude, delay"),
        ({"radius": "0"}, "0;\n", "target radius: 0 must be above 0 and at most 1"),
        ({"radius": "wide"}, "wide", "target radius: 'wide' is no number"),
        ({"flag": "yes"}, "yes", "flag: 'yes' is no whole number"),
        ({"name": " "}, " ;", "the name is empty"),
        ({"radius": "0.15;7"}, "7;\n", "16 fields instead of 15; a line is NAME;FLAG;"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_column(change, field, says):
    wrong = line(**change) + "\n"
    with pytest.raises(UserError) as error:
        parse_lines(f"{THUMB}\n\n{wrong}", "set.txt")
    column = wrong.index(field) + 1
    assert str(error.value).startswith(f"set.txt, line 3, column {column}: ")
    assert says in str(error.value)


def test_a_dof_that_is_not_of_the_set_must_not_move():
    with pytest.raises(UserError, match=r"line 1, column 10: thumb_flex moves, but is none"):
        parse_lines(THUMB, dofs=["index_flex"])
    with pytest.raises(UserError, match="must be at least 0 and at most 1"):
        parse_lines(line(thumb_flex="-1,0,1,1"), dofs=["thumb_flex:0:1"])
    two = parse_lines(THUMB, dofs=["wrist_rot", "thumb_flex:0:1"])
    assert two.dofs == (Dof("wrist_rot"), Dof("thumb_flex", 0.0, 1.0))


def test_files_that_are_none_are_refused(tmp_path):
    path = tmp_path / "set.txt"
    for content, says in [
        (b"", "holds no movement"),
        (b"# only a remark\n", "holds no movement"),
        (b"\xff\xfe", "no UTF-8"),
        (line().encode(), "no amplitude differs from 0"),
        (b"x" * ((1 << 20) + 1), "more than"),
        (b"ThumbF", "1 fields instead of 15"),
    ]:
        path.write_bytes(content)
        with pytest.raises(UserError, match=says):
            read_lines(path)
    with pytest.raises(UserError, match="No such file"):
        read_lines(tmp_path / "none.txt")


numbers = st.floats(0.0, 5.0) | st.integers(0, 500).map(lambda i: i / 100)
positive = numbers.filter(lambda x: x > 0)
names = st.text(st.characters(codec="utf-8", exclude_characters=";\n\r#\ufeff"), min_size=1).filter(
    lambda text: text.strip() == text
)
amplitudes = (st.floats(-1.0, 1.0) | st.integers(-100, 100).map(lambda i: i / 100)).filter(bool)


@st.composite
def line_movements(draw):
    """A movement that the line format can hold."""
    common = draw(positive)
    targets = draw(st.dictionaries(st.sampled_from(LINE_DOFS), amplitudes, min_size=1))
    timing = {}
    for dof in targets:
        if draw(st.booleans()):
            rise = draw(positive)
            timing[dof] = Timing(draw(numbers), rise, draw(numbers), rise)
    return Movement(
        draw(names),
        targets,
        common,
        draw(numbers),
        common,
        timing,
        draw(st.floats(0.0, 1.0, exclude_min=True)),
        draw(st.integers(-9, 9)),
    )


def prompted(movement):
    timing = {name: movement.timing_of(name) for name in movement.targets}
    return movement.name, movement.targets, timing, movement.radius, movement.flag


@settings(max_examples=40, deadline=None)
@given(st.lists(line_movements(), min_size=1, max_size=4))
def test_lines_to_yaml_and_back_lose_nothing(movements):
    made = MovementSet("set", tuple(map(Dof, LINE_DOFS)), tuple(movements))
    text = format_lines(made)
    again = parse_lines(text, dofs=LINE_DOFS)
    assert list(map(prompted, again.movements)) == list(map(prompted, movements))
    assert format_lines(again) == text


@pytest.mark.parametrize("name", ["a\x85b", "a\u2028b", "\u00e9\u2029b", "\u00e9"])
def test_unusual_line_breaks_in_names_are_kept(tmp_path, name):
    path = tmp_path / "set.yaml"
    made = MovementSet(name, tuple(map(Dof, LINE_DOFS)), (Movement(name, {"thumb_flex": 1.0}),))
    path.write_text(format_yaml(made), encoding="utf-8")
    assert load_movement_set(path) == made


@settings(max_examples=40, deadline=None)
@given(
    st.lists(line_movements(), min_size=1, max_size=4),
    positive,
    st.integers(1, 9),
    numbers,
    st.sampled_from(ORDERS),
)
def test_yaml_that_was_written_is_read_as_the_same_set(tmp_path_factory, moves, fall, n, s, order):
    path = tmp_path_factory.mktemp("yaml") / "set.yaml"
    dofs = (*map(Dof, LINE_DOFS), Dof("grip", 0.0, 0.5))
    moves = [*moves, Movement("close", {"grip": 0.5}, fall=fall), Movement("none", {})]
    made = MovementSet("a set", dofs, tuple(moves), n, s, s, order)
    path.write_text(format_yaml(made), encoding="utf-8")
    assert load_movement_set(path) == made


@pytest.mark.parametrize(
    "movement",
    [
        Movement("uneven", {"index_flex": 1.0}, fall=0.5),
        Movement("semi;colon", {"index_flex": 1.0}),
        Movement("#remark", {"index_flex": 1.0}),
        Movement("two\nlines", {"index_flex": 1.0}),
        Movement("kept", {"index_flex": 0.0, "ring_flex": 1.0}, timing={"index_flex": Timing(9)}),
    ],
    ids=lambda m: m.name.split()[0],
)
def test_what_lines_cannot_say_is_refused(movement):
    made = MovementSet("set", tuple(map(Dof, LINE_DOFS)), (movement,))
    with pytest.raises(UserError, match="cannot be said in lines"):
        format_lines(made)


def test_dofs_that_lines_do_not_have_are_refused():
    made = MovementSet("set", (Dof("grip"),), (Movement("close", {"grip": 1.0}),))
    with pytest.raises(UserError, match="grip cannot be said in lines"):
        format_lines(made)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"order": "shuffled"}, "order 'shuffled', known: listed, random, blocked"),
        ({"pause": 1.0}, "unknown keys: pause; known: name, dofs"),
        ({"radius": 0.0}, "radius 0 must be above 0"),
        ({"rise": float("nan")}, "rise and fall must be positive"),
        ({"hold": float("inf")}, "would never end"),
        ({"rest": float("nan")}, "prompt and rest must not be negative"),
        ({"movements": [{"name": "a", "targets": {"x": {"amplitude": 1, "dwell": 2}}}]}, "dwell"),
        ({"movements": [{"name": "a", "targets": {"x": {"delay": 1}}}]}, "amplitude"),
        ({"movements": [{"name": "a", "targets": {"x": {"amplitude": 1, "delay": -1}}}]}, "delay"),
        ({"movements": [{"name": "a", "targets": {"x": 1}, "speed": 2}]}, "speed"),
        ({"movements": [{"name": "a"}]}, "targets"),
    ],
)
def test_mistakes_in_yaml_are_named(tmp_path, change, says):
    path = tmp_path / "set.yaml"
    document = {"dofs": ["x"], "movements": [{"name": "a", "targets": {"x": 1.0}}]}
    path.write_text(yaml.safe_dump(document | change))
    with pytest.raises(UserError) as error:
        load_movement_set(path)
    assert says in str(error.value)


def test_the_command_imports_shows_and_exports(tmp_path, capsys):
    source, made, back = (tmp_path / n for n in ("train.txt", "train.yaml", "back.txt"))
    pinch = line("Pinch", thumb_flex="0.50,0.25,0.70,3.00", index_flex="0.75,0.00,0.50,3.00")
    source.write_text(f"{THUMB}\n{pinch}\n")
    words = ["--repetitions", "2", "--rest", "0.5", "--order", "blocked"]
    assert main(["movement-set", "import", str(source), "--output", str(made), *words]) == 0
    assert main(["movement-set", "export", str(made), "--output", str(back)]) == 0
    assert back.read_text() == source.read_text()
    capsys.readouterr()
    assert main(["movement-set", "show", str(made), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [t["movement"] for t in shown["trials"]] == ["ThumbF", "ThumbF", "Pinch", "Pinch"]
    assert shown["duration_s"] == pytest.approx(0.5 + 2 * (4.4 + 0.5) + 2 * (4.65 + 0.5))
    assert main(["movement-set", "show", str(made)]) == 0
    assert "order blocked" in capsys.readouterr().out
    assert main(["movement-set", "import", str(source), "--output", str(made)]) == 1
    assert "exists already" in capsys.readouterr().err
