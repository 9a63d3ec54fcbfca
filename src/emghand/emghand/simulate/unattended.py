"""Collect, train, test and adapt with a simulated user: nobody has to be there."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emghand.adapt.adapter import TemplateAdapter, reference_of
from emghand.adapt.live import Adaptation, Exchange, Notice, RunningModel
from emghand.adapt.messages import Setup
from emghand.adapt.settings import AdaptationSettings
from emghand.adapt.window import Window
from emghand.adapt.worker import InProcess
from emghand.control.settings import OutputSettings
from emghand.dofs import DEFAULT_DOFS, dof_names
from emghand.pipeline import PipelineTick
from emghand.signal.settings import FeatureSettings
from emghand.simulate.acquire import Attempt, run_trial
from emghand.simulate.closed_loop import ClosedLoop
from emghand.simulate.session import PROMPT_RATE, simulate_recording
from emghand.simulate.settings import SyntheticSettings
from emghand.simulate.use import free_use
from emghand.simulate.user import SimulatedUser, UserSettings
from emghand.storage.models import Model
from emghand.tasks.movements import Movement, MovementSet, Schedule
from emghand.tasks.spec import TrialSpec
from emghand.training import Dataset, TrainSettings, dataset_from_recording, train

Floats = NDArray[np.float64]

OWN_USE_S = 300.0
"""Use without drift that the reference of adaptation is learned from [s]."""
DRIFTED_USE_S = 480.0
DRIFT = {"drift_ramp_s": 0.0, "drift_shift_deg": 12.0, "drift_level": 1.2}
"""The electrodes turn and the signal grows."""
RINGS = 2


def training_set(repetitions: int = 5) -> MovementSet:
    """Every DOF both ways at two levels, and pairs of neighbours."""
    names = dof_names(DEFAULT_DOFS)
    movements = [
        Movement(f"{name} {level:g}", {name: level})
        for name in names
        for level in (1.0, -1.0, 0.5, -0.5)
    ]
    for i, (a, b) in enumerate(zip(names, (*names[1:], names[0]), strict=True)):
        movements.append(Movement(f"{a} {b}", {a: 0.75, b: 0.75 * (-1) ** i}))
    return MovementSet("simulated user", DEFAULT_DOFS, tuple(movements), repetitions)


def scrambled(model: Model, seed: int) -> Model:
    """The same decoder on electrodes that were plugged in at random: what it says means nothing."""
    order = np.random.default_rng([seed, 82]).permutation(model.n_channels)
    names = tuple(model.channel_names[i] for i in order.tolist())
    return replace(model, features=replace(model.features, channel_map=names))


class Subject:
    """One simulated person with a decoder of their own.

    The user's practice and what they learned go on from one stage to the next. Each stage with
    muscles of another `run` is another recording of the same person.

    Parameters
    ----------
    seed : int
        Makes the muscles, the electrodes and the user.
    repetitions : int
        Of the movements of the collection.
    training : TrainSettings, optional

    Attributes
    ----------
    user : SimulatedUser
    dataset : Dataset
        The collection.
    model : Model
    """

    def __init__(
        self, seed: int, repetitions: int = 5, training: TrainSettings | None = None
    ) -> None:
        self.seed = seed
        # The delay is the user's own.
        self.person = SyntheticSettings(seed=seed, reaction_s=0.0)
        self.user = SimulatedUser(UserSettings.drawn(seed), len(self.person.dofs), PROMPT_RATE)
        self.training = training or TrainSettings()
        self.dataset = self._collect(repetitions)
        self.model = train(self.dataset, self.training)

    def _collect(self, repetitions: int) -> Dataset:
        schedule = Schedule(training_set(repetitions), shuffle=True, seed=self.seed)
        recording = simulate_recording(schedule, self.person, follow=self.user.follow)
        self.user.relax()
        return dataset_from_recording(recording, FeatureSettings())

    def apart(self) -> Subject:
        """The same person at this moment; what happens to the one does not change the other."""
        other = copy.copy(self)
        other.user = copy.deepcopy(self.user)
        return other

    def loop(
        self,
        run: int,
        model: Model | None = None,
        output: OutputSettings | None = None,
        drift: Mapping[str, float] | None = None,
    ) -> ClosedLoop:
        """The user at the hand, with muscles of this run; `drift`: changes to `person`."""
        self.user.relax()
        changes: dict[str, Any] = dict(drift or {})
        person = replace(self.person, run=run, **changes)
        return ClosedLoop(model or self.model, self.user, person, output)

    def test(self, loop: ClosedLoop, trials: Iterable[TrialSpec]) -> list[Attempt]:
        """Run trials one after the other."""
        return [run_trial(loop, spec) for spec in trials]

    def adapt(self, drift: Mapping[str, float], run: int = 10) -> tuple[Model, list[Notice]]:
        """Use the hand without and then with drifted electrodes while the decoder adapts.

        Rule, worker and exchange are those of the running decoder, asked within the tick.

        Returns
        -------
        model : Model
            The one in force in the end.
        notices : list of Notice
            What adaptation said.
        """
        window = self._use(self.loop(run), OWN_USE_S, run)
        reference = reference_of(self.model, window, RINGS)
        settings = AdaptationSettings(enabled=True, wait=True)
        loop = self.loop(run + 1, drift=drift)
        notices: list[Notice] = []
        with tempfile.TemporaryDirectory() as folder:
            setup = Setup(
                lambda: TemplateAdapter(self.model, self.dataset, self.training, reference),
                self.model.tick_rate,
                settings.update_s,
                settings.window_s,
                folder,
                "simulated",
            )
            adaptation = Adaptation(
                loop.pipeline.decoder,
                RunningModel(self.model, ""),
                _exchange(loop),
                settings,
                notices.append,
            )
            adaptation.start(InProcess(setup))

            def watch(tick: PipelineTick, target: Floats) -> None:
                adaptation.after_tick(tick.features.z, tick.features.tick, tick.decoded, target)

            loop.watch.append(watch)
            self._use(loop, DRIFTED_USE_S, run + 1)
            adaptation.stop()
        return adaptation.running.model, notices

    def _use(self, loop: ClosedLoop, seconds: float, run: int) -> Window:
        """Movements as they come, with the hand in view."""
        rng = np.random.default_rng([self.seed, 83, run])
        course = free_use(rng, len(self.person.dofs), loop.tick_rate, seconds)
        ticks: list[PipelineTick] = []
        loop.watch.append(lambda tick, target: ticks.append(tick))
        for target in course.x:
            loop.step(target)
        good = [t for t in ticks if t.decoded.x_hat is not None]
        return Window(
            np.array([t.features.z for t in good]),
            np.array([t.decoded.x_hat for t in good], np.float64),
            np.array([t.features.tick for t in good]),
            np.ones(len(good), dtype=np.bool_),
            loop.tick_rate,
        )


def _exchange(loop: ClosedLoop) -> Exchange:
    def exchange(running: RunningModel, blend_s: float) -> None:
        loop.pipeline.decoder.set_model(running.model, blend_s, running.decoder)

    return exchange


def summary(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Means over attempts at targets of one kind, as plain values; None where there is none."""

    def mean(values: Iterable[float]) -> float | None:
        known = [v for v in values if np.isfinite(v)]
        return float(np.mean(known)) if known else None

    return {
        "trials": len(attempts),
        "completed": mean(float(a.completed) for a in attempts),
        "reach_s": mean(a.reach_s for a in attempts),
        "time_s": mean(a.measures.completion_time for a in attempts),
        "efficiency": mean(a.measures.path_efficiency for a in attempts),
        "overshoots": mean(float(a.measures.overshoots) for a in attempts),
        "in_target": mean(a.in_target for a in attempts),
        "unsteadiness": mean(a.unsteadiness for a in attempts),
    }
