import dataclasses
import re
import sys
from pathlib import Path

import yaml

from emg_driver import devices
from emghand.devices import discover
from emghand.settings import from_mapping

ROOT = Path(__file__).parents[3]


def test_config_names_every_setting_with_its_default():
    document = yaml.safe_load((ROOT / "config" / "emg_driver.yaml").read_text())
    given = document["emg_driver"]["ros__parameters"]
    kinds = discover(devices)
    assert {k for k, v in given.items() if isinstance(v, dict)} == set(kinds)
    for name, kind in kinds.items():
        assert from_mapping(kind.settings, given[name]) == kind.settings()
        assert list(given[name]) == [f.name for f in dataclasses.fields(kind.settings)]


def test_the_device_of_the_documentation_works_as_the_only_file(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "devices.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    package = tmp_path / "documented_devices"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "ramp.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    kinds = discover(__import__("documented_devices"))
    sys.modules.pop("documented_devices")
    device = kinds["ramp"].make(kinds["ramp"].settings(rate=5000.0), 0)
    assert device.open().rate == 5000.0
    readings = [device.read(0.1) for _ in range(3)]
    assert [r.first_sample for r in readings] == [0, 10, 20]
    assert device.counters() == {"samples_sent": 30}
    device.close()
