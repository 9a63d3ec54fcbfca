"""Publishes raw EMG from devices, files and a synthetic arm."""
