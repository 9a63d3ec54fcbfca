"""Session directories: nothing is replaced, everything is accounted for."""

from __future__ import annotations

import errno
import json
import re

import pytest

from emghand.control.settings import OutputSettings
from emghand.errors import UserError
from emghand.storage.files import TEMPORARY_PREFIX, sha256, write_file
from emghand.storage.session_repair import repair_session
from emghand.storage.sessions import MANIFEST, Problem, Session


@pytest.fixture
def session(tmp_path):
    return Session.create(tmp_path / "s01", "p07", {"output": OutputSettings(), "hop": 16})


def add(session, name, content=b"x"):
    path = session.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    session.add_file(name)
    return path


def test_a_session_comes_back_as_it_was_made(session):
    found = Session.open(session.path)
    assert found.subject == "p07"
    assert found.manifest == session.manifest
    assert found.manifest["settings"]["output"]["speed_limit"] == [5.0]
    assert found.manifest["code_version"]
    assert found.check() == []


def test_a_directory_in_use_is_not_taken(session, tmp_path):
    with pytest.raises(UserError, match="not empty"):
        Session.create(session.path, "p08")
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "s1", file / "below" / "s1"):
        with pytest.raises(UserError, match=f"cannot be made: {re.escape(str(file))} is a file"):
            Session.create(path, "p08")


@pytest.mark.parametrize("subject", ["", "../x", "Jane Doe", "x" * 65, "-a", "a/b"])
def test_subjects_are_pseudonyms(tmp_path, subject):
    with pytest.raises(UserError, match="subject"):
        Session.create(tmp_path / "s", subject)
    assert not (tmp_path / "s").exists()


def test_bags_are_numbered_and_never_reused(session):
    made = []
    for _ in range(11):
        path = session.new_bag_path("collect")
        path.mkdir()
        made.append(path)
    session.new_bag_path("test").mkdir()
    assert [p.name for p in made[:3]] == ["collect", "collect_2", "collect_3"]
    assert session.bags("collect") == made
    assert [p.name for p in session.bags("test")] == ["test"]
    assert len(session.bags()) == 12
    with pytest.raises(UserError, match="label"):
        session.new_bag_path("../collect")


def test_every_file_of_a_bag_is_entered_with_its_hash(session):
    bag = session.new_bag_path("collect")
    bag.mkdir()
    (bag / "a.mcap").write_bytes(b"data")
    (bag / "metadata.yaml").write_bytes(b"meta")
    session.add_file(bag)
    files = Session.open(session.path).manifest["files"]
    assert files["bags/collect/a.mcap"]["sha256"] == sha256(bag / "a.mcap")
    assert files["bags/collect/metadata.yaml"]["bytes"] == 4


def test_two_that_have_the_session_open_lose_nothing_of_each_other(session):
    other = Session.open(session.path)
    add(session, "results/a.json")
    add(other, "results/b.json")
    assert set(Session.open(session.path).manifest["files"]) == {"results/a.json", "results/b.json"}


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "."])
def test_files_outside_of_the_session_are_refused(session, name):
    (session.path.parent / "outside").write_text("x")
    with pytest.raises(UserError, match="not inside"):
        session.add_file(name)


def test_a_listed_file_that_changed_is_refused(session):
    path = add(session, "results/a.json")
    path.write_bytes(b"y")
    with pytest.raises(UserError, match="has changed"):
        session.add_file("results/a.json")
    with pytest.raises(UserError, match="cannot be read"):
        session.add_file("results/none.json")


def test_check_names_every_difference(session):
    add(session, "results/gone.json").unlink()
    add(session, "results/changed.json").write_bytes(b"y")
    (session.path / "bags" / "extra").write_bytes(b"")
    (session.path / f"{TEMPORARY_PREFIX}abc").write_bytes(b"")
    assert sorted(session.check(), key=lambda p: p.what) == [
        Problem("results/changed.json", "changed"),
        Problem("results/gone.json", "missing"),
        Problem("bags/extra", "not listed"),
        Problem(f"{TEMPORARY_PREFIX}abc", "unfinished"),
    ]


def test_repair_makes_the_manifest_agree_and_keeps_the_data(session):
    add(session, "results/gone.json").unlink()
    before = sha256(add(session, "results/changed.json"))
    (session.path / "results/changed.json").write_bytes(b"y")
    (session.path / "bags" / "extra").write_bytes(b"raw")
    (session.path / f"{TEMPORARY_PREFIX}abc").write_bytes(b"")
    repaired, findings = repair_session(session.path)
    assert len(findings) == 4
    assert [f.path for f in findings if not f.solved] == ["results/gone.json"]
    assert repaired.check() == [Problem("results/gone.json", "missing")]
    assert repaired.manifest["files"]["results/changed.json"]["before"] == before
    assert (session.path / "bags" / "extra").read_bytes() == b"raw"
    assert repaired.subject == "p07"


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1}', b"\xff\xfe", b"[" * 10**5])
def test_a_damaged_manifest_is_reported_repaired_and_kept(session, content):
    add(session, "results/a.json")
    (session.path / MANIFEST).write_bytes(content)
    with pytest.raises(UserError, match=r"manifest\.json"):
        Session.open(session.path)
    repaired, _ = repair_session(session.path)
    assert repaired.check() == []
    assert "results/a.json" in Session.open(session.path).manifest["files"]
    assert (session.path / "quarantine" / MANIFEST).read_bytes() == content


def test_what_is_no_session_or_newer_is_refused(session, tmp_path):
    with pytest.raises(UserError, match="is no session"):
        Session.open(tmp_path)
    manifest = json.loads((session.path / MANIFEST).read_text()) | {"version": 99}
    (session.path / MANIFEST).write_text(json.dumps(manifest))
    for call in (Session.open, repair_session):
        with pytest.raises(UserError, match="newer"):
            call(session.path)
    with pytest.raises(UserError, match="nothing of a session"):
        repair_session(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_file(tmp_path / "a", b"old")
    with pytest.raises(UserError, match="exists already"):
        write_file(tmp_path / "a", b"new")
    with pytest.raises(TypeError):
        write_file(tmp_path / "a", "text", replace=True)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    write_file(tmp_path / "a", b"data")
    with pytest.raises(UserError, match="exists already"):
        write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"data"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
