"""Detected movements in figures and reports."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from emghand.cli.main import main
from emghand.report.detected import found_movements, marks_of
from emghand.report.movement_section import movement_section
from emghand.report.parts import tracking_columns
from emghand.report.sources import gather
from emghand.report.tracking import Column, Mark, tracking_figure
from emghand.storage.recording import Series


@pytest.fixture(scope="module")
def material(session):
    return gather([session.path, session.path / "models" / "kalman.emgmodel"])


def test_marks_lie_where_the_estimate_changes(material):
    found = found_movements(material)
    (column,) = tracking_columns(material, "x_hat", found)
    assert {m.series for m in column.marks} == {"kalman"}
    assert len(column.marks) >= 9
    for mark in column.marks:
        before, after = np.searchsorted(column.seconds, [mark.left, mark.right])
        row = column.dofs.index(mark.dofs[0])
        values = column.lines["kalman"][:, row]
        assert abs(values[min(after, len(values) - 1)] - values[before]) > 0.2


def test_a_result_without_its_recording_has_the_same_marks(material):
    whole = found_movements(material)
    alone = dataclasses.replace(material, recordings={}, models={})
    ((digest, by_series),) = found_movements(alone).items()
    marks = marks_of(by_series, 0)
    # The first tick that is scored may not be the first one decoded.
    expected = marks_of(whole[digest], 0)
    assert [(m.left, m.right) for m in marks[-8:]] == [(m.left, m.right) for m in expected[-8:]]


def test_recorded_estimates_are_marked_too(material):
    ((name, recording),) = material.recordings.items()
    ticks = material.results["kalman"].ticks
    published = Series(ticks.names, ticks.stamps_ns, ticks.x_hat)
    live = dataclasses.replace(
        material, recordings={name: dataclasses.replace(recording, x_hat=published)}, results={}
    )
    (column,) = tracking_columns(live, "x_hat", found_movements(live))
    assert len(column.marks) >= 9
    assert {m.series for m in column.marks} == {"x_hat as recorded"}


def test_the_section_says_how_many_prompted_movements_were_found(material):
    section = movement_section(material)
    assert [p.name for p in section.pictures] == ["detected_test"]
    ((row,),) = [t.rows for t in section.tables]
    values = dict(zip(section.tables[0].head, row, strict=True))
    assert values["prompted"] == 12
    assert values["F1"] > 0.85
    assert values["onset error [ms]"] < 120


def test_a_figure_marks_each_series_in_its_own_place():
    t = np.arange(10.0)
    x = np.zeros((10, 2))
    marks = [Mark(1.0, 2.0, ("a",), "one"), Mark(3.0, 40.0, ("a", "b"), "two")]
    column = Column("c", ("a", "b"), t, x, {"one": x, "two": x}, marks=marks)
    figure = tracking_figure([column])
    # In each row the area of x_d is drawn anyway.
    counts = [len(axis.patches) for axis in figure.axes]
    assert counts == [2, 1]
    assert figure.axes[1].patches[0].get_x() + figure.axes[1].patches[0].get_width() == 9.0


def test_plot_marks_movements_where_asked(session, tmp_path):
    texts = []
    for name, more in (("plain", ()), ("marked", ("--movements",))):
        path = tmp_path / f"{name}.svg"
        argv = ["plot", "tracking", str(session.path), "--output", str(path), *more]
        assert main(argv) == 0
        texts.append(path.read_text())
    assert ["detected movement" in text for text in texts] == [False, True]
