import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emghand.errors import UserError
from glove_driver.calibration import Calibration, SensorRange, load_calibration


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0, -1.0), (100, -1.0), (150, -0.5), (200, 0.0), (300, 0.25), (600, 1.0), (999, 1.0)],
)
def test_both_sides_of_rest_are_linear_and_clipped(value, wanted):
    assert SensorRange("a", 100, 600, rest=200).normalise(value) == wanted
    mirrored = SensorRange("a", -100, -600, rest=-200)
    assert mirrored.normalise(-value) == wanted


@given(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_a_value_never_leaves_the_range(value, extended, size):
    assert -1.0 <= SensorRange("a", extended, extended + size).normalise(value) <= 1.0


def test_dofs_are_weighted_means_of_their_sensors():
    calibration = Calibration(
        {
            "mcp": SensorRange("index", 0, 100, weight=3),
            "pip": SensorRange("index", 0, 100),
            "tip": SensorRange("thumb", 100, 0),
        }
    )
    assert calibration.dofs == ("index", "thumb")
    x = calibration.apply({"mcp": 100, "pip": 0, "tip": 100, "more": 5})
    assert np.array_equal(x, [0.5, -1.0])
    assert calibration.missing({"mcp", "tip"}) == {"pip"}


def test_a_file_is_read(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "sensors:\n  a: {dof: fist, extended: 10, flexed: 200}\n"
        "  b: {dof: fist, extended: 1, rest: 2.5, flexed: 3, weight: 2}\n"
    )
    calibration = load_calibration(tmp_path / "c.yaml")
    assert calibration.sensors["b"] == SensorRange("fist", 1, 3, 2.5, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "key 'sensors'"),
        ("sensors: 3", "key 'sensors'"),
        ("sensors: {}", "no sensor"),
        ("sensors: {a: 3}", "sensor a"),
        ("sensors: {a: {dof: x, extended: 1}}", "sensor a"),
        ("sensors: {a: {dof: x, extended: 1, flexed: 2, extra: 1}}", "extra"),
        ("sensors: {a: {dof: x, extended: 1, flexed: '2'}}", "not a number"),
        ("sensors: {a: {dof: x, extended: 1, flexed: 1}}", "differ"),
        ("sensors: {a: {dof: x, extended: 1, flexed: 2, rest: 3}}", "rest between"),
        ("sensors: {a: {dof: x, extended: .nan, flexed: 2}}", "differ"),
        ("sensors: {a: {dof: x, extended: 1, flexed: 2, weight: 0}}", "weight"),
        ("{", "cannot be read"),
    ],
)
def test_mistakes_are_named(tmp_path, text, says):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=says):
        load_calibration(tmp_path / "c.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml"):
        load_calibration(tmp_path / "none.yaml")
