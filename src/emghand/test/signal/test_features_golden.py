"""Features against those of libemg, from a file of inputs and outputs made with that library.

``golden/libemg.json`` holds 512 samples of three channels of band-passed noise, and what libemg
2.0.3 (with librosa 0.11.0 and numpy 1.26.4) makes of three windows of 256 samples. Where
definitions differ on purpose, the test converts:

* VAR: libemg's is about the mean and over N; ours about zero and over N - 1
* MOB: libemg divides both sums by N; ours each by its own number of values
* COMP: libemg gives sqrt(m4 / m2); ours, as Hjorth's, is that over the mobility
* WAMP: libemg counts steps above the threshold, ours also those equal to it; none is
* AR: libemg gives the coefficients of the prediction error filter; ours are the predictor's, with
  the opposite sign
* MNF, MDF: libemg pads the window to a power of two (256 is one), counts frequency 0 as much as
  the others and leaves the Nyquist frequency out; ours is the one-sided periodogram. Of band-passed
  signals MNF then agrees to 1 %, MDF to one bin.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.settings import FeatureSettings

GOLDEN = json.loads((Path(__file__).parent / "golden" / "libemg.json").read_text())
WINDOW = GOLDEN["window"]
EXACT = 1e-12


def feature(name):
    """Feature of every window and channel, shape (n_windows, n_channels)."""
    settings = FeatureSettings(
        hop=16,
        window_hops=WINDOW // 16,
        bandpass_low=0.0,
        bandpass_high=0.0,
        notch_hz=0.0,
        features=(name,),
        wamp_threshold=GOLDEN["wamp_threshold"],
    )
    x = np.array(GOLDEN["signal"])
    ticks = FeaturePipeline(settings, x.shape[1], GOLDEN["rate"]).push(x, 0)
    found = {t.last_sample + 1 - WINDOW: t.z for t in ticks}
    return np.array([found[start] for start in GOLDEN["starts"]])


def libemg(name):
    return np.array(GOLDEN["features"][name])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *(("mav", "MAV"), ("iav", "IAV"), ("rms", "RMS"), ("wl", "WL"), ("zc", "ZC")),
        *(("ssc", "SSC"), ("wamp", "WAMP"), ("activity", "ACT")),
    ],
)
def test_features_of_the_same_definition_agree_with_libemg(ours, theirs):
    np.testing.assert_allclose(feature(ours), libemg(theirs), rtol=EXACT)


def test_variance_agrees_with_libemg_but_for_the_mean():
    x = np.array(GOLDEN["signal"])
    means = np.array([x[s : s + WINDOW].mean(axis=0) for s in GOLDEN["starts"]])
    wanted = (libemg("VAR") + means**2) * WINDOW / (WINDOW - 1)
    np.testing.assert_allclose(feature("var"), wanted, rtol=EXACT)
    np.testing.assert_allclose(feature("logvar"), np.log(wanted), rtol=EXACT)


def test_hjorth_parameters_agree_with_libemg_but_for_the_counts():
    mobility = libemg("MOB") * np.sqrt(WINDOW / (WINDOW - 1))
    np.testing.assert_allclose(feature("mobility"), mobility, rtol=EXACT)
    of_steps = libemg("COMP") * np.sqrt((WINDOW - 1) / (WINDOW - 2))
    np.testing.assert_allclose(feature("complexity"), of_steps / mobility, rtol=EXACT)


def test_ar_coefficients_agree_with_libemg_but_for_the_sign():
    wanted = -libemg("AR").transpose(0, 2, 1).reshape(len(GOLDEN["starts"]), -1)
    np.testing.assert_allclose(feature("ar"), wanted, rtol=1e-9)


def test_frequencies_agree_with_libemg_but_for_the_ends_of_the_spectrum():
    np.testing.assert_allclose(feature("mnf"), libemg("MNF"), rtol=0.01)
    bin_hz = GOLDEN["rate"] / WINDOW
    np.testing.assert_allclose(feature("mdf"), libemg("MDF"), atol=1.01 * bin_hz)
