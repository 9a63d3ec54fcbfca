import os
import stat
import sys
import textwrap

import pytest

ECHO = """\
#!{python}
import json, os, sys, yaml
arguments = sys.argv[1:]
files = [arguments[i + 1] for i, a in enumerate(arguments) if a == "--params-file"]
parameters = {{}}
for file in files:
    for node, content in yaml.safe_load(open(file)).items():
        parameters.update(content["ros__parameters"])
names = [a for a in arguments if a.startswith(("__node:=", "__ns:="))]
at = arguments.index("--ros-args")
rules = [a for i, a in enumerate(arguments) if arguments[i - 1] == "-r" and "__" not in a]
out = {{
    "arguments": arguments[:at], "names": sorted(names), "parameters": parameters,
    "remaps": rules, "environment": os.environ.get("FLAVOUR", ""),
}}
path = os.path.join(os.environ["ECHO_TO"], f"{{'-'.join(names)}}-{{os.getpid()}}".replace("/", "_"))
with open(path, "w") as file:
    json.dump(out, file)
"""

STEADY = """\
#!{python}
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("ready", flush=True)
time.sleep(60)
"""

STUBBORN = """\
#!{python}
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""

LATE = """\
#!{python}
import signal, sys, time
print("starting", flush=True)
time.sleep(1.0)
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
time.sleep(60)
"""

BRIEF = """\
#!{python}
import os, sys
with open(os.environ["ECHO_TO"] + "/runs", "a") as file:
    file.write("x")
print("one", flush=True)
print("two", file=sys.stderr, flush=True)
sys.exit(int(os.environ.get("BRIEF_CODE", "0")))
"""


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An installed package `fake` with its executables."""
    root = tmp_path / "prefix"
    marker = root / "share/ament_index/resource_index/packages/fake"
    marker.parent.mkdir(parents=True)
    marker.touch()
    (root / "share/fake").mkdir()
    library = root / "lib/fake"
    library.mkdir(parents=True)
    for name, text in {
        "echo": ECHO, "steady": STEADY, "stubborn": STUBBORN, "brief": BRIEF, "late": LATE
    }.items():  # fmt: skip
        path = library / name
        path.write_text(text.format(python=sys.executable))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    old = os.environ.get("AMENT_PREFIX_PATH", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{root}{os.pathsep}{old}")
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setenv("ECHO_TO", str(out))
    return root


@pytest.fixture
def write(tmp_path, prefix):
    def write(text, name="test.launch.yaml"):
        path = tmp_path / name
        path.write_text("launch:\n" + textwrap.dedent(text).strip("\n") + "\n")
        return path

    return write
