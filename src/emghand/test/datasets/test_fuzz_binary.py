"""Random damage to binary files and maps raises only UserError; sessions name their bags."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninapro_files import write_ninapro

from emghand.errors import UserError
from emghand.storage.datasets import read_any, read_ninapro, read_npz, save_npz
from emghand.storage.sessions import Session, sitting_of


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    write_ninapro(folder / "S1_A1_E1.mat", 10, 22, 100.0, seconds=0.4)
    save_npz(read_ninapro(folder / "S1_A1_E1.mat"), folder / "a.npz")
    return {name: (folder / name).read_bytes() for name in ("S1_A1_E1.mat", "a.npz")}


@settings(max_examples=120)
@given(st.sampled_from(["S1_A1_E1.mat", "a.npz"]), st.data())
def test_damaged_binary_files(files, tmp_path_factory, name, data):
    whole = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.just(len(whole)) | st.integers(0, len(whole)))
    path = tmp_path_factory.mktemp("d") / name
    path.write_bytes(whole[:end])
    try:
        recording = read_npz(path) if name == "a.npz" else read_ninapro(path)
    except UserError:
        return
    assert recording.stream.rate > 0


KEYS = ("emg", "file", "time", "counter", "x_d", "gestures", "rate", "header", "delimiter", "date")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.floats()
    | st.sampled_from(["a", "b", "s", "1", "run.csv", "clock12", "", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["from", "as", "dofs", "postures", "zero", "wraps", "step", "1"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_maps_of_anything(tmp_path_factory, values):
    import yaml

    folder = tmp_path_factory.mktemp("m")
    (folder / "run.csv").write_text("a,b\n0,1\n1,2\n2,4\n")
    values = {"file": "run.csv", "emg": "b", **values}
    (folder / "map.yaml").write_text(yaml.safe_dump(values))
    try:
        recording = read_any(folder / "map.yaml")
    except UserError as error:
        assert str(error)
        return
    assert np.isfinite(np.concatenate([b.samples for b in recording.blocks])).all()


def test_a_bag_of_a_session_names_subject_session_and_date(tmp_path):
    session = Session.create(tmp_path / "s01", "p01")
    bag = session.new_bag_path("collect")
    bag.mkdir()
    date = session.manifest["created"][:10]
    for path in (bag, bag / "collect_0.mcap"):
        assert sitting_of(path) == {"subject": "p01", "session": "s01", "date": date}
    (session.path / "manifest.json").write_text("{")
    assert sitting_of(bag)["subject"] == "" and sitting_of(tmp_path)["session"] == ""


def test_a_header_that_is_no_literal_is_damage(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, emg=np.zeros((120, 10), np.float32), rate=100.0)
    # The closing brace of the header is lost.
    damaged = path.read_bytes().replace(b"(120, 10), }", b"(120, 10), 7")
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="damaged"):
        read_npz(path)
