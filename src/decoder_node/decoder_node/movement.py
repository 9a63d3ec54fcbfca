"""Movements and plateaus of `x_hat`, published on /decoder/movement."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from emghand_interfaces.msg import MovementEvent
from numpy.typing import NDArray
from rclpy.node import Node

from emghand.adapt.detector import DetectorSettings, MovementDetector
from emghand.dofs import dof_names
from emghand.storage.models import Model
from emghand_ros import qos
from emghand_ros.conversions import to_field
from emghand_ros.parameters import SettingsParameters


class Movements:
    """Runs the detector beside the decoder.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(MovementEvent, "decoder/movement", qos.EVENT)
        self._settings = SettingsParameters(node, DetectorSettings, "movement", self._change)
        self._detector: MovementDetector | None = None
        self._dofs: list[str] = []
        self._tick_rate = 0.0

    def configure(self, model: Model) -> None:
        """Detect in the estimates of a model from now on, from nothing."""
        self._dofs, self._tick_rate = list(dof_names(model.dofs)), model.tick_rate
        self._start(self._settings.value)

    def _change(self, settings: DetectorSettings) -> None:
        if self._dofs:
            self._start(settings)

    def _start(self, settings: DetectorSettings) -> None:
        self._detector = MovementDetector(settings, len(self._dofs), self._tick_rate)

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
