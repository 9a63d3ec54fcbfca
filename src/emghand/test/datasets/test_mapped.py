"""Column maps: the same recording from csv, npz, MAT files and rosbags of both versions."""

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore
from scipy.io import savemat

from emghand.errors import UserError
from emghand.storage.datasets import read_any, read_mapped
from emghand.storage.recording import PeriodKind

N, RATE = 60, 100.0
T = np.arange(N) / RATE
EMG = np.random.default_rng(3).normal(size=(N, 3)).astype(np.float32).astype(float)
FLEX = np.sin(T * 6)
LABEL = np.repeat([0, 1, 0, 2, 0, 1], 10)


def stacked(recording):
    return np.concatenate([b.samples for b in recording.blocks])


def write_map(folder, text):
    (folder / "map.yaml").write_text(text)
    return folder / "map.yaml"


def check(recording, names, atol=1e-6):
    assert np.allclose(stacked(recording), EMG, atol=atol)
    assert recording.stream.channel_names == names
    assert abs(recording.stream.rate - RATE) < 1e-6
    assert np.allclose(recording.x_d.values[:, 0], FLEX, atol=1e-6)
    start = recording.blocks[0].stamp_ns
    assert np.abs(recording.x_d.stamps_ns - start - np.round(T * 1e9)).max() < 2000


def write_csv(path):
    rows = [
        f"{t * 1e3:.3f};{a:.9g};{b:.9g};{c:.9g};{f * 90 + 10:.9f};{g}"
        for t, (a, b, c), f, g in zip(T, EMG * 1e6, FLEX, LABEL, strict=True)
    ]
    path.write_text("\n".join(["# a logger", "ms;emg_1;emg_2;emg_3;angle;gesture", *rows]))


CSV = """
file: run.csv
delimiter: ";"
skip_lines: 1
subject: p07
session: 2
date: 2024-05-01
time: {from: ms, as: ms}
emg: {from: ["emg_*"], unit: uV}
x_d: {dofs: {index_flex: {from: angle, zero: 10, one: 100}}}
gestures:
  from: gesture
  reaction_s: 0.05
  postures: {1: {name: fist, dofs: {fist: 1}}, 2: open}
"""


def test_csv_with_units_labels_and_gestures(tmp_path):
    write_csv(tmp_path / "run.csv")
    recording = read_any(write_map(tmp_path, CSV))
    check(recording, ("emg_1", "emg_2", "emg_3"))
    assert (recording.subject, recording.session, recording.date) == ("p07", "2", "2024-05-01")
    kinds = [(p.kind, p.movement, p.repetition) for p in recording.periods]
    assert kinds[:4] == [
        (PeriodKind.REST, "rest", 0),
        (PeriodKind.MOVE, "fist", 0),
        (PeriodKind.HOLD, "fist", 0),
        (PeriodKind.REST, "rest", 0),
    ]
    assert kinds[-2:] == [(PeriodKind.MOVE, "fist", 1), (PeriodKind.HOLD, "fist", 1)]
    assert recording.periods[2].stamp_ns - recording.periods[1].stamp_ns == 50_000_000


def test_gestures_alone_give_the_postures(tmp_path):
    write_csv(tmp_path / "run.csv")
    text = CSV.replace("x_d: {dofs: {index_flex: {from: angle, zero: 10, one: 100}}}", "")
    recording = read_any(write_map(tmp_path, text.replace(", 2: open", "")))
    assert recording.x_d.names == ("fist",)
    assert np.array_equal(recording.x_d.values[:20, 0], LABEL[:20])
    # A gesture without a meaning is neither rest nor a movement.
    assert np.isnan(recording.x_d.values[30:40]).all()
    assert [p.kind for p in recording.periods].count(PeriodKind.IDLE) == 1
    assert {r.kind for r in recording.repairs} == {"unknown_label"}


def test_one_layout_serves_many_files(tmp_path):
    write_csv(tmp_path / "run8.csv")
    layout = write_map(tmp_path, CSV)
    (tmp_path / "run8.yaml").write_text("like: map.yaml\nfile: run8.csv\nsession: '8'\n")
    like = read_any(tmp_path / "run8.yaml")
    named = read_mapped(layout, tmp_path / "run8.csv")
    assert like.digest == named.digest and like.session == "8"


