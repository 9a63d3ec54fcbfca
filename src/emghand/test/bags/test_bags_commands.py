import json

import numpy as np
import pytest
from bag_maker import Maker

from emghand.cli.main import main
from emghand.storage.bags import BagWriter, read_recording
from emghand.storage.bags.repair import is_playable


@pytest.fixture
def gappy(tmp_path):
    with BagWriter(tmp_path / "gappy") as writer:
        maker = Maker(writer)
        maker.info()
        for i in (0, 1, 3, 4):
            maker.frame(16 * i, np.zeros((16, 4)), sequence=i + 1)
        for tick, sequence in ((5, 1), (6, 2), (9, 3)):
            maker.feature(tick, sequence)
    return tmp_path / "gappy"


def test_info_tells_lost_messages_samples_and_ticks_apart(gappy, capsys):
    assert main(["bag", "info", str(gappy), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["integrity"]
    assert report["lost_messages"] == {"/emg/raw": 1}
    assert report["samples"]["/emg/raw"]["gaps"] == [{"at": 32, "missing": 16}]
    assert report["ticks"]["/features"]["gaps"] == [{"at": 7, "missing": 2}]
    assert report["unchecked"] == ["/emg/info"]


def test_info_is_readable(gappy, capsys):
    assert main(["bag", "info", str(gappy)]) == 0
    text = capsys.readouterr().out
    assert "8 messages in 0.01 s" in text
    assert "/emg/raw: 16 samples missing at 32" in text
    assert "/emg/raw: 1 messages were not recorded" in text


def test_info_of_a_cut_bag_says_how_to_repair_it(bag, capsys):
    (bag / "metadata.yaml").unlink()
    file = next(bag.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:-3000])
    assert main(["bag", "info", str(bag)]) == 0
    assert "emghand session repair" in capsys.readouterr().out


def test_repair_goes_over_all_bags_of_a_session(bag, tmp_path, capsys):
    session = tmp_path / "session"
    (session / "bags").mkdir(parents=True)
    bag.rename(session / "bags/one")
    with BagWriter(session / "bags/two") as writer:
        Maker(writer).info()
    one = session / "bags/one"
    (one / "metadata.yaml").unlink()
    file = next(one.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:-20])
    assert main(["session", "repair", str(session)]) == 0
    text = capsys.readouterr().out
    assert "bags/one: was cut short; written anew (41 messages" in text
    assert "it is in quarantine/bags/one" in text
    assert "bags/two: " not in text
    assert is_playable(one)
    assert len(read_recording(one).blocks) == 10
    assert main(["session", "repair", str(session)]) == 0
    assert "is in order" in capsys.readouterr().out


def test_repair_of_nothing_is_a_sentence(tmp_path, capsys):
    assert main(["session", "repair", str(tmp_path / "nothing")]) == 1
    assert "does not exist" in capsys.readouterr().err
