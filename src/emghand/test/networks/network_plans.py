"""Small plans of networks, and their run tick by tick."""

from pathlib import Path

import numpy as np

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
