"""A session from a Python script: everything the running graph can do with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from emghand.client.graph import TIMEOUT_S, GraphClient
from emghand.client.steps import TRIALS, Done, Step, of_calibration, of_job, of_time
from emghand.errors import UserError
from emghand.jobs.plan import PATH_OPTIONS

OnProgress = Callable[[Step], None]


class Session:
    """One sitting of one subject; use it in a ``with`` statement while the graph runs.

    Every method blocks until its activity has ended. Ctrl-C cancels the activity, waits until it
    has stopped and everything is written, and gives back what was finished; `interrupted` tells.

    Parameters
    ----------
    path : path
        Directory of the session; made by the first activity that needs it.
    subject : str
        Pseudonym; needed for a new session.
    on_progress : callable, optional
        Gets every `Step`.
    timeout : float
        How long to wait for the graph [s].

    Attributes
    ----------
    graph : GraphClient
        Arms the hand, stops it, loads models.
    path : Path

    Raises
    ------
    UserError
        By every method: when the activity could not be done, with the reason.

    Examples
    --------
    >>> with Session("sessions/s01", "p07") as session:  # doctest: +SKIP
    ...     session.collect("config/movements/singles.yaml")
    ...     session.load(session.train(decoder="kalman").uri)
    ...     session.test("config/movements/singles.yaml")
    """

    def __init__(
        self,
        path: str | Path,
        subject: str = "",
        on_progress: OnProgress | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        self.path = Path(path).expanduser().absolute()
        self.graph = GraphClient(timeout)
        self._subject = subject
        self._on_progress = on_progress

    def __enter__(self) -> Session:
        self.graph.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.graph.__exit__(kind, error, trace)

    @property
    def interrupted(self) -> bool:
        """Ctrl-C has cancelled the last activity."""
        return self.graph.interrupted

    # With the subject

    def collect(self, movements: str | Path, **goal: Any) -> Done:
        """Record prompted movements.

        Parameters
        ----------
        movements : path
            Movement set.
        **goal
            ``repetitions``, ``shuffle``, ``seed``, ``record``, ``label``: see ``CollectTrials``.
        """
        return self._prompted("collect", movements, goal)

    def test(self, movements: str | Path, **goal: Any) -> Done:
        """Record prompted movements with the decoder running; never trained on. See `collect`."""
        return self._prompted("test", movements, goal)

    def task(
        self,
        file: str | Path,
        *,
        validation: bool = False,
        perturbations: Sequence[str] = (),
        **goal: Any,
    ) -> Done:
        """Run the trials of a task; the hand must be armed.

        Parameters
        ----------
        file : path
            YAML file of the task.
        validation : bool
            The frozen validation set instead of random trials.
        perturbations : sequence of str
            Labels to activate; ``"*"`` alone: all.
        **goal
            ``trials``, ``seed``, ``first``, ``record``, ``label``: see ``RunTask``.
        """
        fields = {
            "task": _absolute(file),
            "validation": validation,
            "perturbations": list(perturbations),
            "record": True,
        }
        return self._trials("task", fields | goal)

    def resume(self, label: str = "") -> Done:
        """Go on with the last collection, test or task of this session that was interrupted.

        Parameters
        ----------
        label : str
            Of its bags.

        Raises
        ------
        UserError
            When there is none, or it left no plan.
        """
        from emghand.storage.resume import goal_of, last_unfinished, runs_of

        run = last_unfinished(runs_of(self.path, label))
        if run is None:
            raise UserError(f"session {self.path}: every run in it is complete")
        return self._trials(run.activity, goal_of(self.path, run))

    def control(
        self,
        duration: float = 0.0,
        ground_truth: str = "none",
        *,
        record: bool = True,
        label: str = "",
    ) -> Done:
        """Let the subject control the hand freely.

        Parameters
        ----------
        duration : float
            Seconds; 0: until Ctrl-C, which is a success.
        ground_truth : str
            ``glove`` of an intact subject, their ``own`` estimate, or ``none``.
        record : bool
        label : str
            Name of the bag.
        """
        goal = {
            "duration": float(duration),
            "ground_truth": ground_truth,
            "record": record,
            "label": label,
        }
        return self._act("FreeControl", "/session/control", self._own(goal), of_time)

    def collect_freely(self, duration: float, *, label: str = "collect") -> Done:
        """Record labelled data without prompts: the glove is the ground truth."""
        return self.control(duration, "glove", label=label)

    def calibrate(
        self, rest: float = 10.0, contraction: float = 5.0, recording: str | Path = ""
    ) -> Done:
        """Measure rest and maximum contraction, live or from a recording.

        Parameters
        ----------
        rest, contraction : float
            Seconds; 0: is left out.
        recording : path
            Stored data instead.
        """
        goal = {
            "rest": float(rest),
            "contraction": float(contraction),
            "recording": _absolute(recording) if recording else "",
        }
        return self._act("Calibrate", "/session/calibrate", self._own(goal), of_calibration)

    def replay(
        self, recording: str | Path, *, rate: float = 1.0, decode: bool = False, ramp: float = 2.0
    ) -> Done:
        """Play the estimates of a recording on the hand.

        Parameters
        ----------
        recording : path
        rate : float
            Times real time.
        decode : bool
            Estimates of the model that runs instead of the recorded ones.
        ramp : float
            Time to go to the first posture [s].
        """
        goal = {
            "recording": _absolute(recording),
            "rate": float(rate),
            "what": "decode" if decode else "estimates",
            "ramp": float(ramp),
        }
        return self._act("Replay", "/session/replay", goal, of_time)

    # On stored data, beside whatever is live

    def train(self, *bags: str | Path, output: str | Path = "", **options: Any) -> Done:
        """Train a decoder; options are those of ``emghand train``, as ``decoder="ridge"``.

        `uri` of what it gives back is the model file.
        """
        return self.job("train", *bags, output=output, **options)

    def autoencoder(self, *sources: str | Path, output: str | Path = "", **options: Any) -> Done:
        """Learn an autoencoder alone; options of ``emghand autoencoder``."""
        return self.job("autoencoder", *sources, output=output, **options)

    def refilter(self, *sources: str | Path, output: str | Path = "", **options: Any) -> Done:
        """Compute features anew with other settings; options of ``emghand features``."""
        return self.job("refilter", *sources, output=output, **options)

    def cross_validate(self, *sources: str | Path, output: str | Path = "", **options: Any) -> Done:
        """Score ways to train on what was left out; options of ``emghand crossval``."""
        return self.job("cross_validate", *sources, output=output, **options)

    def evaluate(
        self, model: str | Path, *sources: str | Path, output: str | Path = "", **options: Any
    ) -> Done:
        """Score a model on recordings; options of ``emghand evaluate``."""
        return self.job("evaluate", *sources, output=output, model=str(model), **options)

    def detect_movements(
        self, *sources: str | Path, output: str | Path = "", **options: Any
    ) -> Done:
        """Find movements in recordings; options of ``emghand movements``."""
        return self.job("detect_movements", *sources, output=output, **options)

    def select_actions(self, *, output: str | Path = "", **options: Any) -> Done:
        """Choose the actions that suit this person; options of ``emghand actions select``."""
        return self.job("select_actions", output=output, **options)

    def simulate(self, movements: str | Path, *, output: str | Path = "", **options: Any) -> Done:
        """Simulate EMG and, with a model, estimates; options of ``emghand simulate``."""
        return self.job("simulate", movements, output=output, **options)

    def job(self, job: str, *sources: str | Path, output: str | Path = "", **options: Any) -> Done:
        """Do any job by its name; see `emghand.jobs.JOBS`."""
        is_session = (self.path / "manifest.json").exists()
        if not is_session and not output:
            raise UserError(f"session {self.path}: does not exist yet, so name the output")
        goal = {
            "job": job,
            "session": str(self.path) if is_session else "",
            "sources": [self._source(s) for s in sources],
            "options": json.dumps({k: _option(k, v) for k, v in options.items() if v is not None}),
            "output": _absolute(output) if output else "",
        }
        return self._act("Job", "/session/job", goal, of_job)

    # What there is

    def status(self) -> Any:
        """``SessionStatus``: what of this session is there, trained, stale and why."""
        from emghand_interfaces.srv import GetStatus

        request = GetStatus.Request(session=str(self.path))
        return self.graph.ask(GetStatus, "/session/get_status", request).status

    def load(self, model: str | Path) -> str:
        """Let the decoder load a model; see `GraphClient.load_model`."""
        return self.graph.load_model(model)

    def _prompted(self, activity: str, movements: str | Path, goal: dict[str, Any]) -> Done:
        fields = {"movement_set": _absolute(movements), "record": True} | goal
        return self._trials(activity, fields)

    def _trials(self, activity: str, goal: dict[str, Any]) -> Done:
        action, topic, read = TRIALS[activity]
        return self._act(action, topic, self._own(goal), read)

    def _own(self, goal: dict[str, Any]) -> dict[str, Any]:
        return {"session": str(self.path), "subject": self._subject} | goal

    def _source(self, source: str | Path) -> str:
        """A bag of the session by its name, or any path."""
        inside = self.path / "bags" / source
        return str(inside) if inside.is_dir() else _absolute(source)

    def _act(
        self, action: str, topic: str, goal: dict[str, Any], read: Callable[[Any], Step]
    ) -> Done:
        import emghand_interfaces.action

        from emghand.client.interfaces import make

        def show(feedback: Any) -> None:
            if self._on_progress is not None:
                self._on_progress(read(feedback))

        self.graph.interrupted = False
        kind = getattr(emghand_interfaces.action, action)
        make(kind.Goal, goal)  # raises where a field does not take its value
        result = self.graph.act(kind, topic, goal, show)
        if not result.success and not self.interrupted:
            raise UserError(result.message)
        return Done.of(result)


def _absolute(path: str | Path) -> str:
    return str(Path(path).expanduser().absolute())


def _option(name: str, value: Any) -> Any:
    if name not in PATH_OPTIONS:
        return value
    several: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    made = [_absolute(v) for v in several]
    return made if isinstance(value, list | tuple) else made[0]
