"""What a crash leaves is found and mended; nothing is deleted."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from types import SimpleNamespace

import pytest
from session_maker import RunMaker, add_run, make_session

from emghand.cli.main import main
from emghand.storage import files, session_repair
from emghand.storage.bags import BagReader, BagWriter, metadata
from emghand.storage.bags.repair import is_playable
from emghand.storage.files import TEMPORARY_PREFIX, new_file, take_lock
from emghand.storage.session_repair import repair_session
from emghand.storage.sessions import Session


@pytest.fixture
def session(tmp_path):
    return make_session(tmp_path / "s01")


def everything(path):
    """Content of every file, wherever it is."""
    return sorted(p.read_bytes() for p in path.rglob("*") if p.is_file())


def found(path):
    session, findings = repair_session(path)
    return session, {f.path: f for f in findings}


def test_a_whole_session_is_in_order(session, capsys):
    before = everything(session.path)
    assert main(["session", "repair", str(session.path)]) == 0
    assert "in order" in capsys.readouterr().out
    assert everything(session.path) == before


def test_a_recording_that_was_cut_short_is_mended_and_listed(session):
    bag = add_run(session, label="test", table=False)
    file = bag / "test_0.mcap"
    cut = file.read_bytes()[:-1500]
    file.write_bytes(cut)
    (bag / "metadata.yaml").unlink()
    repaired, findings = found(session.path)
    assert "was cut short" in findings["bags/test"].what
    assert (session.path / "quarantine/bags/test/test_0.mcap").read_bytes() == cut
    assert is_playable(bag)
    assert repaired.check() == []
    assert "bags/test/metadata.yaml" in repaired.manifest["files"]
    assert found(session.path)[1] == {}


def test_a_bag_that_lacks_only_its_metadata_is_not_copied(session):
    bag = add_run(session, label="test", table=False)
    file = bag / "test_0.mcap"
    before = file.stat().st_ino
    (bag / "metadata.yaml").unlink()
    repaired, findings = found(session.path)
    assert findings["bags/test"].what == "had no metadata"
    assert file.stat().st_ino == before
    assert repaired.check() == []


def test_torn_files_and_empty_recordings_go_to_the_quarantine(session):
    (session.path / "models/.unfinished-0011").write_bytes(b"half a model")
    (session.path / "bags/.unfinished-22").mkdir()
    (session.path / "bags/.unfinished-22/x.mcap").write_bytes(b"half a merge")
    (session.path / "bags/collect/.metadata.yaml.tmp").write_bytes(b"half")
    (session.path / "bags/empty").mkdir()
    (session.path / "bags/torn").mkdir()
    (session.path / "bags/torn/torn_0.mcap").write_bytes(b"\x89MCAP0\r\n")
    before = everything(session.path)
    repaired, findings = found(session.path)
    assert len(findings) == 5 and all(f.solved for f in findings.values())
    assert repaired.check() == []
    assert [p.name for p in repaired.bags()] == ["collect"]
    after = everything(session.path)
    assert all(content in after for content in before if b'"files"' not in content)
    assert (session.path / "quarantine/models/.unfinished-0011").read_bytes() == b"half a model"


def test_a_repair_that_was_killed_is_brought_to_its_end(session):
    """After the damaged bag was moved away, before the new one had its name."""
    bag = session.path / "bags/collect"
    work = session.path / "bags/.collect.repair-0011aabb"
    work.mkdir()
    bag.rename(work / "collect")
    repaired, findings = found(session.path)
    assert "took its place" in next(iter(findings.values())).done
    assert repaired.check() == []
    # Before that, the new one is of no use: it may be torn.
    work.mkdir()
    (work / "collect").mkdir()
    (work / "collect/collect_0.mcap").write_bytes(b"half")
    repaired, _ = found(session.path)
    assert repaired.check() == []
    assert (session.path / "quarantine/bags" / work.name / "collect/collect_0.mcap").exists()


def test_what_is_in_use_is_left_alone(session):
    with (
        BagWriter(session.path / "bags/test") as writer,
        new_file(session.path / "results/big.json") as file,
    ):
        maker = RunMaker(writer)
        maker.info()
        file.write(b"{}")
        _, findings = found(session.path)
        assert {f.what for f in findings.values()} == {"is being recorded", "is being written"}
        assert not any(f.solved for f in findings.values())
        maker.trial(0)
    assert (session.path / "results/big.json").read_bytes() == b"{}"
    with BagReader(session.path / "bags/test") as reader:
        assert reader.counts["/session/trial"] == 1
    repaired, _ = found(session.path)
    assert repaired.check() == []


def test_a_file_that_is_finished_while_the_repair_looks_is_whole(session, monkeypatch):
    with contextlib.ExitStack() as writing:
        writing.enter_context(new_file(session.path / "results/big.json")).write(b"{}")

        def finished_before_the_look(path):
            writing.close()
            return files.in_use(path)

        monkeypatch.setattr(session_repair, "in_use", finished_before_the_look)
        repaired, findings = found(session.path)
    assert findings["results/big.json"].done == "listed" and len(findings) == 1
    assert repaired.check() == []


def test_a_file_that_was_just_made_is_not_taken_for_what_a_crash_left(session, monkeypatch):
    name = f"results/{TEMPORARY_PREFIX}11"
    with (session.path / name).open("wb") as file:
        lock = SimpleNamespace(sleep=lambda _: take_lock(file.fileno()))
        monkeypatch.setattr(session_repair, "time", lock)
        _, findings = found(session.path)
    assert findings[name].what == "is being written" and (session.path / name).exists()


def test_a_new_file_is_locked_though_a_repair_looks_at_it(session, monkeypatch):
    path = session.path / "results/big.json"
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "11")
    temporary = path.parent / f"{TEMPORARY_PREFIX}11"
    looks = []

    def taken_after_a_look(handle, *, wait=False):
        monkeypatch.undo()
        looking = os.open(temporary, os.O_RDONLY)
        assert take_lock(looking)
        looks.append(threading.Timer(0.05, os.close, [looking]))
        looks[0].start()
        return take_lock(handle, wait=wait)

    monkeypatch.setattr(files, "take_lock", taken_after_a_look)
    with new_file(path):
        looks[0].join()
        assert files.in_use(temporary)


def test_a_bag_that_was_just_made_is_not_taken_for_an_empty_one(session, monkeypatch):
    bag = session.path / "bags/test"
    bag.mkdir()
    with contextlib.ExitStack() as recording:

        def begin(_):
            file = recording.enter_context((bag / "test_0.mcap").open("xb"))
            take_lock(file.fileno())

        monkeypatch.setattr(session_repair, "time", SimpleNamespace(sleep=begin))
        _, findings = found(session.path)
    assert findings["bags/test"].what == "is being recorded"


def test_what_is_being_finished_is_not_taken_for_what_a_crash_left(session, monkeypatch):
    bag = add_run(session, label="test", table=False)
    information = metadata.read_metadata(bag)
    looks = []

    def look(handle):
        monkeypatch.undo()
        looks.append(found(session.path)[1]["bags/test/.metadata.yaml.tmp"].what)

    monkeypatch.setattr(metadata, "sync", look)
    metadata.write_metadata(bag, information)
    assert looks == ["is being written"]
    assert metadata.read_metadata(bag) == information


def test_a_bag_of_another_format_is_left_alone(session):
    bag = session.path / "bags/foreign"
    bag.mkdir()
    (bag / "foreign_0.db3").write_bytes(b"SQLite")
    (bag / "metadata.yaml").write_text(
        "rosbag2_bagfile_information: {storage_identifier: sqlite3, message_count: 1, "
        "relative_file_paths: [foreign_0.db3]}"
    )
    repaired, findings = found(session.path)
    assert "convert" in findings["bags/foreign"].what
    assert (bag / "foreign_0.db3").exists()
    assert "bags/foreign/foreign_0.db3" in repaired.manifest["files"]


def test_originals_that_older_versions_left_beside_a_bag_are_moved(session):
    (session.path / "bags/collect.damaged").mkdir()
    (session.path / "bags/collect.damaged/x.mcap").write_bytes(b"x")
    assert [p.name for p in session.bags()] == ["collect"]
    repaired, _ = found(session.path)
    assert (session.path / "quarantine/bags/collect.damaged/x.mcap").exists()
    assert repaired.check() == []


def test_a_lost_file_is_found_each_time(session, capsys):
    (session.path / "features/collect.npz").unlink()
    for _ in range(2):
        assert main(["session", "repair", str(session.path), "--json"]) == 1
        findings = json.loads(capsys.readouterr().out)["findings"]
        assert [(f["path"], f["what"]) for f in findings] == [
            ("features/collect.npz", "is missing")
        ]
    assert "features/collect.npz" in Session.open(session.path).manifest["files"]


def test_what_is_not_there_or_empty_is_not_called_a_bag(tmp_path, capsys):
    assert main(["session", "repair", str(tmp_path / "s1")]) == 1
    assert "s1: does not exist; give a session" in capsys.readouterr().err
    assert main(["session", "repair", str(tmp_path)]) == 1
    assert "is empty; give a session" in capsys.readouterr().err
