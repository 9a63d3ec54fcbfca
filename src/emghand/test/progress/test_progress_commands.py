"""The commands emghand progress and emghand study, and the progress in a report of a session."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from emghand import steps
from emghand.cli.main import main
from emghand.progress.folder import find_study
from emghand.progress.tables import read_tables
from emghand.simulate.study import changes
from emghand.simulate.study.making import make_study
from emghand.simulate.study.sitting import StudySettings
from emghand.storage.sessions import Session


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nobody pulls the plug here: what is written need not reach the disk at once."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two people with five sessions each, read once."""
    folder = tmp_path_factory.mktemp("study")
    settings = StudySettings(trials=0.5, hand_every=1)
    made = make_study(folder, subjects=2, sessions=5, settings=settings, jobs=1)
    assert main(["progress", "--study", "--in", str(made.path)]) == 0
    return made.path


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    """A copy that may be spoiled; the current folder."""
    copy = tmp_path / "study"
    shutil.copytree(made, copy)
    monkeypatch.chdir(copy)
    return copy


def asked(capsys, *words, code=0):
    """The JSON that a command prints."""
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def refused(capsys, *words):
    """The sentence that a command ends with."""
    capsys.readouterr()
    assert main(list(words)) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    return said


def test_it_says_where_a_subject_stands_and_what_is_missing(study, capsys):
    found = asked(capsys, "progress", "p01")
    assert (found["status"], found["raw_status"]) == ("in_training", "in_training")
    assert found["next_level"] == "trained_basic"
    for entry in found["missing"]:
        assert entry["pass"] is False and entry["threshold"] is not None
    assert found["criteria"]["trials"] | {"name": "trials"} in found["missing"]
    assert found["reached"]["fitting"]["date"] == "2026-01-12"
    assert len(found["dates"]) == 5
    assert found["update"] | {"damaged": {}} == {
        "sessions": [], "removed": [], "moved": [], "since": None, "dates": 0, "problems": [],
        "damaged": {},
    }  # fmt: skip
    capsys.readouterr()
    assert main(["progress", "p01"]) == 0
    said = capsys.readouterr().out
    assert "p01 on 2026-01-19: in training" in said
    assert "Missing for trained basic" in said and ">= 30" in said


def test_it_says_where_a_subject_stood_on_a_day(study, capsys):
    found = asked(capsys, "progress", "p01", "--date", "2026-01-12")
    assert (found["status"], found["next_level"]) == ("fitting", "in_training")
    assert list(found["reached"]) == ["fitting"] and len(found["dates"]) == 1
    between = asked(capsys, "progress", "p01", "--date", "2026-01-14")
    assert between["date"] == "2026-01-13", "the last one before it"
    assert "first session is of 2026-01-12" in refused(
        capsys, "progress", "p01", "--date", "2025-12-31"
    )
    assert "--date soon" in refused(capsys, "progress", "p01", "--date", "soon")


