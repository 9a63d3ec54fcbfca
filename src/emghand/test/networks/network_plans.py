"""Small networks that were never trained: plans, arrays, decoders, an encoder."""

from pathlib import Path

import numpy as np

from emghand.decoders import decoder_class
from emghand.encoders import encoder_class
from emghand.networks.layers import Layer

GOLDEN = Path(__file__).parent / "golden"
PLANS = {
    "dense": (Layer(7), Layer(4, "tanh"), Layer(2, "none")),
    "conv": (
        Layer(5, delays=(1, 2)),
        Layer(5, delays=(2, 4), skip=True),
        Layer(6, "tanh", delays=(3,), skip=True),
        Layer(2, "none"),
    ),
    "lstm": (Layer(6, kind="lstm"), Layer(5, kind="lstm"), Layer(2, "none")),
}
N_INPUTS, MEMBERS = 3, 2


def random_arrays(plan, seed=0, members=MEMBERS, n_inputs=N_INPUTS):
    rng, arrays, n = np.random.default_rng(seed), {}, n_inputs
    for i, layer in enumerate(plan):
        rows, columns = layer.shape(n)
        arrays[f"layer{i}_weight_"] = 0.5 * rng.normal(size=(members * rows, columns))
        arrays[f"layer{i}_bias_"] = 0.5 * rng.normal(size=members * rows)
        n = layer.size
    return arrays


def run(network, inputs, members=MEMBERS):
    return np.array([network.step(np.tile(x, (members, 1))) for x in inputs])


def random_decoder(kind, n_features, **params):
    """Of two DOFs; two networks, unless it is said otherwise."""
    params = {"delays": (), "hidden": (3,), "members": 2, "low": (-1.0, 0.0)} | params
    decoder = decoder_class(kind)(**params)
    design = decoder._design()
    n = n_features * (len(decoder.delays) + 1)
    rng = np.random.default_rng(0)
    plan = design.complete(2)
    arrays = random_arrays(plan, 1, design.members, design.n_inputs(n, 2)) | {
        "input_mean_": rng.normal(size=n),
        "input_scale_": rng.uniform(0.5, 2.0, size=n),
        "output_mean_": np.array([0.1, 0.4]),
        "output_scale_": np.array([0.5, 0.3]),
        "held_out_error_": np.ones((design.members, 4)),
    }
    return decoder_class(kind).from_arrays(decoder.get_params(), arrays)


def random_encoder(n_features, size):
    arrays = random_arrays(
        (Layer(5, "tanh"), Layer(size, "none"), Layer(5, "tanh"), Layer(n_features, "none")),
        members=1,
        n_inputs=n_features,
    )
    return encoder_class("nonlinear").from_arrays({"size": size, "hidden": 5}, arrays)
