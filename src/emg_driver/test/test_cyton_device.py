import time

import numpy as np
import pytest

from emg_driver.device import DeviceError
from emg_driver.devices.cyton import DEVICE, Settings
from emg_driver.protocols.cyton import volts_per_count


def read_samples(device, n, within_s=5.0):
    deadline = time.monotonic() + within_s
    readings = []
    while sum(len(r.samples) for r in readings) < n:
        assert time.monotonic() < deadline, readings
        reading = device.read(0.1)
        if reading is not None:
            readings.append(reading)
    return readings


def open_device(board, **settings):
    device = DEVICE.make(Settings(port=board.path, **settings), 0)
    return device, device.open()


def test_banner_start_values_and_stop(board):
    device, stream = open_device(board)
    assert (stream.rate, stream.n_channels, stream.unit) == (250.0, 8, "V")
    assert stream.full_scale == pytest.approx(0.1875)
    readings = read_samples(device, 40)
    samples = np.concatenate([r.samples for r in readings])
    counts = np.round(samples / volts_per_count(24.0)).astype(int)
    numbers = np.arange(len(counts))
    assert np.array_equal(counts, numbers[:, None] + 1000 * np.arange(8))
    assert [r.first_sample for r in readings] == np.cumsum(
        [0, *[len(r.samples) for r in readings[:-1]]]
    ).tolist()
    device.close()
    device.close()
    deadline = time.monotonic() + 2.0
    while not board.received.endswith(b"s") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert board.received == b"svbs"


def test_lost_packets_leave_a_gap_and_junk_is_counted(board):
    board.skip = {10, 11, 12}
    board.junk_before = {20: b"\x00\x01\x02"}
    device, _ = open_device(board)
    readings = read_samples(device, 40)
    device.close()
    seen = [i for r in readings for i in range(r.first_sample, r.first_sample + len(r.samples))]
    assert seen == [i for i in range(seen[-1] + 1) if i not in board.skip]
    assert device.counters()["junk_bytes"] == 3


def test_daisy_gives_sixteen_channels_at_half_the_rate(board):
    device, stream = open_device(board, daisy=True)
    assert (stream.rate, stream.n_channels) == (125.0, 16)
    samples = np.concatenate([r.samples for r in read_samples(device, 20)])
    device.close()
    counts = np.round(samples / volts_per_count(24.0)).astype(int)
    assert counts[0].tolist() == [1 + 1000 * k for k in range(8)] + [2 + 1000 * k for k in range(8)]


def test_unplugging_is_an_error_that_says_so(board):
    device, _ = open_device(board)
    read_samples(device, 5)
    board.unplug()
    with pytest.raises(DeviceError, match="unplugged"):
        for _ in range(100):
            device.read(0.05)
    device.close()
    with pytest.raises(DeviceError, match="plugged in"):
        device.open()


def test_a_silent_board_is_gone(board):
    device, _ = open_device(board, silence_s=0.2)
    read_samples(device, 5)
    board.mute = True
    with pytest.raises(DeviceError, match="sends nothing"):
        for _ in range(100):
            device.read(0.05)
    device.close()


def test_something_else_on_the_port_is_refused(board):
    board.banner = b"hello $$$"
    with pytest.raises(DeviceError, match="no Cyton"):
        open_device(board)
    board.banner = b"nothing"
    with pytest.raises(DeviceError, match="does not answer"):
        open_device(board, banner_s=0.5)
