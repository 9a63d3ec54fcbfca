import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from emghand.errors import UserError
from emghand.storage.datasets import read_myo_wrist
from emghand.storage.recording import PeriodKind

DATA = Path(os.environ.get("EMGHAND_DATA", "../shared/data")) / "myo_wrist" / "dev"
real_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}, EMGHAND_DATA?")


def texts(cycles=2, samples=400):
    result = {}
    for gesture in range(8):
        rows = []
        for label in [0, gesture] * cycles:
            rows += [",".join([str(gesture + i % 2)] * 8 + [str(label)]) for i in range(samples)]
        result[f"{gesture}.txt"] = "\n".join(rows) + "\n"
    return result


def write(path, files):
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"session/{name}")
            data = text.encode()
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_prompts_periods_and_gaps_between_files(tmp_path):
    recording = read_myo_wrist(write(tmp_path / "1.tar.xz", texts()))
    assert recording.stream.rate == 200.0 and recording.stream.n_channels == 8
    firsts = np.array([b.first_sample for b in recording.blocks])
    assert (firsts % recording.stream.block_size == 0).all()
    gaps = np.diff(firsts) - recording.stream.block_size
    assert np.count_nonzero(gaps) == 7 and gaps.max() == 200
    for block in recording.blocks[:: len(recording.blocks) // 7]:
        assert block.stamp_ns == block.first_sample * 5_000_000
    holds = [p for p in recording.periods if p.kind is PeriodKind.HOLD]
    assert [p.movement for p in holds[:4]] == ["wrist_flexion"] * 2 + ["wrist_extension"] * 2
    assert [p.trial for p in holds] == list(range(14))
    assert [p.repetition for p in holds[:4]] == [0, 1, 0, 1]
    moves = [p for p in recording.periods if p.kind is PeriodKind.MOVE]
    assert holds[0].stamp_ns - moves[0].stamp_ns == 750_000_000
    x_d = recording.x_d
    assert x_d.names == ("wrist_flex", "wrist_dev", "wrist_rot", "fist")
    assert sorted(map(tuple, np.unique(x_d.values, axis=0).tolist())) == sorted(
        [(0, 0, 0, 0)]
        + [tuple(s * (i == j) for j in range(4)) for i in range(3) for s in (-1.0, 1.0)]
        + [(0, 0, 0, 1.0)]
    )


def test_folder_reads_the_same_as_the_archive(tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    for name, text in texts().items():
        (folder / name).write_text(text)
    archive = write(tmp_path / "s.tar.xz", texts())
    assert read_myo_wrist(folder).digest == read_myo_wrist(archive).digest


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"3.txt": None}, r"3\.txt missing"),
        ({"3.txt": ""}, "empty"),
        ({"3.txt": "1,2,3\n"}, "3 values where 9"),
        ({"3.txt": "1,2,3,4,5,6,7,8,0\n1,2\n"}, "line 2.*fewer"),
        ({"3.txt": "1,2,3,4,5,6,7,8,5\n"}, "a label or sample"),
        ({"3.txt": "1,2,3,4,5,6,7,x,3\n"}, "finite number"),
        ({"3.txt": "é"}, "1 values where 9"),
    ],
)
def test_damaged_sessions_are_named(tmp_path, change, says):
    files = {k: v for k, v in (texts() | change).items() if v is not None}
    with pytest.raises(UserError, match=says):
        read_myo_wrist(write(tmp_path / "s.tar.xz", files), strict=True)


def test_cut_archives_are_named(tmp_path):
    path = write(tmp_path / "s.tar.xz", texts())
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UserError, match=r"s\.tar\.xz"):
        read_myo_wrist(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_myo_wrist(tmp_path / "nothing.tar.xz")


@pytest.mark.data
@real_data
def test_every_session_of_the_data_set_is_complete():
    for path in sorted(DATA.glob("*.tar.xz")):
        recording = read_myo_wrist(path)
        holds = [p for p in recording.periods if p.kind is PeriodKind.HOLD]
        assert len(holds) == 42
        assert 470 < sum(len(b.samples) for b in recording.blocks) / 200.0 < 490
