"""Synthetic EMG and a simulated glove."""

from emghand.simulate.emg import SyntheticEmg
from emghand.simulate.glove import SyntheticGlove
from emghand.simulate.intention import Intention
from emghand.simulate.session import simulate_recording
from emghand.simulate.settings import SyntheticSettings

__all__ = ["Intention", "SyntheticEmg", "SyntheticGlove", "SyntheticSettings", "simulate_recording"]
