import json

import numpy as np
import pytest
from live_run import LiveRun, make_model

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.replay import check_bag
from emghand.storage.bags import BagReader, BagWriter
from emghand.storage.models import save_model


@pytest.fixture
def live(tmp_path):
    """Session folder with two models; gives a run that records into it."""
    (tmp_path / "models").mkdir()
    for seed, output in ((1, {}), (2, {"speed_limit": (0.5,)})):
        save_model(make_model(seed, **output), tmp_path / f"models/m{seed}.emgmodel")
    run = LiveRun(tmp_path / "bags/test", make_model(1))
    yield run
    run.close()


def check(run):
    run.close()
    return check_bag(run.writer.path)


def assert_everything(report, n):
    assert report.passed
    for comparison in (report.features, report.x_hat, report.out_x_hat):
        assert (comparison.recorded, comparison.compared, comparison.identical) == (n, n, n)
    assert report.unrecorded == 0
    assert report.breaks == []


def test_a_whole_run_is_repeated_to_the_bit(live):
    live.frames(100)
    assert_everything(check(live), 97)


def test_frames_that_do_not_fit_the_hop_are_repeated_too(live):
    live.frames(150, block=7)
    assert check(live).passed


def test_what_the_device_dropped_is_filled_or_reset_as_it_was(live):
    live.frames(100, drop=(30, 60, 61, 62))
    report = check(live)
    assert report.passed
    assert report.x_hat.identical == report.x_hat.recorded == 97 - 3 - 3


def test_frames_that_feature_node_never_saw_are_left_out_again(live):
    live.frames(100, lose_in_node=(30, 60, 61, 62))
    report = check(live)
    assert report.passed
    assert report.x_hat.identical == report.x_hat.recorded > 80


def test_frames_with_bad_values_are_repeated(live):
    live.frames(40)
    live.frames(1, scale=np.nan)
    live.frames(10)
    live.frames(3, scale=np.nan)
    live.frames(40)
    report = check(live)
    assert report.passed
    assert report.x_hat.identical == report.x_hat.recorded


def test_ticks_the_decoder_missed_are_left_out_again(live):
    live.missing_ticks = {20, 50, 51, 52}
    live.frames(100)
    report = check(live)
    assert report.passed
    assert report.x_hat.identical == 97 - 4
    assert report.features.identical == 97


def test_a_reset_that_came_with_a_missed_tick_is_left_out_too(live):
    live.missing_ticks = {35}
    live.frames(100, drop=(30, 31))
    report = check(live)
    assert report.passed
    assert report.x_hat.identical == report.x_hat.recorded == 97 - 2 - 3 - 1


def test_model_output_and_reset_take_effect_at_their_tick(live):
    live.frames(30)
    live.swap_model(make_model(2, speed_limit=(0.5,)))
    live.frames(30)
    live.set_output(speed_limit=(1.0,))
    live.frames(30)
    live.reset_decoder()
    live.frames(30)
    live.swap_model(make_model(1))
    live.frames(30)
    report = check(live)
    assert_everything(report, 147)
    assert len(report.models) == 2


def test_hand_overs_are_repeated_also_one_that_is_left_half_way(live):
    live.frames(30)
    live.swap_model(make_model(2, speed_limit=(0.5,)), 0.3)
    live.frames(100)
    live.swap_model(make_model(1), 0.5)
    live.frames(45)
    assert live.decoder.blending
    live.swap_model(make_model(2, speed_limit=(0.5,)), 0.5)
    live.frames(40)
    live.reset_decoder()
    live.frames(30)
    assert_everything(check(live), 242)


def test_adapted_models_are_found_in_their_folder_of_the_session(live, tmp_path):
    live.frames(30)
    live.swap_model(make_model(2, speed_limit=(0.5,)), 0.3)
    live.frames(30)
    (tmp_path / "models/adapted").mkdir()
    (tmp_path / "models/m2.emgmodel").rename(tmp_path / "models/adapted/x.emgmodel")
    assert_everything(check(live), 57)


