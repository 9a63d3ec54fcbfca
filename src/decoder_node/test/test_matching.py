"""Which features a model can decode."""

from __future__ import annotations

import pytest

from emghand.control.matching import FeatureSpace, check_match
from emghand.errors import UserError
from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.settings import FeatureSettings


def space(names, **values):
    settings = FeatureSettings(**values)
    pipeline = FeaturePipeline(settings, len(names), 1000.0, channel_names=names)
    return FeatureSpace(pipeline.names, 1000.0, settings)


TRAINED = space(("flexor", "extensor"))


def test_another_device_fits_when_its_channels_are_given_the_names_of_the_model():
    device = ("e1", "e2", "e3")
    check_match(TRAINED, space(device, channel_map=("e3=flexor", "e1=extensor")))
    with pytest.raises(UserError, match="expects 2 features"):
        check_match(TRAINED, space(device, channel_map=("e1=extensor", "e3=flexor")))
    with pytest.raises(UserError, match="expects 2 features"):
        check_match(TRAINED, space(device))


def test_thresholds_of_the_guard_may_differ_but_no_other_setting():
    check_match(TRAINED, space(("flexor", "extensor"), guard_flat=1e-6))
    with pytest.raises(UserError, match="window_hops"):
        check_match(TRAINED, space(("flexor", "extensor"), window_hops=5))
