import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from emghand.cli.commands.up import has_ros2_launch
from emghand.cli.main import main
from emghand.launchfile import Supervisor, evaluate, supervisor


class Up:
    """`emghand up --runner own FILE` as a process."""

    def __init__(self, path, *arguments):
        command = [sys.executable, "-m", "emghand.cli.main", "up", "--runner", "own", str(path)]
        self.process = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines = []

    def wait_for(self, text):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return
        raise AssertionError(f"{text!r} never came, but: {self.lines}")

    def end(self, number=signal.SIGINT):
        start = time.monotonic()
        self.process.send_signal(number)
        self.lines += self.process.stdout.read().splitlines()
        code = self.process.wait(10.0)
        return code, time.monotonic() - start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_everything_at_once(write, number):
    path = write(
        """
        - node: {pkg: fake, exec: steady, name: one}
        - node: {pkg: fake, exec: steady, name: two, respawn: "true"}
        """
    )
    with Up(path) as up:
        up.wait_for("[one] ready")
        if "[two] ready" not in up.lines:
            up.wait_for("[two] ready")
        code, seconds = up.end(number)
    assert code == 0
    assert seconds < 2.0


def test_no_process_outlives_a_killed_supervisor(write):
    with Up(write("- node: {pkg: fake, exec: steady, name: one}")) as up:
        up.wait_for("[one] ready")
        (child,) = psutil.Process(up.process.pid).children()
        up.process.kill()
        child.wait(5.0)


def test_a_process_that_is_still_starting_ends_without_a_traceback(write):
    with Up(write("- node: {pkg: fake, exec: late, name: one}")) as up:
        up.wait_for("starting")
        code, seconds = up.end()
    assert code == 0
    assert seconds < 2.0
    assert not any("Traceback" in line or "SIGTERM" in line for line in up.lines)


def test_a_process_that_ignores_signals_is_killed_within_five_seconds(write):
    with Up(write("- node: {pkg: fake, exec: stubborn, name: one}")) as up:
        up.wait_for("ready")
        code, seconds = up.end()
    assert code == 1
    assert 3.5 < seconds < 5.0
    assert any("SIGTERM to one" in line for line in up.lines)
    assert any("SIGKILL to one" in line for line in up.lines)


def test_the_times_until_sigterm_and_sigkill_are_those_of_the_file(write):
    path = write(
        """
        - let: {name: sigterm_timeout, value: "0.2"}
        - let: {name: sigkill_timeout, value: "0.2"}
        - node: {pkg: fake, exec: stubborn, name: one}
        """
    )
    with Up(path) as up:
        up.wait_for("ready")
        assert up.end()[1] < 2.0


def test_a_required_process_ends_the_others(write, monkeypatch):
    path = write(
        """
        - node: {pkg: fake, exec: steady, name: other}
        - node: {pkg: fake, exec: brief, name: needed, on_exit: shutdown}
        """
    )
    lines = []
    assert Supervisor(evaluate(path, {}), lines.append).run() == 0
    assert "[needed] process ended with 0" in lines
    monkeypatch.setenv("BRIEF_CODE", "3")
    assert Supervisor(evaluate(path, {}), lines.append).run() == 1
    assert "[needed] process ended with 3" in lines
    assert lines[-1] == "failed: needed"


def test_output_of_both_kinds_carries_the_name(write):
    lines = []
    path = write("- node: {pkg: fake, exec: brief, name: one}")
    assert Supervisor(evaluate(path, {}), lines.append).run() == 0
    assert sorted(lines) == ["[one] one", "[one] two"]


def test_a_failing_process_is_started_again(write, tmp_path, monkeypatch):
    monkeypatch.setenv("BRIEF_CODE", "1")
    path = write(
        """
        - node: {pkg: fake, exec: brief, name: one, respawn: "true", respawn_delay: 0.05,
                 respawn_max_retries: 3}
        """
    )
    lines = []
    assert Supervisor(evaluate(path, {}), lines.append).run() == 1
    assert (tmp_path / "out/runs").read_text() == "xxxx"
    assert "[one] process ended with 1; starting it again" in lines


