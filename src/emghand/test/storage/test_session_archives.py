"""Save, load and merge: what was saved comes back, and nothing hostile gets in."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from session_maker import SET, add_run, make_model, make_session

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.storage.bags import BagReader
from emghand.storage.encoders import load_encoder
from emghand.storage.files import sha256
from emghand.storage.kinds import KINDS, chosen
from emghand.storage.models import load_model
from emghand.storage.session_inspect import inspect_session
from emghand.storage.session_save import load_sessions, save_sessions
from emghand.storage.sessions import MANIFEST, Session
from emghand.tasks.movements import load_movement_set


@pytest.fixture
def session(tmp_path):
    return make_session(tmp_path / "s01")


def files_of(session):
    return {n: e["sha256"] for n, e in Session.open(session.path).manifest["files"].items()}


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_saved_comes_back_byte_for_byte(session, tmp_path, compress):
    archive = tmp_path / "a.emgsession"
    save_sessions([session.path], archive, compress=compress)
    load_sessions([archive], tmp_path / "copy")
    copy = Session.open(tmp_path / "copy")
    assert copy.check() == []
    assert files_of(session).items() <= files_of(copy).items()
    for key in ("id", "subject", "created", "settings", "sources"):
        assert copy.manifest[key] == session.manifest[key]
    with zipfile.ZipFile(archive) as plain:
        kinds = {i.compress_type for i in plain.infolist()}
    assert kinds == {zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED}


def test_an_unpacked_archive_is_a_session_and_equal_ones_have_equal_bytes(
    session, tmp_path, monkeypatch
):
    for name in ("a", "b"):
        monkeypatch.setattr("emghand.storage.manifest.now", lambda name=name: name)
        save_sessions([session.path], tmp_path / f"{name}.emgsession")
    assert sha256(tmp_path / "a.emgsession") == sha256(tmp_path / "b.emgsession")
    with zipfile.ZipFile(tmp_path / "a.emgsession") as archive:
        archive.extractall(tmp_path / "plain")
    assert Session.open(tmp_path / "plain").check() == []


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "other"])
def test_each_kind_of_thing_goes_alone(session, tmp_path, kind):
    save_sessions([session.path], tmp_path / "a.emgsession", chosen([kind]))
    found = inspect_session(tmp_path / "a.emgsession", verify=True)
    assert set(found["kinds"]) == {kind}
    assert found["problems"] == []
    assert bool(found["settings"]) == (kind == "settings")
    load_sessions([tmp_path / "a.emgsession"], tmp_path / "copy")
    copy = Session.open(tmp_path / "copy")
    assert {e["kind"] for e in copy.manifest["files"].values()} == {kind}
    assert copy.check() == []


def test_movements_filter_and_encoder_are_taken_out_of_what_holds_them(session, tmp_path):
    load_sessions([session.path], tmp_path / "c", chosen(["movements", "filter", "autoencoder"]))
    movements = load_movement_set(tmp_path / "c/movements/short.yaml")
    assert movements.movements[0].targets == SET["movements"][0]["targets"]
    model = load_model(session.path / "models/ridge.emgmodel")
    encoder = load_encoder(tmp_path / "c/models/ridge.emgencoder")
    Z = np.random.default_rng(1).normal(size=(5, 4))
    np.testing.assert_array_equal(encoder.codes(Z), model.codes(Z))
    parameters = (tmp_path / "c/filter/ridge.yaml").read_text()
    assert "feature_node" in parameters and "speed_limit" in parameters


def test_a_damaged_encoder_file_is_refused(session, tmp_path):
    load_sessions([session.path], tmp_path / "c", chosen(["autoencoder"]))
    path = tmp_path / "c/models/ridge.emgencoder"
    data = bytearray(path.read_bytes())
    data[-400] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        load_encoder(path)


def test_merged_sessions_keep_everything_under_names_that_are_free(tmp_path):
    one = make_session(tmp_path / "s01", seed=1)
    two = make_session(tmp_path / "s02", seed=2)
    load_sessions([one.path, two.path], tmp_path / "all")
    whole = Session.open(tmp_path / "all")
    assert whole.check() == []
    assert [p.name for p in whole.bags("collect")] == ["collect", "collect_2"]
    assert [s["name"] for s in whole.manifest["sources"]] == ["s01", "s02"]
    # A model and what belongs to it stay together, equal files are there once.
    assert (whole.path / "models/ridge_2.emgmemory").read_bytes() == b"memory 2"
    assert (
        load_model(whole.path / "models/ridge_2.emgmodel").model_id == make_model(2, True).model_id
    )
    assert sorted(p.name for p in (whole.path / "features").iterdir()) == ["collect.npz"]
    tables = [n for n in whole.manifest["files"] if "trials" in n or "plan" in n]
    assert len(tables) == 4
    for name in tables:
        said = json.loads((whole.path / name).read_text())["bag"]
        assert said == "bags/collect"
        expected = "bags/collect_2" if "_2" in name else "bags/collect"
        assert whole.resolve(said, name) == expected
    for bag in whole.bags():
        with BagReader(bag) as reader:
            assert reader.counts["/emg/raw"] == 2
    # Once more, and from an archive of the whole: nothing is there twice.
    save_sessions([whole.path], tmp_path / "all.emgsession")
    for source in (two.path, tmp_path / "all.emgsession"):
        assert [i.kind for i in load_sessions([source], whole.path).items if i.kind == "data"] == []
    assert len(Session.open(whole.path).bags()) == 2


def test_a_merge_into_a_session_keeps_what_is_there(session, tmp_path):
    other = make_session(tmp_path / "s02", seed=5, settings={"hop": 32})
    before = files_of(session)
    merged = load_sessions([other.path], session.path, chosen(["decoder", "settings"]))
    assert before.items() <= files_of(session).items()
    now = Session.open(session.path)
    assert now.check() == []
    assert now.manifest["settings"] == {"hop": 16}
    assert now.manifest["sources"][0]["settings"] == {"hop": 32}
    assert "keeps its own settings" in merged.notes[0]
    assert [i.name for i in merged.items] == ["models/ridge_2.emgmodel"]


def test_files_that_nobody_listed_are_neither_overwritten_nor_left_behind(session, tmp_path):
    (session.path / "models/adapted").mkdir()
    (session.path / "models/adapted/ridge.emgmodel").write_bytes(b"adapted")
    other = make_session(tmp_path / "s02", seed=5)
    (other.path / "models/adapted").mkdir()
    (other.path / "models/adapted/ridge.emgmodel").write_bytes(b"adapted, too")
    load_sessions([other.path], session.path)
    now = Session.open(session.path)
    assert now.check() == []
    assert (now.path / "models/adapted/ridge.emgmodel").read_bytes() == b"adapted"
    assert (now.path / "models/adapted/ridge_2.emgmodel").read_bytes() == b"adapted, too"
    (add_run(session, label="test", table=False) / "metadata.yaml").unlink()
    with pytest.raises(UserError, match="session repair"):
        load_sessions([other.path], session.path)


def test_subjects_are_not_mixed_by_accident(session, tmp_path):
    other = make_session(tmp_path / "s02", subject="p08")
    for target in (tmp_path / "all", session.path):
        with pytest.raises(UserError, match="--subject"):
            load_sessions([session.path, other.path], target)
    load_sessions([session.path, other.path], tmp_path / "all", subject="group")
    assert Session.open(tmp_path / "all").subject == "group"


def test_nothing_is_overwritten_and_nothing_unfinished_is_saved(session, tmp_path):
    archive = tmp_path / "a.emgsession"
    archive.write_bytes(b"mine")
    with pytest.raises(UserError, match="exists already"):
        save_sessions([session.path], archive)
    assert archive.read_bytes() == b"mine"
    (session.path / "bags/collect/metadata.yaml").unlink()
    with pytest.raises(UserError, match="session repair"):
        save_sessions([session.path], tmp_path / "b.emgsession")
    save_sessions([session.path], tmp_path / "c.emgsession", chosen(["decoder"]))
    path = session.path / "models/ridge.emgmodel"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="not what the manifest says"):
        save_sessions([session.path], tmp_path / "d.emgsession", chosen(["decoder"]))
    assert not list(tmp_path.glob(".unfinished*")) and not (tmp_path / "d.emgsession").exists()


def rewritten(source, path, change=lambda manifest: None, names=None, method=zipfile.ZIP_STORED):
    """A copy of an archive with another manifest or other names of members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", method) as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == MANIFEST:
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            new.writestr((names or {}).get(info.filename, info.filename), content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "/etc/evil", "models/../../evil", "a\\b", "bags//x", "manifest.json.evil"),
        *("quarantine/x", ".unfinished-1", "models/ridge.", "C:evil", "x" * 300),
        "models/RIDGE.emgmodel",
    ],
)
def test_names_that_leave_the_session_are_refused(session, tmp_path, name):
    save_sessions([session.path], tmp_path / "a.emgsession", chosen(["decoder", "detector"]))
    old = "models/ridge.emgmemory"

    def rename(manifest):
        manifest["files"][name] = manifest["files"].pop(old)

    evil = rewritten(tmp_path / "a.emgsession", tmp_path / "e.emgsession", rename, {old: name})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError):
        load_sessions([evil], tmp_path / "copy")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_without_anything_in_it_is_not_taken_for_a_backup(tmp_path):
    Session.create(tmp_path / "s", "p07").keep("results", "a.json", b"{}")
    with pytest.raises(UserError, match="nothing of data, decoder is there"):
        save_sessions([tmp_path / "s"], tmp_path / "a.emgsession", chosen(["decoder", "data"]))
    assert not (tmp_path / "a.emgsession").exists()


