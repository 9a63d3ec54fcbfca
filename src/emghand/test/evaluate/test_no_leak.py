"""Nothing of the part held out is known to what was learned: poison it, and nothing changes.

The part held out, and the guard around it, are replaced by finite garbage: features up to 1e9,
other labels, other movements, every row in use. Whatever the training learns (lag, channels,
normaliser, selection, encoder, hyper-parameters, arrays of the decoder, ranges of the DOFs) must be
the same to the bit. A training that peeks is caught.
"""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from people import examples, garbage, make_dataset, recordings

from emghand.decoders.registry import decoder_class, decoder_kinds
from emghand.errors import UserError
from emghand.evaluate.crossval import cross_validate
from emghand.evaluate.fingerprint import fingerprint
from emghand.evaluate.splits import SCHEMES, split
from emghand.storage.recording import recording_digest
from emghand.training import TrainSettings, fit, join
from emghand.training.tune_output import tune_output

TINY = {
    "epochs": 1,
    "rollouts": 1,
    "members": 1,
    "hidden": (4,),
    "trees": 2,
    "n_trees": 2,
    "depth": 2,
    "landmarks": 20,
    "min_examples": 5,
}
"""Parameters that make slow decoders quick, where they have them."""

VARIANTS = {
    "trial lag": {"trial_lag_s": 0.2},
    "bad channels": {"bad_channels": "auto"},
    "selection": {"max_features": 2},
    "selection with a stop": {"max_features": 3, "selection_stop": "bic"},
    "scale": {"scale": "contraction"},
    "baseline": {"baseline": "rest"},
    "first repetition": {"discard_first": True},
    "linear encoder": {"encoder": "linear", "encoder_size": 2},
    "non-linear encoder": {"encoder": "nonlinear", "encoder_size": 2},
    "search": {"search": {"lambdas": ((1e-3,), (1.0,))}},
}
"""Training settings that learn something around the decoder beside lag and normaliser, which are
always learned; one at a time."""

EVERYTHING = {
    "trial_lag_s": 0.2,
    "bad_channels": "auto",
    "max_features": 2,
    "scale": "contraction",
    "baseline": "rest",
    "encoder": "linear",
    "encoder_size": 2,
}
"""All of that at once."""


def settings_for(kind, **more):
    known = inspect.signature(decoder_class(kind)).parameters
    params = {k: v for k, v in TINY.items() if k in known and _fits(known[k].default, v)}
    return TrainSettings(**{"decoder": kind, "params": params, **more})


def _fits(default, value):
    return isinstance(default, type(value)) or default is None


def learned(dataset, settings, part):
    """Fingerprint of what is learned without a part, by the cross-validation itself."""
    try:
        folds = cross_validate(dataset, [part], lambda seen: fit(seen, settings))[1]
    except UserError as error:
        if "pip install" in str(error):
            pytest.skip(str(error))
        raise
    return folds[0].learned


def poisoned(dataset, part, seed=0):
    """The same training rows; everything else is garbage."""
    rng = np.random.default_rng(seed)
    out = ~part.train
    n = int(out.sum())
    changed = {
        "Z": garbage(rng, (n, dataset.Z.shape[1])),
        "X": rng.choice([-1.0, -0.3, 0.0, 0.7, 1.0], (n, dataset.X.shape[1])),
        "use": np.ones(n, dtype=bool),
        "period": rng.choice([2, 3, 4], n),
        "movement": rng.choice(["index", "wrist", "other"], n),
        "trial": rng.integers(0, 99, n),
    }
    columns = {}
    for name, values in changed.items():
        column = getattr(dataset, name).copy()
        column[out] = values
        columns[name] = column
    return dataclasses.replace(dataset, **columns)


def with_a_dead_channel(dataset, train):
    """A channel that lives only in the part held out."""
    Z = dataset.Z.copy()
    Z[train, 2] = 0.0
    return dataclasses.replace(dataset, Z=Z)


@pytest.fixture(scope="module")
def dataset():
    """Five recordings of two people."""
    return make_dataset()


