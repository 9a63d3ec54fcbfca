"""Jobs are the commands, in a process that can be stopped or lose its starter at any moment."""

import json
import random
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest

from emghand import steps
from emghand.cli.main import main
from emghand.errors import UserError
from emghand.jobs import JobProcess, Request, plan
from emghand.storage.datasets import read_any
from emghand.storage.files import TEMPORARY_PREFIX
from emghand.storage.models import load_model
from emghand.storage.sessions import Session

SET = """
name: small
dofs: [index_flex, wrist_flex]
rest: 0.4
rise: 0.25
hold: 0.5
fall: 0.25
repetitions: 3
movements:
  - {name: point, targets: {index_flex: 1.0}}
  - {name: bend, targets: {wrist_flex: -1.0}}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "set.yaml").write_text(SET)
    words = ["simulate", folder / "set.yaml", "--output", folder / "person.npz"]
    assert main([*map(str, words), "--set", "n_channels=8"]) == 0
    Session.create(folder / "s01", "p01")
    return folder


def request(place, job="cross_validate", **changes):
    fields = {
        "session": str(place / "s01"),
        "sources": (str(place / "person.npz"),),
        "options": {"decoder": "ridge"},
    }
    return Request(job, **(fields | changes))


def run(place, job="cross_validate", on_progress=lambda p: None, **changes):
    return JobProcess(plan(request(place, job, **changes))).run(on_progress)


def test_options_become_the_words_of_the_command(place):
    options = {"decoder": ["ridge", "kalman"], "fit": {"delays": [6, 12]}, "scheme": "last"}
    made = plan(request(place, options=options))
    assert made.words[:2] == ("crossval", str(place / "person.npz"))
    for words in (("--decoder", "ridge", "kalman"), ("--fit=delays=[6, 12]",), ("--scheme=last",)):
        at = made.words.index(words[0])
        assert made.words[at : at + len(words)] == words
    assert made.words[-1] == "--json"
    assert made.output == place / "s01" / "results" / "crossval"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"job": "sleep"}, "unknown, choose from: train"),
        ({"options": {"decoders": "ridge"}}, "has no option 'decoders', choose from: "),
        ({"options": {"output": "x"}}, "has no option 'output'"),
        ({"options": {"decoder": {"a": 1}}}, "neither text nor number"),
        ({"options": {"decoder": ["--help"]}}, "must not begin with -"),
        ({"sources": ("--help",)}, "must not begin with -"),
        ({"options": {"scheme": ["first", "last"]}}, "takes one value"),
        ({"session": ""}, "name the output, or a session"),
        ({"session": "", "sources": (), "output": "x.json"}, "name a session or recordings"),
        ({"session": "/nowhere"}, "is no session"),
        ({"job": "simulate", "sources": ()}, "name one movement set"),
        ({"job": "evaluate"}, "name the model"),
        ({"job": "train", "session": "", "options": {"adaptable": 1}}, "true or false"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_before_it_starts(place, changes, text):
    changes = dict(changes)
    with pytest.raises(UserError, match=text):
        plan(request(place, changes.pop("job", "cross_validate"), **changes))


def test_a_job_gives_the_bits_of_the_command(place):
    target = place / "command.emgmodel"
    words = ["train", place / "person.npz", "--decoder", "ridge", "--output", target]
    assert main([str(w) for w in words]) == 0
    ended = run(place, "train", session="", output=str(place / "job.emgmodel"))
    assert ended.status == "complete"
    assert ended.uri == str(place / "job.emgmodel")
    ids = [load_model(p).model_id for p in (target, place / "job.emgmodel")]
    assert ids[0] == ids[1] == json.loads(ended.result)["model_id"]


def test_progress_only_grows_and_names_what_is_done(place):
    seen = []
    ended = run(place, on_progress=seen.append)
    assert ended.status == "complete" and ended.uri.endswith("crossval.json")
    assert seen[0].stage == "repetition 0 held out"
    assert (np.diff([p.fraction for p in seen]) >= 0.0).all()
    assert Session.open(place / "s01").check() == []


def test_a_mistake_comes_back_as_its_sentence(place):
    ended = run(place, options={"decoder": "magic"})
    assert ended.status == "failed"
    assert ended.message.startswith("decoder 'magic': unknown, choose from: ")


def test_a_job_that_is_cancelled_at_any_moment_leaves_nothing_half_written(place):
    chance = random.Random(7)
    for _ in range(3):
        job = JobProcess(plan(request(place, options={"decoder": ["ridge", "kalman", "mlp"]})))
        timer = threading.Timer(chance.uniform(0.1, 2.0), job.cancel)
        timer.start()
        ended = job.run(lambda p: None)
        timer.cancel()
        session = Session.open(place / "s01")
        assert session.check() == []
        assert ended.status in ("cancelled", "complete")
        assert bool(ended.uri) == (ended.status == "complete")


def test_a_job_ends_with_the_process_that_started_it(place):
    code = (
        "import sys\nfrom emghand.jobs import *\n"
        "def tell(p): print(p.stage, flush=True)\n"
        f"job = Request('cross_validate', {str(place / 's01')!r}, "
        f"({str(place / 'person.npz')!r},), {{'decoder': ['mlp', 'tcn', 'lstm']}})\n"
        "JobProcess(plan(job)).run(tell)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as starter:
        try:
            assert "held out" in starter.stdout.readline()
            children = psutil.Process(starter.pid).children(recursive=True)
            assert children
        finally:
            starter.kill()
    _, alive = psutil.wait_procs(children, timeout=20.0)
    assert not alive
    assert not list((place / "s01").rglob(f"{TEMPORARY_PREFIX}*"))
    assert Session.open(place / "s01").check() == []


def test_what_is_whole_is_not_cut_and_what_follows_is():
    done = []
    with pytest.raises(KeyboardInterrupt):
        with steps.whole():
            steps.ask_to_stop()
            steps.step("still here")
            done.append("written")
        steps.step("next")
    steps._work.asked_to_stop = False
    assert done == ["written"]


def test_threads_that_write_at_the_same_time_leave_nothing_whole():
    entered, leave = threading.Event(), threading.Event()

    def write():
        with steps.whole():
            entered.set()
            leave.wait(10.0)

    thread = threading.Thread(target=write)
    with steps.whole():
        thread.start()
        assert entered.wait(10.0)
    leave.set()
    thread.join()
    try:
        with pytest.raises(KeyboardInterrupt):
            steps.ask_to_stop()
    finally:
        steps._work.asked_to_stop = False


def test_parts_of_steps_nest():
    heard = []
    with steps.listening(lambda stage, fraction: heard.append(fraction)):
        steps.step("a", 0.1)
        with steps.part(0.2, 0.8):
            steps.step("b", 0.5)
            with steps.part(0.5, 1.0):
                steps.step("c", 0.0)
        steps.step("d", 1.0)
    assert heard == pytest.approx([0.1, 0.5, 0.5, 1.0])


def test_simulated_recordings_repeat_to_the_bit_and_decode(place):
    def simulate(name, *more):
        words = ["simulate", place / "set.yaml", "--output", place / name, "--set", "n_channels=8"]
        assert main([str(w) for w in (*words, *more)]) == 0
        return read_any(place / name)

    again = simulate("again.npz")
    assert again.digest == read_any(place / "person.npz").digest
    ended = run(place, "train", session="", output=str(place / "m.emgmodel"))
    other = simulate("other.npz", "--run", "5", "--model", ended.uri)
    assert other.digest != again.digest
    assert other.x_hat.values.shape == other.out_x_hat.values.shape
    asked = other.x_hat.stamps_ns - round(load_model(ended.uri).lag_s * 1e9)
    x_d = np.interp(asked, other.x_d.stamps_ns, other.x_d.values[:, 0])
    assert np.corrcoef(x_d, other.x_hat.values[:, 0])[0, 1] > 0.7
