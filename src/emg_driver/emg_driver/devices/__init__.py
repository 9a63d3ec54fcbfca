"""EMG devices: one module each, found by name. See `docs/devices.md` for adding one."""
