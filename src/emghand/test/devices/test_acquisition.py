import threading
import time
import types

import pytest

from emghand.devices import Acquisition, DeviceError, DeviceKind, EndOfData, State, discover


class Scripted:
    """A device that does what its script says, one step at a time."""

    def __init__(self, *script):
        self.script = list(script)
        self.opened_at = []
        self.closed = 0

    def open(self):
        self.opened_at.append(time.monotonic())
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def read(self, timeout_s):
        if not self.script or isinstance(self.script[0], str):
            time.sleep(0.005)
            return None
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self):
        self.closed += 1


class Log:
    def __init__(self):
        self.events = []
        self.changed = threading.Condition()

    def add(self, kind):
        def record(*values):
            with self.changed:
                self.events.append((kind, *values))
                self.changed.notify_all()

        return record

    def wait_for(self, *event):
        with self.changed:
            assert self.changed.wait_for(lambda: event in self.events, 5.0), self.events


def run(device, **pauses):
    log = Log()
    acquisition = Acquisition(
        device, log.add("open"), log.add("reading"), log.add("state"), **pauses
    )
    acquisition.start()
    return acquisition, log


def test_unplugging_is_survived_with_growing_pauses():
    device = Scripted("a", 1, DeviceError("gone"), *[DeviceError("absent")] * 3, "b", 2)
    acquisition, log = run(device, first_pause_s=0.05, longest_pause_s=0.15)
    log.wait_for("reading", 2)
    assert acquisition.status == (State.STREAMING, "")
    assert acquisition.opened == 2
    assert acquisition.stop()
    assert log.events == [
        ("state", State.OPENING, ""),
        ("open", "a"),
        ("reading", 1),
        ("state", State.STREAMING, ""),
        ("state", State.RECONNECTING, "gone"),
        ("state", State.RECONNECTING, "absent"),
        ("open", "b"),
        ("reading", 2),
        ("state", State.STREAMING, ""),
        ("state", State.STOPPED, ""),
    ]
    first, *again = device.opened_at
    pauses = [b - a for a, b in zip([first, *again[:-1]], again, strict=True)]
    for pause, least in zip(pauses, [0.05, 0.1, 0.15, 0.15], strict=True):
        assert least <= pause < least + 0.2
    assert device.closed >= 5


def test_a_recording_ends_once_and_a_loop_starts_over():
    device = Scripted("a", 1, EndOfData("over", again=True), "b", EndOfData("over"))
    acquisition, log = run(device)
    log.wait_for("state", State.ENDED, "over")
    assert [e for e in log.events if e[0] == "open"] == [("open", "a"), ("open", "b")]
    assert acquisition.stop()


def test_a_fault_of_the_code_is_seen_and_tried_again():
    device = Scripted("a", ZeroDivisionError("oh"), "b", 1)
    acquisition, log = run(device, first_pause_s=0.01)
    log.wait_for("reading", 1)
    assert any("ZeroDivisionError" in str(e) for e in log.events)
    assert acquisition.stop()


def test_stopping_does_not_wait_for_the_pause():
    acquisition, log = run(Scripted(*[DeviceError("absent")] * 3), first_pause_s=60.0)
    log.wait_for("state", State.RECONNECTING, "absent")
    began = time.monotonic()
    assert acquisition.stop()
    assert time.monotonic() - began < 1.0


def test_it_can_be_started_again():
    device = Scripted("a", 1)
    acquisition, log = run(device)
    log.wait_for("reading", 1)
    assert acquisition.stop()
    device.script = ["b", 2]
    acquisition.start()
    log.wait_for("reading", 2)
    assert acquisition.stop()


def test_devices_are_found_by_module(monkeypatch, tmp_path):
    package = tmp_path / "some_devices"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("x = 1\n")
    (package / "thing.py").write_text(
        "from emghand.devices import DeviceKind\nDEVICE = DeviceKind('a thing', dict, print)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("some_devices")
    assert isinstance(module, types.ModuleType)
    kinds = discover(module)
    assert list(kinds) == ["thing"]
    assert isinstance(kinds["thing"], DeviceKind)


@pytest.mark.parametrize("kind", [DeviceError, EndOfData])
def test_device_errors_are_one_sentence_for_a_person(kind):
    assert str(kind("gone")) == "gone"
