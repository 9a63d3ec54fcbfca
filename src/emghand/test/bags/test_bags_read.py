import numpy as np
import pytest
import yaml
from bag_maker import T0, Maker

from emghand.storage.bags import BagError, BagReader, BagWriter, read_recording
from emghand.storage.recording import PeriodKind


def test_a_recording_comes_back_as_it_was_written(bag, samples):
    recording = read_recording(bag)
    assert recording.stream.device == "synthetic"
    assert recording.stream.channel_names == ("c0", "c1", "c2", "c3")
    assert [b.first_sample for b in recording.blocks] == list(range(0, 160, 16))
    assert np.array_equal(np.concatenate([b.samples for b in recording.blocks]), samples)
    assert recording.x_d.names == ("index_flex", "wrist_flex")
    assert np.array_equal(recording.x_d.values[:, 1], -0.1 * np.arange(10))
    assert recording.x_hat.values.shape == (10, 1)
    assert recording.out_x_hat is None
    kinds = {p.kind for p in recording.periods}
    assert kinds == {PeriodKind.PROMPT, PeriodKind.HOLD}
    assert len(recording.digest) == 64


def test_the_digest_tells_recordings_apart_and_repeats(bag, tmp_path, samples):
    assert read_recording(bag).digest == read_recording(bag).digest
    with BagWriter(tmp_path / "other") as writer:
        maker = Maker(writer)
        maker.info()
        maker.frame(0, samples[:16] + 1)
    assert read_recording(tmp_path / "other").digest != read_recording(bag).digest


def test_metadata_has_the_fields_rosbag2_documents(bag):
    info = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert info["version"] == 9
    assert info["storage_identifier"] == "mcap"
    assert info["relative_file_paths"] == ["bag_0.mcap"]
    assert info["message_count"] == 41
    assert info["starting_time"]["nanoseconds_since_epoch"] == T0 + 1_000_000
    assert info["duration"]["nanoseconds"] == 40_000_000
    topics = {t["topic_metadata"]["name"]: t for t in info["topics_with_message_count"]}
    assert topics["/emg/raw"]["message_count"] == 10
    assert topics["/emg/raw"]["topic_metadata"]["serialization_format"] == "cdr"
    assert topics["/emg/raw"]["topic_metadata"]["type_description_hash"].startswith("RIHS01_")
    assert info["files"][0]["message_count"] == 41
    assert set(info) == {
        *("version", "storage_identifier", "duration", "starting_time", "message_count"),
        *("topics_with_message_count", "compression_format", "compression_mode"),
        *("relative_file_paths", "files", "custom_data", "ros_distro"),
    }


def test_rosbags_reads_it_with_the_same_type_hash_as_its_own(bag):
    rosbag2 = pytest.importorskip("rosbags.rosbag2")
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    with rosbag2.Reader(bag) as reader:
        found = [c for c in reader.connections if c.topic == "/task/x_d"]
        assert found[0].digest == store.hash_rihs01("sensor_msgs/msg/JointState")
        messages = [
            store.deserialize_cdr(data, connection.msgtype)
            for connection, _, data in reader.messages(connections=found)
        ]
    assert [list(m.name) for m in messages] == [["index_flex", "wrist_flex"]] * 10


def test_mcap_ros2_support_reads_it(bag, samples):
    reader = pytest.importorskip("mcap_ros2.reader")
    path = next(bag.glob("*.mcap"))
    frames = list(reader.read_ros2_messages(str(path), topics=["/emg/raw"]))
    assert [f.ros_msg.first_sample for f in frames] == list(range(0, 160, 16))
    assert np.array_equal(np.array(frames[3].ros_msg.data, np.float32), samples[48:64].ravel())
    assert [f.sequence_count for f in frames] == list(range(1, 11))


def test_the_definition_in_the_bag_keeps_its_comments(bag):
    with BagReader(bag) as reader:
        assert "acquisition time of the first sample" in reader.topics["/emg/raw"].definition


def test_messages_can_be_read_from_a_moment_on(bag):
    with BagReader(bag) as reader:
        late = list(reader.messages(["/emg/raw"], start_ns=reader.start_ns + 20_000_000))
        assert 0 < len(late) < 10
        assert all(m.log_time >= reader.start_ns + 20_000_000 for m in late)


