"""Recordings and settings as the command line names them, for every command that learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emghand.errors import UserError

if TYPE_CHECKING:
    from emghand.signal.settings import FeatureSettings


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


def assignments(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Values of ``NAME=VALUE``, VALUE in YAML.

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
            raise UserError(f"{option} {text}: write NAME=VALUE")
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"{option} {text}: the value is not YAML") from error
    return values


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
