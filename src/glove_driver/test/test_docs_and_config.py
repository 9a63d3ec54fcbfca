import dataclasses
import re
from pathlib import Path

import yaml

from emghand.devices import discover
from emghand.settings import from_mapping
from glove_driver import devices
from glove_driver.calibration import load_calibration

ROOT = Path(__file__).parents[3]


def test_config_names_every_setting_with_its_default():
    document = yaml.safe_load((ROOT / "config" / "glove_driver.yaml").read_text())
    given = document["glove_driver"]["ros__parameters"]
    kinds = discover(devices)
    assert {k for k, v in given.items() if isinstance(v, dict)} == set(kinds)
    for name, kind in kinds.items():
        assert from_mapping(kind.settings, given[name]) == kind.settings()
        assert list(given[name]) == [f.name for f in dataclasses.fields(kind.settings)]


def test_the_calibration_of_the_documentation_is_valid(tmp_path):
    text = (ROOT / "docs" / "devices.md").read_text()
    (code,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "c.yaml").write_text(code)
    assert load_calibration(tmp_path / "c.yaml").dofs == ("index_flex", "wrist_flex")
