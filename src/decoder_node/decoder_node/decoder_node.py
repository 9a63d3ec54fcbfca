"""decoder_node: feature vectors in, `x_hat` and `out_x_hat` out."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import FeatureFrame, FeatureInfo, ModelInfo, PipelineEvent, TickTiming
from emghand_interfaces.srv import LoadModel
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from decoder_node.adaptation import LiveAdaptation
from decoder_node.journal import Journal
from decoder_node.movement import Movements
from decoder_node.replay_memory import ReplayMemoryServices
from decoder_node.settings import DecoderNodeSettings
from decoder_node.surroundings import Surroundings
from emghand.adapt.live import RunningModel
from emghand.control.announcements import model_in_force, model_info
from emghand.control.handover import decoder_of
from emghand.control.matching import FeatureSpace, check_match
from emghand.control.settings import OutputSettings
from emghand.decoders.base import Decoder
from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.pipeline import DecoderPipeline
from emghand.settings import to_json
from emghand.storage.models import Model, load_model
from emghand_ros import qos
from emghand_ros.background import run_in_thread
from emghand_ros.conversions import features_from_ros, time_to_ns, to_field
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters

SILENCE_S = 1.0

TRIAL_TICKS = 3
"""So many ticks are run with a new model; the first is slow, and others may be disturbed."""


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model that was read and tried out, a decoder to run, the features it expects, its file."""

    model: Model
    decoder: Decoder
    space: FeatureSpace
    uri: str


def load(uri: str) -> LoadedModel:
    """Read a model and run a few ticks with it, so that its first real tick is not its slowest.

    Raises
    ------
    UserError
        When it cannot be read, or needs longer for a tick than there is until the next.
    """
    model = load_model(uri)
    # Made here, so that no tick waits for it.
    decoder = decoder_of(model)
    pipeline, z = DecoderPipeline(model, None, decoder), np.zeros(model.n_features)
    fastest_s = math.inf
    for tick in range(TRIAL_TICKS):
        start = time.perf_counter()
        pipeline.step(z, tick)
        fastest_s = min(fastest_s, time.perf_counter() - start)
    if fastest_s * model.tick_rate > 1.0:
        raise UserError(
            f"model {uri}: a tick takes {fastest_s * 1e3:.3g} ms on this machine, there are "
            f"{1e3 / model.tick_rate:.3g} ms; use a smaller decoder or fewer ticks per second"
        )
    space = FeatureSpace.of_model(model)
    return LoadedModel(model, decoder, space, str(Path(uri).absolute()))


