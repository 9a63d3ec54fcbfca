"""Python client of a running graph. The only part of `emghand` that uses ROS, inside functions."""

from emghand.client.graph import GraphClient, Progress

__all__ = ["GraphClient", "Progress"]
