"""Mistakes at the command line end in one sentence; `test_launch_files` makes some in a graph."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from system_bench import ROOT, own_domain

from emghand.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Things that are not what they are named; the workspace is the current folder."""
    (tmp_path / "bad.launch.yaml").write_text("launch: [\n")
    (tmp_path / "bad.yaml").write_text("movements: [\n")
    (tmp_path / "damaged.emgmodel").write_bytes(b"PK\x03\x04 and then nothing of the kind")
    (tmp_path / "empty.emgmodel").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(ROOT)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("up nowhere", "nowhere"),
        ("up live --runner own nothing:=1", "nothing"),
        ("up live --runner own hand:=robot", "robot"),
        ("up live --runner own hand=none", "NAME:=VALUE"),
        ("up replay --runner own", "bag"),
        ("up FOLDER/bad.launch.yaml --runner own", "bad.launch.yaml"),
        ("train FOLDER/nowhere", "does not exist"),
        ("train FOLDER/bad.yaml --output FOLDER/m.emgmodel", "bad.yaml"),
        ("evaluate FOLDER/damaged.emgmodel FOLDER", "damaged"),
        ("evaluate FOLDER/empty.emgmodel FOLDER", "damaged"),
        ("replay-check FOLDER/nowhere", "does not exist"),
        ("replay-check FOLDER/empty", "no .mcap"),
        ("bag info FOLDER/bad.yaml", "bad.yaml"),
        ("session repair FOLDER/nowhere", "does not exist"),
        ("collect FOLDER/s FOLDER/bad.yaml --repetitions -1", "repetitions"),
        ("collect FOLDER/s FOLDER/bad.yaml --repetitions 70000", "repetitions"),
        ("test FOLDER/s FOLDER/bad.yaml --seed -1", "seed"),
        ("demo --output FOLDER/bad.yaml/x", "bad.yaml"),
    ],
)
def test_a_mistake_is_answered_by_one_sentence(folder, words, text, capsys):
    assert main([w.replace("FOLDER", str(folder)) for w in words.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert text in error


@pytest.mark.parametrize(
    "words", ["", "fly", "collect", "collect a b --repetitions many", "up a -x"]
)
def test_words_that_no_command_knows_end_with_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.ros
def test_commands_that_need_a_graph_say_so_when_there_is_none(tmp_path):
    env = own_domain()
    movements = ROOT / "config" / "movements" / "demo.yaml"
    commands = [
        ["arm"],
        ["estop"],
        ["load-model", "m.emgmodel"],
        ["collect", str(tmp_path / "s"), str(movements), "--subject", "p01"],
    ]
    # All at once: each waits some seconds for the graph.
    with contextlib.ExitStack() as running:
        started = []
        for words in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "emghand.cli.main", *words],
                env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            running.callback(process.wait)
            running.callback(process.kill)
            started.append(process)
        for process in started:
            _, error = process.communicate(timeout=60)
            assert process.returncode == 1
            assert error.startswith("error: ")
            assert "is the graph running" in error
            assert error.count("\n") == 1
    assert not (tmp_path / "s").exists()
