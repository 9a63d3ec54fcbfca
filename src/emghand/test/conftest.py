"""Settings of all tests of the core."""

from hypothesis import settings

# A busy machine must not fail a test.
settings.register_profile("emghand", deadline=None)
settings.load_profile("emghand")
