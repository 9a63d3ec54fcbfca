"""The built-in hand as MJCF, and its mapping."""
