import gzip
import os
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from emghand.errors import UserError
from emghand.storage.datasets import is_camera_glitch, read_jhu

DATA = Path(os.environ.get("EMGHAND_DATA", "../shared/data")) / "jhu_myo_mediapipe"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recording at {DATA}, EMGHAND_DATA?")


def write(folder, emg_rows, camera_rows):
    names = ",".join(f"currentData_{i + 1}" for i in range(8))
    text = "\n".join([f"time,{names}", *emg_rows]) + "\n"
    with gzip.open(folder / "EMG_data_1.csv.gz", "wt") as file:
        file.write(text)
    rows = ["timestamp,thumb,index,middle,ring,little", *camera_rows]
    (folder / "mediapipe_1.csv").write_text("\n".join(rows) + "\n")
    return folder


CAMERA = [
    "23/06/22 00:59:58.900,180,90,0,135,45",
    "23/06/22 01:00:01.500,180,10,0,135,45",
]


def emg_row(time, value):
    return ",".join([time, *[str(value)] * 8])


def test_held_on_the_grid_and_twelve_hour_clock_resolved(tmp_path):
    times = ["12:59:59.000", "12:59:59.040", "12:59:59.990", "1:00:00.050", "01:00:01.000"]
    rows = [emg_row(t, v) for t, v in zip(times, [0.01, -0.02, 0.03, 0.04, 1.27], strict=True)]
    recording = read_jhu(write(tmp_path, rows, CAMERA), rate=10.0, block_size=4)
    start = datetime(2023, 6, 22, 0, 59, 59, tzinfo=timezone.utc).timestamp()
    samples = np.concatenate([b.samples for b in recording.blocks])
    assert recording.blocks[0].stamp_ns == int(start) * 10**9
    assert recording.blocks[1].stamp_ns == int(start) * 10**9 + 400_000_000
    assert samples[:, 0].tolist() == [1] + [-2] * 9 + [3] + [4] * 9 + [127]
    assert recording.x_d.names[1] == "index_flex"
    assert recording.x_d.values[0].tolist() == [-1.0, 0.0, 1.0, -0.5, 0.5]
    assert recording.x_d.stamps_ns[0] == (int(start) - 1) * 10**9 + 900_000_000


def test_clock_is_unwrapped_over_noon(tmp_path):
    rows = [emg_row("12:59:59.9", 0.0), emg_row("01:00:00.1", 0.0)]
    afternoon = [row.replace(" 00:", " 12:").replace(" 01:", " 13:") for row in CAMERA]
    recording = read_jhu(write(tmp_path, rows, afternoon))
    moment = datetime.fromtimestamp(recording.blocks[0].stamp_ns / 1e9, tz=timezone.utc)
    assert (moment.hour, moment.minute) == (12, 59)


def test_nothing_is_used_before_it_was_measured(tmp_path):
    rows = [emg_row("12:59:59.000", 0.0), emg_row("12:59:59.499", 1.0), emg_row("1:00:00.2", 0.5)]
    whole = read_jhu(write(tmp_path, rows, CAMERA))
    samples = np.concatenate([b.samples for b in whole.blocks])[:, 0]
    assert (samples[: int(0.499 * 60) + 1] == 0).all()
    assert samples[30] == 100


@pytest.mark.parametrize(
    ("emg", "camera", "says"),
    [
        (["12:59:59.0,1,2"], CAMERA, "expected"),
        ([emg_row("12:59:59.0", "x"), emg_row("12:59:59.5", 0)], CAMERA, "line 2"),
        ([emg_row("12:59:59.0", "nan"), emg_row("12:59:59.5", 0)], CAMERA, "finite"),
        ([emg_row("25-61", 0)] * 2, CAMERA, "time of day"),
        ([emg_row("12:59:59.5", 0), emg_row("12:59:59.0", 0)], CAMERA, "out of order"),
        ([emg_row("12:59:59.5", 0)] * 2, ["yesterday,1,2,3,4,5"] * 2, "time stamp"),
        ([emg_row("12:59:59.5", 0)] * 2, CAMERA[::-1], "out of order"),
        ([emg_row("06:59:59.5", 0), emg_row("06:59:59.6", 0)], CAMERA, "overlap"),
        ([emg_row("12:59:59.5", 0)] * 2, CAMERA, "the row before it again"),
        ([], CAMERA, "no data"),
    ],
)
def test_damaged_files_are_named(tmp_path, emg, camera, says):
    with pytest.raises(UserError, match=says):
        read_jhu(write(tmp_path, emg, camera), strict=True)


def test_cut_archive_and_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match="not a folder"):
        read_jhu(tmp_path / "nothing")
    with pytest.raises(UserError, match="found 0"):
        read_jhu(tmp_path)
    write(tmp_path, [emg_row("12:59:59.5", 0)] * 300, CAMERA)
    path = tmp_path / "EMG_data_1.csv.gz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="cut short"):
        read_jhu(tmp_path, strict=True)


@pytest.mark.data
@real_data
def test_linear_baseline_on_the_real_recording_is_neither_broken_nor_leaking():
    recording = read_jhu(DATA)
    samples = np.concatenate([b.samples for b in recording.blocks])
    assert np.array_equal(samples, np.round(samples)) and np.abs(samples).max() <= 128
    glitches = is_camera_glitch(recording.x_d.values).mean(axis=0)
    assert glitches[0] == 0 and ((glitches[1:] > 0.03) & (glitches[1:] < 0.09)).all()

    window, hop, lags = 30, 2, (0, 3, 6, 9)
    total = np.cumsum(np.abs(samples.astype(float)), axis=0)
    ticks = np.arange(window, len(samples), hop)
    z = np.sqrt((total[ticks] - total[ticks - window]) / window)
    z = np.hstack([z[max(lags) - lag : len(z) - lag] for lag in lags])
    ticks = ticks[max(lags) :]
    stamps = np.array([b.stamp_ns for b in recording.blocks])[ticks]
    x_d = recording.x_d
    x = np.column_stack([np.interp(stamps, x_d.stamps_ns, x_d.values[:, j]) for j in range(5)])
    split = int(0.7 * len(z))
    mean, std = z[:split].mean(axis=0), z[:split].std(axis=0)
    model = Ridge().fit((z[:split] - mean) / std, x[:split])
    r2 = r2_score(x[split:], model.predict((z[split:] - mean) / std), multioutput="raw_values")
    assert 0.52 < r2.mean() < 0.60
    assert np.abs(r2 - [0.60, 0.41, 0.40, 0.68, 0.68]).max() < 0.05