def test_a_bag_without_emg_says_what_it_holds(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        Maker(writer).series("/task/x_d", ["index_flex"], [0.0])
    with pytest.raises(BagError, match=r"no raw EMG.*/task/x_d"):
        read_recording(tmp_path / "bag")


def test_an_empty_bag_is_a_bag(tmp_path):
    BagWriter(tmp_path / "bag").close()
    with BagReader(tmp_path / "bag") as reader:
        assert reader.message_count == 0
        assert not reader.damaged
    with pytest.raises(BagError, match="no message at all"):
        read_recording(tmp_path / "bag")


def test_emg_without_its_description_is_refused(tmp_path, samples):
    with BagWriter(tmp_path / "bag") as writer:
        Maker(writer).frame(0, samples[:16])
    with pytest.raises(BagError, match="no /emg/info"):
        read_recording(tmp_path / "bag")


def test_a_restarted_driver_makes_two_streams_to_choose_from(tmp_path, samples):
    with BagWriter(tmp_path / "bag") as writer:
        maker = Maker(writer)
        maker.info("a")
        maker.frame(0, samples[:16])
        maker.frame(16, samples[16:32])
        maker.frame(0, samples[32:48])
        maker.info("b")
        maker.frame(16, samples[48:64])
    with pytest.raises(BagError, match="2 EMG streams \\(a, b\\)"):
        read_recording(tmp_path / "bag")
    second = read_recording(tmp_path / "bag", stream="b")
    assert [b.first_sample for b in second.blocks] == [0, 16]
    assert np.array_equal(second.blocks[0].samples, samples[32:48])
    with pytest.raises(BagError, match="no EMG stream 'c', but: a, b"):
        read_recording(tmp_path / "bag", stream="c")


def test_frames_that_name_their_stream_need_no_order(tmp_path, samples):
    with BagWriter(tmp_path / "bag") as writer:
        maker = Maker(writer)
        for i, name in enumerate("aabab"):
            maker.frame_id = name
            maker.frame(16 * i, samples[16 * i : 16 * i + 16])
        maker.info("a")
        maker.info("b")
    assert [b.first_sample for b in read_recording(tmp_path / "bag", stream="b").blocks] == [32, 64]


def test_a_frame_that_arrives_twice_is_no_new_stream(tmp_path, samples):
    with BagWriter(tmp_path / "bag") as writer:
        maker = Maker(writer)
        maker.info()
        for first in (0, 16, 16, 32):
            maker.frame(first, samples[:16], stamp=T0 + first * 1_000_000)
    assert len(read_recording(tmp_path / "bag").blocks) == 4


def test_two_arms_are_told_apart_by_namespace(tmp_path, samples):
    with BagWriter(tmp_path / "bag") as writer:
        for side, part in (("/left", samples[:16]), ("/right", samples[16:32])):
            maker = Maker(writer, side)
            maker.info(side)
            maker.frame(0, part)
    with pytest.raises(BagError, match="/left/emg/raw, /right/emg/raw; choose a namespace"):
        read_recording(tmp_path / "bag")
    right = read_recording(tmp_path / "bag", namespace="right")
    assert np.array_equal(right.blocks[0].samples, samples[16:32])


def test_the_glove_stands_in_for_missing_prompts(tmp_path, samples):
    with BagWriter(tmp_path / "bag") as writer:
        maker = Maker(writer)
        maker.info()
        maker.frame(0, samples[:16])
        maker.series("/glove/dof", ["ring_flex"], [0.5])
    assert read_recording(tmp_path / "bag").x_d.names == ("ring_flex",)


@pytest.mark.parametrize("name", ["missing", "text.txt", "folder"])
def test_what_is_no_bag_is_refused_in_one_sentence(tmp_path, name):
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BagError, match=name):
        BagReader(tmp_path / name)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "x.mcap").write_bytes(b"hello, this is not an MCAP file at all")
    with pytest.raises(BagError, match="not an MCAP file"):
        BagReader(tmp_path / "x.mcap")


def test_another_storage_names_the_tool_that_converts_it(bag):
    text = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(text.replace("identifier: mcap", "identifier: sqlite3"))
    with pytest.raises(BagError, match="rosbags-convert"):
        BagReader(bag)
