"""Numbers that make no sense are answered by one sentence, before anything is done with them."""

from pathlib import Path

import pytest

from emghand.cli.main import main
from emghand.errors import UserError
from emghand.simulate import SyntheticSettings, simulate_recording
from emghand.sweep.sweep import load_sweep
from emghand.tasks.movements import MOST_TRIALS, Schedule, load_movement_set

ROOT = Path(__file__).parents[4]
MOVEMENTS = "config/movements/demo.yaml"
OPTIONS = (
    f"simulate {MOVEMENTS} --output OUT/x.npz --seed",
    f"simulate {MOVEMENTS} --output OUT/x.npz --run",
    f"simulate {MOVEMENTS} --output OUT/x.npz --repetitions",
    "task config/tasks/fitts.yaml OUT/s --trials",
    "task config/tasks/fitts.yaml OUT/s --seed",
    "task config/tasks/fitts.yaml OUT/s --first",
    "protocol run config/protocols/sugar_pellet.yaml --virtual --seed",
    "protocol run config/protocols/sugar_pellet.yaml OUT/s --simulated --seed",
    "protocol run config/protocols/sugar_pellet.yaml OUT/s --seed",
    "control OUT/s --duration",
    "calibrate OUT/s --rest",
    "calibrate OUT/s --contraction",
    "calibrate --recording OUT/nothing --output OUT/c.emgcalibration --rest",
    "replay OUT/bag --rate",
    "replay OUT/bag --ramp",
    f"movement-set show {MOVEMENTS} --repetitions",
    f"movement-set show {MOVEMENTS} --seed",
    f"collect OUT/s {MOVEMENTS} --repetitions",
    "sweep actions --output OUT/sweep --subjects",
    "sweep actions --output OUT/sweep --choose",
)


@pytest.mark.parametrize("value", ["-1", f"{10**60}", "nan", "inf", "1e999"])
@pytest.mark.parametrize("option", OPTIONS)
def test_a_number_out_of_range_is_told_in_a_sentence(option, value, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    if option.endswith("--run") and value.isdigit():
        pytest.skip("every day is another one")
    words = option.replace("OUT", str(tmp_path)).split()
    name = words[-1]
    try:
        assert main([*words[:-1], f"{name}={value}"]) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1, error
    except SystemExit as end:  # of argparse, for what is no whole number
        assert end.code == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
    assert name.lstrip("-") in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("setting", ["rate=.nan", "rate=.inf", f"rate={10**400}", "n_channels=-1"])
def test_so_is_a_setting(setting, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["simulate", MOVEMENTS, "--output", f"{tmp_path}/x.npz", "--set", setting]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and (setting.split("=")[0] in error or "number" in error)


@pytest.mark.parametrize("value", [10**60, -1, 0, ".nan", ".inf", "1.5", "many"])
@pytest.mark.parametrize("name", ["users", "repetitions", "pairs"])
def test_so_is_a_sweep_over_too_many_people(name, value, tmp_path):
    (tmp_path / "s.yaml").write_text(f"{{kind: users, {name}: {value}}}")
    if (name, value) == ("pairs", 0):
        assert load_sweep(tmp_path / "s.yaml").pairs == 0
        return
    with pytest.raises(UserError, match=f"{name}: .*(must be from|not of the right type)"):
        load_sweep(tmp_path / "s.yaml")


def test_a_schedule_and_a_simulation_have_an_end():
    movements = load_movement_set(ROOT / MOVEMENTS)
    with pytest.raises(UserError, match="more than 100000 trials"):
        Schedule(movements, MOST_TRIALS)
    with pytest.raises(UserError, match="too much to simulate"):
        simulate_recording(Schedule(movements, 60), SyntheticSettings(rate=10_000.0, n_channels=64))
