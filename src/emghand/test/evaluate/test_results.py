"""Results: what is saved is what was scored, to the bit, and damage is noticed."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
from result_maker import make, make_ticks

from emghand.errors import UserError
from emghand.evaluate.metrics import score
from emghand.evaluate.results import Result


def test_a_saved_result_is_the_same_result(tmp_path):
    result = make()
    assert [p.name for p in result.save(tmp_path / "r.json")] == ["r.json", "r.npz"]
    again = Result.load(tmp_path / "r.json")
    assert again.to_json() == result.to_json()
    assert again.digest == result.digest
    for item in dataclasses.fields(result.ticks):
        name = item.name
        np.testing.assert_array_equal(getattr(again.ticks, name), getattr(result.ticks, name))
    for item in dataclasses.fields(Result):
        if item.name != "ticks":
            assert getattr(again, item.name) == getattr(result, item.name), item.name


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        make().save(tmp_path / f"{name}.json")
    for ending in ("json", "npz"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    assert make(seed=1).digest != make().digest


def test_the_numbers_are_those_of_score():
    result = make()
    ticks = result.ticks
    expected = score(ticks.x_d, ticks.x_hat, ticks.names).as_dict()
    assert result.scores["x_hat"] == expected
    for row in result.tables["movement"]:
        keep = ticks.movement == ticks.movements.index(row.name)
        part = score(ticks.x_d[keep], ticks.x_hat[keep], ticks.names).as_dict()
        assert row.ticks == keep.sum()
        assert {k: v for k, v in row.scores["x_hat"].items() if k != "nrmse"} == {
            k: v for k, v in part.items() if k != "nrmse"
        }
        whole = ticks.x_d.max(axis=0) - ticks.x_d.min(axis=0)
        for i, name in enumerate(ticks.names):
            assert row.scores["x_hat"]["nrmse"][name] == pytest.approx(
                part["rmse"][name] / whole[i]
            ), "relative to the range of the whole, so that movements can be compared"


def test_the_tail_of_another_movement_has_no_r2():
    """The index finger covers 2 % of its range during the movements of the wrist."""
    ticks = make_ticks()
    x_d = ticks.x_d.copy()
    first = (ticks.movement == 1) & (np.arange(len(ticks)) % 60 == 0)
    x_d[first, 0] = 0.02
    part = dataclasses.replace(ticks, x_d=x_d).scores(["r2", "rmse"], ticks.movement == 1)
    assert part["x_hat"]["r2"]["index_flex"] is None
    assert part["x_hat"]["rmse"]["index_flex"] > 0.0


def test_every_tick_is_in_one_row_of_each_table():
    result = make()
    for by, rows in result.tables.items():
        assert sum(r.ticks for r in rows) == result.n_ticks, by
    assert [r.name for r in result.tables["movement"]] == ["index", "wrist"]
    assert len(result.tables["repetition"]) == 4


def test_the_relaxed_hand_enters_the_scores_of_what_the_hand_gets():
    plain, relaxed = make(noise=0.0), make(noise=0.0, relax_pos=(0.2, -0.3))
    assert relaxed.scores["out_x_hat"]["rmse"] == plain.scores["out_x_hat"]["rmse"]
    assert relaxed.scores["out_x_hat"]["unintended"]["wrist_flex"] == 0.0
    np.testing.assert_array_equal(relaxed.ticks.case("out_x_hat").rest, [0.2, -0.3])
    np.testing.assert_array_equal(relaxed.ticks.case("x_hat").rest, 0.0)


def test_other_measures_can_be_computed_later(tmp_path):
    make().save(tmp_path / "r.json")
    old = Result.load(tmp_path / "r.json")
    new = old.rescored(["r2", "latency"])
    assert new.metrics == ("r2", "latency")
    assert new.scores["x_hat"]["r2"] == old.scores["x_hat"]["r2"]
    assert set(new.tables["movement"][0].scores["x_hat"]) == {"r2", "latency"}
    (tmp_path / "r.npz").unlink()
    with pytest.raises(UserError, match="not there"):
        Result.load(tmp_path / "r.json").rescored(["r2"])
    with pytest.raises(UserError, match="unknown, choose from: r2"):
        old.rescored(["magic"])


def test_ticks_without_a_label_are_not_scored():
    ticks = make_ticks()
    x_d = ticks.x_d.copy()
    x_d[:100] = np.nan
    part = dataclasses.replace(ticks, x_d=x_d)
    case = part.case("x_hat")
    assert len(case.x_d) == len(ticks) - 100
    assert len(part.case("x_hat_compensated").x_d) == len(ticks)


def test_ticks_follow_one_another_only_without_a_gap():
    ticks = make_ticks()
    assert (ticks.run == 0).all()
    assert np.unique(ticks.rows(ticks.trial != 3).run).tolist() == [0, 1]
    fold = (ticks.trial > 4).astype(np.int64)
    assert np.unique(dataclasses.replace(ticks, fold=fold).run).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(format="x"), "not a result"),
        (lambda d: d.update(version=99), "newer emghand"),
        (lambda d: d.pop("scores"), "damaged"),
        (lambda d: d.update(sources=[{"name": 1, "spam": 2}]), "damaged"),
        (lambda d: d["ticks"].update(sha256="0"), "not the one"),
        (lambda d: d["ticks"].update(tick_rate="fast"), "damaged"),
    ],
)
def test_a_damaged_document_is_refused(tmp_path, change, text):
    path = tmp_path / "r.json"
    make().save(path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=text):
        Result.load(path)


def test_ticks_with_a_pickle_or_another_shape_are_refused():
    ticks = make_ticks()
    header, data = ticks.header(), ticks.to_bytes()
    with pytest.raises(UserError, match="damaged"):
        type(ticks).from_bytes(header, data[:-50])
    arrays = {k: getattr(ticks, k) for k in ("x_d_before", "x_hat", "out_x_hat")}
    for values in (np.array([{}], dtype=object), np.zeros((2, 2), np.float32), np.zeros(3)):
        file = io.BytesIO()
        np.savez(file, x_d=values, **arrays)
        with pytest.raises(UserError, match="x_d"):
            type(ticks).from_bytes(header, file.getvalue())


def test_nothing_is_replaced(tmp_path):
    make().save(tmp_path / "r.json")
    with pytest.raises(UserError, match="exists already"):
        make().save(tmp_path / "r.json")
    with pytest.raises(UserError, match=r"ends in \.json"):
        make().save(tmp_path / "r.txt")
