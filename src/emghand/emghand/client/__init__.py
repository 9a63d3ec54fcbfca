"""Python client of a running graph. The only part of `emghand` that uses ROS, inside functions."""

from emghand.client.graph import GraphClient, Progress
from emghand.client.session import Done, Session, Step

__all__ = ["Done", "GraphClient", "Progress", "Session", "Step"]
