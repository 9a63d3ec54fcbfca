"""perturbation_node: disturbs raw EMG and estimates in the trials that ask for it.

It stands between driver and features, and between decoder and hand: they are remapped to
`emg/clean` and `perturbed/out_x_hat` (``launch/task.launch.yaml``). What it passes on is what the
rest of the graph hears and the recorder records; the undisturbed topics are recorded as well.

The bridge still sees who commands the hand: the estimates of every sender leave by a publisher of
their own, so that a second one is refused, and one that was restarted needs a hand that is armed
again, as they would be without this node.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import EmgFrame, EmgInfo, FeatureInfo, TrialResult, TrialSpec
from rclpy.executors import SingleThreadedExecutor
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from emghand.errors import UserError
from emghand.tasks.perturbation import (
    EmgPerturber,
    EstimatePerturber,
    Perturbation,
    definitions_digest,
)
from emghand_ros import qos
from emghand_ros.clock import steady_ns
from emghand_ros.conversions import (
    MessageError,
    emg_from_ros,
    stream_from_ros,
    time_to_ns,
    to_field,
)
from emghand_ros.node import EmghandNode, run
from emghand_ros.senders import has_left, sender_of
from emghand_ros.task_messages import perturbations_from_text, spec_from_ros

ESTIMATES = "decoder/out_x_hat"

GRACE_S = 4.0
"""So long after the time limit of its trial a perturbation ends by itself, if nobody ends it."""

SILENCE_NS = 200_000_000
"""What was estimated before a longer silence is over: it must not reach the hand later."""


@dataclass
class Relay:
    """The way of one sender's estimates to the hand."""

    out: Publisher
    dofs: tuple[str, ...] = ()
    perturber: EstimatePerturber | None = None
    last_ns: int = 0
    problem: str = ""


