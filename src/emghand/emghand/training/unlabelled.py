"""Features of recordings without labels, for what learns without them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emghand.errors import UserError
from emghand.pipeline import feature_ticks
from emghand.storage.recording import Recording
from emghand.training.dataset import Dataset

Floats = NDArray[np.float64]


def unlabelled_features(recordings: Sequence[Recording], like: Dataset) -> Floats:
    """Features of every tick with a good signal, shape (k, n_features), not normalised.

    Parameters
    ----------
    recordings : sequence of Recording
        Labels, where there are some, are not looked at.
    like : Dataset
        The labelled examples that they go with: features are computed with its settings.

    Raises
    ------
    UserError
        When a recording is one of the labelled ones (a repetition left out for a score would then
        be learned from), is of another stream, or has no tick with a good signal.
    """
    found = []
    for recording in recordings:
        if recording.digest in like.digests:
            raise UserError(
                f"{recording.source}: is one of the labelled recordings, which are learned from "
                "anyway; leave it out"
            )
        for text, expected, given in (
            ("channels", like.stream.channel_names, recording.stream.channel_names),
            ("samples per second", like.stream.rate, recording.stream.rate),
            ("unit", like.stream.unit, recording.stream.unit),
        ):
            if expected != given:
                raise UserError(
                    f"{recording.source}: differs from the labelled recordings in {text}"
                )
        ticks = [
            tick.z
            for _, tick in feature_ticks(like.feature_settings, recording)
            if not tick.quality
        ]
        if not ticks:
            raise UserError(f"{recording.source}: has no tick with a good signal")
        found += ticks
    return np.array(found)
