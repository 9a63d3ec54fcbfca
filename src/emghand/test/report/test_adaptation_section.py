"""The history of adaptation in a report."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from emghand.errors import UserError
from emghand.report.adaptation_section import History, _changes, _events, _figure, error_over_time
from emghand.storage.recording import Block, Recording, Series, Stream

RATE = 50.0


def recording(seconds=300.0, worse_from=150.0, worse_to=240.0):
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    stamps = np.round(t * 1e9).astype(np.int64)
    x_d = np.column_stack([np.sin(t), np.cos(t)])
    off = np.where((t >= worse_from) & (t < worse_to), 0.5, 0.1)
    stream = Stream("test", "", ("a",), RATE, n, "V", 1.0)
    block = Block(0, 0, np.zeros((n, 1), np.float32))
    names = ("thumb_flex", "wrist_flex")
    return Recording(
        "test",
        stream,
        [block],
        x_d=Series(names, stamps, x_d),
        x_hat=Series(names, stamps, x_d + off[:, None]),
    )


def event(kind, **changes):
    values = {
        "kind": kind,
        "chosen": "template",
        "score_before": 1.0,
        "score_after": float("nan"),
        "cause": "plausibility 2.00",
        "channels": ["ch01", "ch02"],
        "gain": [1.1, 1.0],
        "dead": [False, True],
        "baseline": [0.0, 0.1],
        "global_gain": 1.2,
        "rotation_deg": 8.0,
    }
    return SimpleNamespace(**(values | changes))


def test_the_error_over_time_is_that_of_each_piece():
    times, errors = error_over_time(recording(), 0.0)
    np.testing.assert_allclose(times, 15.0 + 30.0 * np.arange(10))
    np.testing.assert_allclose(errors, [0.1] * 5 + [0.5] * 3 + [0.1] * 2, atol=1e-3)


def test_the_lag_of_the_training_is_taken_out():
    late = recording()
    shifted = dataclasses.replace(late.x_d, stamps_ns=late.x_d.stamps_ns - 200_000_000)
    late = dataclasses.replace(late, x_d=shifted)
    with_lag, without = error_over_time(late, 0.2)[1], error_over_time(late, 0.0)[1]
    assert with_lag[0] == pytest.approx(0.1, abs=2e-3)
    assert without[0] > 1.2 * with_lag[0]


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(UserError, match="no x_hat"):
        error_over_time(dataclasses.replace(recording(), x_hat=None), 0.0)
    with pytest.raises(UserError, match="shorter than 120 s"):
        error_over_time(recording(60.0), 0.0)


def test_events_and_changes_are_tables_and_the_figure_has_a_line_for_each_exchange():
    history = History(
        [10.0, 60.0, 61.0, 90.0],
        [event("paused"), event("proposed"), event("swapped"), event("undone")],
    )
    table = _events("test", history)
    assert [row[1] for row in table.rows] == ["proposed", "swapped", "undone"]
    assert table.rows[0][3:5] == [1.0, None]
    changed = _changes("test", history.events[1])
    assert changed.rows == [["ch01", 1.1, "", 0.0], ["ch02", 1.0, "dead", 0.1]]
    assert "common gain 1.20, rotation 8°" in changed.caption
    figure = _figure(*error_over_time(recording(), 0.0), history)
    assert len(figure.axes[0].lines) == 3
