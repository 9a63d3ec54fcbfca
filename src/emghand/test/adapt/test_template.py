"""The template model and its fit against closed forms and independent implementations."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from emghand.adapt.plausibility import plausibility
from emghand.adapt.reference import Reference
from emghand.adapt.template import (
    Template,
    fit_template,
    halves_of,
    learn_template,
    log_likelihood,
    make_supports,
    rotated,
)

N, D = 16, 3


@pytest.fixture(scope="module")
def template():
    angle = 2 * np.pi * np.arange(N)[:, None] / N - 2 * np.pi * np.arange(2 * D) / (2 * D)
    return Template(np.full(N, 0.1), np.exp(2.0 * (np.cos(angle) - 1.0)), np.full(N, 0.01))


@pytest.fixture(scope="module")
def supports():
    return make_supports([-1.0] * D, np.zeros((0, 2 * D)), 0.7, 0.25)


def draw(template, supports, n, rng):
    """Holds of the model itself, and the amplitudes behind them."""
    s = np.zeros((n, 2 * D))
    for row, k in zip(s, rng.choice(len(supports.members), n, p=shares(supports)), strict=True):
        at = list(supports.members[k])
        row[at] = rng.normal(supports.mean, supports.sd, len(at))
    noise = rng.normal(size=(n, N)) * np.sqrt(template.variance)
    return template.amplitudes(s) + noise, s


def shares(supports):
    return np.exp(supports.log_prior) / np.exp(supports.log_prior).sum()


def test_supports_are_rest_ones_and_pairs_of_different_dofs(supports):
    ones = 2 * D
    pairs = ones * (ones - 1) // 2 - D
    assert len(supports.members) == 1 + ones + pairs
    assert shares(supports).sum() == pytest.approx(np.exp(supports.log_prior).sum())
    one_sided = make_supports([0.0, -1.0, -1.0], np.zeros((0, 2 * D)), 0.7, 0.25)
    assert all(D not in members for members in one_sided.members)
    pattern = np.zeros((1, 2 * D))
    pattern[0, [0, 1, 2]] = 1.0
    assert (0, 1, 2) in make_supports([-1.0] * D, pattern, 0.7, 0.25).members


def test_the_likelihood_is_that_of_a_mixture_of_normals_to_1e_9(template, supports):
    y, _ = draw(template, supports, 20, np.random.default_rng(0))
    parts = []
    for members, prior in zip(supports.members, supports.log_prior, strict=True):
        H = template.mixing[:, list(members)]
        mean = template.rest + H.sum(axis=1) * supports.mean
        covariance = np.diag(template.variance) + supports.sd**2 * H @ H.T
        parts.append(prior + multivariate_normal(mean, covariance).logpdf(y))
    expected = logsumexp(parts, axis=0).mean()
    assert log_likelihood(y, template, supports) == pytest.approx(expected, rel=1e-9)


def test_a_turn_by_one_electrode_is_a_roll(template):
    turned = rotated(template.mixing, 1, 360.0 / N)
    np.testing.assert_allclose(turned, np.roll(template.mixing, -1, axis=0), atol=1e-12)
    both = np.concatenate([template.mixing, template.mixing])
    np.testing.assert_allclose(rotated(both, 2, 7.0)[:N], rotated(template.mixing, 1, 7.0))


def test_gains_and_rotation_are_found_without_labels(template, supports):
    rng = np.random.default_rng(1)
    gain = np.exp(rng.normal(0.0, 0.15, N))
    gain /= np.median(gain)
    drifted = Template(
        template.rest, gain[:, None] * rotated(template.mixing, 1, 12.0), template.variance
    )
    y, _ = draw(drifted, supports, 400, rng)
    before = log_likelihood(y, template, supports)
    found = fit_template(y, template, supports, np.ones(N, dtype=bool), rings=1)
    assert found.rotation_deg in (10.0, 12.0, 14.0)
    assert log_likelihood(y, found.template, supports) > before + 1.0
    error = np.abs(found.template.mixing - drifted.mixing).max()
    assert error < 0.15 < np.abs(template.mixing - drifted.mixing).max()


def test_without_drift_little_changes(template, supports):
    y, _ = draw(template, supports, 400, np.random.default_rng(2))
    found = fit_template(y, template, supports, np.ones(N, dtype=bool), rings=1)
    assert found.rotation_deg == 0.0
    assert np.abs(found.template.mixing - template.mixing).max() < 0.1


def test_channels_that_do_not_count_keep_their_template(template, supports):
    y, _ = draw(template, supports, 100, np.random.default_rng(3))
    keep = np.arange(N) != 5
    y[:, 5] = 1e6
    found = fit_template(y, template, supports, keep)
    np.testing.assert_array_equal(found.template.mixing[5], template.mixing[5])
    assert found.gain[5] == 1.0
    assert np.abs(found.template.mixing - template.mixing).max() < 0.3


def test_a_template_of_labelled_examples_is_least_squares(template):
    rng = np.random.default_rng(4)
    x = rng.uniform(-1.0, 1.0, (500, D))
    amplitudes = template.amplitudes(halves_of(x))
    found = learn_template(amplitudes, x, template.rest, np.hstack([amplitudes, x]))
    np.testing.assert_allclose(found.mixing, template.mixing, atol=1e-4)


def test_plausibility_is_a_mean_of_mixtures_with_a_floor():
    reference = Reference(
        *(np.ones(N) for _ in range(4)),
        amplitude=np.array([0.7, 0.2]),
        active_share=np.array([0.3]),
        rest_spread=np.array([0.05]),
        patterns=np.zeros((0, 2 * D)),
        use=np.full(2 * D, 0.1),
        rings=np.zeros(1),
    )
    x = np.array([[0.0, -0.7, 0.1], [5.0, 0.6, 0.0]])
    sd = np.hypot(0.2, 0.1)
    each = np.log(0.3 * norm.pdf(np.abs(x), 0.7, sd) + 0.7 * norm.pdf(x, 0.0, 0.1))
    expected = np.maximum(each, -8.0).sum(axis=1).mean()
    assert plausibility(x, reference) == pytest.approx(expected, rel=1e-12)
    assert np.isnan(plausibility(np.zeros((0, D)), reference))


def test_every_pair_is_there_once(supports):
    assert len(set(supports.members)) == len(supports.members)
    for a, b in itertools.combinations(range(2 * D), 2):
        assert ((a, b) in supports.members) == (a % D != b % D)
