"""Calibration: rest baseline and maximum contraction, live or from a stored recording."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from emghand.activities.activity import CANCELLED, COMPLETE, Activity, Steps
from emghand.activities.session_bag import open_session
from emghand.cli.examples import feature_settings
from emghand.errors import UserError
from emghand.settings import SettingsError, from_mapping
from emghand.signal.settings import FeatureSettings
from emghand.storage.bags.convert import stamp_ns as stamp_of
from emghand.storage.bags.convert import stream_from_info
from emghand.storage.datasets import read_any
from emghand.storage.recording import Period, PeriodKind
from emghand.training.calibration import (
    EXTENSION,
    MOST_S,
    Calibration,
    measure,
    measure_recording,
    save_calibration,
)

READY_S = 2.0
"""To get ready for the contraction."""
FEEDBACK_S = 0.2
NO_FEATURES = "there are no features: check the EMG device and feature_node (emghand up live)"
CHANGED = "the settings of the features were changed in the middle: calibrate again"


class CalibrationRun(Activity):
    """Measures levels of the features while the subject rests and then contracts.

    What is asked of the subject is on ``/session/state``: REST, PROMPT (get ready), HOLD (contract
    as hard as is comfortable). From a recording it works on stored data, beside live activities.
    """

    @property
    def live(self) -> bool:  # type: ignore[override]
        """Whether the subject is asked to do anything."""
        return not self.goal.recording

    def prepare(self) -> Steps[None]:
        """Check the goal, open the session, wait for features."""
        goal = self.goal
        for name in ("rest", "contraction"):
            seconds = getattr(goal, name)
            if not math.isfinite(seconds) or seconds < 0.0:
                raise UserError(f"{name}: give seconds, or 0 to leave it out")
        if not goal.rest and not goal.contraction:
            raise UserError("neither rest nor contraction is asked for: give their seconds")
        total = goal.rest + goal.contraction + READY_S
        if self.live and total > MOST_S:
            raise UserError(f"{total:.0f} s are too long: a calibration takes at most {MOST_S:g} s")
        self.session = open_session(goal.session, goal.subject)
        self._calibration: Calibration | None = None
        self._uri = ""
        if not self.live:
            return
        self._info: Any = None
        self._emg: Any = None
        self._ticks: list[tuple[int, np.ndarray]] = []
        self._periods: list[Period] = []
        self._heard = False
        self._changed = False
        self.room.listen("emg/info", self._on_emg)
        self.room.listen("features/info", self._on_info)
        self.room.listen("features", self._on_features)
        yield from self.wait_for(
            lambda: self._heard and self._info and self._emg,
            self.room.settings.decoder_wait,
            "features",
            NO_FEATURES,
        )

    def run(self) -> Steps[None]:
        """Measure, and write the calibration file into the session."""
        if self.live:
            try:
                completed = yield from self._ask()
            finally:
                self.room.state()
            calibration = self._measured() if completed else None
        else:
            calibration = self._stored()
        if calibration is None or self.stopping:
            self.status = CANCELLED
            self.message = "cancelled; nothing was written"
            return
        path = self.session.new_file_path("results", "calibration", EXTENSION)
        save_calibration(calibration, path)
        self.session.add_file(path)
        self._calibration, self._uri = calibration, str(path)
        weak = calibration.summary()["weak"]
        hint = f"; hardly above rest when contracted: {', '.join(weak)}" if weak else ""
        self.status = COMPLETE
        self.message = f"wrote {path}{hint}"

    def result(self) -> dict[str, Any]:
        """The file, and its levels."""
        if not self.success or self._calibration is None:
            return {}
        values = json.dumps(self._calibration.summary(), allow_nan=False)
        return {"uri": self._uri, "values": values}

    def _ask(self) -> Steps[bool]:
        """Ask the subject; False when it was cancelled."""
        steps = []
        if self.goal.rest:
            steps.append((PeriodKind.REST, self.goal.rest, "rest"))
        if self.goal.contraction:
            steps.append((PeriodKind.PROMPT, READY_S, "get ready"))
            steps.append((PeriodKind.HOLD, self.goal.contraction, "contraction"))
        left = sum(seconds for _, seconds, _ in steps)
        for kind, seconds, name in steps:
            clock = self.room.steady_ns
            start = clock()
            stamp_ns = self.room.to_ros(start)
            self._periods.append(Period(stamp_ns, kind))
            movement = "" if kind is PeriodKind.REST else "maximum contraction"
            self.room.state(
                stamp_ns,
                session=self.session.path.name,
                activity=self.name,
                period=int(kind),
                movement=movement,
                n_trials=1,
            )
            while (elapsed := (clock() - start) * 1e-9) < seconds:
                self.room.feedback(period=name, remaining=left - elapsed)
                if (yield from self.pause(min(FEEDBACK_S, seconds - elapsed))):
                    return False
                if self._changed:
                    raise UserError(CHANGED)
            left -= seconds
        self._periods.append(Period(self.room.now_ns(), PeriodKind.IDLE))
        return True

    def _measured(self) -> Calibration:
        assert self._info is not None and self._emg is not None
        try:
            settings = from_mapping(FeatureSettings, json.loads(self._info.settings))
        except (SettingsError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"the settings on /features/info are of no use: {error}") from error
        ticks = list(self._ticks)
        if self._changed:
            raise UserError(CHANGED)
        if not ticks:
            raise UserError("no tick has a good signal: check the electrodes")
        return measure(
            settings,
            tuple(self._info.names),
            stream_from_info(self._emg),
            np.array([stamp for stamp, _ in ticks], dtype=np.int64),
            np.array([z for _, z in ticks]),
            self._periods,
            rest=self.goal.rest > 0.0,
            contraction=self.goal.contraction > 0.0,
        )

    def _stored(self) -> Calibration:
        path = self.goal.recording
        self.room.feedback(period="reading", remaining=math.nan)
        return measure_recording(
            read_any(path, quiet=True),
            feature_settings([Path(path)], None, ()),
            rest=self.goal.rest > 0.0,
            contraction=self.goal.contraction > 0.0,
        )

    def _on_emg(self, message: Any) -> None:
        self._emg = message

    def _on_info(self, message: Any) -> None:
        if self._periods and message.settings_hash != self._info.settings_hash:
            self._changed = True
        self._info = message

    def _on_features(self, message: Any) -> None:
        self._heard = True
        if message.quality or not self._periods:
            return
        # The first tick of other settings may come before the message that tells of them.
        if len(message.data) != len(self._info.names):
            self._changed = True
        else:
            self._ticks.append((stamp_of(message), np.array(message.data, np.float64)))
