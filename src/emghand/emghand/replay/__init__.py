"""Recomputes from a bag what the nodes published live, and compares it bit for bit."""

from emghand.replay.check import Comparison, ReplayReport, check_bag

__all__ = ["Comparison", "ReplayReport", "check_bag"]
