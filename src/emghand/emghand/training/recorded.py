"""The feature settings that were in force when a bag was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emghand.errors import UserError
from emghand.settings import SettingsError, from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.storage.bags import BagReader

TOPIC = "/features/info"


def recorded_features(path: str | Path) -> FeatureSettings | None:
    """Feature settings of the live graph, so that a model trained on the bag fits it.

    Parameters
    ----------
    path : path
        Of a bag.

    Returns
    -------
    FeatureSettings or None
        The last ones published on ``/features/info`` of any namespace; None when there are none.

    Raises
    ------
    UserError
        When the bag cannot be read, or they are of no use to this version.
    """
    found = None
    with BagReader(path) as reader:
        topics = [name for name in reader.topics if name.endswith(TOPIC)]
        for raw in reader.messages(topics) if topics else ():
            message: Any = reader.decode(raw)
            found = str(message.settings)
    if found is None:
        return None
    try:
        return from_mapping(FeatureSettings, json.loads(found))
    except (SettingsError, ValueError, AttributeError, TypeError) as error:
        raise UserError(f"bag {path}: the settings on {TOPIC} are of no use: {error}") from error
