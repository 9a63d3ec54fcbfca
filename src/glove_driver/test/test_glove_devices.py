import subprocess
import sys
import time

import numpy as np
import pytest

from emghand.devices import discover
from emghand.errors import UserError
from glove_driver import devices
from glove_driver.device import DeviceError, EndOfData, FollowsEmg, FollowsTask
from glove_driver.devices import cyberglove, file, opengloves, synthetic


def read(device, n=1, within_s=5.0):
    deadline = time.monotonic() + within_s
    found = []
    while len(found) < n:
        assert time.monotonic() < deadline
        reading = device.read(0.05)
        if reading is not None:
            found.append(reading)
    return found


def test_every_glove_is_found_by_its_module():
    assert set(discover(devices)) == {"cyberglove", "file", "opengloves", "synthetic"}


def test_nothing_but_the_node_needs_ros():
    code = (
        "import sys, importlib, pkgutil, glove_driver\n"
        "for m in pkgutil.walk_packages(glove_driver.__path__, 'glove_driver.'):\n"
        "    if m.name != 'glove_driver.node': importlib.import_module(m.name)\n"
        "found = [m for m in sys.modules if m.split('.')[0] in "
        "('rclpy', 'emghand_ros', 'emghand_interfaces', 'sensor_msgs')]\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_synthetic_glove_follows_the_prompts_at_its_pace():
    device = synthetic.SyntheticGloveDevice(synthetic.Settings(reaction_s=0.05))
    assert isinstance(device, FollowsTask)
    dofs = device.open()
    device.set_intention({"ring_flex": -0.8})
    readings = read(device, 40)
    assert readings[-1].time_ns - readings[0].time_ns == pytest.approx(39e9 / 60, abs=2)
    wanted = [-0.8 if dof == "ring_flex" else 0.0 for dof in dofs]
    assert np.abs(readings[-1].values - wanted).max() < 0.1


def test_opengloves_over_a_port(glove):
    glove.message = b"A0B4095C2048D1024E0F5(AB)3\n"
    glove.plug_in()
    device = opengloves.make(opengloves.Settings(port=glove.path))
    dofs = device.open()
    assert dofs[:2] == ("thumb_flex", "index_flex")
    assert np.allclose(read(device, 3)[-1].values, [-1, 1, 0, -0.5, -1], atol=1e-3)
    device.close()
    assert device.counters()["frames"] >= 3


def test_opengloves_waits_for_every_sensor_of_the_calibration(glove):
    glove.message = b"A0B4095\n"
    glove.plug_in()
    device = opengloves.make(opengloves.Settings(port=glove.path))
    device.open()
    deadline = time.monotonic() + 5.0
    while device.counters()["incomplete"] < 3:
        assert device.read(0.05) is None and time.monotonic() < deadline
    device.close()


@pytest.mark.parametrize(("model", "sensors"), [("II", 18), ("I", 22), ("III", 22)])
def test_cyberglove_over_a_port(glove, model, sensors):
    if model == "III":
        glove.message = b"\r\n\x00" + bytes(13) + b"S" + (4094).to_bytes(2, "big") * 22
        glove.starts_with = b"1S"
    else:
        glove.message = b"S" + bytes([254]) * sensors + b"\x00"
        glove.starts_with = b"S"
    glove.plug_in()
    device = cyberglove.make(cyberglove.Settings(port=glove.path, model=model, sensors=sensors))
    assert "wrist_flex" in device.open()
    assert (read(device, 3)[-1].values == 1.0).all()
    device.close()
    deadline = time.monotonic() + 2.0
    while not glove.received.endswith(b"\x03") and time.monotonic() < deadline:
        time.sleep(0.01)
    start = b"1eu1S" if model == "III" else b"f 0\rt 1152 1\ru 0\rS"
    assert glove.received == b"\x03" + start + b"\x03"


def test_unplugging_and_foreign_devices_are_errors_that_say_so(glove):
    glove.message = b"A1B1C1D1E1\n"
    glove.plug_in()
    device = opengloves.make(opengloves.Settings(port=glove.path, silence_s=0.2))
    device.open()
    read(device)
    glove.message = b"what?\n"
    with pytest.raises(DeviceError, match="protocol"):
        for _ in range(100):
            device.read(0.05)
    device.close()
    device.open()
    glove.unplug()
    with pytest.raises(DeviceError, match="unplugged"):
        for _ in range(100):
            device.read(0.05)
    device.close()


def test_a_calibration_for_another_glove_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("sensors: {palm: {dof: a, extended: 0, flexed: 9}}\n")
    with pytest.raises(UserError, match="no sensor palm"):
        opengloves.make(opengloves.Settings(calibration=str(path)))
    assert cyberglove.make(cyberglove.Settings(calibration=str(path)))
    with pytest.raises(UserError, match="22"):
        cyberglove.Settings(model="III", sensors=18)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(
        path,
        emg=np.zeros((1000, 2)),
        rate=1000.0,
        x_d=[[0.0], [1.0]],
        x_d_names=["fist"],
        x_d_time=[0.0, 1.0],
    )
    return str(path)


def test_playback_keeps_in_step_with_the_counter_of_the_emg(recording):
    device = file.FileGlove(file.Settings(path=recording))
    assert isinstance(device, FollowsEmg)
    assert device.open() == ("fist",)
    assert device.read(0.01) is None
    for sample, when in [(16, 5), (500, 6), (900, 7), (0, 8)]:
        device.emg_arrived(sample, when)
    found = read(device, 4)
    assert [r.time_ns for r in found] == [5, 6, 7, 8]
    assert np.allclose([r.values[0] for r in found], [0.016, 0.5, 0.9, 0.0])


def test_playback_without_emg_runs_in_real_time(recording):
    settings = file.Settings(path=recording, follow_emg=False, readings_hz=20.0)
    device = file.FileGlove(settings)
    device.open()
    began = time.monotonic()
    values = [r.values[0] for r in read(device, 21)]
    assert 0.9 < time.monotonic() - began < 1.5
    assert np.allclose(values, np.arange(21) / 20)
    with pytest.raises(EndOfData):
        device.read(0.1)


def test_playback_without_kinematics_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", emg=np.zeros((10, 2)), rate=1000.0)
    with pytest.raises(UserError, match="no kinematics"):
        file.FileGlove(file.Settings(path=str(tmp_path / "a.npz")))
    with pytest.raises(UserError, match="name the recording"):
        file.FileGlove(file.Settings())
