"""Decoders: from feature vectors to DOF estimates."""
