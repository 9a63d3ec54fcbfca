"""Many tasks on all cores or on a cluster, stored as they end, resumed where they stopped."""
