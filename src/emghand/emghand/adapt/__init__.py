"""Adaptation to drift while the hand is simply used."""
