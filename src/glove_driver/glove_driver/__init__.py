"""Publishes hand kinematics from data gloves, files and a synthetic glove."""
