"""Set up the workspace: a virtual environment with ROS 2, then the packages.

Runs with nothing but the standard library. Inside a sourced ROS 2 installation it skips the
virtual environment and only builds. Every step is skipped when its inputs have not changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
SUPPORTED = ((3, 10), (3, 13))
DISK_NEEDED_GB = 3.0


def fail(message: str) -> None:
    """End with one clear message."""
    sys.exit(f"\nerror: {message}")


def say(message: str) -> None:
    """Show a step."""
    print(f"==> {message}", flush=True)


def digest(paths: Iterable[Path], *extra: str) -> str:
    """SHA-256 over names and contents."""
    total = hashlib.sha256("\n".join(extra).encode())
    for path in sorted(paths):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def is_done(stamp: Path, value: str) -> bool:
    """Whether the stamp says that this very state was reached."""
    return stamp.is_file() and stamp.read_text() == value


def find_python() -> str:
    """Find a supported interpreter: the running one, or one on the path."""
    if SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        return sys.executable
    for minor in range(SUPPORTED[1][1], SUPPORTED[0][1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    fail(
        f"Python {sys.version.split()[0]} is not supported: install Python 3.10, 3.11, 3.12 or "
        "3.13, or name one with `make PYTHON=/path/to/python3.12 ...`."
    )
    raise AssertionError


def check_machine(python: str) -> None:
    """Stop with advice when something is missing that would fail later in a riddle."""
    if sys.platform != "linux":
        fail("ROS 2 wheels exist for Linux only: use a Linux machine or a container.")
    for names, package in ((("cc", "gcc", "clang"), "gcc"), (("c++", "g++", "clang++"), "g++")):
        if not any(shutil.which(name) for name in names):
            fail(
                f"no compiler found ({' / '.join(names)}): install one, on Debian or Ubuntu with "
                f"`apt install {package}`."
            )
    probe = "import ensurepip, sysconfig, os; print(sysconfig.get_paths()['include'])"
    found = subprocess.run([python, "-c", probe], capture_output=True, text=True)
    if found.returncode != 0:
        fail("Python's venv module is missing: on Debian or Ubuntu `apt install python3-venv`.")
    if not Path(found.stdout.strip(), "Python.h").is_file():
        fail("Python's headers are missing: on Debian or Ubuntu `apt install python3-dev`.")
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < DISK_NEEDED_GB and not VENV.exists():
        fail(f"{free:.1f} GB free on this disk, {DISK_NEEDED_GB:.0f} GB are needed: make room.")


def run(command: list[str], what: str, env: dict[str, str] | None = None, log: str = "") -> None:
    """Run a step; on failure show the end of its output and what to do."""
    log_file = ROOT / "log" / (log or "setup.log")
    log_file.parent.mkdir(exist_ok=True)
    try:
        with log_file.open("w") as out:
            code = subprocess.run(
                command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT
            ).returncode
    except OSError as error:
        fail(f"{what} failed: {error}")
    if code == 0:
        return
    text = log_file.read_text(errors="replace")
    if "No space left on device" in text or shutil.disk_usage(ROOT).free < 50e6:
        fail(f"{what} failed: the disk is full. Make room and run the same command again.")
    tail = "\n".join(text.splitlines()[-25:])
    fail(f"{what} failed, the end of {log_file.relative_to(ROOT)} says:\n{tail}")


def environment(venv: Path) -> dict[str, str]:
    """Variables that let CMake and colcon find the wheels of ROS 2."""
    env = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    env.pop("PYTHONHOME", None)
    env["VIRTUAL_ENV"] = env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(venv)
    env["PATH"] = f"{venv / 'bin'}{os.pathsep}{env['PATH']}"
    return env


def install_environment() -> None:
    """Create `.venv` from the lock file."""
    python = find_python()
    version = subprocess.run([python, "--version"], capture_output=True, text=True).stdout.strip()
    wanted = digest([LOCK], version)
    stamp = VENV / ".installed"
    if is_done(stamp, wanted):
        return
    check_machine(python)
    say(f"installing ROS 2 and the libraries into .venv ({version}; about a minute)")
    if VENV.exists():
        shutil.rmtree(VENV)
    run([python, "-m", "venv", str(VENV)], "creating the virtual environment")
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    run(
        # The lock names every package: nothing is left to resolve.
        [*pip, "install", "--no-input", "--no-deps", "--require-hashes", "-r", str(LOCK)],
        "installing the locked dependencies (is the Python package index reachable?)",
        log="pip.log",
    )
    stamp.write_text(wanted)


def build_packages(env: dict[str, str], python: str) -> None:
    """Build the workspace with colcon, interfaces only when they changed."""
    if not shutil.which("colcon", path=env["PATH"]):
        fail("colcon is missing: `apt install python3-colcon-common-extensions`.")
    source = ROOT / "src"
    interfaces = [p for p in (source / "emghand_interfaces").rglob("*") if p.is_file()]
    described = [
        p
        for pattern in ("*/package.xml", "*/setup.py", "*/setup.cfg")
        for p in source.glob(pattern)
    ]
    data = [p for p in source.glob("*/*/**/*") if p.suffix in {".xml", ".yaml"} and p.is_file()]
    modules = [str(p.relative_to(ROOT)) for p in source.glob("*/*/**/*.py")]
    place = [str(ROOT), env.get("ROS_DISTRO", ""), python]
    base = ["colcon", "build", "--symlink-install", "--event-handlers", "console_cohesion-"]
    cmake = ["--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={python}"]
    if shutil.which("ninja", path=env["PATH"]):
        cmake.insert(1, "-GNinja")

    stamp = ROOT / "install" / ".interfaces"
    wanted = digest(interfaces, *place)
    if not is_done(stamp, wanted):
        say("building the messages (about a minute)")
        for folder in ("build", "install"):
            shutil.rmtree(ROOT / folder / "emghand_interfaces", ignore_errors=True)
        run(
            [*base, "--packages-select", "emghand_interfaces", *cmake],
            "building the messages",
            env,
            "interfaces.log",
        )
        stamp.write_text(wanted)

    stamp = ROOT / "install" / ".packages"
    wanted = digest([*described, *data], *place, *sorted(modules))
    if not is_done(stamp, wanted):
        say("building the packages (a few seconds)")
        env = dict(env)
        for variable in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
            env[variable] = os.pathsep.join(
                filter(None, (str(ROOT / "install/emghand_interfaces"), env.get(variable)))
            )
        run(
            [*base, "--packages-skip", "emghand_interfaces"],
            "building the packages",
            env,
            "packages.log",
        )
        stamp.write_text(wanted)


def main() -> None:
    """Set up whichever home this is."""
    started = time.monotonic()
    if os.environ.get("ROS_DISTRO") and shutil.which("ros2"):
        say(f"ROS 2 {os.environ['ROS_DISTRO']} is sourced: building against it")
        build_packages(dict(os.environ), sys.executable)
    else:
        install_environment()
        build_packages(environment(VENV), str(VENV / "bin" / "python"))
    if time.monotonic() - started > 1:
        say(f"ready after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