@pytest.fixture(scope="module")
def few():
    """Two recordings, for what takes long."""
    return make_dataset().rows(make_dataset().recording < 2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_scheme_tells_of_the_part_held_out(dataset, scheme):
    settings = settings_for("kalman", **EVERYTHING)
    part = split(dataset, scheme, settings.longest_lag_s)[-1]
    clean = learned(dataset, settings, part)
    assert learned(poisoned(dataset, part), settings, part) == clean


@pytest.mark.parametrize("kind", decoder_kinds())
def test_no_decoder_knows_anything_of_the_part_held_out(few, kind):
    if kind in ("mlp", "tcn", "lstm"):
        pytest.importorskip("torch")
    settings = settings_for(kind)
    part = split(few, "repetition")[1]
    clean = learned(few, settings, part)
    assert learned(poisoned(few, part), settings, part) == clean


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_around_the_decoder_knows_anything_of_it_either(few, name):
    if name == "non-linear encoder":
        pytest.importorskip("torch")
    settings = settings_for("ridge", **VARIANTS[name])
    part = split(few, "repetition", 0.9)[1]
    if name == "bad channels":
        few = with_a_dead_channel(few, part.train)
    clean = learned(few, settings, part)
    assert learned(poisoned(few, part), settings, part) == clean
    assert clean != learned(few, settings_for("ridge"), part), "the setting changes what is learned"


def test_the_tuned_output_knows_nothing_of_it(few):
    part = split(few, "repetition")[1]
    settings = settings_for("ridge")
    clean = tune_output(few.rows(part.train), settings).as_dict()
    assert tune_output(poisoned(few, part).rows(part.train), settings).as_dict() == clean


@pytest.mark.parametrize("scheme", ["recording", "session", "day", "subject"])
def test_raw_garbage_in_other_recordings_changes_nothing(dataset, scheme):
    """Poison before any feature is computed: other EMG, other labels, other ranges of the DOFs."""
    part = split(dataset, scheme)[-1]
    held_out = set(np.unique(dataset.recording[part.test]).tolist())
    rng = np.random.default_rng(1)
    spoiled = [_spoil(r, rng) if i in held_out else r for i, r in enumerate(recordings())]
    other = join(examples(spoiled))
    assert other.digests != dataset.digests
    settings = settings_for("kalman")
    again = split(other, scheme)[-1]
    assert again.name == part.name
    assert learned(other, settings, again) == learned(dataset, settings, part)


def test_other_labels_of_the_repetition_held_out_change_nothing(dataset):
    """Poison `x_d` itself, before it is interpolated to the ticks."""
    part = split(dataset, "repetition")[1]
    inside = dataset.stamps_ns[part.test]
    first, *others = recordings()
    x_d = first.x_d
    out = (x_d.stamps_ns >= inside.min()) & (x_d.stamps_ns <= inside.max())
    values = x_d.values.copy()
    values[out] = np.random.default_rng(0).uniform(-1, 1, values[out].shape)
    spoiled = dataclasses.replace(first, x_d=dataclasses.replace(x_d, values=values))
    other = join(examples([spoiled, *others]))
    settings = settings_for("kalman")
    again = split(other, "repetition")[1]
    np.testing.assert_array_equal(again.train, part.train)
    assert learned(other, settings, again) == learned(dataset, settings, part)


def test_a_training_that_peeks_is_caught(dataset):
    """The normaliser of the whole instead of that of the training part."""
    settings = settings_for("ridge")
    part = split(dataset, "repetition")[1]

    def peek(whole):
        def learn(seen):
            fitted = fit(seen, settings)
            return dataclasses.replace(fitted, normaliser=fit(whole, settings).normaliser)

        return cross_validate(whole, [part], learn)[1][0].learned

    assert peek(dataset) != peek(poisoned(dataset, part))


def test_the_fingerprint_sees_a_last_bit_and_a_setting(dataset):
    fitted = fit(dataset, settings_for("ridge"))
    before = fingerprint(fitted)
    assert fingerprint(fit(dataset, settings_for("ridge"))) == before
    fitted.decoder.coef_[0, 0] = np.nextafter(fitted.decoder.coef_[0, 0], 9.0)
    assert fingerprint(fitted) != before
    assert fingerprint(dataclasses.replace(fitted, lag_s=9.0)) != before
    with pytest.raises(TypeError, match="no stated content"):
        fingerprint({"x": object()})


def _spoil(recording, rng):
    blocks = [
        dataclasses.replace(b, samples=garbage(rng, b.samples.shape, 1.0).astype(np.float32))
        for b in recording.blocks
    ]
    x_d = dataclasses.replace(recording.x_d, values=rng.uniform(-1, 1, recording.x_d.values.shape))
    digest = recording_digest(recording.stream, blocks, x_d, recording.periods)
    return dataclasses.replace(recording, blocks=blocks, x_d=x_d, digest=digest)
