import os
import subprocess
import sys
import time

import numpy as np
import pytest
from bag_maker import Maker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emghand.storage.bags import BagError, BagReader, BagWriter, read_recording, repair_bag
from emghand.storage.bags.metadata import read_metadata
from emghand.storage.bags.repair import is_playable

CHILD = """
import sys, time
sys.path.insert(0, {test!r})
import numpy as np
from bag_maker import Maker
from emghand.storage.bags import BagWriter
writer = BagWriter({path!r})
maker = Maker(writer)
maker.info()
n = 0
while True:
    maker.frame(16 * n, np.full((16, 4), n, np.float32), n + 1)
    n += 1
    print(n, time.monotonic_ns(), flush=True)
    time.sleep(0.005)
"""


def test_kill_9_loses_nothing_older_than_a_fifth_of_a_second(tmp_path):
    path = tmp_path / "bag"
    code = CHILD.format(test=os.path.dirname(__file__), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        try:
            lines = [child.stdout.readline() for _ in range(150)]
        finally:
            child.kill()
        killed = time.monotonic_ns()
        lines += child.stdout.read().splitlines(keepends=True)
    written = [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]
    old_enough = max(n for n, when in written if killed - when > 200_000_000)

    assert not (path / "metadata.yaml").exists()
    recording = read_recording(path)
    assert len(recording.blocks) >= old_enough > 50
    done = repair_bag(path)
    assert done.original.name == "bag.damaged"
    assert is_playable(path)
    again = read_recording(path)
    assert len(again.blocks) == len(recording.blocks)
    assert [b.first_sample for b in again.blocks] == [16 * n for n in range(len(again.blocks))]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(fraction=st.floats(0.0, 1.0))
def test_a_file_cut_at_any_byte_gives_a_prefix_of_its_messages(bag, tmp_path_factory, fraction):
    whole = next(bag.glob("*.mcap")).read_bytes()
    with BagReader(bag) as reader:
        expected = [(m.topic, m.data) for m in reader.messages()]
    folder = tmp_path_factory.mktemp("cut")
    cut = folder / "cut.mcap"
    cut.write_bytes(whole[: int(fraction * len(whole))])
    try:
        with BagReader(cut) as reader:
            got = [(m.topic, m.data) for m in reader.messages()]
    except BagError:
        pytest.fail("a cut file must open")
    assert got == expected[: len(got)]
    if not got:
        with pytest.raises(BagError, match="nothing to repair"):
            repair_bag(cut)
        assert sorted(folder.iterdir()) == [cut]
        return
    repair_bag(cut)
    with BagReader(folder / "cut") as reader:
        assert not reader.damaged
        assert [(m.topic, m.data) for m in reader.messages()] == got
    assert is_playable(folder / "cut")


def test_a_torn_chunk_is_read_message_by_message(bag):
    path = next(bag.glob("*.mcap"))
    whole = path.read_bytes()
    with BagReader(bag) as reader:
        last = list(reader.messages(["/emg/raw"]))[-1]
    path.write_bytes(whole[: whole.index(last.data) + 10])
    (bag / "metadata.yaml").unlink()
    with BagReader(bag) as reader:
        assert reader.damaged
        assert reader.counts["/emg/raw"] == 9


def test_a_flipped_byte_loses_one_chunk_only(tmp_path):
    path = tmp_path / "bag"
    with BagWriter(path, flush_s=0.01) as writer:
        maker = Maker(writer)
        maker.info()
        for i in range(20):
            maker.frame(16 * i, np.full((16, 4), i))
            time.sleep(0.02)
    file = next(path.glob("*.mcap"))
    data = bytearray(file.read_bytes())
    with BagReader(path) as reader:
        target = list(reader.messages(["/emg/raw"]))[10].data
    data[data.index(target) + 50] ^= 0xFF
    file.write_bytes(data)
    with BagReader(path) as reader, pytest.raises(BagError, match="session repair"):
        list(reader.messages())
    done = repair_bag(path)
    assert done.lost_bytes > 0
    blocks = read_recording(path).blocks
    assert 15 <= len(blocks) < 20
    assert 160 not in [b.first_sample for b in blocks]


def test_a_whole_bag_is_left_alone(bag):
    before = sorted((p, p.stat().st_mtime_ns) for p in bag.rglob("*"))
    assert repair_bag(bag).original is None
    assert sorted((p, p.stat().st_mtime_ns) for p in bag.rglob("*")) == before


def untouched(path):
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def information(bag):
    found = read_metadata(bag)
    found["topics_with_message_count"].sort(key=lambda t: t["topic_metadata"]["name"])
    return found


def test_missing_metadata_alone_is_written_anew_and_the_recording_not_touched(bag):
    file = next(bag.glob("*.mcap"))
    before, metadata = untouched(file), (bag / "metadata.yaml").read_bytes()
    expected = information(bag)
    (bag / "metadata.yaml").unlink()
    assert repair_bag(bag).metadata_only
    assert is_playable(bag)
    assert untouched(file) == before
    assert information(bag) == expected
    for torn in (metadata[:50], metadata[: metadata.index(b"  message_count")]):
        (bag / "metadata.yaml").write_bytes(torn)
        assert repair_bag(bag).metadata_only
        assert information(bag) == expected
    assert (bag / "metadata.yaml.damaged").read_bytes() == metadata[:50]
    assert (bag / "metadata.yaml.damaged_2").read_bytes() == torn


def test_originals_of_a_bag_that_is_damaged_twice_are_both_kept(bag):
    for name in ("bag.damaged", "bag.damaged_2"):
        (bag / "metadata.yaml").unlink()
        file = next(bag.glob("*.mcap"))
        file.write_bytes(file.read_bytes()[:-20])
        assert repair_bag(bag).original.name == name
        assert (bag.parent / name).is_dir()
    assert is_playable(bag)


def test_a_bag_that_is_being_recorded_is_left_alone(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        maker = Maker(writer)
        maker.info()
        with pytest.raises(BagError, match="is being recorded"):
            repair_bag(tmp_path / "bag")
    assert is_playable(tmp_path / "bag")


def test_nothing_is_overwritten(bag):
    with pytest.raises(BagError, match="exists already"):
        BagWriter(bag)


LIMITED = """
import resource, signal, sys, time
sys.path.insert(0, {test!r})
import numpy as np
from bag_maker import Maker
from emghand.storage.bags import BagWriter, BagError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
writer = BagWriter({path!r}, flush_s=0.01)
maker = Maker(writer)
maker.info()
n = 0
try:
    while True:
        maker.frame(16 * n, np.zeros((16, 4)))
        n += 1
        time.sleep(0.002)  # What comes at once is written, and lost, at once.
except AssertionError:
    pass
try:
    writer.close()
except BagError as error:
    print(error)
"""


def test_a_full_disk_is_reported_and_what_is_written_stays_readable(tmp_path):
    path = tmp_path / "bag"
    code = LIMITED.format(test=os.path.dirname(__file__), path=str(path))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "writing stopped" in result.stdout, result.stderr
    assert "session repair" in result.stdout
    repair_bag(path)
    blocks = read_recording(path).blocks
    assert len(blocks) > 100
    assert [b.first_sample for b in blocks] == [16 * n for n in range(len(blocks))]
