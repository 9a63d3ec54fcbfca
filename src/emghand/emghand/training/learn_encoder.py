"""An autoencoder that was learned alone: from any recordings, with labels or not.

``emghand autoencoder`` writes it, ``emghand train --encoder-from FILE`` fits a decoder behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from emghand.decoders.normaliser import Normaliser
from emghand.encoders import fit_encoder
from emghand.errors import UserError
from emghand.pipeline import feature_ticks
from emghand.signal.settings import FeatureSettings
from emghand.steps import step
from emghand.storage.encoders import LearnedEncoder
from emghand.storage.recording import Recording


def learn_encoder(
    recordings: Sequence[Recording], features: FeatureSettings, kind: str, size: int
) -> LearnedEncoder:
    """Encoder of the features of every tick with a good signal; labels are not looked at.

    Parameters
    ----------
    recordings : sequence of Recording
    features : FeatureSettings
    kind : str
        One of `emghand.encoders.ENCODERS`.
    size : int
        Numbers that stand for the features of a tick.

    Raises
    ------
    UserError
        When the recordings differ, hold no good signal, or do not determine an encoder.
    """
    first = recordings[0].stream
    rows, groups = [], []
    for number, recording in enumerate(recordings):
        step("computing features", 0.5 * number / len(recordings))
        stream = recording.stream
        if (stream.channel_names, stream.rate, stream.unit) != (
            first.channel_names,
            first.rate,
            first.unit,
        ):
            raise UserError(
                f"{recording.source}: differs from the others in channels, rate or unit"
            )
        Z = np.array([t.z for _, t in feature_ticks(features, recording) if not t.quality])
        if not len(Z):
            raise UserError(f"{recording.source}: has no tick with a good signal")
        rows.append(Z)
        # Pieces of consecutive ticks, where the fit needs to hold one out.
        groups.append(number * 5 + np.arange(len(Z)) * 5 // len(Z))
    step("learning the encoder", 0.5)
    # The bits of a matrix product depend on the number of threads that share it.
    with threadpool_limits(1):
        Z = np.concatenate(rows)
        normaliser = Normaliser.fit(Z)
        inputs = normaliser.apply(Z)
        encoder = fit_encoder(inputs, kind, size, np.concatenate(groups).astype(np.int64))
        lost = inputs - encoder.reconstruct(encoder.transform(inputs))
    return LearnedEncoder(
        encoder=encoder,
        normaliser=normaliser,
        features=features,
        channel_names=first.channel_names,
        rate=first.rate,
        unit=first.unit,
        recordings=tuple(dict.fromkeys(r.digest for r in recordings)),
        error=float((lost**2).sum() / max(float((inputs**2).sum()), 1e-300)),
    )
