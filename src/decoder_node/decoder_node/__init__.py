"""Raw EMG to features, features to DOF estimates."""
