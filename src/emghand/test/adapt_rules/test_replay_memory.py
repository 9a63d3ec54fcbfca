"""The replay memory: bounded, balanced, and the same whenever it is told the same."""

from __future__ import annotations

import io
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emghand.adapt.memory import (
    MemorySettings,
    Piece,
    ReplayMemory,
    cluster_of,
    load_memory,
    save_memory,
)
from emghand.errors import UserError
from emghand.storage.archive import content_digest

N, D = 3, 2
CLUSTERS = [(0, 0), (1, 0), (-1, 0), (0, 1), (1, -1)]
PIECES = st.lists(st.tuples(st.sampled_from(CLUSTERS), st.integers(1, 30)), max_size=60)
MODEL = "a" * 64


def piece(cluster=(1, 0), length=10, number=0):
    rng = np.random.default_rng([number, length])
    return Piece(rng.normal(size=(length, N)), rng.uniform(-1, 1, (length, D)), cluster, number)


def filled(plan, ticks=50):
    memory = ReplayMemory(MemorySettings(max_ticks=ticks), N, D)
    for i, (cluster, length) in enumerate(plan):
        memory.add(piece(cluster, length, i))
    return memory


def same(a, b):
    left, right = a.to_arrays(), b.to_arrays()
    assert set(left) == set(right)
    for name, value in left.items():
        np.testing.assert_array_equal(value, right[name])


@given(PIECES)
def test_it_never_holds_more_than_its_bounds_and_always_the_newest_piece(plan):
    memory = ReplayMemory(MemorySettings(max_ticks=50), N, D)
    for i, (cluster, length) in enumerate(plan):
        assert memory.add(piece(cluster, length, i))
        assert len(memory) <= 50
        assert memory.n_bytes == len(memory) * 8 * (N + D)
        assert memory.pieces[-1].first_tick == i
        assert sum(memory.ticks_by_cluster.values()) == len(memory)
        Z, X, numbers = memory.examples()
        assert len(Z) == len(X) == len(numbers) == len(memory)


@given(PIECES)
def test_what_leaves_is_the_oldest_piece_of_the_fullest_cluster(plan):
    """Told again in the plainest words."""
    memory, held = ReplayMemory(MemorySettings(max_ticks=50), N, D), []
    for i, (cluster, length) in enumerate(plan):
        held.append((i, cluster, length))
        while sum(k for _, _, k in held) > 50:
            total = {c: sum(k for _, kind, k in held if kind == c) for _, c, _ in held[:-1]}
            most = max(total.values())
            old = [h for h in held[:-1] if total[h[1]] == most]
            held.remove(old[0])
        memory.add(piece(cluster, length, i))
        assert [p.first_tick for p in memory.pieces] == [h[0] for h in held]


@given(PIECES)
def test_the_same_pieces_give_the_same_memory_and_arrays_bring_it_back(plan):
    memory = filled(plan)
    same(memory, filled(plan))
    back = ReplayMemory.from_arrays(memory.to_arrays(), memory.settings)
    same(memory, back)
    for m in (memory, back):
        m.add(piece((0, 1), 20, 99))
    same(memory, back)


def test_a_rare_movement_is_not_driven_out_by_a_frequent_one():
    memory = filled([((-1, 0), 10), *[((1, 0), 10)] * 30, ((0, 1), 10)])
    assert memory.ticks_by_cluster == {(-1, 0): 10, (0, 1): 10, (1, 0): 30}


def test_it_is_bounded_in_bytes_as_well():
    memory = ReplayMemory(MemorySettings(max_megabytes=0.001), N, D)
    assert memory.capacity == 1000 // (8 * (N + D))
    for i in range(20):
        memory.add(piece(length=4, number=i))
        assert memory.n_bytes <= 1000
    with pytest.raises(UserError, match="do not hold one tick"):
        ReplayMemory(MemorySettings(max_megabytes=0.001), 200, D)


def test_a_piece_longer_than_the_memory_is_not_taken_and_drives_out_nothing():
    memory = filled([((1, 0), 20)])
    assert not memory.add(piece(length=51))
    assert len(memory) == 20


