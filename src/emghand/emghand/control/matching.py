"""Whether a model fits the features that arrive."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from emghand.errors import UserError
from emghand.pipeline import FeaturePipeline
from emghand.settings import from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.storage.models import Model

GUARD_PREFIX = "guard_"
NAMES_TELL = ("channel_map",)
"""Settings that may differ where the names of the features agree: that is what they are for."""


@dataclass(frozen=True)
class FeatureSpace:
    """What every feature vector of a stream means.

    Parameters
    ----------
    names : tuple of str
        Of the features.
    rate : float
        Of the raw EMG [Hz].
    settings : FeatureSettings
    """

    names: tuple[str, ...]
    rate: float
    settings: FeatureSettings

    @classmethod
    def parse(cls, names: Sequence[str], rate: float, settings: str) -> FeatureSpace:
        """From the fields of a `FeatureInfo`; `settings` is JSON.

        Raises
        ------
        UserError
            When the settings cannot be read by this version.
        """
        try:
            values = json.loads(settings)
            return cls(tuple(names), rate, from_mapping(FeatureSettings, values))
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"/features/info: settings cannot be read: {error}") from error

    @classmethod
    def of_model(cls, model: Model) -> FeatureSpace:
        """The one a model was trained in."""
        pipeline = FeaturePipeline(
            model.features, model.n_channels, model.rate, channel_names=model.channel_names
        )
        return cls(pipeline.names, model.rate, model.features)


def check_match(expected: FeatureSpace, given: FeatureSpace) -> None:
    """Check that a model trained on `expected` features can decode `given` ones.

    The thresholds of the live-signal guard may differ: they change no feature. So may the channel
    map: another device fits when its channels are given the names of the model's.

    Raises
    ------
    UserError
        Names the first difference.
    """
    wanted, found = dataclasses.asdict(expected.settings), dataclasses.asdict(given.settings)
    for name, value in wanted.items():
        if name.startswith(GUARD_PREFIX) or name in NAMES_TELL:
            continue
        if found[name] != value:
            raise UserError(
                f"the model was trained with {name} = {value!r}, feature_node runs with "
                f"{found[name]!r}; start feature_node with the settings of the model"
            )
    if expected.rate != given.rate:
        raise UserError(
            f"the model was trained at {expected.rate:g} samples/s, the EMG comes at "
            f"{given.rate:g}; use the device it was trained with"
        )
    if expected.names != given.names:
        raise UserError(
            f"the model expects {_short(expected.names)}, feature_node computes "
            f"{_short(given.names)}; use the channels it was trained with"
        )


def _short(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > 3 else ""
    return f"{len(names)} features ({', '.join(names[:3])}{more})"
