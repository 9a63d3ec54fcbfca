"""feature_node: raw EMG in, the feature vector of every decoder tick out."""

from __future__ import annotations

import json
import math
import sys
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from emghand_interfaces.msg import (
    EmgEnvelope,
    EmgFrame,
    EmgInfo,
    FeatureFrame,
    FeatureInfo,
    PipelineEvent,
)
from std_srvs.srv import Trigger

from decoder_node.envelope import Envelope
from decoder_node.journal import Journal
from decoder_node.settings import FeatureNodeSettings
from emghand.control.announcements import feature_info, feature_start
from emghand.errors import UserError
from emghand.pipeline import FeaturePipeline, feature_pipeline, sample_stamp_ns
from emghand.settings import to_json
from emghand.signal.quality import Quality
from emghand.signal.sample_grid import Gap
from emghand.signal.settings import FeatureSettings
from emghand.storage.recording import Block, Stream
from emghand_ros import qos
from emghand_ros.conversions import (
    MessageError,
    emg_from_ros,
    features_to_ros,
    ns_to_time,
    stream_from_ros,
    time_to_ns,
    to_field,
)
from emghand_ros.node import EmghandNode, run
from emghand_ros.parameters import SettingsParameters

SILENCE_S = 1.0


class FeatureNode(EmghandNode):
    """Thin node around `emghand.signal.feature_pipeline.FeaturePipeline`.

    Every stream of EMG, that is every new `EmgInfo.stream`, gets a fresh pipeline.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("feature_node", **kwargs)
        self._settings = SettingsParameters(self, FeatureSettings).value
        self._own = SettingsParameters(self, FeatureNodeSettings)
        self._settings_json = to_json(self._settings)
        self._stream: Stream | None = None
        self._pipeline: FeaturePipeline | None = None
        self._started = False
        self._envelope = Envelope(0, 1)
        self._tick = -1
        self._quality = Quality.OK
        self._counts = dict.fromkeys(
            (
                "frames", "ticks", "filled", "reset", "duplicate",
                "refused", "early", "other_stream",
            ),
            0,
        )  # fmt: skip
        self._other = ("", -math.inf)
        self._refusal = ""
        self._heard = 0.0
        self._shown = (time.monotonic(), 0)

        self._features = self.create_publisher(FeatureFrame, "features", qos.TICK)
        self._infos = self.create_publisher(FeatureInfo, "features/info", qos.LATCHED)
        self._envelopes = self.create_publisher(EmgEnvelope, "emg/envelope", qos.SLOW)
        self._journal = Journal(self, "features")
        self.create_service(Trigger, "~/snapshot", self._on_snapshot)
        self.create_subscription(EmgInfo, "emg/info", self._on_info, qos.LATCHED)
        self.create_subscription(EmgFrame, "emg/raw", self._on_frame, qos.EMG)

    def activate(self) -> None:
        """Start with a fresh pipeline when the stream is known already."""
        if self._stream is not None:
            self._open(self._stream)

    def deactivate(self) -> None:
        """Drop the pipeline."""
        self._pipeline = None

    def _on_info(self, info: EmgInfo) -> None:
        if self._pipeline is not None and self._stream is not None:
            if info.stream == self._stream.stream:
                return
            self.get_logger().info(f"new EMG stream {info.stream} of {info.device}")
        self._stream = stream_from_ros(info)
        if not self.active:
            return
        try:
            self._open(self._stream)
            self.failure = ""
        except UserError as error:
            self._pipeline = None
            self.failure = str(error)
            self.get_logger().error(self.failure)

    def _open(self, stream: Stream) -> None:
        pipeline = feature_pipeline(self._settings, stream)
        own = self._own.value
        self._envelope = Envelope(stream.n_channels, round(stream.rate / own.envelope_rate))
        self._period_ticks = max(1, round(own.snapshot_period * pipeline.tick_rate))
        message = FeatureInfo(**feature_info(pipeline, self._settings, stream))
        message.header.stamp = self.get_clock().now().to_msg()
        self._infos.publish(message)
        self._pipeline = pipeline
        self._started = False

    def _is_of_another_stream(self, frame: EmgFrame) -> bool:
        # Frames and descriptions travel on different topics: the first frame of a new stream may
        # overtake its description, and the last one of the old stream may come after it.
        assert self._stream is not None
        stream = frame.header.frame_id
        if stream in ("", self._stream.stream):
            return False
        self._counts["other_stream"] += 1
        self._other = (stream, time.monotonic())
        return True

    def _start(self, first_sample: int) -> None:
        assert self._stream is not None
        self._journal.event(
            PipelineEvent.START,
            first_sample // self._settings.hop,
            **feature_start(self._stream, self._settings, first_sample),
        )
        self._journal.snapshot_due = True
        self._tick = -1
        self._started = True

    def _on_frame(self, frame: EmgFrame) -> None:
        pipeline = self._pipeline
        if pipeline is None:
            self._counts["early"] += 1
            return
        if self._is_of_another_stream(frame):
            return
        try:
            samples = emg_from_ros(frame)
            if samples.shape[1] != pipeline.n_channels:
                raise MessageError(
                    f"frame has {samples.shape[1]} channels, /emg/info {pipeline.n_channels}"
                )
        except MessageError as error:
            self._refuse(frame, str(error))
            return
        block = Block(frame.first_sample, time_to_ns(frame.header.stamp), samples)
        if not self._started:
            self._start(block.first_sample)
        ticks = pipeline.push(samples, block.first_sample)
        for tick in ticks:
            stamp = ns_to_time(sample_stamp_ns(block, tick.last_sample, pipeline.rate))
            self._features.publish(
                features_to_ros(tick.z, tick.tick, stamp, quality=tick.quality, reset=tick.reset)
            )
        # Nothing of what follows may delay a tick.
        self._counts["frames"] += 1
        self._heard = time.monotonic()
        for gap in pipeline.take_gaps():
            self._report(gap)
        if ticks:
            self._counts["ticks"] += len(ticks)
            self._tick = ticks[-1].tick
            self._quality = Quality(ticks[-1].quality)
            if self._journal.is_due(self._tick, self._period_ticks):
                self._journal.snapshot(self._tick, pipeline.snapshot(), self._settings_json)
        self._plot(block, pipeline.rate)

    def _plot(self, block: Block, rate: float) -> None:
        found = self._envelope.push(block.samples, block.first_sample)
        if found is None:
            return
        message = EmgEnvelope(
            minimum=to_field(found.minimum, np.float32), maximum=to_field(found.maximum, np.float32)
        )
        message.header.stamp = ns_to_time(sample_stamp_ns(block, found.last_sample, rate))
        self._envelopes.publish(message)

    def _refuse(self, frame: EmgFrame, reason: str) -> None:
        self._counts["refused"] += 1
        self._refusal = reason
        self._journal.event(
            PipelineEvent.FAULT,
            frame.first_sample // self._settings.hop,
            first_sample=frame.first_sample,
            reason=reason,
        )
        self.get_logger().warning(f"/emg/raw refused: {reason}", throttle_duration_sec=5.0)

    def _report(self, gap: Gap) -> None:
        self._counts[gap.action] += 1
        last = gap.first_sample + max(gap.count, 1) - 1
        self._journal.event(
            PipelineEvent.GAP,
            gap.tick,
            last // self._settings.hop,
            first_sample=gap.first_sample,
            count=gap.count,
            action=gap.action,
        )

    def _on_snapshot(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._journal.snapshot_due = True
        response.success = self._tick >= 0
        response.message = (
            "with the next tick" if response.success else "with the first tick: none was seen yet"
        )
        return response

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """Rate, gaps, refused frames and signal quality."""
        now = time.monotonic()
        then, ticks = self._shown
        self._shown = (now, self._counts["ticks"])
        values: dict[str, object] = {
            "tick_rate": f"{(self._counts['ticks'] - ticks) / max(now - then, 1e-9):.2f}",
            "tick": self._tick,
            "quality": str(self._quality.name or self._quality),
            **self._counts,
        }
        if self._refusal:
            values["last_refusal"] = self._refusal
        if not self.active:
            return DiagnosticStatus.WARN, "inactive", values
        if self._pipeline is None:
            return DiagnosticStatus.WARN, "waiting for /emg/info", values
        bad = self._pipeline.channel_quality().nonzero()[0]
        values["bad_channels"] = json.dumps([self._pipeline.channels[i] for i in bad])
        if now - self._heard > SILENCE_S:
            return DiagnosticStatus.ERROR, "no raw EMG on /emg/raw", values
        if now - self._other[1] < SILENCE_S:
            text = f"frames of {self._other[0]} come as well: is a second driver on /emg/raw?"
            return DiagnosticStatus.ERROR, text, values
        if self._quality:
            return DiagnosticStatus.ERROR, f"bad signal: {values['quality']}", values
        return DiagnosticStatus.OK, "computing features", values


def main() -> None:
    """Run the node."""
    sys.exit(run([FeatureNode]))


if __name__ == "__main__":
    main()
