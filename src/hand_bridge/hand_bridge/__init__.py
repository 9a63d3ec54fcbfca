"""Moves a MuJoCo hand or a serial servo hand, safely."""