def test_archives_that_lie_are_refused_before_anything_is_kept(session, tmp_path):
    whole = tmp_path / "a.emgsession"
    save_sessions([session.path], whole, chosen(["decoder", "detector"]))
    name = "models/ridge.emgmemory"

    def hash_of_another(manifest):
        manifest["files"][name]["sha256"] = "0" * 64

    def another_size(manifest):
        manifest["files"][name]["bytes"] += 1

    def forgotten(manifest):
        del manifest["files"][name]

    def newer(manifest):
        manifest["version"] = 99

    def another_kind(manifest):
        manifest["files"][name]["kind"] = "data"

    def no_origin(manifest):
        manifest["files"][name]["origin"] = "elsewhere"

    def no_source(manifest):
        manifest["sources"] = [{"id": ["a"]}]

    def nothing_lost(manifest):
        manifest["left_out"] = [1]

    changes = (hash_of_another, another_size, forgotten, newer, another_kind)
    for change in (*changes, no_origin, no_source, nothing_lost):
        evil = rewritten(whole, tmp_path / f"{change.__name__}.emgsession", change)
        with pytest.raises(UserError):
            load_sessions([evil], tmp_path / "copy")
    with pytest.raises(UserError, match="packed in a way"):
        load_sessions(
            [rewritten(whole, tmp_path / "lzma.emgsession", method=zipfile.ZIP_LZMA)],
            tmp_path / "copy",
        )
    assert not (tmp_path / "copy").exists()
    assert not list(tmp_path.glob(".unfinished*"))


