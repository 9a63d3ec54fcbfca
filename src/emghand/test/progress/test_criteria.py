import copy
from pathlib import Path

import pytest
import yaml

from emghand.errors import UserError
from emghand.progress.criteria import Condition, criteria_from_mapping, load_criteria
from emghand.progress.levels import EARNED

SHIPPED = Path(__file__).resolve().parents[4] / "config/progress/criteria.yaml"


@pytest.fixture
def document():
    return copy.deepcopy(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))


def test_the_shipped_file_is_the_default():
    shipped = load_criteria(SHIPPED)
    assert shipped == load_criteria()
    assert (shipped.window, shipped.patience) == (3, 20)
    assert [len(shipped.of(level)) for level in EARNED] == [6, 6, 2, 1, 2]


def test_the_digest_follows_what_decides_and_not_the_wording(document):
    digest = criteria_from_mapping(document).digest
    document["criteria"][2]["text"] = "Something else"
    assert criteria_from_mapping(document).digest == digest
    document["criteria"][2]["threshold"] = 0.7
    assert criteria_from_mapping(document).digest != digest


def spoil(document, path, value):
    *path, last = path
    for key in path:
        document = document[key]
    if value is None:
        del document[last]
    else:
        document[last] = value


@pytest.mark.parametrize(
    "path, value, said",
    [
        (["format"], "something", "expected 'emghand progress criteria'"),
        (["version"], 2, "2 is not known"),
        (["version"], True, "True is not known"),
        (["window"], 0, "below the minimum of 1"),
        (["colour"], 1, "colour: unknown setting, choose from: window, patience"),
        (["criteria"], {}, "expected a list"),
        (["criteria", 2, "level"], "expert", "criterion singles: level: 'expert' is unknown"),
        (["criteria", 2, "level"], "in_training", "choose from: trained_basic"),
        (["criteria", 2, "over"], "week", "choose from: every, window, date, history"),
        (["criteria", 2, "column"], "speed", "'speed' is unknown, choose from: n_sessions"),
        (["criteria", 2, "comparison"], "==", "criterion singles: completion_single: needs one of"),
        (["criteria", 2, "threshold"], "high", "and a number"),
        (["criteria", 2, "threshold"], True, "and a number"),
        (["criteria", 2, "threshold"], float("nan"), "and a number"),
        (["criteria", 2, "threshold"], float("inf"), "and a number"),
        (["criteria", 2, "threshold"], None, "threshold: is missing"),
        (["criteria", 2, "text"], 3, "expected text"),
        (["criteria", 2, "weight"], 3, "weight: unknown, choose from: name, level, over, text"),
        (["criteria", 2, "name"], "nrmse", "criterion nrmse: is there twice"),
        (["criteria", 2, "where"], [{}], "column: is missing"),
        (["criteria", 0, "over"], "every", "n_dates is of a window or a history"),
        (["criteria", 12, "threshold"], 1, "needs comparison '==' and true or false"),
        (["criteria", 14, "where"], None, "needed there"),
        (["criteria", 14, "where", 0, "threshold"], 1, "needs comparison '==' and a word"),
        (["criteria", 14, "where", 0, "unit"], "m", "unit: unknown"),
        (["criteria", 14], None, "level ready_retention: has no criterion"),
        (["criteria", 3], "nrmse", "criterion 4: a criterion: expected a mapping"),
    ],
)
def test_a_mistake_is_named(document, path, value, said):
    spoil(document, path, value)
    with pytest.raises(UserError) as error:
        criteria_from_mapping(document)
    assert said in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "criteria.yaml"
    for content in (b"{", b"\xff", b"!!python/object:os.system {}", b"[" * 1000, b"a: 2001-99-99"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"criteria\.yaml: "):
            load_criteria(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_criteria(tmp_path / "missing.yaml")


def test_what_is_not_known_does_not_pass():
    assert not Condition("nrmse", "<", 0.25).holds(None)
    assert Condition("nrmse", "<=", 0.25).holds(0.25)
    assert not Condition("nrmse", "<", 0.25).holds(0.25)
