"""The steps of the demonstration."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from emghand.cli.demo.graph import BackgroundGraph, emghand
from emghand.cli.demo.summary import (
    draw,
    film,
    print_summary,
    read_latency,
    read_track,
    without_glitches,
)
from emghand.client.domain import claim_domain
from emghand.errors import UserError

LAUNCH_FILE = Path("launch/live.launch.yaml")
MOVEMENTS = Path("config/movements/demo.yaml")
READY_S = 30.0
FILM_S = 16.0
SUBJECT = "demo"

JHU_TRAIN = "70%"
JHU_CONFIG = Path("config/jhu.yaml")

console = Console()


def run_demo(data: str, output: Path, *, video: bool = True) -> int:
    """Run the demonstration; returns the exit status.

    Parameters
    ----------
    data : {"synthetic", "jhu"}
    output : Path
        Folder that gets a new folder for this run.
    video : bool
        Render the two hands at the end.

    Raises
    ------
    UserError
        When a step fails, with what it said.
    """
    if not LAUNCH_FILE.is_file():
        raise UserError(f"{LAUNCH_FILE} is not here: run the demo in the workspace's folder")
    folder = _new_folder(output / data)
    started = time.monotonic()
    claim_domain()
    bag, model = (_synthetic if data == "synthetic" else _jhu)(folder)
    console.rule("Check and look", align="left")
    _step("replay-check", bag)
    scores = _summarise(data, folder, bag, model, started, video=video)
    passed = scores["lost"] == 0
    console.print(f"everything is in {folder}/ ; next: README.md, docs/")
    return 0 if passed else 1


def _synthetic(folder: Path) -> tuple[Path, Path]:
    session = folder / "session"
    model = session / "models" / "kalman.emgmodel"
    with BackgroundGraph(folder / "graph.log", LAUNCH_FILE, "device:=synthetic") as graph:
        console.rule("Collect: the synthetic person follows the prompts", align="left")
        console.print("$ emghand up live device:=synthetic &")
        _wait_for_graph(graph)
        _step("collect", session, MOVEMENTS, "--subject", SUBJECT)
        console.rule("Train", align="left")
        _step("train", session)
        console.rule("Live: the decoder drives the MuJoCo hand", align="left")
        _step("load-model", model)
        _step("arm")
        _step("test", session, MOVEMENTS, "--repetitions", 1, "--shuffle", "--seed", 1)
        _step("arm", "off")
        graph.check()
        console.print(f"^C  (the graph ended {graph.stop():.1f} s later)")
    return session / "bags" / "test", model


def _jhu(folder: Path) -> tuple[Path, Path]:
    recording = Path(os.environ.get("EMGHAND_DATA", "../shared/data")) / "jhu_myo_mediapipe"
    if not recording.is_dir():
        raise UserError(f"{recording} is not there: set EMGHAND_DATA to the folder of the data")
    model, bag = folder / "jhu.emgmodel", folder / "live"
    console.rule(f"Train on the first {JHU_TRAIN} of the recording", align="left")
    _step(
        *("train", recording, "--until", JHU_TRAIN, "--feature-config", JHU_CONFIG),
        *("--delays", 3, 6, 9, "--max-lag", 0, "--output", model),
    )
    console.rule(
        "Live: the rest of it drives the MuJoCo hand, at four times real time", align="left"
    )
    arguments = [
        *("device:=file", f"file:={recording}", f"emg_config:={JHU_CONFIG}"),
        *("glove:=file", f"glove_config:={JHU_CONFIG}", f"feature_config:={JHU_CONFIG}"),
        f"decoder_config:={JHU_CONFIG}",
        *(f"model:={model}", f"record:={bag}"),
    ]
    console.print("$", shlex.join(["emghand", "up", "live", *arguments]), "&", highlight=False)
    with BackgroundGraph(folder / "graph.log", LAUNCH_FILE, *arguments) as graph:
        _wait_for_graph(graph)
        _step("arm")
        _watch_playback(graph)
        _step("arm", "off")
        graph.check()
        console.print(f"^C  (the graph ended {graph.stop():.1f} s later)")
    return bag, model


def _wait_for_graph(graph: BackgroundGraph) -> None:
    from emghand.client import GraphClient

    with GraphClient(READY_S) as client, console.status("waiting for the nodes"):
        names = ("/decoder_node/load_model", "/mujoco_bridge/arm", "/bag_recorder/start")
        deadline = time.monotonic() + READY_S
        while True:
            graph.check()
            try:
                client.wait_for_services(names, 1.0)
                return
            except UserError:
                if time.monotonic() > deadline:
                    raise


def _watch_playback(graph: BackgroundGraph) -> None:
    """Wait until features arrive, and then until no more do."""
    from emghand_interfaces.msg import FeatureFrame

    from emghand.client import GraphClient

    with GraphClient() as client, console.status("playing the recording"):
        client.wait_for_message(FeatureFrame, "/features", timeout=READY_S)
        while True:
            graph.check()
            try:
                client.wait_for_message(FeatureFrame, "/features", timeout=3.0)
            except UserError:
                return


def _step(*arguments: object) -> None:
    console.print("$", shlex.join(["emghand", *map(str, arguments)]), highlight=False)
    code = subprocess.run(emghand(*arguments)).returncode
    if code != 0:
        raise UserError(f"the step `emghand {arguments[0]}` failed, see above")


def _summarise(
    data: str, folder: Path, bag: Path, model_path: Path, started: float, *, video: bool
) -> dict[str, Any]:
    from emghand.evaluate.offline import evaluate
    from emghand.storage.bags import read_recording
    from emghand.storage.bags.summary import summarise
    from emghand.storage.models import load_model

    recording = read_recording(bag)
    integrity = summarise(bag)["integrity"]
    latency = read_latency(bag)
    model = load_model(model_path)
    result = evaluate(model, [recording])
    track = read_track(recording, model.lag_s)
    console.print("drawing the pictures (some ten seconds)")
    files = draw(folder, track, recording)
    if video:
        try:
            files += film(folder, track, FILM_S)
        except UserError as error:
            console.print(f"no video: {error}")
    rows = [
        (
            "mean R² of x_hat",
            f"{result.x_hat_compensated.mean_r2:.3f}"
            + (f", delay left in: {result.x_hat.mean_r2:.3f}" if result.lag_s else ""),
        ),
        (
            "sample to command",
            f"p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms "
            f"({latency.ticks} ticks, {latency.missed} missed)",
        ),
        ("lost messages", str(integrity["lost"])),
        ("took", f"{time.monotonic() - started:.0f} s"),
        ("pictures", "\n".join(str(f) for f in files)),
    ]
    if data == "jhu":
        share, r2 = without_glitches(model, recording)
        rows.insert(1, (f"without angles below 20° ({share:.1%})", f"{r2:.3f}"))
    print_summary(rows, result, track)
    return {"lost": integrity["lost"]}


def _new_folder(wanted: Path) -> Path:
    number, path = 1, wanted
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.name}_{number}")
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be made: {error.strerror}") from error
    return path
