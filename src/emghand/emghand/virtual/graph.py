"""The nodes of the graph tick by tick: person, electrodes, features, decoder, hand, glove."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.control import announcements
from emghand.control.matching import FeatureSpace, check_match
from emghand.dofs import dof_names
from emghand.errors import UserError
from emghand.pipeline import DecoderPipeline, FeatureTick, feature_pipeline, sample_stamp_ns
from emghand.protocol.loop import VirtualLoop
from emghand.settings import to_json
from emghand.signal.settings import FeatureSettings
from emghand.simulate.body import Body
from emghand.simulate.glove import SyntheticGlove
from emghand.simulate.participant import Participant
from emghand.simulate.settings import SyntheticSettings
from emghand.simulate.use import free_use
from emghand.simulate.user import SimulatedUser, UserSettings
from emghand.storage.models import Model, load_model
from emghand.storage.recording import Block
from emghand.virtual.topics import START_NS, Topics

Floats = NDArray[np.float64]

ARMED = 1
"""State of ``HandStatus``."""
SNAPSHOT_S = 5.0
WISHES_S = 60.0
FEATURES, DECODER = "/feature_node", "/decoder_node"


class VirtualGraph:
    """What the nodes do live, in virtual time; the same seed gives the same messages.

    The hand is armed. A tick is computed when its last sample would arrive: the user then acts on
    what they saw at its begin.

    Parameters
    ----------
    loop : VirtualLoop
    topics : Topics
    seed : int
        Makes the person, their muscles and everything random about them.
    features : FeatureSettings, optional
    """

    def __init__(
        self,
        loop: VirtualLoop,
        topics: Topics,
        seed: int,
        features: FeatureSettings | None = None,
    ) -> None:
        self.topics = topics
        self.features = features or FeatureSettings()
        self._loop = loop
        # The delay is the user's own.
        person = SyntheticSettings(seed=seed, reaction_s=0.0)
        tick_rate = person.rate / self.features.hop
        user = SimulatedUser(UserSettings.drawn(seed), len(person.dofs), tick_rate)
        self._body = body = Body(user, person, self.features.hop)
        wishes = _wishes(np.random.default_rng([seed, 85]), len(person.dofs), tick_rate)
        self._participant = Participant(user, person.dofs, wish=lambda: next(wishes))
        self._glove = SyntheticGlove(len(person.dofs), tick_rate, reaction_s=0.0, seed=seed)
        self._pipeline = feature_pipeline(self.features, body.stream)
        self._decoder = _Decoder(topics, self.now_ns, self._space(), person.dofs)
        self._period = 1.0 / tick_rate
        self._snapshot_ticks = round(SNAPSHOT_S * tick_rate)
        self._snapshot_due = 0
        self._count = 0
        topics.listen("/task/x_d", self._on_prompt)
        topics.listen("/session/state", self._on_state)
        self._begin()

    def now_ns(self) -> int:
        """Stamp of this moment."""
        return START_NS + round(self._loop.now() * 1e9)

    def load_model(self, uri: str) -> Model:
        """Let a model take over between two ticks.

        Raises
        ------
        UserError
            When it cannot be read, or was trained on other features.
        """
        return self._decoder.load(uri)

    def snapshot_soon(self) -> None:
        """Publish the states of the pipelines with the next tick: a replay can start there."""
        self._snapshot_due = self._count

    def _space(self) -> FeatureSpace:
        return FeatureSpace(self._pipeline.names, self._body.stream.rate, self.features)

    def _begin(self) -> None:
        now, stream = self.now_ns(), self._body.stream
        publish = self.topics.publish
        info = announcements.emg_info(stream)
        publish("/emg/info", info | {"header": {"frame_id": stream.stream}}, now)
        publish(
            "/features/info",
            announcements.feature_info(self._pipeline, self.features, stream),
            now,
        )
        publish("/hand/status", {"state": ARMED}, now)
        self._event_of_start()
        self._intention = self._participant.intend(0.0)
        self._schedule()

    def _event_of_start(self) -> None:
        detail = announcements.feature_start(self._body.stream, self.features, 0)
        event = announcements.pipeline_event(FEATURES, "start", 0, **detail)
        self.topics.publish("/features/event", event, self.now_ns())

    def _schedule(self) -> None:
        due = (self._count + 1) * self._period
        self._loop.schedule(due - self._loop.now(), self._tick)

    def _tick(self) -> None:
        body, publish, now = self._body, self.topics.publish, self.now_ns()
        dofs = list(body.dofs)
        begin = START_NS + round(self._count * self._period * 1e9)
        publish("/user/intention", {"name": dofs, "position": self._intention}, begin)
        block = body.contract(self._intention)
        block = Block(block.first_sample, START_NS + block.stamp_ns, block.samples)
        frame = {
            "header": {"frame_id": body.stream.stream},
            "first_sample": block.first_sample,
            "n_channels": block.samples.shape[1],
            "data": block.samples.ravel(),
        }
        publish("/emg/raw", frame, block.stamp_ns)
        command = None
        for tick in self._pipeline.push(block.samples, block.first_sample):
            stamp_ns = sample_stamp_ns(block, tick.last_sample, body.stream.rate)
            command = self._on_tick(tick, stamp_ns)
        publish("/hand/state", {"name": dofs, "position": body.move(command)}, now)
        glove = self._glove.push(self._intention[None])[0]
        publish("/glove/dof", {"name": dofs, "position": glove}, now)
        self._count += 1
        seconds = self._loop.now()
        self._participant.hand.take(dofs, body.position.tolist(), seconds)
        self._intention = self._participant.intend(seconds)
        self._schedule()

    def _on_tick(self, tick: FeatureTick, stamp_ns: int) -> Floats | None:
        fields = {"tick": tick.tick, "quality": tick.quality, "reset": tick.reset, "data": tick.z}
        self.topics.publish("/features", fields, stamp_ns)
        command = self._decoder.step(tick, stamp_ns)
        if self._count >= self._snapshot_due:
            self._snapshot_due = self._count + self._snapshot_ticks
            if self.topics.tap is not None:
                self._publish_states(tick)
        return command

    def _publish_states(self, tick: FeatureTick) -> None:
        fields: dict[str, Any] = {
            "node": FEATURES,
            "tick": tick.tick,
            "settings": to_json(self.features),
            "data": _packed(self._pipeline.snapshot()),
        }
        self.topics.publish("/features/state", fields, self.now_ns())
        self._decoder.publish_state(tick.tick)

    def _on_prompt(self, message: Any) -> None:
        self._participant.prompt.take(message.name, message.position, self._loop.now())

    def _on_state(self, message: Any) -> None:
        self._participant.attend(message.activity, message.period, message.trial)


class _Decoder:
    """What decoder_node does where no feature is ever missing."""

    def __init__(
        self,
        topics: Topics,
        now_ns: Callable[[], int],
        space: FeatureSpace,
        hand: Sequence[str],
    ) -> None:
        self._topics = topics
        self._now_ns = now_ns
        self._space = space
        self._hand = tuple(hand)
        self._pipeline: DecoderPipeline | None = None
        self._model: Model | None = None
        self._uri = ""
        self._tick = -1
        self._fresh = True

    def load(self, uri: str) -> Model:
        model = load_model(uri)
        check_match(FeatureSpace.of_model(model), self._space)
        unknown = [name for name in dof_names(model.dofs) if name not in self._hand]
        if unknown:
            raise UserError(f"the hand has no {', '.join(unknown)}: it would refuse every command")
        if self._pipeline is None:
            self._pipeline = DecoderPipeline(model)
        else:
            self._pipeline.set_model(model)
        self._model, self._uri = model, str(Path(uri).absolute())
        if not self._fresh:
            self._announce("model", self._tick + 1)
        else:
            self._publish_model()
        return model

    def step(self, tick: FeatureTick, stamp_ns: int) -> Floats | None:
        pipeline, model = self._pipeline, self._model
        if pipeline is None or model is None:
            return None
        self._tick = tick.tick
        if self._fresh:
            self._fresh = False
            self._announce("start", tick.tick)
        decoded = pipeline.step(tick.z, tick.tick, tick.quality)
        if decoded.x_hat is None or decoded.out_x_hat is None:
            self._event("fault", fault=decoded.fault or "output", quality=int(tick.quality))
            return None
        names = list(dof_names(model.dofs))
        publish = self._topics.publish
        publish("/decoder/out_x_hat", {"name": names, "position": decoded.out_x_hat}, stamp_ns)
        publish("/decoder/x_hat", {"name": names, "position": decoded.x_hat}, stamp_ns)
        # DOFs that are not decoded stay at rest.
        command = np.zeros(len(self._hand))
        command[[self._hand.index(name) for name in names]] = decoded.out_x_hat
        return command

    def publish_state(self, tick: int) -> None:
        if self._pipeline is None or self._model is None or self._pipeline.blending:
            return
        fields = {
            "node": DECODER,
            "tick": tick,
            "model_id": self._model.model_id,
            "settings": to_json(self._pipeline.output),
            "data": _packed(self._pipeline.snapshot()),
        }
        self._topics.publish("/decoder/state", fields, self._now_ns())

    def _announce(self, kind: str, tick: int) -> None:
        assert self._pipeline is not None and self._model is not None
        detail = announcements.model_in_force(self._model, self._uri, self._pipeline.output)
        self._event(kind, tick, **detail)
        self._publish_model()

    def _event(self, kind: str, tick: int | None = None, **detail: Any) -> None:
        tick = self._tick if tick is None else tick
        event = announcements.pipeline_event(DECODER, kind, tick, **detail)
        self._topics.publish("/decoder/event", event, self._now_ns())

    def _publish_model(self) -> None:
        assert self._pipeline is not None and self._model is not None
        output = self._pipeline.output
        fields = announcements.model_info(self._model, self._uri, output, self._tick + 1)
        self._topics.publish("/decoder/model", fields, self._now_ns())


def _wishes(rng: np.random.Generator, n_dofs: int, rate: float) -> Iterator[Floats]:
    """Movements as they come, without end."""
    while True:
        yield from free_use(rng, n_dofs, rate, WISHES_S).x


def _packed(arrays: Any) -> NDArray[np.uint8]:
    return np.frombuffer(announcements.pack_arrays(arrays), np.uint8)
