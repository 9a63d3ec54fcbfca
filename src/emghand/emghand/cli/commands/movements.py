"""Find the movements in recordings: when, how long, which DOFs, from where to where.

    emghand movements sessions/s01
    emghand movements bags/control --json
    emghand movements sessions/s01 --model kalman.emgmodel --set on_displacement=0.25
    emghand movements bags/test --output movements.json

Of a session the bags control* and test* are taken. The estimates are those in the bag
(/decoder/x_hat) or, with --model, computed anew from the raw EMG; of a session without recorded
estimates by its model, if it has just one. What is announced (PROMPT) is left out. Where movements
were prompted, precision, recall and F1 say how many of them were found with their beginning at most
0.3 s away, and the median error says how far; a detector of bursts in the EMG envelope, which needs
no decoder, is scored beside.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from emghand.adapt.recorded import Estimates, FoundMovements
    from emghand.evaluate.onsets import OnsetScores
    from emghand.storage.models import Model
    from emghand.storage.recording import Recording

HELP = "find the movements in recordings"
LABELS = ("control", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("targets", nargs="+", metavar="BAG|SESSION", help="recordings or sessions")
    parser.add_argument("--model", metavar="FILE", help="compute the estimates with this model")
    parser.add_argument(
        "--label", help="which bags of a session (default: control* and test*)", default=""
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="setting of the detector, in YAML: on_displacement=0.25; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--output", metavar="FILE.json", help="keep the JSON in this file")
    parser.set_defaults(interleaved="targets")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import json
    from pathlib import Path

    from emghand.adapt.detector import DetectorSettings
    from emghand.adapt.recorded import find_movements
    from emghand.cli import scoring
    from emghand.cli.examples import assignments
    from emghand.settings import from_mapping
    from emghand.steps import step
    from emghand.storage.datasets import read_any
    from emghand.storage.files import write_file
    from emghand.storage.models import load_model

    scoring.check_free(args.output)
    settings = from_mapping(DetectorSettings, assignments("--set", args.set))
    model = load_model(args.model) if args.model else None
    results = []
    found = _recordings(args.targets, args.label)
    for number, (path, own) in enumerate(found):
        step(f"movements in {path.name}", number / len(found))
        recording = read_any(path)
        chosen = load_model(own) if model is None and own is not None else None
        name = Path(args.model).stem if args.model else own.stem if own is not None else ""
        estimates, features = _estimates(path, recording, model, chosen, name)
        results.append(find_movements(recording, estimates, settings, features))
    document = _document(results)
    if args.output:
        text = json.dumps(document, indent=1, allow_nan=False)
        write_file(args.output, text.encode(), replace=False)
    if args.json:
        scoring.print_json(document)
    else:
        _print(results)
        scoring.print_saved(args.output)
    return 0


def _recordings(targets: list[str], label: str) -> list[tuple[Path, Path | None]]:
    """Recordings, and the model of their session where it has just one."""
    from pathlib import Path

    from emghand.errors import UserError
    from emghand.storage.models import EXTENSION
    from emghand.storage.sessions import MANIFEST, Session

    found: list[tuple[Path, Path | None]] = []
    for target in (Path(t).expanduser() for t in targets):
        if not (target / MANIFEST).exists():
            found.append((target, None))
            continue
        labels = (label,) if label else LABELS
        bags = [b for name in labels for b in Session.open(target).bags(name)]
        if not bags:
            named = " or ".join(f"{name}*" for name in labels)
            raise UserError(f"session {target}: has no bag {named}; choose with --label")
        models = sorted((target / "models").glob(f"*{EXTENSION}"))
        found += [(bag, models[0] if len(models) == 1 else None) for bag in bags]
    return found


def _estimates(
    path: Path, recording: Recording, named: Model | None, own: Model | None, name: str
) -> tuple[Estimates, Any]:
    """Estimates of a recording, and the features that they are made from where known."""
    from emghand.adapt.recorded import decoded_estimates, published_estimates
    from emghand.errors import UserError
    from emghand.report.parts import is_bag
    from emghand.training.recorded import recorded_features

    if named is not None:
        return decoded_estimates(recording, named, name), named.features
    features = recorded_features(path) if is_bag(path) else None
    rate = recording.stream.rate / features.hop if features is not None else None
    published = published_estimates(recording, rate)
    if published is not None:
        return published, features
    if own is not None:
        return decoded_estimates(recording, own, name), own.features
    raise UserError(f"{path}: holds no /decoder/x_hat; name a model with --model")


def _document(results: list[FoundMovements]) -> dict[str, Any]:
    return {"recordings": [_as_dict(found) for found in results], "all": _all(results)}


def _all(results: list[FoundMovements]) -> dict[str, Any]:
    from emghand.adapt.recorded import total

    return {
        "detector": _scores(total([r.scores for r in results])),
        "bursts": _scores(total([r.burst_scores for r in results])),
    }


def _as_dict(found: FoundMovements) -> dict[str, Any]:
    return {
        "source": found.source,
        "estimates": found.estimates.origin,
        "dofs": list(found.estimates.dofs),
        "tick_rate": found.estimates.tick_rate,
        "start_ns": found.start_ns,
        "segments": [
            {
                "kind": s.kind,
                "t0_tick": s.t0_tick,
                "t1_tick": s.t1_tick,
                "start_s": found.seconds(s.t0_tick),
                "end_s": found.seconds(s.t1_tick),
                "x0": s.x0.tolist(),
                "x_f": s.x_f.tolist(),
                "moving": s.moving.tolist(),
            }
            for s in found.segments
        ],
        "bursts": [
            {
                "start_s": (b.start_ns - found.start_ns) * 1e-9,
                "end_s": (b.end_ns - found.start_ns) * 1e-9,
            }
            for b in found.bursts
        ],
        "prompted": len(found.prompted),
        "lag_s": found.lag_s,
        "reaction_s": found.reaction_s,
        "detector_scores": _scores(found.scores),
        "burst_scores": _scores(found.burst_scores),
    }


def _scores(scores: OnsetScores | None) -> dict[str, float | int | None] | None:
    import math

    if scores is None:
        return None
    numbers = {
        "precision": scores.precision,
        "recall": scores.recall,
        "f1": scores.f1,
        "onset_error_s": scores.error_s,
        "onset_bias_s": scores.bias_s,
    }
    counts = {"hits": scores.hits, "false": scores.false, "missed": scores.missed}
    return counts | {k: v if math.isfinite(v) else None for k, v in numbers.items()}


def _print(results: list[FoundMovements]) -> None:
    from rich.console import Console

    from emghand.adapt.recorded import total

    console = Console()
    for found in results:
        _print_movements(console, found)
        if found.scores is not None and found.burst_scores is not None:
            _print_scores(console, "", found.scores, found.burst_scores)
            console.print(
                f"{found.lag_s * 1e3:.0f} ms (the lag of the decoder) are taken off the movements, "
                f"{found.reaction_s * 1e3:.0f} ms (the reaction: that without half a window) off "
                "the bursts. Found: begun at most 0.3 s away. Bursts are compared with what leaves "
                "rest, movements also with the ways back.",
                style="dim",
                highlight=False,
            )
    scores = total([r.scores for r in results]), total([r.burst_scores for r in results])
    if len(results) > 1 and scores[0] is not None and scores[1] is not None:
        _print_scores(console, "All recordings", scores[0], scores[1])


def _print_movements(console: Any, found: FoundMovements) -> None:
    from rich.markup import escape

    from emghand.cli.scoring import number_table

    console.print(f"{escape(found.source)}, {escape(found.estimates.origin)}", style="bold")
    rows = number_table("", "DOFs", (r"start \[s]", r"duration \[s]", "from", "to"))
    for s in found.movements:
        start, end = found.seconds(s.t0_tick), found.seconds(s.t1_tick)
        dofs = [d for d, moves in zip(found.estimates.dofs, s.moving, strict=True) if moves]
        ends = ["\n".join(f"{v:.2f}" for v in x[s.moving]) for x in (s.x0, s.x_f)]
        rows.add_row("\n".join(dofs), f"{start:.2f}", f"{end - start:.2f}", *ends)
    console.print(rows)
    console.print(
        f"{len(found.movements)} movements, {len(found.segments) - len(found.movements)} plateaus, "
        f"{len(found.bursts)} bursts of the EMG",
        highlight=False,
    )


def _print_scores(console: Any, title: str, detector: OnsetScores, bursts: OnsetScores) -> None:
    from emghand.cli.scoring import number_table, shown

    headings = ("prompted", "precision", "recall", "F1", r"onset error \[ms]", r"bias \[ms]")
    rows = number_table(title, "against the prompts", headings)
    for name, s in (("movements", detector), ("bursts", bursts)):
        ratios = [shown(v) for v in (s.precision, s.recall, s.f1)]
        times = [shown(v * 1e3, 0) for v in (s.error_s, s.bias_s)]
        rows.add_row(name, str(s.hits + s.missed), *ratios, *times)
    console.print(rows)
