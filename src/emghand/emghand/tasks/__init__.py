"""Movements and the trajectories that prompt them."""
