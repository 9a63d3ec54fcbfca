"""Byte protocols of data gloves: bytes in, sensor values out, no port and no clock."""
