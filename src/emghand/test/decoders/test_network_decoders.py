"""Network decoders: streaming, hostile arrays, what a fit may look at, roll-outs."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from network_plans import random_decoder

from emghand.decoders import decoder_class, decoder_kinds
from emghand.errors import UserError

KINDS = ("mlp", "tcn", "lstm")
SMALL = {"hidden": (16,), "members": 2, "epochs": 5, "patience": 4, "batch": 64}


def movements(m=900, n=12, noise=0.3, seed=0):
    """Two smooth DOFs in three repetitions, and noisy mixtures of them."""
    rng = np.random.default_rng(seed)
    t = np.arange(m) / 60.0
    X = np.stack([np.sin(2.0 * t), np.clip(np.sin(0.7 * t), 0.0, 1.0)], axis=1)
    Z = X @ rng.normal(size=(2, n)) + noise * rng.normal(size=(m, n))
    return (Z - Z.mean(axis=0)) / Z.std(axis=0), X, np.arange(m) // (m // 3)


def drifting(m=900, seed=0):
    """Slow DOFs under loud noise: the previous target tells more than the features do."""
    Z, X, _ = movements(m, noise=1.0, seed=seed)
    return Z, X, np.arange(m) // (m // 6)


CASES = [(kind, feedback) for kind in KINDS for feedback in (False, True)]


@pytest.fixture(scope="module")
def built():
    """Never trained: what follows from the arrays must hold without PyTorch."""
    return {
        (kind, feedback): random_decoder(kind, 12, hidden=(6, 6), feedback=feedback)
        for kind, feedback in CASES
    }


def copy_of(decoder):
    return type(decoder).from_arrays(decoder.get_params(), decoder.to_arrays())


def logistic(x):
    return 1.0 / (1.0 + np.exp(-x))


class Written:
    """One network, written out layer by layer."""

    def __init__(self, kind, kernel, layers):
        self.kind, self.kernel, self.layers = kind, kernel, layers
        self.seen = [[] for _ in layers]
        self.h = [np.zeros(len(b) // 4) for _, b in layers]
        self.c = [h.copy() for h in self.h]

    def step(self, x):
        for i, (W, b) in enumerate(self.layers[:-1]):
            if self.kind == "lstm":
                take, keep, new, show = np.split(W @ np.concatenate([x, self.h[i]]) + b, 4)
                self.c[i] = logistic(keep) * self.c[i] + logistic(take) * np.tanh(new)
                x = self.h[i] = logistic(show) * np.tanh(self.c[i])
            elif self.kind == "tcn":
                self.seen[i].append(x)
                now = len(self.seen[i]) - 1
                taps = [self.seen[i][max(now - k * 2**i, 0)] for k in range(self.kernel)]
                y = np.maximum(W @ np.concatenate(taps) + b, 0.0)
                x = y + x if len(y) == len(x) else y
            else:
                x = np.maximum(W @ x + b, 0.0)
        W, b = self.layers[-1]
        return W @ x + b


@pytest.mark.parametrize("case", CASES)
def test_estimates_are_those_of_the_networks_written_out(case):
    """With delayed features, feedback, bounds and two members; to 1e-12."""
    kind, feedback = case
    decoder = random_decoder(kind, 4, delays=(2, 5), hidden=(6, 6), feedback=feedback)
    a = decoder.to_arrays()
    Z = np.random.default_rng(2).normal(size=(60, 4))
    members = [
        Written(
            kind,
            decoder.get_params().get("kernel"),
            [[np.split(a[f"layer{i}_{n}_"], 2)[m] for n in ("weight", "bias")] for i in range(3)],
        )
        for m in range(2)
    ]
    x = np.zeros((2, 2))
    wanted = []
    for t in range(len(Z)):
        z = np.concatenate([Z[max(t - d, 0)] for d in (0, 2, 5)])
        u = (z - a["input_mean_"]) * a["input_scale_"]
        for m, network in enumerate(members):
            fed = (x[m] - a["output_mean_"]) / a["output_scale_"] if feedback else []
            y = network.step(np.concatenate([u, fed]))
            x[m] = np.clip(y * a["output_scale_"] + a["output_mean_"], [-1.0, 0.0], 1.0)
        wanted.append(x.mean(axis=0))
    np.testing.assert_allclose(decoder.predict(Z), wanted, atol=1e-12)
    assert (np.std(wanted, axis=0) > 0.01).all()


@pytest.mark.parametrize("case", CASES)
def test_predict_repeats_step_and_a_state_continues_bit_for_bit(built, case):
    Z = movements()[0]
    decoder, other = built[case], copy_of(built[case])
    decoder.reset()
    streamed = np.array([decoder.step(z.copy()) for z in Z[:200]])
    np.testing.assert_array_equal(decoder.predict(Z[:200]), streamed)
    other.step(Z[7])
    other.set_state(decoder.state())
    for z in Z[200:260]:
        np.testing.assert_array_equal(decoder.step(z), other.step(z))
    assert (streamed >= [-1.0, 0.0]).all()
    assert (streamed <= 1.0).all()


@pytest.mark.parametrize("case", CASES)
def test_a_state_that_does_not_fit_is_refused(built, case):
    decoder = copy_of(built[case])
    state = decoder.state()
    for key in state:
        with pytest.raises(UserError, match="state of the"):
            decoder.set_state({k: v for k, v in state.items() if k != key})
        with pytest.raises(UserError, match="state of the"):
            decoder.set_state(state | {key: np.zeros((9, 9))})


@pytest.mark.parametrize("case", CASES)
def test_segments_restart_the_decoder(built, case):
    Z, decoder = movements()[0], built[case]
    whole = decoder.predict(Z[:200], np.repeat([0, 1], 100))
    np.testing.assert_array_equal(whole[100:], decoder.predict(Z[100:200]))


@pytest.mark.parametrize("case", CASES)
def test_features_out_of_all_bounds_give_an_estimate_in_range(built, case):
    decoder = copy_of(built[case])
    for z in (1e29, -1e29, 1e29):
        assert (np.abs(decoder.step(np.full(12, z))) <= 1.0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_network_decoders_generalise_to_an_unseen_repetition(kind):
    """R2 of the next repetition at least 0.85: clearly better than nothing, not a benchmark."""
    pytest.importorskip("torch")
    Z, X, groups = movements(m=1500)
    decoder = decoder_class(kind)(members=1, hidden=(24,), epochs=25, delays=(), batch=64)
    seen = groups < 2
    decoder.fit(Z[seen], X[seen], groups[seen])
    error = ((decoder.predict(Z[~seen]) - X[~seen]) ** 2).sum(axis=0)
    assert (1.0 - error / ((X[~seen] - X[~seen].mean(axis=0)) ** 2).sum(axis=0) > 0.85).all()


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_rows_that_are_not_used_teach_nothing_and_fits_repeat(kind):
    pytest.importorskip("torch")
    Z, X, groups = movements()
    use = np.ones(len(Z), dtype=bool)
    use[100:200] = False
    wrong = np.where(use[:, None], X, 7.0)
    wrong[150] = np.nan
    a, b = (
        decoder_class(kind)(**SMALL, delays=(2,)).fit(Z, labels, groups, use=use)
        for labels in (X, wrong)
    )
    assert set(a.to_arrays()) == set(b.to_arrays())
    for name, value in a.to_arrays().items():
        np.testing.assert_array_equal(value, b.to_arrays()[name])


def test_features_of_rows_that_are_not_used_are_the_past_of_those_that_are():
    """Targets repeat the features of 4 ticks ago; every other stretch of 4 ticks is not used."""
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(1600, 1))
    X = np.clip(np.roll(Z, 4, axis=0) / 3.0, -1.0, 1.0)
    use = np.arange(1600) // 4 % 2 == 1
    decoder = decoder_class("tcn")(members=1, hidden=(16, 16), epochs=20, batch=64, dropout=0.0)
    decoder.fit(Z, X, use=use)
    assert np.mean((decoder.predict(Z) - X)[use] ** 2) < 0.2 * X.var()


@pytest.mark.parametrize("case", CASES)
def test_arrays_that_do_not_fit_are_refused(built, case):
    decoder = built[case]
    arrays = decoder.to_arrays()
    for name, value in arrays.items():
        for wrong in (value[None], value[:0], np.full_like(value, np.nan)):
            with pytest.raises(UserError, match="decoder: "):
                type(decoder).from_arrays(decoder.get_params(), arrays | {name: wrong})
        less = {k: v for k, v in arrays.items() if k != name}
        with pytest.raises(UserError, match="expects the arrays"):
            type(decoder).from_arrays(decoder.get_params(), less)
    for changes in (
        {"hidden": (7, 6)},
        {"hidden": (6,)},
        {"hidden": 16},
        {"members": 3},
        {"members": 10**9},
        {"members": True},
        {"feedback": 1},
        {"feedback": not case[1]},
        {"low": (0.5,)},
        {"high": (1.0, 1.0, 1.0)},
        {"low": ("x",)},
    ):
        with pytest.raises(UserError, match="decoder: "):
            type(decoder).from_arrays(decoder.get_params() | changes, arrays)
    for name in ("output_scale_", "layer0_weight_"):
        value = 0.0 * arrays[name] + (0.0 if name == "output_scale_" else 1e7)
        with pytest.raises(UserError, match=f"{name} holds values that are no use"):
            type(decoder).from_arrays(decoder.get_params(), arrays | {name: value})


def test_a_kernel_that_makes_no_sense_is_refused(built):
    decoder = built["tcn", False]
    for kernel in (1, 10**9, 2.0, True):
        with pytest.raises(UserError, match="kernel"):
            type(decoder).from_arrays(
                decoder.get_params() | {"kernel": kernel}, decoder.to_arrays()
            )


@pytest.mark.parametrize("kind", KINDS)
def test_round_zero_of_the_roll_outs_is_plain_training_and_the_best_round_is_kept(kind):
    pytest.importorskip("torch")
    Z, X, groups = drifting(m=600)
    settings = SMALL | {"members": 1, "epochs": 5, "feedback": True}
    plain, rolled = (decoder_class(kind)(**settings, rollouts=n).fit(Z, X, groups) for n in (0, 2))
    assert plain.held_out_error_.shape == (1, 1)
    assert rolled.held_out_error_.shape == (1, 3)
    assert rolled.held_out_error_[0, 0] == plain.held_out_error_[0, 0]
    out = groups == groups.max()
    error = np.mean(((rolled.predict(Z) - X) / X.std(axis=0))[out] ** 2)
    assert error == pytest.approx(rolled.held_out_error_[0].min(), rel=1e-9)
    kept_first = (plain.layer0_weight_ == rolled.layer0_weight_).all()
    assert kept_first == (rolled.held_out_error_[0].argmin() == 0)


def test_teacher_forcing_drifts_where_roll_outs_do_not():
    """On unseen data: learning from the own estimates too takes away a quarter of the error."""
    pytest.importorskip("torch")
    Z, X, groups = drifting()
    seen = groups < 4
    settings = SMALL | {"members": 1, "epochs": 15, "patience": 10, "dropout": 0.0}
    settings["feedback"] = True
    plain, rolled = (
        decoder_class("mlp")(**settings, rollouts=n).fit(Z[seen], X[seen], groups[seen])
        for n in (0, 3)
    )
    a, b = (np.mean((d.predict(Z[~seen]) - X[~seen]) ** 2) for d in (plain, rolled))
    assert b < 0.75 * a


@pytest.mark.parametrize("feedback", [False, True])
def test_a_velocity_decoder_learns_velocities_and_stays_in_range(feedback):
    """Features that tell the velocity: the position follows on unseen data, correlation > 0.8."""
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = 0.6 * np.sin(np.arange(1200) / 25.0)[:, None]
    Z = np.gradient(x, axis=0) @ rng.normal(size=(1, 6))
    Z = Z / Z.std(axis=0) + 0.1 * rng.normal(size=(1200, 6))
    settings = SMALL | {"epochs": 15, "feedback": feedback, "rollouts": 1}
    decoder = decoder_class("mlp")(**settings, differential=True, tick_rate=60.0)
    decoder.fit(Z[:900], x[:900])
    found = decoder.predict(Z[900:])
    assert np.corrcoef(found.ravel(), x[900:].ravel())[0, 1] > 0.8
    assert (np.abs(decoder.predict(np.full((2000, 6), 9.0))) <= 1.0).all()


def test_a_committee_is_the_mean_of_its_members(built):
    decoder, Z = built["mlp", False], movements()[0][:40]
    arrays = decoder.to_arrays()
    found = []
    for member in range(2):
        own = {
            k: np.split(v, 2)[member] if k.startswith(("layer", "held")) else v
            for k, v in arrays.items()
        }
        alone = type(decoder).from_arrays(decoder.get_params() | {"members": 1}, own)
        found.append(alone.predict(Z))
    np.testing.assert_allclose(np.mean(found, axis=0), decoder.predict(Z), atol=1e-12)


def test_a_fit_needs_two_repetitions():
    pytest.importorskip("torch")
    Z, X, _ = movements(m=100)
    with pytest.raises(UserError, match="at least 2"):
        decoder_class("mlp")().fit(Z, X, np.zeros(100, dtype=int))


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"epochs": 0}, "epochs"), ({"dropout": 1.0}, "dropout"), ({"rollouts": -1}, "rollouts")],
)
def test_settings_that_make_no_sense_are_refused(changes, match):
    Z, X, groups = movements(m=100)
    with pytest.raises(UserError, match=match):
        decoder_class("mlp")(**changes).fit(Z, X, groups)


@pytest.mark.parametrize("kind", KINDS)
def test_without_torch_it_is_said_what_to_install(kind, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert kind in decoder_kinds()
    with pytest.raises(UserError, match=f"{kind} decoder: .* pip install"):
        decoder_class(kind)().fit(*movements(m=100))
