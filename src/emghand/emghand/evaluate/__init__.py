"""Measures, cross-validation, and models on recordings."""
