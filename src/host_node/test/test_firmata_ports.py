"""The Firmata device against an emulated board on a pseudo-terminal."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emghand.devices import DeviceError
from emghand.settings import SettingsError
from host_node.ports.firmata import FirmataBoard, FirmataSettings
from host_node.protocols import firmata


def make(board, **changes):
    return FirmataBoard(
        FirmataSettings(path=board.path, analog=("light:9",), adc=("level:0",), **changes)
    )


def read_until(device, condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reading = device.read(0.05)
        if reading is not None and condition(reading):
            return reading
    raise AssertionError("the reading did not come")


def is_state(port, low, high):
    return lambda r: r.port == port and low <= r.values[0] <= high


def test_what_is_set_on_the_board_is_read_back_through_its_wires(board):
    board.noise = b"\x05\x90\x01"  # the end of a message, and one that breaks off
    device = make(board)
    assert [p.name for p in device.open()] == ["out", "in", "analog", "adc"]
    read_until(device, is_state("in", 0, 0))
    assert device.set("out", {"motor": 1.0}).values == (1.0,)
    read_until(device, is_state("in", 1, 1))
    device.set("analog", {"light": 3.0})
    read_until(device, is_state("adc", 2.95, 3.05))
    assert board.modes == {13: 1, 9: 3, 2: 11}
    assert device.counters()["junk_bytes"] >= 3
    device.close()
    device.close()


def test_outputs_are_0_when_the_board_is_opened_and_when_it_is_closed(board):
    device = make(board)
    for _ in range(2):
        device.open()
        read_until(device, is_state("adc", 0, 0.1))
        device.set("out", {"motor": 1.0})
        device.set("analog", {"light": 5.0})
        read_until(device, is_state("adc", 4.9, 5.0))
        device.close()
        deadline = time.monotonic() + 2.0
        while board.pins[13] or board.pwm[9]:
            assert time.monotonic() < deadline
            time.sleep(0.002)


def test_an_old_firmware_is_refused_with_what_to_do(board):
    board.version = (2, 3)
    with pytest.raises(DeviceError, match=r"Firmata 2\.3, install StandardFirmata 2\.5"):
        make(board).open()


def test_a_board_that_hangs_or_goes_away_is_noticed(board):
    device = make(board, silence_s=1.0)
    device.open()
    board.alive = False
    with pytest.raises(DeviceError, match="sends nothing for 1 s"):
        read_until(device, lambda r: False, 3.0)
    device.close()
    with pytest.raises(DeviceError, match="not there"):
        device.set("out", {"motor": 1.0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"digital_out": ("motor",)},
        {"digital_out": ("motor:13", "light:13")},
        {"digital_in": ("motor:3",)},
        {"adc": ("level:16",)},
    ],
)
def test_pins_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError):
        FirmataSettings(**wrong)


messages = st.one_of(
    st.tuples(st.just(0x90), st.integers(0, 15), st.integers(0, 255)),
    st.tuples(st.just(0xE0), st.integers(0, 15), st.integers(0, 16383)),
).map(lambda m: firmata.Message(*m))


@given(st.lists(messages, max_size=20), st.binary(max_size=30), st.integers(1, 7))
def test_messages_are_found_in_pieces_of_any_size_behind_junk(expected, junk, size):
    data = junk + b"\xf0\xf7"
    for m in expected:
        data += bytes([m.command | m.channel, m.value & 0x7F, m.value >> 7]) + b"\xf0\x71\x01\xf7"
    parser = firmata.Parser()
    found = []
    for start in range(0, len(data), size):
        found += parser.push(data[start : start + size])
    assert found[len(found) - len(expected) :] == expected
