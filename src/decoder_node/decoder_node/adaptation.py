"""Adaptation of the running decoder: parameters, events, undo."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time
from emghand_interfaces.msg import AdaptationEvent
from numpy.typing import NDArray
from std_srvs.srv import Trigger

from decoder_node.surroundings import Surroundings
from emghand.adapt.live import Adaptation, Exchange, Notice, RunningModel
from emghand.adapt.memory import EXTENSION, MemorySettings
from emghand.adapt.messages import Outcome, Setup
from emghand.adapt.registry import RuleOptions, rule_for
from emghand.adapt.settings import AdaptationSettings
from emghand.adapt.worker import InProcess, Worker, WorkerProcess
from emghand.control.decoder_pipeline import Decoded, DecoderPipeline
from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.storage.models import ADAPTED
from emghand_ros import qos
from emghand_ros.background import run_in_thread
from emghand_ros.conversions import to_field
from emghand_ros.node import EmghandNode
from emghand_ros.parameters import SettingsParameters

POLL_S = 0.1
TURN_S = 0.02
SILENCE_S = 1.0

NEW_WORKER = ("enabled", "limit_s", "memory_mb")
NEW_SETUP = (
    "mode", "margin", "labels", "moving_dofs_only", "memory", "memory_ticks", "update_s",
    "window_s", "folder",
)  # fmt: skip


class LiveAdaptation:
    """`emghand.adapt.live.Adaptation` within decoder_node.

    All of it runs in the executor's thread, between two ticks.

    Parameters
    ----------
    node : EmghandNode
    exchange : callable
        Lets a model take over; see `Exchange`.
    surroundings : Surroundings
    """

    def __init__(self, node: EmghandNode, exchange: Exchange, surroundings: Surroundings) -> None:
        self._node = node
        self._exchange = exchange
        self._surroundings = surroundings
        self._parameters = SettingsParameters(node, AdaptationSettings, "adaptation", self._change)
        self._settings = self._parameters.value
        self._adaptation: Adaptation | None = None
        self._channels: list[str] = []
        self._dofs: tuple[str, ...] = ()
        self._busy = False
        self._heard = 0.0
        self._stamp = Time()
        self._off = "adaptation.enabled is false"
        self._events = node.create_publisher(AdaptationEvent, "decoder/adaptation", qos.HISTORY)
        node.create_service(Trigger, "~/undo_adaptation", self._on_undo)
        node.create_timer(POLL_S, self._poll)

    def calibrated(
        self, running: RunningModel, features: Sequence[str], pipeline: DecoderPipeline
    ) -> None:
        """A person chose this model: what adaptation starts from, and goes back to.

        `features` are the names of its features.
        """
        self.forget()
        settings = self._settings
        self._adaptation = Adaptation(pipeline, running, self._exchange, settings, self._publish)
        self._channels = list(features)
        self._dofs = dof_names(running.model.dofs)
        self.look_around()
        self._start()

    def forget(self) -> None:
        """There is no model any more."""
        if self._adaptation is not None:
            self._adaptation.stop()
        self._adaptation = None

    def after_tick(self, stamp: Time, z: NDArray[np.float64], tick: int, decoded: Decoded) -> None:
        """Take what was decoded, after it was published."""
        self._stamp = stamp
        now = time.monotonic()
        silent = now - self._heard
        first, self._heard = not self._heard, now
        if self._adaptation is None:
            return
        if silent > SILENCE_S:
            self._adaptation.missed(0.0 if first else silent)
            self.look_around()
        x_d = self._surroundings.x_d(self._dofs) if self._supervised else None
        self._guarded(lambda adaptation: adaptation.after_tick(z, tick, decoded, x_d))

    def look_around(self) -> None:
        """Pause or go on, as the surroundings are now."""
        if self._adaptation is None:
            return
        cause = self._surroundings.hold(self._settings.need_hand, self._supervised)
        if not self._node.active or time.monotonic() - self._heard > SILENCE_S:
            cause = "no features come"
        self._adaptation.hold(cause)

    def memory_setup(self) -> tuple[Setup, str]:
        """Where the replay memory is, and the id of the model it belongs to.

        Raises
        ------
        UserError
            When there is none.
        """
        if self._adaptation is None:
            raise UserError("no model is loaded")
        setup = self._setup(self._adaptation.calibration)
        if setup.memory is None:
            raise UserError(
                "there is no replay memory: set adaptation.mode to relabel and adaptation.memory "
                "to true"
            )
        return setup, self._adaptation.calibration.model.model_id

    async def without_worker(self, work: Callable[[], None], worker: Worker | None = None) -> None:
        """Do something while no worker runs; after it a new one starts, if one is wanted.

        One thing at a time: what is asked for meanwhile waits for its turn.

        Parameters
        ----------
        work : callable
            Runs in a thread; what it raises is raised.
        worker : Worker, optional
            One that was stopped already, and may not have ended yet.
        """
        while self._busy:
            await run_in_thread(self._node, lambda: time.sleep(TURN_S))
        self._busy = True
        adaptation = self._adaptation
        workers = [worker, adaptation.worker if adaptation is not None else None]

        def wait_and_work() -> None:
            for ending in workers:
                if ending is not None:
                    ending.join()
            work()

        if adaptation is not None:
            adaptation.stop()
        try:
            await run_in_thread(self._node, wait_and_work)
        finally:
            self._busy = False
            self._start()

    def diagnose(self) -> dict[str, object]:
        """What adaptation is at, for /diagnostics."""
        adaptation = self._adaptation
        if adaptation is None or adaptation.worker is None:
            return {"adaptation": f"off: {self._off}"}
        state = f"paused: {adaptation.paused}" if adaptation.paused else "on"
        if adaptation.waiting:
            state += ", a model waits for rest"
        return {"adaptation": state, "adaptation_dropped": adaptation.worker.dropped}

    def _guarded(self, step: Callable[[Adaptation], None]) -> None:
        """Whatever is wrong with adaptation, the decoder goes on without it."""
        assert self._adaptation is not None
        try:
            step(self._adaptation)
        except Exception as error:
            traceback.print_exc()
            self._adaptation.stop()
            self._off = f"it failed: {error!r}"
            self._publish(Notice("failed", self._adaptation.tick, f"adaptation is off: {error!r}"))

    def _start(self) -> None:
        """Adapt, if that is wanted and possible."""
        adaptation = self._adaptation
        if adaptation is None or self._busy:
            return
        adaptation.stop()
        self._off = "adaptation.enabled is false"
        if not self._settings.enabled:
            return
        try:
            adaptation.start(self._worker(self._setup(adaptation.calibration)))
        except UserError as error:
            self._off = str(error)
            self._node.get_logger().warning(f"adaptation is off: {error}")
            self._publish(Notice("reference", adaptation.tick, f"adaptation is off: {error}"))

    @property
    def _supervised(self) -> bool:
        return self._settings.mode == "supervised"

    def _setup(self, calibration: RunningModel) -> Setup:
        settings = self._settings
        options = RuleOptions(
            settings.mode, settings.margin, settings.labels, settings.moving_dofs_only
        )
        remember = settings.memory and settings.mode == "relabel"
        return Setup(
            rule_for(calibration.uri, options),
            calibration.model.tick_rate,
            settings.update_s,
            settings.window_s,
            str(self._folder(calibration)),
            Path(calibration.uri).stem,
            MemorySettings(max_ticks=settings.memory_ticks) if remember else None,
        )

    def _folder(self, calibration: RunningModel) -> Path:
        return Path(self._settings.folder or Path(calibration.uri).parent / ADAPTED)

    def _memory_file(self, calibration: RunningModel) -> Path:
        return self._folder(calibration) / (Path(calibration.uri).stem + EXTENSION)

    def _worker(self, setup: Setup) -> Worker:
        if self._settings.wait:
            return InProcess(setup)
        return WorkerProcess(setup, self._settings.limit_s, self._settings.memory_mb)

    def _change(self, new: AdaptationSettings) -> None:
        old, self._settings = self._settings, new
        adaptation = self._adaptation
        if adaptation is None:
            return
        adaptation.settings = new
        if _differ(old, new, NEW_WORKER):
            self._start()
        elif adaptation.worker is not None and _differ(old, new, NEW_SETUP):
            try:
                adaptation.worker.change(self._setup(adaptation.calibration))
            except UserError:
                self._start()
        self.look_around()

    async def _on_undo(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._adaptation is None:
            response.message = "no model is loaded"
            return response
        worker, calibration = self._adaptation.worker, self._adaptation.calibration
        try:
            self._adaptation.undo()
        except UserError as error:
            response.message = str(error)
            return response
        off = dataclasses.replace(self._settings, enabled=False)
        self._parameters.apply(off)
        self._settings = off
        self._off = "undone; set adaptation.enabled to adapt again"
        response.success = True
        response.message = "the calibration decoder takes over; adaptation is off"
        if self._settings.memory:
            # Its labels are those of the decoders that were undone.
            memory = self._memory_file(calibration)
            try:
                await self.without_worker(lambda: memory.unlink(missing_ok=True), worker)
            except OSError as error:
                response.message += f"; the replay memory cannot be erased: {error}"
                self._node.get_logger().error(response.message)
        return response

    def _poll(self) -> None:
        if self._adaptation is not None:
            self.look_around()
            self._guarded(lambda adaptation: adaptation.poll())

    def _publish(self, notice: Notice) -> None:
        message = AdaptationEvent(tick=notice.tick, kind=notice.kind, cause=notice.cause)
        message.header.stamp = self._stamp
        message.score_before = message.score_after = float("nan")
        message.global_gain = 1.0
        if notice.outcome is not None:
            self._tell(message, notice.outcome)
        if notice.model is not None:
            message.model_id = notice.model.model.model_id
            message.uri = notice.model.uri
        self._events.publish(message)
        text = f"adaptation {notice.kind}: {notice.cause}"
        if notice.kind == "failed":
            self._node.get_logger().warning(text)
        else:
            self._node.get_logger().info(text)

    def _tell(self, message: AdaptationEvent, outcome: Outcome) -> None:
        message.rule, message.chosen = outcome.rule, outcome.chosen
        message.candidates = [s.name for s in outcome.scores]
        message.scores = to_field(np.array([s.plausibility for s in outcome.scores]))
        message.score_before, message.score_after = outcome.score_before, outcome.score_after
        message.model_id, message.uri = outcome.model_id, outcome.uri
        changes = outcome.changes
        message.channels = self._channels
        message.gain = to_field(changes.gain)
        message.dead = changes.dead.tolist()
        message.baseline = to_field(changes.baseline)
        message.global_gain = float(changes.global_gain)
        message.rotation_deg = float(changes.rotation_deg)


def _differ(a: AdaptationSettings, b: AdaptationSettings, names: tuple[str, ...]) -> bool:
    return any(getattr(a, name) != getattr(b, name) for name in names)
