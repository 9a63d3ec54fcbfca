"""Recordings and settings as the command line names them, for every command that learns."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError

if TYPE_CHECKING:
    from emghand.control.settings import OutputSettings
    from emghand.signal.settings import FeatureSettings
    from emghand.storage.models import Model
    from emghand.storage.recording import Recording
    from emghand.training import Dataset, TrainSettings


def add_learning(parser: argparse.ArgumentParser) -> None:
    """Arguments that say how a decoder is trained, and from which features."""
    parser.add_argument(
        "--fit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="setting of the training, in YAML: delays, max_lag_s, scale, bad_channels, "
        "max_features, selection_stop, trial_lag_s, discard_first and more; may be given several "
        "times",
    )
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter of the decoder, in YAML; may be given several times",
    )
    parser.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="NAME=VALUE,VALUE",
        help="values of a parameter of the decoder to choose from, by leaving one repetition out",
    )
    add_features(parser)


def add_features(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which features are computed: those of `feature_settings`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="feature setting instead of the recorded one, in YAML; may be given several times",
    )
    parser.add_argument(
        "--feature-config",
        metavar="FILE",
        help="parameter file of feature_node with the feature settings to use",
    )


def add_output_filters(parser: argparse.ArgumentParser) -> None:
    """The argument of `output_settings`."""
    parser.add_argument(
        "--chain",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="setting of the output filters instead of the usual or the model's own, in YAML: "
        "relax_pos=[0.2], speed_limit=[0.0]; may be given several times",
    )


def output_settings(args: argparse.Namespace, base: OutputSettings | None = None) -> OutputSettings:
    """Output filters, by default the usual ones, with the changes that ``--chain`` names.

    Raises
    ------
    UserError
        When one is unknown or out of range.
    """
    from emghand.control.settings import OutputSettings
    from emghand.settings import from_mapping

    values = dataclasses.asdict(base or OutputSettings())
    return from_mapping(OutputSettings, values | assignments("--chain", args.chain))


def train_settings(values: Mapping[str, Any], args: argparse.Namespace) -> TrainSettings:
    """Training settings from a mapping, with the changes that the arguments name.

    Raises
    ------
    UserError
        When one is unknown or out of range, or there is no such decoder.
    """
    from emghand.decoders.registry import decoder_class
    from emghand.settings import from_mapping
    from emghand.training import TrainSettings

    changes = assignments("--fit", args.fit)
    if args.param:
        changes["params"] = assignments("--param", args.param)
    if args.search:
        changes["search"] = assignments("--search", args.search, several=True)
    settings = from_mapping(TrainSettings, {**values, **changes})
    decoder_class(settings.decoder)
    return settings


def find_recordings(targets: Sequence[str], label: str) -> list[Path]:
    """Paths of recordings: of a session the bags ``label``, ``label_2``, ..., else as named.

    Raises
    ------
    UserError
        When a target does not exist, or a session has no such bag.
    """
    from emghand.storage.sessions import MANIFEST, Session

    paths: list[Path] = []
    for target in (Path(t).expanduser() for t in targets):
        if not (target / MANIFEST).exists():
            paths.append(target)
            continue
        found = Session.open(target).bags(label)
        if not found:
            raise UserError(f"session {target}: has no bag {label}*; choose with --label")
        paths += found
    return paths


def feature_settings(
    paths: Sequence[Path], config: str | None, changes: Sequence[str]
) -> FeatureSettings:
    """Feature settings of a file or of the bags, with the changes of the command line.

    Raises
    ------
    UserError
        When the bags were recorded with different ones, or a change is no setting.
    """
    from emghand.settings import from_mapping
    from emghand.signal.settings import FeatureSettings
    from emghand.training.recorded import recorded_features

    values: dict[str, Any] = {}
    if config is not None:
        values = _node_parameters(Path(config))
    else:
        # Tables and data sets state no features.
        bags = [p for p in paths if p.suffix == ".mcap" or any(p.glob("*.mcap"))]
        recorded = {recorded_features(p) for p in bags} - {None}
        if len(recorded) > 1:
            raise UserError(
                "the bags were recorded with different feature settings; train on one kind"
            )
        for settings in recorded:
            values = dataclasses.asdict(settings) if settings is not None else {}
    return from_mapping(FeatureSettings, values | assignments("--set", changes))


def assignments(option: str, texts: Sequence[str], several: bool = False) -> dict[str, Any]:
    """Values of ``NAME=VALUE``, VALUE in YAML; with several the lists of ``NAME=VALUE,VALUE``.

    Raises
    ------
    UserError
        Names the option that is not written so.
    """
    import yaml

    values = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise UserError(f"{option} {text}: write NAME=VALUE{',VALUE' * several}")
        try:
            values[name] = yaml.safe_load(f"[{value}]" if several else value)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UserError(f"{option} {text}: the value is not YAML") from error
    return values


def read_examples(
    targets: Sequence[str], label: str, config: str | None, changes: Sequence[str]
) -> Dataset:
    """Examples of all recordings that the targets name; see `find_recordings`.

    Raises
    ------
    UserError
        When one cannot be read, has no labels, or does not fit the others.
    """
    from emghand.storage.datasets import read_any
    from emghand.training import dataset_from_recording, join

    paths = find_recordings(targets, label)
    features = feature_settings(paths, config, changes)
    return join([dataset_from_recording(read_any(p), features) for p in paths])


def first_part(recording: Recording, until: str) -> Recording:
    """A recording up to a place such as ``70%`` or ``90s``, labels included.

    Raises
    ------
    UserError
        When the place is none, or nothing lies before it.
    """
    from emghand.storage.datasets import cut
    from emghand.storage.recording import Series, recording_digest

    blocks = cut(recording.blocks, recording.stream.rate, "0%", until)
    if not blocks:
        raise UserError(f"--until {until}: nothing of {recording.source} lies before it")
    if len(blocks) == len(recording.blocks):
        return recording
    end = recording.blocks[len(blocks)].stamp_ns
    x_d, periods = recording.x_d, [p for p in recording.periods if p.stamp_ns < end]
    if x_d is not None:
        kept = x_d.stamps_ns < end
        x_d = Series(x_d.names, x_d.stamps_ns[kept], x_d.values[kept])
    digest = recording_digest(recording.stream, blocks, x_d, periods)
    return dataclasses.replace(recording, blocks=blocks, x_d=x_d, periods=periods, digest=digest)


def training_examples(
    model: Model, targets: Sequence[str], label: str, until: str, action_map: str | None
) -> Dataset:
    """Examples of the very recordings that a model was trained on, in the order of its training.

    Raises
    ------
    UserError
        When a recording is another one, or one is missing.
    """
    from emghand.actions import load_action_map
    from emghand.storage.datasets import read_any
    from emghand.training import dataset_from_recording, join

    listed = model.scores.get("recordings")
    known = listed if isinstance(listed, list) and listed else [model.training_hash]
    found = {}
    for path in find_recordings(targets, label):
        recording = first_part(read_any(path), until)
        if recording.digest not in known:
            raise UserError(
                f"{path}: the model was not trained on this recording, or not on all of it (see "
                "--until)"
            )
        found[recording.digest] = dataset_from_recording(recording, model.features)
    # In the order of the training; what else it knew (a whole of which it learned a part, data of
    # an encoder) is listed behind.
    dataset = join([found[digest] for digest in known if digest in found])
    if dataset.digest != model.training_hash:
        raise UserError(
            f"the model was trained on other recordings than these {len(found)}: name all of them, "
            "each as long as in training (see --until)"
        )
    return dataset if action_map is None else load_action_map(action_map).apply(dataset)


def _node_parameters(path: Path) -> dict[str, Any]:
    """Parameters of feature_node in a ROS parameter file that are feature settings."""
    import yaml

    from emghand.signal.settings import FeatureSettings

    names = {f.name for f in dataclasses.fields(FeatureSettings)}
    try:
        values = yaml.safe_load(path.read_text())["feature_node"]["ros__parameters"]
        return {k: v for k, v in values.items() if k in names}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: has no feature_node / ros__parameters") from error
