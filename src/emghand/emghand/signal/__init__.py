"""Filters, channels, windows and features, causal and streaming."""
