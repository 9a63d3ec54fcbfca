"""Sessions, models, recordings and bags on disk."""
