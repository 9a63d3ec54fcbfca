"""Action servers for collecting, testing and training."""
