import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

pytest.importorskip("pandas")
pytest.importorskip("matplotlib")
sys.path.insert(0, str(Path(__file__).parent))

from status_people import basic, calibration, day, frames, learner, pending, poor, session

from emghand.errors import UserError
from emghand.progress.curve_figures import (
    MOST_POINTS,
    curve_figure,
    measured_shares,
    parameters_figure,
    window_curves,
)
from emghand.progress.day_axis import COLORS, Days, stretches
from emghand.progress.figures import (
    performance_figure,
    practice_figure,
    size_figure,
    status_figure,
)
from emghand.progress.levels import LEVELS
from emghand.progress.overview import overview_figure
from emghand.progress.page import study_sections, subject_sections, write_page
from emghand.progress.status import compute_status, first_reached
from emghand.report import style


@pytest.fixture(scope="module")
def person():
    rows, trials = learner(n=14, hand_from=9)
    return compute_status(rows, trials), rows, trials


@pytest.fixture(scope="module")
def curves(person):
    return window_curves(*person)


FIGURES = {
    "practice": lambda dates, rows, trials, curves: practice_figure(dates, rows),
    "performance": lambda dates, rows, trials, curves: performance_figure(dates, rows, trials),
    "sizes": lambda dates, rows, trials, curves: size_figure(dates, rows, trials),
    "parameters": lambda dates, rows, trials, curves: parameters_figure(dates, curves),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_by_day_have_a_line_in_the_colour_of_each_level_reached(person, curves, name):
    dates = person[0]
    figure = FIGURES[name](*person, curves)
    found = {
        (line.get_color(), line.get_xdata()[0])
        for line in figure.axes[0].get_lines()
        if len(line.get_xdata()) == 2 and line.get_xdata()[0] == line.get_xdata()[1]
    }
    reached = first_reached(dates)
    assert len(reached) > 2
    at = {level: (when - day(0)).days + 0.5 for level, (when, _) in reached.items()}
    for level, x in at.items():
        highest = max((k for k in at if at[k] == x), key=LEVELS.index)
        assert (COLORS[highest], x) in found, level


def test_the_same_data_give_the_same_bytes(person):
    first, second = (
        style.render(performance_figure(*(t.copy() for t in person)), "svg") for _ in range(2)
    )
    assert first == second


def test_levels_have_a_colour_each():
    assert set(COLORS) == set(LEVELS)
    assert len(set(COLORS.values())) == len(LEVELS)


def test_the_map_has_a_cell_for_each_size_and_day_with_trials_and_none_for_others():
    made = [session(d, singles=(3, 4), each={"radius": r}) for d, r in ((0, 0.1), (3, 0.2))]
    rows, trials = frames(*made)
    axis = size_figure(compute_status(rows, trials), rows, trials).axes[0]
    cells = [mesh.get_array().ravel().tolist() for mesh in axis.collections]
    assert cells == [[0.75, None], [None, 0.75]]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["0.1", "0.2"]


def test_a_regress_is_drawn_below_the_line_of_the_status():
    made = frames(*(basic(d) for d in range(3)), poor(3))
    axis = status_figure(compute_status(*made)).axes[0]
    points = [
        (x, y)
        for line in axis.get_lines()
        if line.get_marker() == "o" and len(line.get_xdata())
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    assert (4.0, LEVELS.index("in_training")) in points
    (steps,) = [line for line in axis.get_lines() if line.get_drawstyle() == "steps-post"]
    assert steps.get_ydata()[-1] == LEVELS.index("trained_basic")


def test_stretches_of_the_same_level_are_one():
    found = stretches(["a", "a", "b", "a"], np.array([1.0, 2.0, 5.0, 6.0, 7.0]))
    assert found == [(1.0, 5.0, "a"), (5.0, 6.0, "b"), (6.0, 7.0, "a")]


def test_bars_of_weekly_sessions_are_a_week_wide():
    assert Days([day(0), day(7), day(14)]).width == pytest.approx(5.6)
    assert Days([day(0)]).span == 1


def test_measured_shares_have_the_intervals_of_wilson():
    difficulty = np.repeat([1.0, 2.0], [10, 40])
    reached = np.arange(50) % 4 > 0
    at, share, low, high = measured_shares(difficulty, reached)
    assert at.tolist() == [1.0, 2.0]
    for i, n in enumerate((10, 40)):
        k = round(share[i] * n)
        expected = binomtest(k, n).proportion_ci(method="wilson")
        assert (low[i], high[i]) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_many_difficulties_are_gathered():
    rng = np.random.default_rng(0)
    at, *_ = measured_shares(rng.uniform(1, 4, 200), rng.random(200) < 0.5)
    assert len(at) == MOST_POINTS
    assert (np.diff(at) > 0).all()


def test_a_window_without_a_curve_says_why():
    rows, trials = frames(basic(0))
    curves = window_curves(compute_status(rows, trials), rows, trials)
    assert "3 difficulties" in curves[day(0)].why
    curve_figure(curves)
    with pytest.raises(UserError, match="no curve to draw: a curve needs targets"):
        parameters_figure(compute_status(rows, trials), curves)


def test_the_page_of_a_subject_says_where_they_stand(person, tmp_path):
    sections = subject_sections(*person)
    written = write_page(
        "Progress of <p01>", sections, tmp_path / "p01.html",
        figures=tmp_path / "figures", formats=("svg",),
    )  # fmt: skip
    html = written[0].read_text(encoding="utf-8")
    assert "<script" not in html and "&lt;p01&gt;" in html
    assert html.count("<figure") == 6
    assert "Left out" not in html
    for name in ("status", "practice", "performance", "sizes", "curve", "parameters"):
        assert (tmp_path / "figures" / f"{name}.svg").is_file()
    with pytest.raises(UserError, match="exists already"):
        write_page("again", sections, tmp_path / "p01.html")


@pytest.mark.parametrize("made", [[calibration(0)], [pending(0)], [poor(0), pending(1)]])
def test_a_subject_with_little_gets_a_page_that_names_what_is_left_out(made):
    rows, trials = frames(*made)
    sections = subject_sections(compute_status(rows, trials), rows, trials)
    left_out = next(s for s in sections if s.title == "Left out")
    assert any("The curve over days: there is no curve" in text for text in left_out.text)


def test_a_regress_is_a_warning_on_the_page():
    rows, trials = frames(*(basic(d) for d in range(3)), poor(3))
    standing = subject_sections(compute_status(rows, trials), rows, trials)[0]
    assert "By itself this date stands at in training" in standing.warnings[0]
    assert "trained basic: 1 of" in standing.text[1]


def test_the_study_shows_every_subject_and_whom_to_advise():
    never = compute_status(*frames(*(poor(d) for d in range(20))))
    good = compute_status(*frames(*(basic(d) for d in range(3))))
    (section,) = study_sections({"p01": never, "p02": good, "p03": good.iloc[:0]})
    assert [row[0] for row in section.tables[0].rows] == ["p01", "p02"]
    assert section.tables[0].rows[1][1] == "trained basic"
    assert len(section.warnings) == 1 and section.warnings[0].startswith("p01: 20 dates")
    names = [t.get_text() for t in section.pictures[0].figure.axes[0].get_yticklabels()]
    assert names == ["p01", "p02"]
    assert overview_figure({"p01": never, "p02": good}, by_date=True)


def test_without_sessions_there_is_nothing_to_draw(person):
    dates, rows, trials = (t.iloc[:0] for t in person)
    for draw in (
        lambda: status_figure(dates),
        lambda: size_figure(dates, rows, trials),
        lambda: curve_figure({}),
        lambda: overview_figure({"p01": dates}),
        lambda: subject_sections(dates, rows, trials),
    ):
        with pytest.raises(UserError, match="there is no"):
            draw()


def test_without_an_open_interval_no_empty_line_takes_room_in_the_figure(person, curves):
    closed = {
        when: replace(
            c, curve=replace(c.curve, open_ends=dict.fromkeys(c.curve.open_ends, (False, False)))
        )
        for when, c in curves.items()
        if c.curve is not None
    }
    figure = parameters_figure(person[0], closed)
    lines = [line for axis in figure.axes for line in axis.get_lines()]
    assert all(len(line.get_xdata()) or line.get_clip_on() for line in lines)
