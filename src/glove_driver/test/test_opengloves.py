import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glove_driver.protocols.opengloves import FINGERS, KEYS, OpenGlovesParser

VECTORS = (
    Path(os.environ.get("EMGHAND_DATA", "../shared/data"))
    / "packets"
    / "opengloves_alpha_vectors.json"
)
real_data = pytest.mark.skipif(not VECTORS.exists(), reason=f"no vectors at {VECTORS}")

readings = st.dictionaries(st.sampled_from(sorted(KEYS)), st.integers(0, 4095), min_size=1)


def line(values):
    return "".join(f"{k}{v}" for k, v in values.items()).encode() + b"\n"


def named(values):
    return {KEYS[k]: v for k, v in values.items()}


@pytest.mark.data
@real_data
def test_published_vectors():
    for item in json.loads(VECTORS.read_text())["decode"]:
        (values,) = OpenGlovesParser().push(item["line"].strip().encode() + b"\n")
        curls = {f: values[f"{f}_curl"] for f in FINGERS if f"{f}_curl" in values}
        splays = {f: values[f"{f}_splay"] for f in FINGERS if f"{f}_splay" in values}
        assert curls == item["curl"]
        assert splays == item.get("splay", {})


@given(st.lists(readings, max_size=10), st.lists(st.integers(0, 2000)))
def test_values_survive_any_cut(contents, cuts):
    data = b"".join(map(line, contents))
    parser = OpenGlovesParser()
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    found = [v for a, b in pairwise(edges) for v in parser.push(data[a:b])]
    assert found == [named(v) for v in contents]
    assert (parser.lines, parser.bad_lines, parser.pending) == (len(contents), 0, 0)


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000)))
def test_any_bytes_are_accounted_for_whatever_the_cut(data, cuts):
    parser, whole = OpenGlovesParser(), OpenGlovesParser()
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    found = [v for a, b in pairwise(edges) for v in parser.push(data[a:b])]
    assert found == whole.push(data)
    assert (parser.lines, parser.junk_bytes, parser.pending) == (
        whole.lines,
        whole.junk_bytes,
        whole.pending,
    )
    assert parser.lines + parser.bad_lines == data.count(b"\n")


@given(readings, readings, st.binary(min_size=1, max_size=2000))
def test_junk_costs_its_own_line_only(first, second, junk):
    junk = junk.replace(b"\n", b"?") + b"~\n"
    parser = OpenGlovesParser()
    assert parser.push(line(first) + junk + line(second)) == [named(first), named(second)]
    assert (parser.bad_lines, parser.junk_bytes) == (1, len(junk))


@pytest.mark.parametrize(
    "damaged",
    [
        b"A100B200C3A110B210C310D400\n",  # a line feed was lost
        b"A1002000\n",  # a key was lost
        b"A10\x00B20\n",
        b"100&200\n",
        b"99999&0&0&0&0&0&0&0&0&0&0&0&0\n",
        b"\n",
        b"HX\n",
        b"A" + b"9" * 300 + b"\n",
        b"A1" * 400 + b"\n",
    ],
)
def test_damaged_lines_are_dropped_as_a_whole(damaged):
    parser = OpenGlovesParser()
    assert parser.push(damaged + b"A1\n") == [{"thumb_curl": 1}]
    assert (parser.bad_lines, parser.junk_bytes) == (1, len(damaged))


def test_ignored_keys_are_counted_and_buttons_kept():
    parser = OpenGlovesParser()
    assert parser.push(b"A1BX7(ZZ)3(CAC)9HM\r\n") == [{"thumb_curl": 1, "middle_dip": 9}]
    assert parser.ignored_keys == 3
    assert parser.buttons == {"joystick_button", "pinch"}


def test_legacy_lines():
    parser = OpenGlovesParser()
    (values,) = parser.push(b"1&2&3&4&5&600&700&0&0&1&0&1&0\n")
    assert values == {
        **{f"{finger}_curl": i + 1 for i, finger in enumerate(FINGERS)},
        "joystick_x": 600,
        "joystick_y": 700,
    }
    assert parser.buttons == {"a_button", "grab"}
