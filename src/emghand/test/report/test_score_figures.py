"""Figures of scores show the numbers they are given."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex
from result_maker import make, make_ticks

from emghand.errors import UserError
from emghand.evaluate.metrics import measure
from emghand.report import style
from emghand.report.box_figure import box_figure
from emghand.report.parts import Choice, box_groups, draw_unintended, score_series, tracking_columns
from emghand.report.score_figures import scores_figure, unintended_figure
from emghand.report.sources import Material, short_names
from emghand.report.tracking import Column, Span, tracking_figure
from emghand.report.trials import crosstalk, trial_scores


def texts(figure):
    return [t.get_text() for t in figure.findobj(match=lambda a: hasattr(a, "get_text"))]


def test_every_score_is_a_mark_at_its_value():
    result = make()
    figure = scores_figure({"a": result.scores["x_hat"]}, ("rmse", "r2"))
    for axis, metric in zip(figure.axes, ("rmse", "r2"), strict=False):
        (marks,) = [k for k in axis.lines if k.get_marker() == "o"]
        wanted = list(result.scores["x_hat"][metric].values())
        np.testing.assert_array_equal(marks.get_xdata(), [*wanted, np.mean(wanted)])
    assert f"{wanted[0]:.2f}" in texts(figure)


def test_useless_scores_stay_at_the_edge_with_their_value():
    measures = {"r2": {"index_flex": -179.0, "wrist_flex": 0.5, "thumb_flex": None}}
    figure = scores_figure({"a": measures}, ("r2",))
    assert "−179" in texts(figure)
    assert figure.axes[0].get_xlim()[0] >= -1.2


def test_series_differ_in_colour_line_and_marker():
    looks = [style.look(i) for i in range(style.MOST_SERIES)]
    assert len({k.marker for k in looks}) == len({k.hatch for k in looks}) == len(looks)
    assert len({(k.color, str(k.line)) for k in looks}) == len(looks)
    for a, b in itertools.pairwise(looks[:6]):
        assert a.color != b.color
        assert a.line != b.line
    assert to_hex(looks[0].color).upper() == "#0072B2"
    with pytest.raises(UserError, match="13 series in one figure"):
        style.check_series(13)


def test_trial_scores_are_the_measures_of_each_trial_alone():
    ticks = make_ticks(trials=6)
    found = trial_scores(ticks, "x_hat", ("rmse", "unintended"))
    assert len(found.movement) == 6
    for trial in range(6):
        alone = measure(ticks.rows(ticks.trial == trial).case("x_hat"), ("rmse", "unintended"))
        # np.unique sorts by fold, recording and trial, so the rows are the trials in order.
        assert found.movement[trial] == trial % 2
        for metric, values in alone.items():
            assert found.values[metric][trial] == pytest.approx(np.nanmean(values), rel=1e-12)


def test_boxes_are_the_quartiles_of_the_trials():
    values = np.array([1.0, 2.0, 3.0, 4.0, 9.0, 20.0])
    figure = box_figure({"rmse": {"a": {"fist": values, "few": values[:3]}}}, "movement", "trial")
    axis = figure.axes[0]
    (box,) = axis.patches
    low, high = box.get_path().vertices[:, 1].min(), box.get_path().vertices[:, 1].max()
    assert (low, high) == tuple(np.percentile(values, (25, 75)))
    points = [k.get_ydata() for k in axis.lines if k.get_marker() == "o"]
    assert [len(p) for p in points] == [6, 3]


def test_of_many_trials_only_outliers_are_points():
    values = np.concatenate([np.linspace(0.0, 1.0, 100), [5.0]])
    figure = box_figure({"rmse": {"a": {"fist": values}}}, "movement", "trial")
    (points,) = [k.get_ydata() for k in figure.axes[0].lines if k.get_marker() == "o"]
    assert list(points) == [5.0]


def test_many_trials_without_outliers_are_boxes_alone(recwarn):
    values = {
        "x": np.linspace(0.07, 0.08, 200),
        "y": np.array([*np.linspace(0.07, 0.08, 200), 0.1]),
    }
    groups = {metric: {"a": values} for metric in ("rmse", "intended", "unintended")}
    figure = box_figure(groups, "movement", "trial")
    style.render(figure, "png", 50)
    assert [len(axis.patches) for axis in figure.axes] == [2, 2, 2]
    assert not [w for w in recwarn if "constrained_layout" in str(w.message)]


def test_crosstalk_is_the_mean_estimate_at_the_plateau():
    ticks = make_ticks(noise=0.0)
    movements, dofs, means = crosstalk(ticks, "x_hat")
    assert movements == ["index", "wrist"]
    assert dofs == ["index_flex", "wrist_flex"]
    # sin² above 0.9 of its top; the other DOF rests.
    bump = np.sin(np.pi * np.arange(60) / 60) ** 2
    top = bump[bump >= 0.9].mean()
    np.testing.assert_allclose(means, [[0.8 * top, 0.0], [0.0, top]], atol=1e-12)


def test_models_are_lines_of_their_own_over_the_same_recording():
    material = Material(results={"a": make("a"), "b": make("b", seed=1)})
    (column,) = tracking_columns(material, "x_hat")
    assert list(column.lines) == ["a", "b"]
    np.testing.assert_array_equal(column.lines["a"], material.results["a"].ticks.x_hat)
    figure = tracking_figure([column])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["x_d", "a", "b"]
    assert {"time [s]", "index\nflex"} <= set(texts(figure))
    other = make("c", digest="d2")
    material.results["c"] = other
    assert [len(c.lines) for c in tracking_columns(material, "x_hat")] == [2, 1]


def test_long_upright_names_have_room(recwarn):
    spans = [Span(float(i), i + 0.8, f"a_movement_of_long_name_{i}") for i in range(30)]
    t = np.arange(0.0, 30.0, 0.016)
    zeros = np.zeros((len(t), 1))
    column = Column("r", ("wrist",), t, zeros, {"a": zeros}, spans)
    figure = tracking_figure([column])
    style.render(figure, "png", 50)
    assert not [w for w in recwarn if "constrained_layout" in str(w.message)]
    shown = figure.axes[0].get_window_extent().height / figure.dpi
    assert shown > 0.2


def test_result_without_ticks_keeps_its_scores_and_is_named():
    from dataclasses import replace

    material = Material(results={"a": replace(make(), ticks=None)})
    assert tracking_columns(material, "x_hat") == []
    assert material.left_out[0].why == "its ticks (.npz) are not there"
    assert score_series(material, "x_hat")["a"] == make().scores["x_hat"]
    with pytest.raises(UserError, match="no movement is named"):
        box_groups(material, "x_hat", ("rmse",), "movement")
    assert draw_unintended(material, Choice("x_hat")).axes


def test_titles_of_maps_side_by_side_do_not_overlap():
    names = [f"subject_{i}/{'a_long_name_' * 3}{i}" for i in range(2)]
    result = make()
    scores = {n: result.scores["x_hat"] for n in names}
    figure = unintended_figure(scores, {n: crosstalk(result.ticks, "x_hat") for n in names})
    style.render(figure, "png", 50)
    left, right = (a._left_title.get_window_extent() for a in figure.axes[1:])
    assert left.x1 < right.x0


def test_map_and_pairs_show_the_numbers():
    result = make()
    maps = {"a": crosstalk(result.ticks, "x_hat")}
    figure = unintended_figure({"a": result.scores["x_hat"]}, maps)
    assert f"{maps['a'][2][1, 1]:.2f}" in texts(figure)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["s/bags/test"], ["test"]),
        (["a/bags/test", "b/bags/test"], ["a/test", "b/test"]),
        (["m/kalman.emgmodel", "x.csv.gz"], ["kalman", "x"]),
        (["_hidden\n<b>"], ["·_hidden·<b>"]),
        (["x.npz", "x.csv"], ["1: x.npz", "2: x.csv"]),
    ],
)
def test_names_are_as_short_as_tells_them_apart(names, wanted):
    assert list(short_names(names).values()) == wanted