def test_a_restarted_driver_starts_everything_anew(live):
    live.frames(40)
    live.open_stream()
    live.frames(40)
    assert_everything(check(live), 2 * 37)


def test_a_recording_that_begins_in_the_middle_starts_at_the_first_snapshots(live):
    live.recording = False
    live.frames(50)
    live.recording = True
    live.describe()
    live.frames(60)
    report = check(live)
    assert report.passed
    assert report.x_hat.recorded == 60
    assert 20 < report.x_hat.identical < 60
    assert set(report.x_hat.not_comparable) == {
        "before the first snapshot of the features", "before the first snapshot of the decoder"
    }  # fmt: skip


def test_a_restart_hides_nothing_of_a_recording_that_begins_in_the_middle(
    live,
):
    live.recording = False
    live.frames(42)
    live.recording = True
    live.describe()
    # The first snapshot of the decoder (43) is before the first of the features (60): only the
    # second stream has its tick.
    live.frames(60)
    live.open_stream()
    live.frames(60)
    report = check(live)
    assert report.passed
    assert report.x_hat.recorded == 60 + 57
    assert report.x_hat.identical > 57 + 20


def test_frames_missing_in_the_bag_are_told_and_the_rest_is_compared(live):
    live.frames(130, lose_in_bag=(45,))
    report = check(live)
    assert report.passed
    assert report.breaks == ["raw EMG is missing in the bag"]
    assert report.x_hat.recorded == 127
    assert 90 < report.x_hat.identical == report.x_hat.compared < 127
    reasons = report.x_hat.not_comparable
    assert sum(reasons.values()) == 127 - report.x_hat.compared
    assert any("raw EMG is missing" in reason for reason in reasons)
    assert any("after a break" in reason for reason in reasons)


def tampered(source, target, topic):
    """Copy of a bag with the last bit of one number flipped."""
    with BagReader(source) as reader, BagWriter(target) as writer:
        for t in reader.topics.values():
            writer.add_topic(t)
        for i, m in enumerate(reader.messages()):
            data = bytearray(m.data)
            if m.topic == topic and i > reader.message_count // 2:
                message = reader.decode(m)
                number = np.asarray(message.position).tobytes()
                data[data.index(number)] ^= 1
                topic = ""
            writer.write(m.topic, bytes(data), m.log_time, wait=True)


@pytest.mark.parametrize("name", ["x_hat", "out_x_hat"])
def test_one_flipped_bit_is_found(live, name, capsys):
    live.frames(60)
    live.close()
    target = live.writer.path.with_name("copy")
    tampered(live.writer.path, target, f"/decoder/{name}")
    report = check_bag(target)
    assert not report.passed
    comparison = getattr(report, name)
    assert comparison.identical == comparison.compared - 1
    difference = comparison.first_difference
    assert difference["element"] == "index_flex"
    assert difference["recorded"] != difference["computed"]
    assert difference["recorded"] == pytest.approx(difference["computed"])
    assert main(["replay-check", str(target)]) == 1
    assert "NOT identical" in capsys.readouterr().out


def test_the_command_reports_and_succeeds(live, capsys):
    live.frames(30)
    live.close()
    assert main(["replay-check", str(live.writer.path)]) == 0
    assert "x_hat: 27 recorded, 27 compared, 27 identical" in capsys.readouterr().out
    assert main(["replay-check", str(live.writer.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out_x_hat"]["identical"] == 27


def test_a_missing_model_names_what_was_found(live, tmp_path):
    live.frames(30)
    (tmp_path / "models/m1.emgmodel").unlink()
    with pytest.raises(UserError, match=r"model .* is not there; found only .*m2.*; give it with"):
        check(live)
    save_model(make_model(1), tmp_path / "moved.emgmodel")
    assert check_bag(live.writer.path, tmp_path / "moved.emgmodel").passed


def test_a_bag_without_states_cannot_be_repeated(live):
    with pytest.raises(UserError, match="cannot be repeated without /emg/raw, /features/state"):
        check(live)
