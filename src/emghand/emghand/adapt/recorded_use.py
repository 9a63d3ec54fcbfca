"""Use of the hand from recordings: for a reference, and to try rules on files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emghand.adapt.window import Window
from emghand.errors import UserError
from emghand.pipeline import feature_ticks
from emghand.storage.models import Model
from emghand.storage.recording import Recording


def use_of(model: Model, recordings: Sequence[Recording]) -> Window:
    """Features of recordings and what a model makes of them, one after the other.

    Parameters
    ----------
    model : Model
    recordings : sequence of Recording
        Of the channels of the model.

    Raises
    ------
    UserError
        When a recording is of another device or holds no tick.
    """
    Z, ticks, good, segment = [], [], [], []
    first, number = 0, 0
    for recording in recordings:
        if recording.stream.channel_names != model.channel_names and not model.features.channel_map:
            raise UserError(f"{recording.source}: its channels are not those of the model")
        last = -1
        for _, tick in feature_ticks(model.features, recording):
            number += tick.reset or tick.tick != last + 1
            last = tick.tick
            Z.append(tick.z)
            ticks.append(first + tick.tick)
            good.append(not tick.quality)
            segment.append(number)
        # No two recordings follow one another.
        first += last + 2
    if not Z:
        raise UserError("no tick in the recordings: they are shorter than the window of features")
    features = np.array(Z)
    x_hat = model.estimates(features, np.array(segment, dtype=np.int64))
    return Window(features, x_hat, np.array(ticks), np.array(good), model.tick_rate)
