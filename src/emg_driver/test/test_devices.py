import subprocess
import sys
import time

import numpy as np
import pytest

from emg_driver import devices
from emg_driver.device import EndOfData, FollowsTask
from emg_driver.devices import file, synthetic
from emghand.devices import discover
from emghand.errors import UserError


def read(device, n, within_s=5.0):
    deadline = time.monotonic() + within_s
    found = []
    while len(found) < n:
        assert time.monotonic() < deadline
        reading = device.read(0.05)
        if reading is not None:
            found.append(reading)
    return found


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, emg=np.arange(2000.0).reshape(1000, 2), rate=1000.0)
    return str(path)


def test_every_device_is_found_by_its_module():
    assert set(discover(devices)) == {"cyton", "file", "synthetic"}


@pytest.mark.parametrize("package", ["emg_driver", "glove_driver"])
def test_nothing_but_the_node_needs_ros(package):
    pytest.importorskip(package)
    code = (
        f"import sys, importlib, pkgutil, {package} as package\n"
        "for m in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    if not m.name.endswith('.node'): importlib.import_module(m.name)\n"
        "found = [m for m in sys.modules if m.split('.')[0] in "
        "('rclpy', 'emghand_ros', 'emghand_interfaces', 'sensor_msgs')]\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_synthetic_keeps_the_pace_and_follows_the_intention():
    device = synthetic.SyntheticDevice(synthetic.Settings(reaction_s=0.05))
    assert isinstance(device, FollowsTask)
    stream = device.open()
    assert (stream.rate, stream.n_channels, stream.block_size) == (1000.0, 16, 16)
    rest = read(device, 15)
    device.set_intention({"index_flex": 1.0, "tail_wag": 1.0})
    began = time.monotonic()
    read(device, 10)
    busy = read(device, 15)
    assert 0.3 < time.monotonic() - began < 0.6
    everything = [*rest, *busy]
    assert [r.first_sample % 16 for r in everything] == [0] * 30
    assert busy[-1].arrival_ns - busy[0].arrival_ns == 14 * 16_000_000
    assert busy[-1].arrival_ns <= time.monotonic_ns()
    loud = np.concatenate([r.samples for r in busy]).std()
    assert loud > 3 * np.concatenate([r.samples for r in rest]).std()


def test_synthetic_relaxes_when_the_prompts_stop():
    settings = synthetic.Settings(reaction_s=0.0, intention_timeout_s=0.1)
    device = synthetic.SyntheticDevice(settings)
    device.open()
    device.set_intention(dict.fromkeys(settings.dofs, 1.0))
    loud = np.concatenate([r.samples for r in read(device, 8)][3:]).std()
    read(device, 15)
    assert np.concatenate([r.samples for r in read(device, 5)]).std() < loud / 5


def test_synthetic_loses_what_a_halted_process_did_not_read(monkeypatch):
    monkeypatch.setattr(synthetic, "BUFFER_S", 0.1)
    device = synthetic.SyntheticDevice(synthetic.Settings(), 10)
    before = time.monotonic()
    device.open()
    opened = time.monotonic()
    read(device, 2)
    time.sleep(0.35)
    waited = time.monotonic()
    (after,) = read(device, 1)
    # All but the last 100 of what came meanwhile, at 1 kHz, to a block.
    most = 1000 * (time.monotonic() - before) - 90
    assert 1000 * (waited - opened) - 120 <= after.first_sample <= most
    assert after.first_sample % 10 == 0
    assert len(after.samples) == 10


def test_synthetic_can_lose_blocks():
    device = synthetic.SyntheticDevice(synthetic.Settings(loss=0.5), 4)
    device.open()
    firsts = [r.first_sample for r in read(device, 30)]
    assert max(np.diff(firsts)) > 4
    assert device.counters()["lost_blocks"] > 0


def test_file_plays_in_real_time_and_ends(npz):
    device = file.FileDevice(file.Settings(path=npz, start="70%", end="0.9s"))
    stream = device.open()
    assert (stream.device, stream.stream) == ("file", "")
    began = time.monotonic()
    found = read(device, 12)
    with pytest.raises(EndOfData) as end:
        read(device, 2)
    assert 0.15 < time.monotonic() - began < 0.5
    samples = np.concatenate([r.samples for r in found])
    assert found[0].first_sample == 704 and samples[0, 0] == 1408
    assert samples[:, 0].tolist() == list(range(1408, 1408 + 2 * len(samples), 2))
    assert not end.value.again


@pytest.mark.parametrize(("speed", "least", "most"), [(20.0, 0.04, 0.5), (0.0, 0.0, 0.3)])
def test_file_plays_faster(npz, speed, least, most):
    device = file.FileDevice(file.Settings(path=npz, speed=speed, loop=True))
    device.open()
    began = time.monotonic()
    found = read(device, 63)
    assert least <= time.monotonic() - began < most
    steps = np.diff([r.arrival_ns for r in found[:-1]])
    assert np.abs(steps - 16e6 / (speed or 1.0)).max() <= 1
    with pytest.raises(EndOfData) as end:
        device.read(0.1)
    assert end.value.again
    device.open()
    assert read(device, 1)[0].first_sample == 0


def test_file_skips_what_a_halted_process_did_not_play(npz, monkeypatch):
    monkeypatch.setattr(file, "_CATCH_UP_NS", 50_000_000)
    device = file.FileDevice(file.Settings(path=npz), 10)
    device.open()
    read(device, 1)
    time.sleep(0.3)
    assert read(device, 1)[0].first_sample >= 150
    assert device.counters()["skipped_blocks"] >= 10


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"path": ""}, "name the recording"),
        ({"path": "/nowhere.npz"}, "does not exist"),
        ({"start": "half"}, "no place"),
        ({"start": "80%", "end": "20%"}, "nothing lies"),
        ({"format": "jhu"}, "folder"),
    ],
)
def test_mistakes_are_named_before_anything_starts(npz, changes, says):
    with pytest.raises(UserError, match=says):
        file.FileDevice(file.Settings(**{"path": npz, **changes}))


def test_a_simulated_user_has_the_delay_and_the_synthetic_arm_none():
    kind = discover(devices)["synthetic"]
    courses = {}
    for topic in ("task/x_d", "user/intention"):
        device = kind.make(kind.settings(intention=topic, hum=0.0, noise=0.0), 160)
        assert device.intention_topic == topic
        device.set_intention({"index_flex": 1.0})
        device.open()
        courses[topic] = device.read(1.0).samples
    # 0.15 s of reaction: nothing within the first 0.15 s.
    assert not courses["task/x_d"][:140].any()
    assert courses["user/intention"][:140].any()
