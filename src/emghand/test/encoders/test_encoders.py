"""Autoencoders: against scikit-learn's PCA, on a curved surface, streaming, hostile arrays."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from network_plans import random_encoder
from sklearn.decomposition import PCA

from emghand.encoders import ENCODERS, encoder_class, fit_encoder
from emghand.errors import UserError


def curved(m=900, n=12, seed=0):
    """Features on a bent surface of two dimensions, and a little noise."""
    rng = np.random.default_rng(seed)
    u, v = 2.0 * rng.uniform(-1.0, 1.0, size=(2, m))
    bent = np.stack([u, v, u**2, u * v, np.sin(2.0 * u), np.cos(2.0 * v)], axis=1)
    mixing = np.random.default_rng(99).normal(size=(6, n))
    Z = bent @ mixing + 0.05 * rng.normal(size=(m, n))
    return (Z - Z.mean(axis=0)) / Z.std(axis=0)


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request):
    """The non-linear one was never trained: none of this needs PyTorch."""
    if request.param == "nonlinear":
        return random_encoder(12, 3)
    return fit_encoder(curved(), "linear", 3)


@pytest.mark.parametrize("size", [1, 3, 6, 12])
def test_the_linear_autoencoder_is_principal_component_analysis(size):
    """Components to the sign and reconstruction error, to 1e-9."""
    Z = curved() + 3.0
    ours, reference = fit_encoder(Z, "linear", size), PCA(size).fit(Z)
    signs = np.sign((ours.components_ * reference.components_).sum(axis=1))
    np.testing.assert_allclose(ours.components_, signs[:, None] * reference.components_, atol=1e-9)
    np.testing.assert_allclose(ours.transform(Z), signs * reference.transform(Z), atol=1e-9)
    again, wanted = (
        e.reconstruct(e.transform(Z))
        if e is ours
        else reference.inverse_transform(reference.transform(Z))
        for e in (ours, reference)
    )
    np.testing.assert_allclose(again, wanted, atol=1e-9)


def test_the_nonlinear_autoencoder_gives_back_more_of_a_curved_surface():
    """Two numbers stand for the surface: on unseen rows half of the error of PCA, at most."""
    pytest.importorskip("torch")
    seen, unseen = curved(1500), curved(300, seed=1)
    errors = []
    for kind in ENCODERS:
        fitted = fit_encoder(seen, kind, 2)
        errors.append(np.mean((fitted.reconstruct(fitted.transform(unseen)) - unseen) ** 2))
    assert errors[1] < 0.5 * errors[0]


def test_codes_of_the_nonlinear_autoencoder_have_no_mean_and_a_spread_of_one():
    pytest.importorskip("torch")
    Z = curved(300)
    codes = encoder_class("nonlinear")(3, epochs=2).fit(Z).transform(Z)
    np.testing.assert_allclose(codes.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(codes.std(axis=0), 1.0, atol=1e-9)


def test_the_nonlinear_autoencoder_is_its_formula():
    """c = B tanh(A z + a) + b, and the same way back; to 1e-12."""
    encoder, Z = random_encoder(12, 3), curved(50)
    A, B, C, D = (encoder.to_arrays()[f"layer{i}_weight_"] for i in range(4))
    a, b, c, d = (encoder.to_arrays()[f"layer{i}_bias_"] for i in range(4))
    codes = np.tanh(Z @ A.T + a) @ B.T + b
    np.testing.assert_allclose(encoder.transform(Z), codes, atol=1e-12)
    again = np.tanh(codes @ C.T + c) @ D.T + d
    np.testing.assert_allclose(encoder.reconstruct(codes), again, atol=1e-12)


def test_codes_in_a_batch_are_those_tick_by_tick_to_the_bit(encoder):
    Z = curved(50)
    np.testing.assert_array_equal(encoder.transform(Z), [encoder.encode(z) for z in Z])
    np.testing.assert_array_equal(encoder.transform(Z[:7]), encoder.transform(Z)[:7])
    assert encoder.transform(Z[:0]).shape == (0, 3)


def test_an_encoder_comes_back_from_its_arrays(encoder):
    again = type(encoder).from_arrays(encoder.get_params(), encoder.to_arrays())
    Z = curved(50)
    np.testing.assert_array_equal(again.transform(Z), encoder.transform(Z))
    codes = encoder.transform(Z)
    np.testing.assert_array_equal(again.reconstruct(codes), encoder.reconstruct(codes))


@pytest.mark.parametrize("kind", ENCODERS)
def test_two_fits_give_the_same_bytes(kind):
    if kind == "nonlinear":
        pytest.importorskip("torch")
    first, second = (encoder_class(kind)(2).fit(curved(100)).to_arrays() for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


def test_arrays_that_do_not_fit_are_refused(encoder):
    arrays, params = encoder.to_arrays(), encoder.get_params()
    for name, value in arrays.items():
        for wrong in (value[None], value[:0], value[:-1], np.full_like(value, np.nan)):
            with pytest.raises(UserError, match="encoder: "):
                type(encoder).from_arrays(params, arrays | {name: wrong})
        with pytest.raises(UserError, match="encoder: "):
            type(encoder).from_arrays(params, {k: v for k, v in arrays.items() if k != name})
    for changes in ({"size": 4}, {"size": 0}, {"size": 10**9}, {"size": 3.0}, {"evil": 1}):
        with pytest.raises(UserError, match="encoder: "):
            type(encoder).from_arrays(params | changes, arrays)


def test_features_out_of_all_bounds_give_finite_codes(encoder):
    assert np.isfinite(encoder.encode(np.full(12, 1e29))).all()


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize(
    ("Z", "size", "match"),
    [
        (np.full((50, 4), np.nan), 2, "finite"),
        (np.zeros((0, 4)), 2, "needs features"),
        (np.zeros(50), 2, "needs features"),
        (np.zeros((50, 4)), 5, "too large"),
        (np.zeros((3, 4)), 3, "too large"),
        (np.zeros((50, 4)), 0, "size"),
        (np.zeros((50, 4)), 2.0, "size"),
    ],
)
def test_features_that_cannot_be_learned_from_are_refused(kind, Z, size, match):
    with pytest.raises(UserError, match=match):
        fit_encoder(Z, kind, size)


def test_only_known_kinds_are_loaded():
    for kind in ("", "base", "registry", "os", "../linear", "none"):
        with pytest.raises(UserError, match="unknown"):
            encoder_class(kind)


def test_without_torch_it_is_said_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    fit_encoder(curved(100), "linear", 2)
    with pytest.raises(UserError, match=r"nonlinear encoder: .* pip install"):
        fit_encoder(curved(100), "nonlinear", 2)
