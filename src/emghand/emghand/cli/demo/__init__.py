"""The demonstration: ordinary commands one after the other, and a summary."""
