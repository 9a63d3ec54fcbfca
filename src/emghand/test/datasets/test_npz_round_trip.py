"""Whole recordings through npz, and the command that writes them."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ninapro_files import write_ninapro

from emghand.cli.main import main
from emghand.dofs import DEFAULT_DOFS
from emghand.errors import UserError
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.datasets import read_any, read_npz, save_npz
from emghand.storage.recording import Block, Series, recording_digest
from emghand.storage.repairs import Repair
from emghand.tasks.movements import Movement, MovementSet, Schedule

DATA = Path(os.environ.get("EMGHAND_DATA", "../shared/data"))


@pytest.fixture(scope="module")
def recording():
    movements = (Movement("fist", {"index_flex": 1.0}), Movement("out", {"wrist_flex": -1.0}))
    schedule = Schedule(MovementSet("m", DEFAULT_DOFS, movements, 1))
    made = simulate_recording(schedule, SyntheticSettings(seed=1))
    # Late stamps, a gap, a short block, estimates, repairs: everything that a bag may hold.
    blocks = [made.blocks[0], *made.blocks[5:]]
    last = blocks[-1]
    blocks[-1] = Block(last.first_sample, last.stamp_ns + 7, last.samples[:3])
    x_d = made.x_d
    return replace(
        made,
        blocks=blocks,
        digest=recording_digest(made.stream, blocks, x_d, made.periods),
        x_hat=Series(x_d.names, x_d.stamps_ns + 5, np.full_like(x_d.values, np.nan)),
        subject="p01",
        session="s1",
        date="2024-05-01",
        repairs=(Repair("a.csv", "short_row", "left out", 2, "line", ((3, 4),), "text"),),
    )


def same_series(a, b):
    if a is None or b is None:
        return a is b
    return (
        a.names == b.names
        and np.array_equal(a.stamps_ns, b.stamps_ns)
        and np.array_equal(a.values, b.values, equal_nan=True)
    )


def assert_same(a, b):
    assert a.stream == b.stream and a.periods == b.periods and a.digest == b.digest
    assert len(a.blocks) == len(b.blocks)
    for x, y in zip(a.blocks, b.blocks, strict=True):
        assert (x.first_sample, x.stamp_ns) == (y.first_sample, y.stamp_ns)
        assert x.samples.dtype == y.samples.dtype and np.array_equal(x.samples, y.samples)
    for name in ("x_d", "x_hat", "out_x_hat"):
        assert same_series(getattr(a, name), getattr(b, name))
    for name in ("subject", "session", "date", "repairs"):
        assert getattr(a, name) == getattr(b, name)


def test_a_recording_comes_back_as_it_was_and_the_bytes_repeat(recording, tmp_path):
    save_npz(recording, tmp_path / "a.npz")
    save_npz(recording, tmp_path / "b.npz")
    assert_same(recording, read_npz(tmp_path / "a.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with pytest.raises(UserError, match="exists"):
        save_npz(recording, tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"block_samples": np.array([1])}, "blocks do not fit"),
        ({"block_stamp_ns": np.array([0.5])}, "whole numbers"),
        ({"period_kind": np.array([99])}, "periods are damaged"),
        ({"repairs": "{"}, "repairs is damaged"),
        ({"repairs": "[1]"}, "repairs is damaged"),
        ({"x_hat_names": None}, "x_hat_names"),
        ({"rate": np.nan}, "rate"),
    ],
)
def test_a_damaged_file_is_named(recording, tmp_path, change, says):
    save_npz(recording, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        arrays = {**file, **change}
    np.savez(tmp_path / "b.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(UserError, match=says):
        read_npz(tmp_path / "b.npz")


def test_convert_prints_the_whole_report(tmp_path, capsys):
    rows = [f"{i / 100:.2f},{i},0.{i}" for i in range(30)]
    rows[4], rows[9] = "oops", "1,2,3,4"
    (tmp_path / "a.csv").write_text("\n".join(["time,x,y", *rows]))
    out = tmp_path / "a.npz"
    assert main(["convert", str(tmp_path / "a.csv"), "--output", str(out)]) == 0
    text = capsys.readouterr().out
    assert "line 6): fewer than 3 values" in text and "line 11): more than 3" in text
    assert_same(
        read_any(tmp_path / "a.csv"),
        replace(read_npz(out), source=str(tmp_path / "a.csv")),
    )
    assert main(["convert", str(tmp_path / "a.csv"), "--output", str(out)]) == 1
    strict = ["convert", str(tmp_path / "a.csv"), "--strict", "--output", str(tmp_path / "b.npz")]
    assert main(strict) == 1 and "strict" in capsys.readouterr().err


def test_convert_takes_every_kind(tmp_path, capsys):
    write_ninapro(tmp_path / "S1_A1_E1.mat", 10, 22, 100.0)
    (tmp_path / "raw.csv").write_text("a\n1\n2\n3\n")
    (tmp_path / "map.yaml").write_text("emg: a\nrate: 50\nsubject: p1\n")
    for name, more in (("S1_A1_E1.mat", []), ("raw.csv", ["--map", str(tmp_path / "map.yaml")])):
        out = tmp_path / f"{name}.npz"
        words = ["convert", str(tmp_path / name), "--output", str(out), "--json", *more]
        assert main(words) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["digest"] == read_any(out).digest and result["subject"] in ("1", "p1")
    words = ["convert", str(tmp_path / "S1_A1_E1.mat"), "--rate", "50", "--output", "x.npz"]
    assert main(words) == 1 and "evenly spaced" in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}, EMGHAND_DATA?")
def test_the_public_recordings_say_who_and_what_is_odd():
    jhu = read_any(DATA / "jhu_myo_mediapipe")
    assert (jhu.subject, jhu.date) == ("jhu", "2023-06-22")
    found = {r.kind: r for r in jhu.repairs}
    assert {"clock12", "grid", "gap_held", "camera_glitch"} == set(found)
    assert found["gap_held"].ranges == ((3, 3),)
    wrist = read_any(DATA / "myo_wrist" / "dev" / "77777-2.tar.xz")
    assert (wrist.subject, wrist.session) == ("77777", "2")
    assert [(r.kind, r.count) for r in wrist.repairs] == [("odd_length", 12249)]
