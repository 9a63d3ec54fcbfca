"""Byte protocols of EMG devices: bytes in, values out, no port and no clock."""