class PerturbationNode(EmghandNode):
    """Thin node around `emghand.tasks.perturbation`.

    What exists is told on ``session/perturbations``, which are in force on ``session/spec``, from
    the trial's start to its result on ``session/trial``. ``perturbation/state`` says what is known
    and what is in force. Without a trial every message passes as it is.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("perturbation_node", **kwargs)
        self._definitions: tuple[Perturbation, ...] = ()
        self._emg: EmgPerturber | None = None
        self._relays: dict[str, Relay] = {}
        self._info: EmgInfo | None = None
        self._tick_rate = 0.0
        self._labels: tuple[str, ...] = ()
        self._seed = 0
        self._until_ns = 0
        self._of = ""
        self._malformed = self._emg_problem = self._trial_problem = ""
        self._counts = {"frames": 0, "estimates": 0, "perturbed_trials": 0}

        self._frames = self.create_publisher(EmgFrame, "emg/raw", qos.EMG)
        self._states = self.create_publisher(String, "perturbation/state", qos.LATCHED)
        self.create_subscription(EmgInfo, "emg/info", self._on_info, qos.LATCHED)
        self.create_subscription(FeatureInfo, "features/info", self._on_features, qos.LATCHED)
        self.create_subscription(EmgFrame, "emg/clean", self._on_frame, qos.EMG)
        # No backlog: what is late must not reach the hand as if it were new.
        self.create_subscription(JointState, ESTIMATES, self._on_estimate, qos.COMMAND)
        self.create_subscription(String, "session/perturbations", self._on_definitions, qos.LATCHED)
        self.create_subscription(TrialSpec, "session/spec", self._on_spec, qos.EVENT)
        self.create_subscription(TrialResult, "session/trial", self._on_result, qos.EVENT)
        self.create_timer(0.1, self._end_overdue)
        self.create_timer(1.0, self._forget_senders)

    def activate(self) -> None:
        """Pass messages on."""
        self._tell()

    def deactivate(self) -> None:
        """Pass nothing on: the hand's watchdog sends it to rest."""
        self._switch((), 0)

    # What exists, and what is in force.

    def _on_definitions(self, message: String) -> None:
        self._switch((), 0)
        self._malformed = self._trial_problem = ""
        try:
            self._definitions = perturbations_from_text(message.data)
        except MessageError as error:
            self._definitions, self._malformed = (), str(error)
        self._of = definitions_digest(self._definitions)
        self._prepare_emg()
        for relay in self._relays.values():
            self._prepare_estimate(relay)
        self._tell()

    def _on_info(self, info: EmgInfo) -> None:
        if info != self._info:
            self._info = info
            self._prepare_emg()
            self._tell()

    def _on_features(self, info: FeatureInfo) -> None:
        rate = info.rate / max(info.hop, 1)
        if math.isfinite(rate) and rate != self._tick_rate:
            self._tick_rate = rate
            for relay in self._relays.values():
                self._prepare_estimate(relay)
            self._tell()

    def _prepare_emg(self) -> None:
        self._emg, self._emg_problem = None, ""
        if self._info is None:
            return
        stream = stream_from_ros(self._info)
        try:
            self._emg = EmgPerturber(self._definitions, stream.n_channels, stream.rate)
        except UserError as error:
            self._emg_problem = str(error)
            return
        self._emg.activate(self._labels, self._seed)

    def _prepare_estimate(self, relay: Relay) -> None:
        relay.perturber, relay.problem = None, ""
        if not relay.dofs or self._tick_rate <= 0:
            return
        try:
            relay.perturber = EstimatePerturber(self._definitions, relay.dofs, self._tick_rate)
        except UserError as error:
            relay.problem = str(error)
            return
        relay.perturber.activate(self._labels)

    def _on_spec(self, message: TrialSpec) -> None:
        try:
            spec = spec_from_ros(message)
        except MessageError as error:
            self._trial_problem = str(error)
            self._tell()
            return
        known = {p.label for p in self._definitions}
        unknown = [label for label in spec.perturbations if label not in known]
        if unknown:
            problem = f"trial {spec.trial} asks for {unknown[0]}, which nobody has defined"
            self._trial_problem = problem
            self.get_logger().error(problem)
            self._tell()
        self._until_ns = steady_ns() + round((spec.time_limit + GRACE_S) * 1e9)
        self._switch(tuple(n for n in spec.perturbations if n in known), spec.seed)
        self._counts["perturbed_trials"] += bool(self._labels)

    def _on_result(self, message: TrialResult) -> None:
        if message.task:
            self._switch((), 0)

    def _end_overdue(self) -> None:
        if self._labels and steady_ns() > self._until_ns:
            self.get_logger().warning("a trial has no result: its perturbations end here")
            self._switch((), 0)

    def _switch(self, labels: tuple[str, ...], seed: int) -> None:
        changed = labels != self._labels
        self._labels, self._seed = labels, seed
        if self._emg is not None:
            self._emg.activate(labels, seed)
        for relay in self._relays.values():
            if relay.perturber is not None:
                relay.perturber.activate(labels)
        if changed:
            self._tell()

    @property
    def _problem(self) -> str:
        """Why perturbations are not as they should be; empty: they are."""
        of_relays = [relay.problem for relay in self._relays.values()]
        found = (self._malformed, self._emg_problem, *of_relays, self._trial_problem)
        return next(filter(None, found), "")

    def _tell(self) -> None:
        state = {
            "of": self._of,
            "known": [p.label for p in self._definitions],
            "active": list(self._labels),
            "problem": self._problem,
        }
        self._states.publish(String(data=json.dumps(state)))

    # The signal paths.

    def _on_frame(self, frame: EmgFrame) -> None:
        if not self.active:
            return
        self._counts["frames"] += 1
        if self._labels and self._emg is not None and frame.n_channels == self._emg.n_channels:
            # What makes no sense passes as it is: feature_node refuses it with the reason.
            with contextlib.suppress(MessageError):
                samples = self._emg.push(emg_from_ros(frame))
                frame.data = to_field(samples, np.float32)
        self._frames.publish(frame)

    def _on_estimate(self, message: JointState, info: dict[str, Any]) -> None:
        if not self.active:
            return
        self._counts["estimates"] += 1
        sender = sender_of(self, ESTIMATES, info)
        if sender not in self._relays:
            out = self.create_publisher(JointState, "perturbed/out_x_hat", qos.TICK)
            self._relays[sender] = Relay(out)
        relay = self._relays[sender]
        if tuple(message.name) != relay.dofs:
            relay.dofs = tuple(message.name)
            self._prepare_estimate(relay)
            self._tell()
        stamp_ns = time_to_ns(message.header.stamp)
        x = np.array(message.position, np.float64)
        # What is no estimate passes as it is: the bridge refuses it and counts it.
        if relay.perturber is not None and len(x) == len(relay.dofs) and np.isfinite(x).all():
            if not 0 < stamp_ns - relay.last_ns <= SILENCE_NS:
                relay.perturber.reset()
            relay.last_ns = stamp_ns
            message.position = to_field(relay.perturber.step(x))
        relay.out.publish(message)

    def _forget_senders(self) -> None:
        for sender in [s for s in self._relays if has_left(self, ESTIMATES, s)]:
            self.destroy_publisher(self._relays.pop(sender).out)
            self._tell()

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What is in force, and what went wrong."""
        values: dict[str, object] = {**self._counts, "active": " ".join(self._labels)}
        if not self.active:
            return DiagnosticStatus.WARN, "inactive: nothing passes", values
        if self._problem:
            return DiagnosticStatus.ERROR, self._problem, values
        return DiagnosticStatus.OK, "perturbing" if self._labels else "passing", values


def main() -> None:
    """Run the node."""
    sys.exit(run([PerturbationNode], executor_type=SingleThreadedExecutor))


if __name__ == "__main__":
    main()
