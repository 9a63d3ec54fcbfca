"""Ten minutes of live control with a drift half-way: does the running decoder recover?

    python benchmark/adaptation_live.py
    python benchmark/adaptation_live.py --minutes 10 --output run

The real graph with the synthetic person (seed 1): calibrated with prompts, reference from another
run without drift, then `emghand test` on a third. Half-way the electrodes turn and the signal
grows. Prints what adaptation did, the error of `x_hat` over time, and what `emghand replay-check`
says of the bag; `--output` keeps everything, with a report.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from emghand.client.domain import claim_domain
from emghand.client.graph import GraphClient
from emghand.dofs import DEFAULT_DOFS
from emghand.report.adaptation_section import error_over_time, read_history
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.storage.bags.convert import read_recording
from emghand.storage.datasets import save_npz
from emghand.storage.models import load_model
from emghand.tasks.movements import Schedule, load_movement_set

CONFIG = Path(__file__).resolve().parents[1] / "config"
SEED = 1
START_S = 60.0


def movements(path: Path) -> float:
    """Write single movements at two amplitudes, and pairs; length of a repetition [s]."""
    found = [
        {"name": f"{dof.name} {end:g}", "targets": {dof.name: end}}
        for dof in DEFAULT_DOFS
        for end in (1.0, 0.5) + ((-1.0, -0.5) if dof.low < 0.0 else ())
    ]
    for a, b in zip(DEFAULT_DOFS, DEFAULT_DOFS[1:] + DEFAULT_DOFS[:1], strict=True):
        targets = {a.name: 0.75, b.name: 0.75}
        found.append({"name": f"{a.name} {b.name}", "targets": targets})
    dofs = [f"{d.name}:{d.low:g}:{d.high:g}" for d in DEFAULT_DOFS]
    times = {"rest": 0.8, "rise": 0.7, "hold": 1.0, "fall": 0.7}
    path.write_text(yaml.safe_dump({"dofs": dofs, "repetitions": 4, **times, "movements": found}))
    return len(found) * sum(times.values())


def config(node: str, folder: Path, changes: dict[str, dict[str, Any]]) -> Path:
    """A copy of the parameter file of a node, with changes in its sections."""
    document = yaml.safe_load((CONFIG / f"{node}.yaml").read_text())
    for section, values in changes.items():
        document[node]["ros__parameters"][section] |= values
    path = folder / f"{node}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def emghand(*words: object) -> str:
    """Run a command; its output."""
    command = [sys.executable, "-m", "emghand.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"emghand {words[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def calibrate(folder: Path, movement_set: Path) -> Path:
    """Model, companion and reference of the person; path of the model."""
    for run in (0, 1):
        schedule = Schedule(load_movement_set(movement_set), shuffle=True, seed=run)
        recording = simulate_recording(schedule, SyntheticSettings(seed=SEED, run=run))
        save_npz(recording, folder / f"run{run}.npz")
    model = folder / "m.emgmodel"
    emghand("train", folder / "run0.npz", "--output", model, "--adaptable")
    emghand("adapt", "reference", model, folder / "run1.npz", "--rings", 1)
    return model


def control(folder: Path, model: Path, movement_set: Path, repetitions: int, half: float) -> Path:
    """The graph and the test; the bag."""
    drift = {
        "drift_start_s": half,
        "drift_ramp_s": 5.0,
        "drift_shift_deg": 12.0,
        "drift_level": 1.2,
    }
    person = config("emg_driver", folder, {"synthetic": {"seed": SEED, "run": 2} | drift})
    use = {"enabled": True, "update_s": 60.0, "window_s": 300.0}
    decoder = config("decoder_node", folder, {"adaptation": use})
    claim_domain()
    given = (f"model:={model}", f"emg_config:={person}", f"decoder_config:={decoder}")
    command = [sys.executable, "-m", "emghand.cli.main", "up", "live", *given]
    with (folder / "graph.log").open("w") as log:
        up = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        with GraphClient(timeout=START_S) as graph:
            graph.wait_for_services(["/session_node/get_state", "/decoder_node/load_model"])
            graph.arm()
        session = folder / "session"
        words = ("--repetitions", repetitions, "--shuffle", "--seed", 3, "--subject", "synthetic")
        emghand("test", session, movement_set, *words)
    finally:
        up.send_signal(signal.SIGINT)
        up.wait()
    return session / "bags" / "test"


def tables(bag: Path, lag_s: float) -> list[Table]:
    """What adaptation did, and the error over time."""
    recording = read_recording(bag)
    history = read_history(bag, recording.blocks[0].stamp_ns)
    did = Table("[s]", "event", "chosen", "before", "after", "cause", title="/decoder/adaptation")
    for seconds, event in zip(history.seconds, history.events, strict=True):
        if event.kind not in ("paused", "resumed", "accepted"):
            scores = (f"{event.score_before:.2f}", f"{event.score_after:.2f}")
            did.add_row(f"{seconds:.0f}", event.kind, event.chosen, *scores, event.cause)
    times, errors = error_over_time(recording, lag_s)
    error = Table("[s]", "RMSE of x_hat", title="error over time")
    for seconds, value in zip(times, errors, strict=True):
        error.add_row(f"{seconds:.0f}", f"{value:.3f} " + "#" * round(100 * value))
    return [did, error]


def main() -> None:
    """Run it and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--output", type=Path, help="folder to make and to keep everything in")
    args = parser.parse_args()
    os.environ.setdefault("MUJOCO_GL", "egl")
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.output or Path(scratch)
        folder.mkdir(parents=True, exist_ok=args.output is None)
        repetition_s = movements(folder / "set.yaml")
        model = calibrate(folder, folder / "set.yaml")
        repetitions = round(60.0 * args.minutes / repetition_s)
        bag = control(folder, model, folder / "set.yaml", repetitions, 30.0 * args.minutes)
        for table in tables(bag, load_model(model).lag_s):
            Console(width=160).print(table)
        print(emghand("replay-check", bag))
        if args.output is not None:
            report = folder / "report.html"
            emghand("report", folder / "session", model, "--output", report,
                    "--figures", folder / "figures", "--formats", "png")  # fmt: skip


if __name__ == "__main__":
    main()
