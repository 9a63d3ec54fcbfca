"""Devices with ports, one file each."""