def test_an_archive_cut_or_changed_anywhere_is_refused_with_a_sentence(session, tmp_path):
    whole = tmp_path / "a.emgsession"
    save_sessions([session.path], whole, chosen(["detector", "settings"]))
    data = whole.read_bytes()
    damaged = tmp_path / "d.emgsession"
    for cut in [*range(0, len(data), 97), len(data) - 1]:
        damaged.write_bytes(data[:cut])
        with pytest.raises(UserError):
            load_sessions([damaged], tmp_path / "copy")
    for at in range(0, len(data), 29):
        damaged.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            load_sessions([damaged], tmp_path / f"copy{at}")
        except UserError:
            continue
        assert Session.open(tmp_path / f"copy{at}").check() == []


def test_the_commands_save_inspect_and_load(session, tmp_path, capsys):
    archive = str(tmp_path / "a.emgsession")
    assert main(["session", "save", str(session.path), archive, "--without", "data"]) == 0
    assert "1 decoder" in capsys.readouterr().out
    assert main(["session", "inspect", archive, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["archive"] and found["subject"] == "p07"
    things = {t["name"]: t["details"] for t in found["things"]}
    assert things["models/ridge.emgmodel"]["dofs"] == ["index_flex"]
    assert things["models/ridge.emgmodel"]["encoder"] == "linear"
    assert things["results/collect_trials.json"]["trials"] == 2
    assert main(["session", "load", archive, str(tmp_path / "copy"), "--only", "decoder"]) == 0
    assert main(["session", "merge", archive, str(tmp_path / "copy"), "--json"]) == 0
    assert main(["session", "save", archive, "x.emgsession", "--only", "nonsense"]) == 1
    assert "choose from: settings" in capsys.readouterr().err


def test_inspect_shows_bags_without_reading_them_and_what_is_wrong(session, tmp_path, capsys):
    save_sessions([session.path], tmp_path / "a.emgsession")
    file = next((session.path / "bags/collect").glob("*.mcap"))
    file.write_bytes(bytes(file.stat().st_size))  # Only the size is looked at.
    (session.path / "results/new.json").write_text("{}")
    add_run(session, label="test", table=False)
    (session.path / "bags/test/metadata.yaml").unlink()
    for path in (session.path, tmp_path / "a.emgsession"):
        bag = next(t for t in inspect_session(path)["things"] if t["name"] == "bags/collect")
        assert bag["details"]["topics"]["/session/trial"] == 2
    problems = {(p["path"], p["what"]) for p in inspect_session(session.path)["problems"]}
    assert ("results/new.json", "not listed") in problems
    assert ("bags/test", "not finished") in problems
    assert not any(p.startswith("bags/collect") for p, _ in problems)
    problems = inspect_session(session.path, verify=True)["problems"]
    assert {"path": "bags/collect/collect_0.mcap", "what": "changed"} in problems
    assert main(["session", "inspect", str(session.path)]) == 1
    assert "session repair" in capsys.readouterr().out


def test_a_session_of_version_1_opens_and_is_migrated_when_it_is_written(tmp_path):
    path = tmp_path / "old"
    for folder in ("bags", "models", "results"):
        (path / folder).mkdir(parents=True)
    (path / "results/a.json").write_text("{}")
    entry = {"sha256": sha256(path / "results/a.json"), "bytes": 2, "added": "2025-01-01T00:00:00"}
    old = {
        "format": "emghand session",
        "version": 1,
        "subject": "p07",
        "created": "2025-01-01T00:00:00+00:00",
        "code_version": "0.1.0",
        "settings": {"hop": 16},
        "files": {"results/a.json": entry},
    }
    (path / MANIFEST).write_text(json.dumps(old))
    session = Session.open(path)
    assert session.manifest["id"] == Session.open(path).manifest["id"]
    assert session.manifest["files"]["results/a.json"]["kind"] == "results"
    assert session.check() == []
    assert json.loads((path / MANIFEST).read_text()) == old  # Reading changes nothing.
    save_sessions([path], tmp_path / "a.emgsession")
    assert inspect_session(tmp_path / "a.emgsession")["version"] == 2
    identity = session.manifest["id"]
    session.keep("results", "b.json", b"{}")
    assert json.loads((path / MANIFEST).read_text())["version"] == 2
    assert json.loads((path / f"{MANIFEST}.version_1").read_text()) == old
    assert Session.open(path).manifest["id"] == identity
    assert Session.open(path).check() == []