class DecoderNode(EmghandNode):
    """Thin node around `emghand.control.decoder_pipeline.DecoderPipeline`.

    It ticks when features arrive. A refused tick publishes neither `x_hat` nor `out_x_hat`: the
    bridge's watchdog then sends the hand to rest.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("decoder_node", **kwargs)
        self._own = SettingsParameters(self, DecoderNodeSettings).value
        self._output = SettingsParameters(self, OutputSettings, "output", self._change_output)
        self._keep_output = self._own.output_source == "parameters"
        self._pipeline: DecoderPipeline | None = None
        self._loaded: LoadedModel | None = None
        self._loading = False
        self._info: FeatureInfo | None = None
        self._space: FeatureSpace | None = None
        self._mismatch = ""
        self._fresh = True
        self._tick = -1
        self._missed = 0
        self._unused = 0
        self._decoded = 0
        self._worst_ns = 0
        self._heard = 0.0
        self._fault = ""
        self._out_message = JointState()
        self._raw_message = JointState()
        self._timing_message = TickTiming()

        self._outs = self.create_publisher(JointState, "decoder/out_x_hat", qos.TICK)
        self._raws = self.create_publisher(JointState, "decoder/x_hat", qos.TICK)
        self._timings = self.create_publisher(TickTiming, "decoder/timing", qos.TICK)
        self._models = self.create_publisher(ModelInfo, "decoder/model", qos.LATCHED)
        self._journal = Journal(self, "decoder")
        self._surroundings = Surroundings(self, lambda: self._adaptation.look_around())
        self._adaptation = LiveAdaptation(self, self._adapt, self._surroundings)
        ReplayMemoryServices(self, self._adaptation)
        self._movements = Movements(self)
        self.create_service(LoadModel, "~/load_model", self._on_load_model)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(Trigger, "~/snapshot", self._on_snapshot)
        self.create_subscription(FeatureInfo, "features/info", self._on_info, qos.LATCHED)
        self.create_subscription(FeatureFrame, "features", self._on_features, qos.TICK)

    def configure(self) -> None:
        """Load the model of the parameter `model`."""
        if self._own.model and self._loaded is None:
            self._install(load(self._own.model))

    def activate(self) -> None:
        """Decode from the next tick on, from rest."""
        self._fresh = True

    def cleanup(self) -> None:
        """Forget the model."""
        self._adaptation.forget()
        self._pipeline = None
        self._loaded = None

    # Models and settings: all of this runs in the executor's thread, between two ticks.

    def _install(self, loaded: LoadedModel) -> None:
        if self._space is not None:
            check_match(loaded.space, self._space)
            self._mismatch = ""
        if self._pipeline is None:
            own = self._output.value if self._keep_output else None
            self._pipeline = DecoderPipeline(loaded.model, own, loaded.decoder)
            self._fresh = True
        else:
            self._pipeline.set_model(loaded.model, decoder=loaded.decoder)
        self._loaded = loaded
        names = list(dof_names(loaded.model.dofs))
        self._out_message.name = names
        self._raw_message.name = names
        self._output.apply(self._pipeline.output)
        self._period_ticks = max(1, round(self._own.snapshot_period * loaded.model.tick_rate))
        if not self._fresh:
            self._announce(PipelineEvent.MODEL)
        self._publish_model()
        self._movements.configure(loaded.model)
        running = RunningModel(loaded.model, loaded.uri)
        self._adaptation.calibrated(running, loaded.space.names, self._pipeline)

    def _adapt(self, running: RunningModel, blend_s: float) -> None:
        """Let a model of the same features take over from the one in force."""
        assert self._pipeline is not None and self._loaded is not None
        self._pipeline.set_model(running.model, blend_s, running.decoder)
        self._loaded = dataclasses.replace(self._loaded, model=running.model, uri=running.uri)
        if not self._fresh:
            self._announce(PipelineEvent.MODEL, blend_s=blend_s)
        self._publish_model()

    def _change_output(self, settings: OutputSettings) -> None:
        if self._pipeline is None:
            self._keep_output = True
            return
        self._pipeline.set_output(settings)
        if not self._fresh:
            self._announce(PipelineEvent.OUTPUT)
        self._publish_model()

    def _announce(self, kind: str, tick: int | None = None, **detail: float) -> None:
        assert self._pipeline is not None and self._loaded is not None
        self._journal.event(
            kind,
            self._tick + 1 if tick is None else tick,
            **model_in_force(self._loaded.model, self._loaded.uri, self._pipeline.output),
            **detail,
        )

    def _publish_model(self) -> None:
        assert self._pipeline is not None and self._loaded is not None
        loaded, output = self._loaded, self._pipeline.output
        message = ModelInfo(**model_info(loaded.model, loaded.uri, output, self._tick + 1))
        message.header.stamp = self.get_clock().now().to_msg()
        self._models.publish(message)

    async def _on_load_model(
        self, request: LoadModel.Request, response: LoadModel.Response
    ) -> LoadModel.Response:
        if self._loading:
            response.message = "another model is being loaded; try again"
            return response
        self._loading = True
        try:
            loaded = await run_in_thread(self, lambda: load(request.uri))
            self._install(loaded)
        except UserError as error:
            response.message = str(error)
            self.get_logger().error(f"model refused: {error}")
            return response
        finally:
            self._loading = False
        response.success = True
        response.model_id = loaded.model.model_id
        response.message = f"{loaded.model.decoder.kind} decoder from {loaded.uri}"
        self.get_logger().info(f"loaded {response.message}")
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._pipeline is None:
            response.message = "no model is loaded"
            return response
        self._pipeline.reset()
        self._journal.event(PipelineEvent.RESET, self._tick + 1, reason="service")
        response.success = True
        response.message = "decoder and output filters start anew from rest"
        return response

    def _on_snapshot(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._journal.snapshot_due = True
        response.success = self._pipeline is not None
        response.message = "with the next tick" if response.success else "no model is loaded"
        return response

    def _on_info(self, info: FeatureInfo) -> None:
        if info == self._info:
            return
        self._info = info
        self._fresh = True
        self._space = None
        try:
            self._space = FeatureSpace.parse(info.names, info.rate, info.settings)
            if self._loaded is not None:
                check_match(self._loaded.space, self._space)
            self._mismatch = ""
        except UserError as error:
            self._mismatch = str(error)
            self.get_logger().error(f"not decoding: {error}")

    # The tick path.

    def _on_features(self, frame: FeatureFrame) -> None:
        arrival_ns = self.get_clock().now().nanoseconds
        pipeline = self._pipeline
        if pipeline is None or self._space is None or self._mismatch or not self.active:
            self._unused += 1
            return
        tick = frame.tick
        if self._fresh or frame.reset or tick != self._tick + 1:
            self._before_irregular(pipeline, tick, frame.reset)
        start_ns = time.perf_counter_ns()
        z = features_from_ros(frame)
        decoded = pipeline.step(z, tick, frame.quality)
        end_ns = time.perf_counter_ns()
        self._tick = max(tick, self._tick)
        self._heard = time.monotonic()
        self._fault = decoded.fault or ("" if decoded.out_x_hat is not None else "output")
        if decoded.x_hat is None or decoded.out_x_hat is None:
            self._journal.event(PipelineEvent.FAULT, tick, fault=self._fault, quality=frame.quality)
            self._adaptation.after_tick(frame.header.stamp, z, tick, decoded)
            return
        stamp = frame.header.stamp
        out, raw = self._out_message, self._raw_message
        out.header.stamp = stamp
        out.position = to_field(decoded.out_x_hat)
        self._outs.publish(out)
        raw.header.stamp = stamp
        raw.position = to_field(decoded.x_hat)
        self._raws.publish(raw)
        # Nothing of what follows may delay a command.
        publish_ns = time.perf_counter_ns() - end_ns
        acquired_ns = time_to_ns(stamp)
        self._decoded += 1
        self._worst_ns = max(self._worst_ns, end_ns - start_ns + publish_ns)
        timing = self._timing_message
        timing.header.stamp = stamp
        timing.tick = tick
        timing.arrival_ns = arrival_ns - acquired_ns
        timing.decode_ns = pipeline.x_hat_ns - start_ns
        timing.filter_ns = end_ns - pipeline.x_hat_ns
        timing.publish_ns = publish_ns
        timing.total_ns = timing.arrival_ns + end_ns - start_ns + publish_ns
        timing.missed = self._missed
        self._timings.publish(timing)
        if decoded.restarted:
            self._journal.event(PipelineEvent.RESET, tick, reason="silence")
        # During a hand-over the state is that of two models: a snapshot waits for its end.
        if not pipeline.blending and self._journal.is_due(tick, self._period_ticks):
            assert self._loaded is not None
            self._journal.snapshot(
                tick, pipeline.snapshot(), to_json(pipeline.output), self._loaded.model.model_id
            )
        # What a hand-over does is no movement of the user.
        quiet = self._surroundings.prompt or self._surroundings.stopped or pipeline.blending
        self._movements.after_tick(stamp, tick, decoded.x_hat, quiet)
        self._adaptation.after_tick(stamp, z, tick, decoded)

    def _before_irregular(self, pipeline: DecoderPipeline, tick: int, reset: bool) -> None:
        """Start, reset or missed ticks before `tick`."""
        if self._fresh:
            pipeline.reset()
            self._fresh = False
            self._tick = tick - 1
            self._journal.snapshot_due = True
            self._announce(PipelineEvent.START, tick)
            self._publish_model()
        elif reset:
            pipeline.reset()
            # The counter may have begun anew: what is missed or announced is counted from here.
            self._tick = tick - 1
            self._journal.event(PipelineEvent.RESET, tick, reason="features")
        elif tick > self._tick + 1:
            self._missed += tick - self._tick - 1
            self._journal.event(PipelineEvent.MISSED, self._tick + 1, tick - 1)

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What is decoded, and what was missed or refused."""
        values: dict[str, object] = {
            "tick": self._tick,
            "decoded": self._decoded,
            "missed": self._missed,
            "unused": self._unused,
            "worst_tick_ms": f"{self._worst_ns * 1e-6:.3f}",
        }
        self._worst_ns = 0
        if self._loaded is not None:
            values["model"] = self._loaded.uri
            values["model_id"] = self._loaded.model.model_id
        if self._pipeline is not None:
            values |= self._adaptation.diagnose()
            values |= {f"refused_{k}": v for k, v in self._pipeline.faults.items()}
        ok, warn, error = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
        if not self.active:
            return warn, "inactive", values
        if self._mismatch:
            return error, self._mismatch, values
        if self._pipeline is None:
            return warn, "no model: call the service load_model", values
        if self._space is None:
            return warn, "waiting for /features/info", values
        if time.monotonic() - self._heard > SILENCE_S:
            return error, "no features on /features", values
        if self._fault:
            return error, f"ticks are refused: {self._fault}", values
        return ok, "decoding", values


def main() -> None:
    """Run the node."""
    sys.exit(run([DecoderNode]))


if __name__ == "__main__":
    main()
