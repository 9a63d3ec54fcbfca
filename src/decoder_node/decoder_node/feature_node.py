"""feature_node: raw EMG in, the feature vector of every decoder tick out."""

from __future__ import annotations

import dataclasses
import json
import sys
import time

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
from emghand.errors import UserError
from emghand.settings import digest, to_json
from emghand.signal.feature_pipeline import FeaturePipeline
from emghand.signal.quality import Quality
from emghand.signal.sample_grid import Gap
from emghand.signal.settings import FeatureSettings
from emghand_ros import qos
from emghand_ros.conversions import (
    MessageError,
    emg_from_ros,
    features_to_ros,
    ns_to_time,
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
        self._info: EmgInfo | None = None
        self._pipeline: FeaturePipeline | None = None
        self._started = False
        self._envelope = Envelope(0, 1)
        self._tick = -1
        self._quality = Quality.OK
        self._counts = dict.fromkeys(
            ("frames", "ticks", "filled", "reset", "duplicate", "refused", "early"), 0
        )
        self._refusal = ""
        self._heard = 0.0
        self._shown = (time.monotonic(), 0)

        self._features = self.create_publisher(FeatureFrame, "/features", qos.TICK)
        self._infos = self.create_publisher(FeatureInfo, "/features/info", qos.LATCHED)
        self._envelopes = self.create_publisher(EmgEnvelope, "/emg/envelope", qos.SLOW)
        self._journal = Journal(self, "/features")
        self.create_service(Trigger, "~/snapshot", self._on_snapshot)
        self.create_subscription(EmgInfo, "/emg/info", self._on_info, qos.LATCHED)
        self.create_subscription(EmgFrame, "/emg/raw", self._on_frame, qos.EMG)

    def activate(self) -> None:
        """Start with a fresh pipeline when the stream is known already."""
        if self._info is not None:
            self._open(self._info)

    def deactivate(self) -> None:
        """Drop the pipeline."""
        self._pipeline = None

    def _on_info(self, info: EmgInfo) -> None:
        if self._info is not None and self._pipeline is not None:
            if info.stream == self._info.stream:
                return
            self.get_logger().info(f"new EMG stream {info.stream} of {info.device}")
        self._info = info
        if self.active:
            try:
                self._open(info)
                self.failure = ""
            except UserError as error:
                self._pipeline = None
                self.failure = str(error)
                self.get_logger().error(self.failure)

    def _open(self, info: EmgInfo) -> None:
        names = list(info.channel_names)
        pipeline = FeaturePipeline(self._settings, len(names), info.rate, info.full_scale, names)
        self._envelope = Envelope(len(names), round(info.rate / self._own.value.envelope_rate))
        self._period_ticks = max(1, round(self._own.value.snapshot_period * pipeline.tick_rate))
        message = FeatureInfo(
            stream=info.stream,
            names=list(pipeline.names),
            rate=info.rate,
            hop=self._settings.hop,
            window_hops=self._settings.window_hops,
            settings=self._settings_json,
            settings_hash=digest(self._settings),
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._infos.publish(message)
        self._pipeline = pipeline
        self._started = False

    def _start(self, pipeline: FeaturePipeline, first_sample: int) -> None:
        assert self._info is not None
        self._journal.event(
            PipelineEvent.START,
            first_sample // self._settings.hop,
            first_sample=first_sample,
            stream=self._info.stream,
            n_channels=pipeline.n_channels,
            rate=pipeline.rate,
            full_scale=self._info.full_scale,
            channel_names=list(self._info.channel_names),
            settings=dataclasses.asdict(self._settings),
        )
        self._journal.snapshot_due = True
        self._tick = -1
        self._started = True

    def _on_frame(self, frame: EmgFrame) -> None:
        pipeline = self._pipeline
        if pipeline is None:
            self._counts["early"] += 1
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
        first = frame.first_sample
        if not self._started:
            self._start(pipeline, first)
        ticks = pipeline.push(samples, first)
        if ticks:
            stamp_ns = time_to_ns(frame.header.stamp)
            for tick in ticks:
                ns = stamp_ns + round((tick.last_sample - first) * 1e9 / pipeline.rate)
                stamp = ns_to_time(ns)
                self._features.publish(
                    features_to_ros(
                        tick.z, tick.tick, stamp, quality=tick.quality, reset=tick.reset
                    )
                )
            self._counts["ticks"] += len(ticks)
            self._tick = ticks[-1].tick
            self._quality = Quality(ticks[-1].quality)
            if self._journal.is_due(self._tick, self._period_ticks):
                self._snapshot(pipeline)
        for gap in pipeline.take_gaps():
            self._report(gap)
        self._counts["frames"] += 1
        self._heard = time.monotonic()
        found = self._envelope.push(samples, first)
        if found is not None:
            envelope = EmgEnvelope(
                minimum=to_field(found.minimum, float), maximum=to_field(found.maximum, float)
            )
            envelope.header.stamp = frame.header.stamp
            self._envelopes.publish(envelope)

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

    def _snapshot(self, pipeline: FeaturePipeline) -> None:
        self._journal.snapshot(self._tick, pipeline.snapshot(), self._settings_json)

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
        if self._quality:
            return DiagnosticStatus.ERROR, f"bad signal: {values['quality']}", values
        return DiagnosticStatus.OK, "computing features", values


def main() -> None:
    """Run the node."""
    sys.exit(run([FeatureNode]))


if __name__ == "__main__":
    main()
