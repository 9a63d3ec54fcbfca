"""The chain as a whole: order, settings per DOF, faults, snapshots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emghand.control.chain import OutputChain
from emghand.control.settings import STEPS, OutputSettings
from emghand.dofs import Dof
from emghand.errors import UserError
from emghand.settings import SettingsError, from_mapping

DOFS = (Dof("index_flex"), Dof("wrist_flex"), Dof("grip", 0.0, 1.0))
RATE = 62.5
PASS = OutputSettings(latch=("off",), dead_zone=("off",), speed_limit=(0.0,))
BUSY = OutputSettings(
    latch=("plain", "leaky", "off"),
    dead_zone=("hard", "rescale", "off"),
    dead_zone_hysteresis=True,
    mode=("position", "velocity", "leaky"),
    tie=("", "index_flex", ""),
    relax_pos=(0.1, 0.0, 0.2),
)
signals = arrays(np.float64, (50, 3), elements=st.floats(-2.0, 2.0))


def run(chain, signal):
    return np.array([chain.step(x) for x in signal])


@given(signals)
def test_everything_off_only_clips(signal):
    expected = np.clip(signal, [-1, -1, 0], 1)
    np.testing.assert_array_equal(run(OutputChain(PASS, DOFS, RATE), signal), expected)


@given(signals)
@settings(max_examples=30)
def test_output_stays_in_range_and_under_the_speed_limit(signal):
    for chosen in (OutputSettings(), BUSY):
        chain = OutputChain(chosen, DOFS, RATE)
        rest = chain.step(np.zeros(3))
        out = np.vstack([rest, run(chain, signal)])
        assert (out >= [-1, -1, 0]).all()
        assert (out <= 1).all()
        assert np.abs(np.diff(out, axis=0)).max() <= 5.0 / RATE * (1 + 1e-9)


@given(st.integers(0, 49), st.sampled_from([np.nan, np.inf, -np.inf, 1e200]), st.integers(0, 2))
@settings(max_examples=30)
def test_a_bad_estimate_yields_nothing_and_changes_nothing(at, bad, dof):
    signal = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    clean, hit = OutputChain(BUSY, DOFS, RATE), OutputChain(BUSY, DOFS, RATE)
    for i, x in enumerate(signal):
        if i == at:
            x_bad = x.copy()
            x_bad[dof] = bad
            assert hit.step(x_bad) is None
            assert hit.step(x[:2]) is None
        np.testing.assert_array_equal(hit.step(x), clean.step(x))


@pytest.mark.parametrize("at", [0, 1, 30])
def test_a_snapshot_continues_bit_for_bit(at):
    signal = np.random.default_rng(1).uniform(-1, 1, (80, 3))
    first = OutputChain(BUSY, DOFS, RATE)
    run(first, signal[:at])
    second = OutputChain(BUSY, DOFS, RATE)
    run(second, signal[50:])
    second.restore(first.snapshot())
    np.testing.assert_array_equal(run(first, signal[at:]), run(second, signal[at:]))


def test_a_snapshot_of_other_settings_is_refused():
    with pytest.raises(UserError, match="other settings"):
        OutputChain(BUSY, DOFS, RATE).restore(OutputChain(PASS, DOFS, RATE).snapshot())
    with pytest.raises(UserError, match="another shape"):
        OutputChain(PASS, DOFS, RATE).restore(OutputChain(PASS, DOFS[:2], RATE).snapshot())


def test_reset_starts_from_rest():
    chain = OutputChain(BUSY, DOFS, RATE)
    signal = np.random.default_rng(2).uniform(-1, 1, (40, 3))
    first = run(chain, signal)
    chain.reset()
    np.testing.assert_array_equal(run(chain, signal), first)


def test_each_dof_has_its_own_filters():
    chain = OutputChain(
        OutputSettings(
            latch=("off",),
            dead_zone=("hard", "off", "rescale"),
            dead_zone_positive=(0.5,),
            mode=("position", "velocity", "position"),
            speed_limit=(0.0,),
        ),
        DOFS,
        50.0,
    )
    np.testing.assert_allclose(chain.step(np.array([0.4, 0.4, 0.75])), [0.0, 0.008, 0.5])
    np.testing.assert_allclose(chain.step(np.array([0.6, 0.4, 0.75])), [0.6, 0.016, 0.5])


def test_a_locked_dof_reaches_its_value_whatever_the_later_steps_are():
    chain = OutputChain(
        OutputSettings(
            lock=(True,),
            lock_value=(0.03, 0.5, 0.2),
            latch=("plain",),
            dead_zone=("rescale",),
            mode=("velocity",),
        ),
        DOFS,
        RATE,
    )
    out = run(chain, np.random.default_rng(0).uniform(-1, 1, (60, 3)))
    np.testing.assert_array_equal(out[-1], [0.03, 0.5, 0.2])


def test_a_dof_tied_to_a_locked_one_is_held_with_it():
    chosen = OutputSettings(
        lock=(True, False, False), lock_value=(0.05,), tie=("", "index_flex", "")
    )
    out = run(OutputChain(chosen, DOFS, RATE), np.ones((60, 3)))
    np.testing.assert_array_equal(out[-1], [0.05, 0.05, 1.0])


def test_relaxed_hand_rests_at_relax_pos_from_the_first_tick():
    chain = OutputChain(OutputSettings(relax_pos=(0.1, -0.2, 0.3)), DOFS, RATE)
    np.testing.assert_allclose(chain.step(np.zeros(3)), [0.1, -0.2, 0.3])


def test_feedback_of_the_output_raises_the_smallest_input_that_moves_the_hand():
    """The cube root of th / C, 0.46 here; with its own state the latch moves from th on."""

    def moves(x, feedback):
        chosen = OutputSettings(
            latch=("plain",),
            latch_feedback=feedback,
            dead_zone=("hard",),
            dead_zone_positive=(0.1,),
        )
        chain = OutputChain(chosen, (Dof("index_flex"),), 30.0)
        return any(chain.step(np.array([x]))[0] > 0 for _ in range(20000))

    assert not moves(0.46, "output")
    assert moves(0.47, "output")
    assert moves(0.13, "own")


def test_the_order_is_configurable():
    ordered = ("dead_zone", "gain", *STEPS[3:4], "latch", "relax", "speed_limit", "clip")
    chosen = OutputSettings(
        order=ordered,
        gain_positive=(5.0,),
        dead_zone=("hard",),
        dead_zone_positive=(0.2,),
        latch=("off",),
        speed_limit=(0.0,),
    )
    first = OutputChain(chosen, DOFS, RATE).step(np.full(3, 0.1))
    default = from_mapping(OutputSettings, {**vars(chosen), "order": STEPS})
    np.testing.assert_array_equal(first, np.zeros(3))
    np.testing.assert_array_equal(OutputChain(default, DOFS, RATE).step(np.full(3, 0.1)), [0.5] * 3)


def test_new_settings_move_the_output_no_faster_than_the_speed_limit():
    old = OutputChain(OutputSettings(latch=("off",)), DOFS, RATE)
    before = run(old, np.ones((100, 3)))[-1]
    new = OutputChain(OutputSettings(gain_positive=(0.0,), latch=("off",)), DOFS, RATE)
    new.adopt(old)
    np.testing.assert_allclose(before - new.step(np.ones(3)), np.full(3, 5.0 / RATE))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"order": STEPS[:-1]}, "name each step once"),
        ({"order": ("clip", *STEPS[:-1])}, "clip must be the last"),
        ({"gain_positive": (1.0, 2.0)}, "gain_positive: has 2 values, give 1 or 3"),
        ({"gain_positive": (float("nan"),)}, "gain_positive"),
        ({"latch": ("soft",)}, "latch: 'soft' is unknown"),
        ({"dead_zone_positive": (1.0,)}, "dead_zone_positive"),
        ({"tie": ("elbow", "", "")}, "unknown DOF elbow"),
        ({"tie": ("index_flex", "", "")}, "not tied itself"),
        ({"tie": ("wrist_flex", "index_flex", "")}, "not tied itself"),
        ({"tie": ("", "index_flex", ""), "lock": (False, True, False)}, "is locked"),
        ({"relax_pos": (2.0,)}, "relax_pos"),
        (
            {"dead_zone_hysteresis": True, "dead_zone_negative": (0.0,)},
            "dead_zone_hysteresis: needs dead_zone_positive and",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, match):
    with pytest.raises(SettingsError, match=match):
        OutputChain(from_mapping(OutputSettings, changes), DOFS, RATE)