def test_erased_it_is_as_new():
    memory = filled([((1, 0), 20), ((0, 0), 5)])
    memory.clear()
    same(memory, filled([]))
    assert len(memory) == memory.n_bytes == 0


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Piece(np.full((3, N), np.nan), np.zeros((3, D)), (0, 0)), "finite"),
        (lambda: Piece(np.zeros((3, N)), np.zeros((2, D)), (0, 0)), "needs features"),
        (lambda: Piece(np.zeros((0, N)), np.zeros((0, D)), (0, 0)), "needs features"),
        (lambda: Piece(np.zeros((3, N)), np.zeros((3, D)), (0, 2)), "cluster"),
        (lambda: filled([]).add(Piece(np.zeros((3, 7)), np.zeros((3, D)), (0, 0))), "got 7"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(make, match):
    with pytest.raises(UserError, match=match):
        make()


def test_there_and_back_are_one_kind_and_rest_its_own():
    out = np.array([[0.0, 0.0], [0.5, 0.1], [1.0, 0.1]])
    moving = np.array([True, False])
    assert cluster_of(out, moving) == cluster_of(out[::-1], moving) == (1, 0)
    assert cluster_of(-out, moving) == (-1, 0)
    assert cluster_of(np.zeros((4, 2)), np.array([False, False])) == (0, 0)


def test_a_file_brings_it_back_and_belongs_to_its_model(tmp_path):
    memory = filled([(c, 7) for c in CLUSTERS])
    path = tmp_path / "m.emgmemory"
    save_memory(memory, MODEL, path)
    same(load_memory(path, MODEL, memory.settings), memory)
    with pytest.raises(UserError, match=r"m\.emgmemory: belongs to the model"):
        load_memory(path, "b" * 64)
    with pytest.raises(UserError, match="exists already"):
        save_memory(memory, MODEL, path)
    memory.clear()
    save_memory(memory, MODEL, path, replace=True)
    assert len(load_memory(path, MODEL)) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["m.emgmemory"]


def test_what_is_no_file_is_refused_without_reading_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(UserError, match="not a regular file"):
            load_memory(path, "a" * 64)
    with pytest.raises(UserError, match="directory"):
        load_memory(tmp_path, "a" * 64)


def test_a_smaller_memory_keeps_what_it_would_have_kept(tmp_path):
    plan = [((1, 0), 10)] * 4 + [((0, 1), 10)]
    save_memory(filled(plan), MODEL, tmp_path / "m")
    loaded = load_memory(tmp_path / "m", MODEL, MemorySettings(max_ticks=30))
    same(loaded, filled(plan, ticks=30))


def rewritten(source, path, arrays=None, change=None):
    with zipfile.ZipFile(source) as archive:
        document = json.loads(archive.read("memory.json"))
        values = {
            n[7:-4]: np.load(io.BytesIO(archive.read(n)))
            for n in archive.namelist()
            if n.endswith(".npy")
        }
    values |= arrays or {}
    document["digest"] = content_digest(document, {k: np.asarray(v) for k, v in values.items()})
    if change:
        change(document)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("memory.json", json.dumps(document))
        for name, value in values.items():
            content = io.BytesIO()
            np.save(content, value)
            archive.writestr(f"arrays/{name}.npy", content.getvalue())
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("memories") / "m.emgmemory"
    save_memory(filled([(c, 7) for c in CLUSTERS]), MODEL, path)
    return path


ROWS = np.array([[0.0, 35.0, 1.0, 0.0]])


@pytest.mark.parametrize(
    "arrays",
    [
        {"pieces": ROWS[:, :3]},
        {"pieces": ROWS[0]},
        {"pieces": np.zeros((0, 4))},
        {"pieces": np.array([[0.0, 34.0, 1.0, 0.0]])},
        {"pieces": np.array([[0.0, 36.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0]])},
        {"pieces": np.array([[0.0, 35.0, 5.0, 0.0]])},
        {"pieces": np.array([[0.5, 35.0, 1.0, 0.0]])},
        {"pieces": np.array([[np.nan, 35.0, 1.0, 0.0]])},
        {"pieces": np.array([[1e300, 35.0, 1.0, 0.0]])},
        {"pieces": np.array([[0.0, 2.0**53, 1.0, 0.0]] * 2000)},
        {"features": np.full((35, N), np.nan)},
        {"features": np.zeros((34, N))},
        {"features": np.zeros(35)},
        {"features": np.zeros((35, 0))},
        {"labels": np.full((35, D), np.inf)},
        {"labels": np.zeros((35, D + 1))},
        {"evil": np.zeros(3)},
    ],
)
def test_a_file_of_the_wrong_shape_or_content_is_refused(saved, tmp_path, arrays):
    with pytest.raises(UserError, match="replay memory") as caught:
        load_memory(rewritten(saved, tmp_path / "x", arrays), MODEL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: d.update(version=2), "newer emghand"),
        (lambda d: d.update(format="emghand model"), "not a memory file"),
        (lambda d: d.update(digest="0" * 64), "does not match its digest"),
        (lambda d: d.pop("model_id"), "damaged"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(saved, tmp_path, change, match):
    with pytest.raises(UserError, match=match):
        load_memory(rewritten(saved, tmp_path / "x", change=change), MODEL)


@given(data=st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cut_or_wrong_byte_is_refused_or_harmless(saved, tmp_path, data):
    content = bytearray(saved.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    try:
        loaded = load_memory(path, MODEL)
    except UserError as error:
        assert "\n" not in str(error)
        return
    same(loaded, load_memory(saved, MODEL))
