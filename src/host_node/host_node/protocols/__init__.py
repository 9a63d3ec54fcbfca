"""Bytes of the devices, in plain Python."""