def test_columns_by_number_of_a_table_without_header(tmp_path):
    rows = [" ".join(f"{v:.9g}" for v in row) for row in EMG]
    rows[7] = "cut"
    (tmp_path / "raw.txt").write_text("\n".join(rows))
    text = "file: raw.txt\nheader: false\ndelimiter: ' '\nrate: 100\nemg: [1, 2, 3]\n"
    recording = read_any(write_map(tmp_path, text))
    assert np.allclose(stacked(recording), np.delete(EMG, 7, axis=0))
    assert [b.first_sample for b in recording.blocks if b.first_sample in (7, 8)] == [8]


def test_lost_packets_show_in_a_counter_that_wraps(tmp_path):
    counter = np.arange(N) % 16
    keep = [i for i in range(N) if i not in (14, 15, 16, 40)]
    rows = [f"{counter[i]},{EMG[i, 0]:.9g}" for i in keep]
    rows[5] = f"{rows[5]}\n{rows[5]}"
    (tmp_path / "c.csv").write_text("\n".join(["n,a", *rows]))
    text = "file: c.csv\nrate: 100\ncounter: {from: n, wraps: 16}\nemg: a\n"
    recording = read_any(write_map(tmp_path, text))
    places = [b.first_sample + i for b in recording.blocks for i in range(len(b.samples))]
    assert places == keep
    assert {r.kind: r.count for r in recording.repairs} == {"duplicate_row": 1, "dropped": 4}


def test_a_clock_of_twelve_hours_goes_on_after_twelve(tmp_path):
    seconds = 11 * 3600 + 59 * 60 + 59.7 + T
    rows = []
    for s, row in zip(seconds, EMG, strict=True):
        h, m = int(s // 3600), int(s % 3600 // 60)
        clock = f"{(h - 1) % 12 + 1:02d}:{m:02d}:{s % 60:06.3f} {'AM' if h < 12 else 'PM'}"
        rows.append(f"{clock},{row[0]:.9g}")
    (tmp_path / "c.csv").write_text("\n".join(["t,a", *rows]))
    for form, drop in (("clock12", ""), ("clock12", " AM")):
        text = f"file: c.csv\ntime: {{from: t, as: {form}}}\nemg: a\n"
        if drop:
            clean = (tmp_path / "c.csv").read_text().replace(" AM", "").replace(" PM", "")
            (tmp_path / "c.csv").write_text(clean)
        recording = read_any(write_map(tmp_path, text))
        assert np.allclose(stacked(recording)[:, 0], EMG[:, 0])
        assert len(recording.blocks) == N // recording.stream.block_size
        assert [r.kind for r in recording.repairs] == (["clock_turn"] if drop else [])


@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_arrays_with_labels_on_a_clock_of_their_own(tmp_path, kind):
    arrays = {"data": EMG.T, "t": T, "flex": FLEX[::2], "flex_t": T[::2]}
    if kind == "npz":
        np.savez(tmp_path / "run.npz", **arrays)
    else:
        savemat(tmp_path / "run.mat", {"trial": arrays})
    prefix = "" if kind == "npz" else "trial."
    text = f"""
file: run.{kind}
time: {prefix}t
emg: {{from: "{prefix}data", transpose: true, names: [a, b, c]}}
x_d: {{time: "{prefix}flex_t", dofs: {{index_flex: "{prefix}flex"}}}}
"""
    if kind == "mat":
        text = text.replace(", transpose: true", "")
        arrays["data"] = EMG
        savemat(tmp_path / "run.mat", {"trial": arrays})
    recording = read_any(write_map(tmp_path, text))
    assert np.allclose(stacked(recording), EMG)
    assert np.allclose(recording.x_d.values[:, 0], FLEX[::2])
    assert recording.x_d.stamps_ns.tolist() == np.round(T[::2] * 1e9).astype(int).tolist()


def write_rosbag(path, version):
    store = get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)
    array = store.types["std_msgs/msg/Float64MultiArray"]
    layout = store.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
    joint = store.types["sensor_msgs/msg/JointState"]
    header = store.types["std_msgs/msg/Header"]
    time = store.types["builtin_interfaces/msg/Time"]
    encode = store.serialize_ros1 if version == 1 else store.serialize_cdr
    with Writer1(path) if version == 1 else Writer2(path, version=9) as bag:
        emg = bag.add_connection("/emg", array.__msgtype__, typestore=store)
        glove = bag.add_connection("/glove", joint.__msgtype__, typestore=store)
        for i in range(N):
            now = 1_700_000_000 * 10**9 + round(T[i] * 1e9)
            message = array(layout=layout, data=EMG[i])
            bag.write(emg, now, encode(message, array.__msgtype__))
            sec, nanosec = divmod(now, 10**9)
            extra = {"seq": i} if version == 1 else {}
            stamp = header(stamp=time(sec=sec, nanosec=nanosec), frame_id="", **extra)
            empty = np.zeros(0)
            state = joint(
                header=stamp,
                name=["index_flex"],
                position=np.array([FLEX[i]]),
                velocity=empty,
                effort=empty,
            )
            bag.write(glove, now + 5_000_000, encode(state, joint.__msgtype__))