def test_rows_of_dates_fit_a_narrow_terminal(study, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["progress", "p01", "--last", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if line.split()[:1] == ["2026-01-19*"]]
    assert "in training" in row and len(row) <= 80


def test_of_a_whole_study_everybody_is_shown(study, capsys):
    found = asked(capsys, "progress", "--study")
    assert list(found["subjects"]) == ["p01", "p02"]
    assert found["subjects"]["p02"]["missing"]
    assert asked(capsys, "progress", "--all") == found
    assert main(["progress", "--study"]) == 0
    said = capsys.readouterr().out
    assert "p01: missing for trained basic: " in said


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("progress p99", "p99: has no session"),
        ("progress p99", "known: p01, p02"),
        ("progress p99 --no-update", "known: p01, p02"),
        ("progress", "name a subject"),
        ("progress p01 --study", "name a subject"),
        ("progress p01 --in nowhere", "there is no such folder"),
        ("progress p01 --in protocols", "there is no session in it"),
        ("progress p01 --last 0", "--last 0"),
        ("progress p01 --page page.txt", "name the page .html"),
        ("progress p01 --figures f --formats gif", "'gif' is no format"),
        ("progress p01 --database mysql://x/y", "not supported"),
        ("study --subject p99", "known: p01, p02"),
        ("study . --in .", "name the folder once"),
        ("study . --keep mine", "for study share"),
        ("study share", "name the bucket"),
        ("study share s3://lab/x --verify", "--verify"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(study, capsys, words, text):
    assert text in refused(capsys, *words.split())


def test_a_folder_without_sessions_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "there is no study here" in refused(capsys, "progress", "--study")
    assert "there is no session in it" in refused(capsys, "study", ".")
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_found_from_within(study, monkeypatch, capsys):
    monkeypatch.chdir(study / "p01" / "s01" / "bags")
    assert find_study(".") == study
    assert asked(capsys, "progress", "p01")["study"] == str(study)


def test_tables_are_brought_up_to_date_unless_told_otherwise(study, capsys):
    changes.delete(study / "p01" / "s05")
    old = asked(capsys, "progress", "p01", "--no-update")
    assert old["date"] == "2026-01-19" and old["update"] is None
    new = asked(capsys, "progress", "p01")
    assert new["date"] == "2026-01-16" and len(new["update"]["removed"]) == 1
    assert len(read_tables(study / "progress", "p01").sessions) == 4


def test_a_session_without_a_table_stops_it_is_warned_of_or_read_from_its_bag(study, capsys):
    before = asked(capsys, "progress", "p01")["dates"]
    shutil.rmtree(study / "progress")
    changes.lose_tables(study / "p01" / "s05")
    assert "--force" in refused(capsys, "progress", "p01", "--in", ".")
    pending = asked(capsys, "progress", "p01", "--in", ".", "--warn")
    assert pending["raw_status"] == "not_computed" and pending["update"]["problems"]
    forced = asked(capsys, "progress", "p01", "--force")
    assert forced["raw_status"] == "in_training"
    assert forced["dates"][-1]["n_trials"] == before[-1]["n_trials"]


def test_the_first_update_says_which_session_it_reads(study, capsys):
    shutil.rmtree(study / "progress")
    said = []
    with steps.listening(lambda *step: said.append(step)):
        assert main(["progress", "--study", "--in", str(study)]) == 0
    sessions = [f"reading {subject}/s0{n}" for subject in ("p01", "p02") for n in range(1, 6)]
    assert [what for what, _ in said if what.startswith("reading")] == sessions
    fractions = [fraction for _, fraction in said]
    assert fractions == sorted(fractions) and fractions[0] >= 0.0 and fractions[-1] < 1.0


def test_a_terminal_has_a_bar(study):
    terminal, end = os.openpty()
    command = [sys.executable, "-m", "emghand.cli.main", "progress", "p01", "--in", str(study)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with open(terminal, "rb", buffering=0) as screen:
        try:
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=end, env=environment
            ) as running:
                os.close(end)
                shown = b"".join(iter(lambda: read(screen), b""))
                said = running.stdout.read().decode()
        finally:
            running.kill()
    assert running.returncode == 0 and "p01" in said and "\x1b" not in said
    assert "━" in shown.decode()


def read(terminal):
    """What a terminal shows next; empty: the other end is closed."""
    try:
        return terminal.read(65536)
    except OSError:
        return b""


def test_criteria_of_the_study_take_the_place_of_the_usual_ones(study, capsys):
    from importlib.resources import files

    usual = files("emghand.progress").joinpath("criteria.yaml").read_text()
    own = study / "progress" / "criteria.yaml"
    own.write_text(usual.replace("threshold: 30", "threshold: 3", 1))
    found = asked(capsys, "progress", "p01")
    assert found["criteria"]["trials"]["threshold"] == 3 and found["update"]["dates"] == 5
    own.write_text(usual.replace("threshold: 30", "threshold: 30\n    limit: 3", 1))
    assert "limit: unknown" in refused(capsys, "progress", "p01")


def test_criteria_that_lead_nowhere_are_not_taken_for_the_usual_ones(study, capsys):
    (study / "progress/criteria.yaml").symlink_to(study / "nowhere.yaml")
    assert "cannot be read" in refused(capsys, "progress", "p01")


def test_a_page_and_figures_are_written_and_never_replaced_unasked(study, capsys):
    words = ["progress", "p01", "--page", "p.html", "--figures", "f", "--formats", "svg"]
    assert main(words) == 0
    assert (study / "p.html").read_text().count("<figure") >= 3
    assert {"status.svg", "practice.svg"} <= {p.name for p in (study / "f").iterdir()}
    assert "exists already" in refused(capsys, *words)
    assert main([*words, "--replace"]) == 0
    assert main(["progress", "--study", "--figures", "g", "--formats", "svg"]) == 0
    assert [p.name for p in (study / "g").iterdir()] == ["study.svg"]


def test_the_list_names_what_is_missing_and_what_is_broken(study, capsys):
    assert {s["what"] for s in asked(capsys, "study")["sessions"]} == {"in order"}
    waiting = changes.hold_back(study / "p01" / "s03", study)
    assert main(["progress", "--study"]) == 0
    changes.hand_in(waiting, study)
    changes.delete(study / "p01" / "s05")
    changes.rename(study / "p02" / "s01", "s01_first")
    changes.corrupt(study / "p02" / "s02", "table")
    changes.corrupt(study / "p02" / "s03", "manifest")
    found = asked(capsys, "study", "--verify", code=1)
    what = {s["path"]: s["what"] for s in found["sessions"] if s["what"] != "in order"}
    assert what == {
        "p01/s03": "not in the tables, earlier than others that are",
        "p01/s05": "is in the tables only",
        "p02/s01_first": "is in another folder now",
        "p02/s02": "is damaged",
        "p02/s03": "is damaged",
    }
    assert [d["path"] for d in found["damaged"]] == ["p02/s02", "p02/s03"]
    assert {s["subject"]: s["not_in_order"] for s in found["subjects"]} == {"p01": 2, "p02": 3}
    own = asked(capsys, "study", "--subject", "p01")
    assert {s["subject"] for s in own["sessions"]} == {"p01"} and not own["damaged"]
    assert main(["study", "--subject", "p02", "--verify"]) == 1
    said = capsys.readouterr().out
    assert "p02/s02: damaged: " in said and "p02/s04" in said


def test_only_with_verify_the_content_of_every_file_is_compared(study, capsys):
    bag = next((study / "p01" / "s02" / "bags").rglob("*.mcap"))
    content = bytearray(bag.read_bytes())
    content[len(content) // 2] ^= 1
    bag.write_bytes(content)
    assert main(["study"]) == 0
    found = asked(capsys, "study", ".", "--verify", code=1)
    assert [d["path"] for d in found["damaged"]] == ["p01/s02"]


def test_rows_are_shared_and_conflicts_are_decided(study, tmp_path, monkeypatch, capsys):
    boto3 = pytest.importorskip("boto3", reason="needs the extra s3")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "nothing was shared" in refused(capsys, "study", "share", "s3://lab/reach")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="lab")
        other = tmp_path / "other"
        shutil.copytree(study, other)
        shutil.rmtree(other / "p01")
        shutil.rmtree(other / "progress")
        share = ("study", "share", "s3://lab/reach", "--endpoint", endpoint)
        sent = asked(capsys, *share)["subjects"]
        assert [len(sent[n]["sent"]) for n in ("p01", "p02")] == [5, 5]
        fetched = asked(capsys, *share, "--in", str(other))["subjects"]
        assert len(fetched["p01"]["fetched"]) == 5 and not fetched["p02"]["fetched"]
        there = asked(capsys, "progress", "p01", "--in", str(other), "--no-update")
        assert there["dates"] == asked(capsys, "progress", "p01")["dates"]
        nothing = tmp_path / "nothing"
        nothing.mkdir()
        here = (*share, "--in", str(nothing))
        assert "known here: nobody" in refused(capsys, *here, "--subject", "p09")
        fetched = asked(capsys, *here)["subjects"]
        assert [len(fetched[n]["fetched"]) for n in ("p01", "p02")] == [5, 5]
        there = asked(capsys, "progress", "p02", "--in", str(nothing), "--no-update")
        assert there["dates"] == asked(capsys, "progress", "p02")["dates"]

        for place in (study, other):
            changes.lose_tables(place / "p02" / "s05")
        assert main(["progress", "p02", "--in", str(other), "--warn"]) == 0
        assert main(["progress", "p02", "--force"]) == 0
        assert len(asked(capsys, *share)["subjects"]["p02"]["sent"]) == 1
        both = asked(capsys, *share, "--in", str(other), code=1)
        (conflict,) = both["subjects"]["p02"]["conflicts"]
        assert conflict["differences"]["state"] == ["pending", "scored"]
        assert main([*share, "--in", str(other)]) == 1
        said = capsys.readouterr()
        assert "1 in conflict" in said.out and "changed in both places" in said.err
        assert main([*share, "--in", str(other), "--keep", "theirs"]) == 0
        assert main([*share, "--in", str(other)]) == 0
    finally:
        server.stop()


def test_a_report_of_a_session_shows_the_progress_of_its_subject(study, capsys):
    session = study / "p01" / "s05"
    assert main(["report", str(session), "--output", "s05.html"]) == 0
    html = (study / "s05.html").read_text()
    assert "Progress of p01: where this person stands" in html
    assert "not in the tables" not in html
    new = study / "p01" / "s06"
    Session.create(new, "p01")
    assert main(["report", str(new), "--output", "s06.html"]) == 0
    assert "run emghand progress p01" in (study / "s06.html").read_text()


def test_a_report_outside_of_a_study_says_nothing_of_progress(study, tmp_path, capsys):
    session = tmp_path / "alone"
    shutil.copytree(study / "p01" / "s01", session)
    main(["report", str(session), "--output", "alone.html"])
    page = study / "alone.html"
    assert not page.exists() or "Progress of" not in page.read_text()


def test_without_its_libraries_the_command_names_the_extra(study):
    blocked = "import sys; sys.modules['pandas'] = None; from emghand.cli.main import main; "
    done = subprocess.run(
        [sys.executable, "-c", f"{blocked}sys.exit(main(['progress', 'p01']))"],
        capture_output=True, text=True, cwd=study,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'emghand[progress]'" in done.stderr and done.stderr.count("\n") == 1


def test_the_help_of_all_commands_loads_none_of_them():
    heavy = "('numpy', 'pandas', 'sqlalchemy', 'boto3', 'matplotlib')"
    code = (
        "import sys; from emghand.cli.main import build_parser; build_parser(); "
        f"sys.exit(any(m in sys.modules for m in {heavy}))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