def test_a_process_that_dies_at_every_start_is_started_less_and_less_often(
    write, tmp_path, monkeypatch
):
    monkeypatch.setenv("BRIEF_CODE", "1")
    monkeypatch.setattr(supervisor, "LONGEST_DELAY_S", 0.2)
    waited = []
    real = asyncio.wait_for

    async def wait_for(what, timeout):
        waited.append(timeout)
        return await real(what, timeout)

    monkeypatch.setattr(asyncio, "wait_for", wait_for)
    path = write(
        """
        - node: {pkg: fake, exec: brief, name: one, respawn: "true", respawn_delay: 0.05,
                 respawn_max_retries: 4}
        """
    )
    assert Supervisor(evaluate(path, {}), [].append).run() == 1
    assert waited == [0.05, 0.1, 0.2, 0.2]


def test_dry_run_and_show_args_start_nothing(write, tmp_path, capsys):
    path = write(
        """
        - arg: {name: what, default: "7", description: A number}
        - node: {pkg: fake, exec: echo, name: one, param: [{name: x, value: "$(var what)"}]}
        """
    )
    assert main(["up", str(path), "--show-args"]) == 0
    assert "what: A number\n    default: 7" in capsys.readouterr().out
    assert main(["up", str(path), "what:=8", "--dry-run"]) == 0
    assert "-p x:=8" in capsys.readouterr().out
    assert main(["up", "--dry-run", str(path), "--runner", "own", "what:=9"]) == 0
    assert "-p x:=9" in capsys.readouterr().out
    assert not list((tmp_path / "out").iterdir())


def test_mistakes_on_the_command_line_are_sentences(write, capsys):
    path = write("- node: {pkg: fake, exec: echo, name: one}")
    assert main(["up", str(path), "what=8"]) == 1
    assert "write NAME:=VALUE" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["up", str(path), "--nonsense"])
    assert "unrecognized arguments: --nonsense" in capsys.readouterr().err
    assert main(["up", "nowhere"]) == 1
    assert "not found" in capsys.readouterr().err


RICH = """
- arg: {name: n, default: "3"}
- arg: {name: text, default: hello world}
- arg: {name: list, default: "['/a', '/b']"}
- arg: {name: empty, default: ""}
- let: {name: sum, value: "$(eval '$(var n) + 1')"}
- set_env: {name: FLAVOUR, value: sweet}
- node:
    pkg: fake
    exec: echo
    name: one
    namespace: arm
    args: --first 'with space' $(var n)
    param:
    - {from: $(dirname)/p.yaml}
    - {name: i, value: "$(var sum)"}
    - {name: s, value: "$(var n)", type: str}
    - {name: f, value: 1.5}
    - {name: b, value: "true"}
    - {name: real, value: true}
    - {name: ints, value: [1, 2]}
    - {name: text, value: $(var text)}
    - {name: names, value: [x, "y$(var n)"]}
    - {name: flow, value: "['a', 'b']"}
    - {name: list, value: "$(var list)"}
    - {name: numbers, value: ["$(var n)", "$(var sum)"]}
    - {name: same, value: $(equals $(var n) 3)}
    - {name: number, value: "$(var n)", type: float}
    - {name: empty, value: "$(var empty)", type: str}
    remap:
    - {from: /a, to: "/b$(var n)"}
    - {from: c, to: d}
- group:
  - set_env: {name: FLAVOUR, value: sour}
  - node: {pkg: fake, exec: echo, name: two, if: "$(equals $(var n) 3)"}
- node: {pkg: fake, exec: echo, name: never, unless: "$(not-equals $(var text) x)"}
- include:
    file: $(dirname)/inner.launch.yaml
    arg: [{name: who, value: "$(var text)"}]
"""
INNER = """
- arg: {name: who}
- node: {pkg: fake, exec: echo, name: three, param: [{name: who, value: $(var who)}]}
"""


def collect(folder):
    found = [json.loads(path.read_text()) for path in folder.iterdir()]
    for path in folder.iterdir():
        path.unlink()
    return sorted(found, key=lambda f: f["names"])


def test_ros2_launch_runs_the_same_file_with_the_same_result(write, tmp_path):
    if not has_ros2_launch():
        pytest.skip("ros2 launch is not installed")
    (tmp_path / "p.yaml").write_text("/**: {ros__parameters: {from_file: 1, i: 0}}")
    write(INNER, "inner.launch.yaml")
    path = write(RICH)
    assert Supervisor(evaluate(path, {}), lambda _: None).run() == 0
    own = collect(tmp_path / "out")
    environment = {k: v for k, v in os.environ.items() if "BOOTSTRAP" not in k}
    result = subprocess.run(
        [shutil.which("ros2"), "launch", str(path)],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert len(own) == 3
    assert collect(tmp_path / "out") == own
