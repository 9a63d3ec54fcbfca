"""Movements and plateaus of `x_hat`, published on /decoder/movement."""

from __future__ import annotations

import importlib.util

import numpy as np
from builtin_interfaces.msg import Time
from emghand_interfaces.msg import MovementEvent
from numpy.typing import NDArray
from rclpy.node import Node

from emghand.dofs import dof_names
from emghand.storage.models import Model
from emghand_ros import qos
from emghand_ros.conversions import to_field


class Movements:
    """Runs the detector beside the decoder.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(MovementEvent, "decoder/movement", qos.EVENT)
        self._detector = None
        self._dofs: list[str] = []

    def configure(self, model: Model) -> None:
        """Detect in the estimates of a model from now on, from nothing."""
        if importlib.util.find_spec("emghand.adapt.detector") is None:
            return
        from emghand.adapt.detector import DetectorSettings, MovementDetector

        self._dofs = list(dof_names(model.dofs))
        self._detector = MovementDetector(DetectorSettings(), len(self._dofs), model.tick_rate)

    def after_tick(self, stamp: Time, tick: int, x_hat: NDArray[np.float64], quiet: bool) -> None:
        """Take an estimate; publish what became known with it."""
        if self._detector is None:
            return
        for segment in self._detector.step(tick, x_hat, quiet):
            message = MovementEvent(
                kind=segment.kind,
                t0_tick=segment.t0_tick,
                t1_tick=segment.t1_tick,
                dofs=self._dofs,
                x0=to_field(segment.x0),
                x_f=to_field(segment.x_f),
                moving=segment.moving.tolist(),
            )
            message.header.stamp = stamp
            self._publisher.publish(message)
