"""Synthetic EMG and a simulated glove."""
