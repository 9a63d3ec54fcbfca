import gzip

import numpy as np
import pytest

from emghand.errors import UserError
from emghand.storage.datasets import read_csv, read_npz


def samples_of(recording):
    return np.concatenate([b.samples for b in recording.blocks])


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


EMG = np.arange(40.0).reshape(20, 2)


def test_npz_with_labels(tmp_path):
    path = save(
        tmp_path / "a.npz",
        emg=EMG,
        rate=1000.0,
        channel_names=["left", "right"],
        unit="count",
        full_scale=2048,
        x_d=np.zeros((3, 1)),
        x_d_names=["fist"],
        x_d_time=[0.0, 0.01, 0.02],
    )
    recording = read_npz(path, block_size=8)
    assert np.array_equal(samples_of(recording), EMG)
    assert [len(b.samples) for b in recording.blocks] == [8, 8, 4]
    assert recording.blocks[1].stamp_ns == 8_000_000
    assert recording.stream.channel_names == ("left", "right")
    assert (recording.stream.unit, recording.stream.full_scale) == ("count", 2048.0)
    assert recording.x_d.stamps_ns.tolist() == [0, 10_000_000, 20_000_000]
    assert len(recording.digest) == 64


def test_npz_with_nothing_but_emg(tmp_path):
    recording = read_npz(save(tmp_path / "a.npz", emg=EMG, rate=500))
    assert recording.x_d is None and recording.stream.block_size == 8


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"rate": 1000}, "'emg'"),
        ({"emg": EMG}, "'rate'"),
        ({"emg": EMG[0], "rate": 1000}, "2 dimensions"),
        ({"emg": EMG.astype(str), "rate": 1000}, "numbers"),
        ({"emg": EMG * np.nan, "rate": 1000}, "finite"),
        ({"emg": EMG, "rate": -1}, "positive"),
        ({"emg": EMG[:0], "rate": 1000}, "no EMG"),
        ({"emg": EMG, "rate": 1000, "unit": "mV"}, "unit"),
        ({"emg": EMG, "rate": 1000, "channel_names": ["a"]}, "1 names"),
        ({"emg": EMG, "rate": 1000, "x_d": np.zeros((2, 1))}, "x_d_names"),
        (
            {
                "emg": EMG,
                "rate": 1000,
                "x_d": np.zeros((2, 1)),
                "x_d_names": ["a"],
                "x_d_time": [1, 0],
            },
            "backwards",
        ),
        ({"emg": np.array([[object()]]), "rate": 1000}, "damaged"),
    ],
)
def test_unusable_npz_is_named(tmp_path, arrays, says):
    with pytest.raises(UserError, match=says):
        read_npz(save(tmp_path / "a.npz", **arrays))


def test_damaged_npz_is_named(tmp_path):
    path = save(tmp_path / "a.npz", emg=EMG, rate=1000)
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"a\.npz"):
            read_npz(path)
    np.save(tmp_path / "b.npy", EMG)
    with pytest.raises(UserError, match="not an npz"):
        read_npz(tmp_path / "b.npy")


def test_csv_with_time_and_labels(tmp_path):
    rows = [f"{5 + i / 100},{i},{-i},{i / 10}" for i in range(10)]
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("\n".join(["time,a,b,x_d.fist", *rows]))
    recording = read_csv(tmp_path / "a.csv.gz")
    assert abs(recording.stream.rate - 100) < 1e-6
    assert samples_of(recording).tolist() == [[i, -i] for i in range(10)]
    assert recording.x_d.names == ("fist",)
    assert recording.x_d.stamps_ns[-1] == 90_000_000


def test_irregular_csv_is_held_on_the_grid_that_is_asked_for(tmp_path):
    (tmp_path / "a.csv").write_text("time,a\n0,1\n0.1,2\n0.35,3\n0.4,4\n")
    with pytest.raises(UserError, match="evenly"):
        read_csv(tmp_path / "a.csv")
    assert samples_of(read_csv(tmp_path / "a.csv", rate=10.0))[:, 0].tolist() == [1, 2, 2, 2, 4]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("a,b\n", "no data"),
        ("a,b\n1,2\n", "give the rate"),
        ("a,a\n1,2\n", "twice"),
        ("time,a\n0,1\n1,2,3\n", "line 3"),
        ("time,a\n0,1\n1,inf\n", "finite"),
        ("time,a\n1,1\n0,2\n", "out of order"),
        ("time,a\n1,1\n", "two rows"),
        ("time\n1\n2\n", "no EMG"),
    ],
)
def test_unusable_csv_is_named(tmp_path, text, says):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=says):
        read_csv(tmp_path / "a.csv", strict=True)
