"""Python client of a running graph. The only part of `emghand` that uses ROS, inside functions."""

from emghand.client.graph import GraphClient, Progress
from emghand.client.session import Session
from emghand.client.steps import Done, Step

__all__ = ["Done", "GraphClient", "Progress", "Session", "Step"]
