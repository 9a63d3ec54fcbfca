"""The introductory example of PyMoa gives the table of its documentation."""

from pathlib import Path

from emghand.protocol import ProtocolRunner, VirtualWorld, load_protocol

FILE = Path(__file__).resolve().parents[4] / "config/protocols/sugar_pellet.yaml"

# name, trigger and value of the item count; in the order of that table.
BEFORE = [
    ("Root stage", "on_stage_start", "-1"),
    ("Root stage", "on_trial_start", "0"),
    ("Habituation", "on_stage_start", "-1"),
    ("Habituation", "on_trial_start", "0"),
    ("Habituation", "on_trial_end", "0"),
    ("Habituation", "on_stage_end", "0"),
    ("Trial", "on_stage_start", "-1"),
]
AFTER = [
    ("Trial", "on_stage_end", "1"),
    ("post delay", "on_stage_start", "-1"),
    ("post delay", "on_trial_start", "0"),
    ("post delay", "on_trial_end", "0"),
    ("post delay", "on_stage_end", "0"),
    ("Root stage", "on_trial_end", "0"),
    ("Root stage", "on_stage_end", "0"),
]


def table():
    rows = list(BEFORE)
    for trial in (0, 1):
        # There the count of a stage stays as its last run left it; only the first is -1.
        count = "-1" if trial == 0 else "0"
        rows.append(("Trial", "on_trial_start", str(trial)))
        rows += [("photobeam_stage", "on_stage_start", count)]
        rows += [("photobeam_stage", "on_trial_start", "0")]
        rows += [("photobeam_stage", "state", "0")] * 2
        rows += [("photobeam_stage", "on_trial_end", "0"), ("photobeam_stage", "on_stage_end", "0")]
        for name in ("sugar pellet stage", "ITI"):
            rows.append((name, "on_stage_start", count))
            rows += [(name, t, "0") for t in ("on_trial_start", "on_trial_end", "on_stage_end")]
        rows.append(("Trial", "on_trial_end", str(trial)))
    # The table shows the count of the trial that ended: 0 and then 1.
    return rows + AFTER


def run():
    protocol = load_protocol(FILE)
    world = VirtualWorld(protocol.topics, protocol.answers)
    events = []
    result = ProtocolRunner(protocol, world, seed=1, on_event=events.append).execute()
    assert result.status == "complete"
    return events, world


def named(event):
    trigger = {"gate": "state"}.get(event.trigger, f"on_{event.trigger}")
    return event.stage.rpartition("/")[2], trigger


SHOWN = {"stage_start", "trial_start", "trial_end", "stage_end", "gate"}


def test_the_sequence_of_events_is_that_of_the_table():
    events = [e for e in run()[0] if e.trigger in SHOWN]
    expected = table()
    assert len(expected) == 46
    assert [named(e) for e in events] == [(name, trigger) for name, trigger, _ in expected]


def test_counts_differ_only_where_the_documentation_says_so():
    events = [e for e in run()[0] if e.trigger in SHOWN]
    differing = [
        (e.stage.rpartition("/")[2], e.trigger, e.value, value)
        for e, (_, _, value) in zip(events, table(), strict=True)
        if e.value != value
    ]
    assert differing == [
        # The event of a gate holds its value, not the count.
        ("photobeam_stage", "gate", "1", "0"),
        # Before its first trial a stage has count -1 in every one of its runs.
        ("photobeam_stage", "stage_start", "-1", "0"),
        ("photobeam_stage", "gate", "1", "0"),
        ("sugar pellet stage", "stage_start", "-1", "0"),
        ("ITI", "stage_start", "-1", "0"),
    ]


def test_times_are_those_of_the_protocol():
    events, world = run()
    at = {(e.stage.rpartition("/")[2], e.trigger, e.value): e.time for e in events}
    assert at["Habituation", "stage_end", "0"] == 20.0
    assert at["post delay", "stage_end", "0"] - at["Trial", "stage_end", "1"] == 15.0
    draws = [float(e.value) for e in events if e.trigger == "draw"]
    assert len(draws) == 2 and all(20.0 <= d <= 40.0 for d in draws)
    motor = [(r.time, r.content["values"][0]) for r in world.requests]
    assert [v for _, v in motor] == [1.0, 0.0, 1.0, 0.0]
    assert [round(motor[i + 1][0] - motor[i][0], 6) for i in (0, 2)] == [0.2, 0.2]