@pytest.mark.parametrize(("version", "name"), [(1, "run.bag"), (2, "run")])
def test_rosbags_of_both_versions(tmp_path, version, name):
    write_rosbag(tmp_path / name, version)
    text = f"""
file: {name}
format: rosbag
emg: {{from: "/emg:data", names: [a, b, c]}}
x_d: {{dofs: {{index_flex: "/glove:position[0]"}}}}
"""
    recording = read_any(write_map(tmp_path, text))
    check(recording, ("a", "b", "c"))
    assert recording.blocks[0].stamp_ns // 10**9 == 1_700_000_000


def test_several_samples_in_one_row(tmp_path):
    np.savez(tmp_path / "run.npz", packets=EMG.reshape(N // 4, 12), count=np.arange(0, N, 4))
    text = "file: run.npz\nrate: 100\ncounter: count\nemg: {from: packets, channels: 3}\n"
    recording = read_any(write_map(tmp_path, text))
    assert np.allclose(stacked(recording), EMG)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "no column map"),
        ("file: x\n", "'emg' is missing"),
        ("file: run.csv\nemg: a\nrat: 3\n", "'rat' is no key.*rate"),
        ("file: run.csv\nemg: {from: a, unit: kV}\n", "unit 'kV'"),
        ("file: run.csv\nemg: {names: [a]}\n", "emg: 'from' "),
        ("file: none.csv\nemg: a\n", "does not exist"),
        ("emg: a\n", "names no file"),
        ("file: run.csv\nemg: [ghost]\n", "no column 'ghost'"),
        ("file: run.csv\nemg: a\ntime: {from: t, as: lunar}\n", "as: lunar"),
        ("file: run.csv\nemg: a\nrate: fast\n", "rate: expected float"),
        ("file: run.csv\nemg: a\nx_d: {fist: a}\n", "write 'dofs:'"),
        ("file: run.csv\nemg: a\nx_d: {dofs: {f: {from: a, zero: 1, one: 1}}}\n", "same value"),
        ("file: run.csv\nemg: a\ngestures: {from: a}\n", "postures"),
        ("file: run.csv\nemg: a\ngestures: {from: a, postures: {1: {dofs: {f: 3}}}}\n", "-1, 1"),
        ("file: run.csv\nemg: {from: a, names: [x, y]}\nrate: 1\n", "2 names for 1"),
        ("like: map.yaml\nemg: a\n", "circle"),
        ("emg: {from: [", "cannot be read"),
        ("file: run.csv\nemg: a\nformat: xls\n", "format 'xls'"),
    ],
)
def test_mistakes_in_a_map_are_named(tmp_path, text, says):
    (tmp_path / "run.csv").write_text("t,a\n0,1\n1,2\n")
    with pytest.raises(UserError, match=says):
        read_any(write_map(tmp_path, text))


def test_a_folder_that_is_no_bag_is_named(tmp_path):
    (tmp_path / "bag").mkdir()
    (tmp_path / "x.bag").write_bytes(b"#ROSBAG V2.0\nrubbish")
    for name in ("bag", "x.bag"):
        path = write_map(tmp_path, f"file: {name}\nemg: '/emg:data'\n")
        with pytest.raises(UserError, match="rosbag"):
            read_any(path)


def test_fields_of_messages_must_be_there(tmp_path):
    write_rosbag(tmp_path / "run.bag", 1)
    for emg, says in (
        ("/emg", "topic:field"),
        ("/none:data", "no topic"),
        ("/emg:layout", "no numbers"),
        ("/emg:ghost", "no field"),
    ):
        with pytest.raises(UserError, match=says):
            read_any(write_map(tmp_path, f"file: run.bag\nemg: '{emg}'\n"))
