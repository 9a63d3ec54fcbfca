"""NinaPro files of the published layouts, made here."""

import numpy as np
import pytest
from ninapro_files import write_ninapro
from scipy.io import savemat

from emghand.errors import UserError
from emghand.storage.datasets import (
    GloveMap,
    db8_glove_map,
    read_any,
    read_glove_map,
    read_ninapro,
)
from emghand.storage.recording import PeriodKind


def stacked(recording):
    return np.concatenate([b.samples for b in recording.blocks])


@pytest.mark.parametrize(
    ("name", "channels", "sensors", "rate", "session"),
    [
        ("S3_A1_E2.mat", 10, 22, 100.0, "1"),
        ("S3_E2_A1.mat", 12, 22, 2000.0, "1"),
        ("S3_E1_A2.mat", 16, 18, 2000.0, "2"),
    ],
)
def test_each_layout_is_told_from_its_columns(tmp_path, name, channels, sensors, rate, session):
    arrays = write_ninapro(tmp_path / name, channels, sensors, rate, subject=3)
    recording = read_any(tmp_path / name)
    assert recording.stream.rate == rate and recording.stream.unit == "V"
    assert np.array_equal(stacked(recording), arrays["emg"].astype(np.float32))
    assert (recording.subject, recording.session, recording.date) == ("3", session, "")
    assert not recording.repairs


def test_movements_and_repetitions_are_those_of_the_refined_labels(tmp_path):
    arrays = write_ninapro(tmp_path / "S1_A1_E2.mat", 10, 22, 100.0, exercise=2)
    recording = read_ninapro(tmp_path / "S1_A1_E2.mat")
    moves = [p for p in recording.periods if p.kind is PeriodKind.MOVE]
    assert [p.movement for p in moves] == ["e2m01"] * 2 + ["e2m02"] * 2 + ["e2m03"] * 2
    assert [p.repetition for p in moves] == [0, 1] * 3
    assert [p.trial for p in moves] == list(range(6))
    assert [p.movement_index for p in moves] == [1, 1, 2, 2, 3, 3]
    first = np.flatnonzero(arrays["restimulus"].ravel() == 1)[0]
    assert moves[0].stamp_ns == first * 10_000_000
    assert recording.x_d.names[4] == "index_mcp" and len(recording.x_d.names) == 22
    assert np.allclose(recording.x_d.values, arrays["glove"] / 90.0)


def test_the_glove_of_db8_becomes_five_degrees_of_actuation(tmp_path):
    arrays = write_ninapro(tmp_path / "S1_E1_A1.mat", 16, 18, 2000.0)
    recording = read_ninapro(tmp_path / "S1_E1_A1.mat")
    glove = arrays["glove"][::20]
    assert recording.x_d.names == (
        *("thumb_rot", "thumb_flex", "index_flex", "middle_flex", "ring_little_flex"),
    )
    # Krasoulis et al. 2019, written out.
    by_hand = np.column_stack(
        [
            0.639 * glove[:, 0] + 0.383 * glove[:, 1] - 0.639 * glove[:, 3] - 0.19 * glove[:, 16],
            glove[:, 2],
            0.4 * glove[:, 4] + 0.6 * glove[:, 5],
            0.4 * glove[:, 6] + 0.6 * glove[:, 7],
            (glove[:, 9] + 2 * glove[:, 10] + glove[:, 12] + 2 * glove[:, 13]) / 6.0,
        ]
    )
    assert np.allclose(recording.x_d.values * 90.0, by_hand, atol=0.02)
    assert recording.x_d.stamps_ns[1] == 10_000_000


def test_the_map_can_be_replaced(tmp_path):
    write_ninapro(tmp_path / "S1_E1_A1.mat", 16, 18, 2000.0)
    rows = [f"s{i},{int(i == 2)}" for i in range(18)]
    (tmp_path / "m.csv").write_text("\n".join(["sensor,thumb", *rows]))
    glove_map = read_glove_map(tmp_path / "m.csv")
    recording = read_ninapro(tmp_path / "S1_E1_A1.mat", glove_map)
    assert recording.x_d.names == ("thumb",)
    with pytest.raises(UserError, match="18 sensors, the map 2"):
        read_ninapro(tmp_path / "S1_E1_A1.mat", GloveMap(("a", "b"), ("x",), np.ones((2, 1))))
    (tmp_path / "m.csv").write_text("sensor,thumb\ns0,x\n")
    with pytest.raises(UserError, match="line 2: a weight"):
        read_glove_map(tmp_path / "m.csv")
    assert db8_glove_map().matrix.shape == (18, 5)


def test_damage_is_a_gap_or_a_missing_label(tmp_path):
    arrays = write_ninapro(tmp_path / "S1_A1_E1.mat", 10, 22, 100.0)
    arrays["emg"][10:12, 3] = np.nan
    arrays["glove"][20, 5] = np.nan
    savemat(tmp_path / "S1_A1_E1.mat", arrays)
    recording = read_ninapro(tmp_path / "S1_A1_E1.mat")
    kinds = {r.kind: r for r in recording.repairs}
    assert kinds["bad_value"].ranges == ((10, 11),) and kinds["bad_label"].ranges == ((20, 20),)
    assert len(stacked(recording)) == len(arrays["emg"]) - 2
    assert np.isnan(recording.x_d.values[20]).any()
    with pytest.raises(UserError, match="strict"):
        read_ninapro(tmp_path / "S1_A1_E1.mat", strict=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"emg": None}, "no array 'emg'"),
        ({"glove": np.zeros((5, 22))}, "rows"),
        ({"glove": np.zeros((1200, 7))}, "column map"),
        ({"emg": "text"}, "matrix"),
        ({"restimulus": np.zeros((3, 1))}, "one number per sample"),
        ({"restimulus": None, "stimulus": None}, "no array 'stimulus'"),
    ],
)
def test_files_of_another_layout_are_named(tmp_path, change, says):
    arrays = write_ninapro(tmp_path / "S1_A1_E1.mat", 10, 22, 100.0) | change
    savemat(tmp_path / "S1_A1_E1.mat", {k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(UserError, match=says):
        read_ninapro(tmp_path / "S1_A1_E1.mat")


def test_new_matlab_files_and_damaged_ones_are_named(tmp_path):
    path = tmp_path / "S1_A1_E1.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(600))
    with pytest.raises(UserError, match=r"7\.3 file; save it"):
        read_ninapro(path)
    write_ninapro(path, 10, 22, 100.0, seconds=2.0)
    whole = path.read_bytes()
    for cut in (0, 3, 100, 130, 200, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match="S1_A1_E1"):
            read_ninapro(path)
    with pytest.raises(UserError, match="column map"):
        (tmp_path / "other.mat").write_bytes(whole)
        read_any(tmp_path / "other.mat")
