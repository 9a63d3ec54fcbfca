"""Metrics and cross-validation."""
