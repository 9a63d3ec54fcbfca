"""Whenever an update is killed, the tables are those from before or those from after."""

from progress_kill_loop import loop


def test_an_update_that_is_killed_leaves_the_old_or_the_new_tables(tmp_path):
    """benchmark/progress_kills.py does it a hundred times."""
    assert loop(tmp_path, kills=6, seed=3)["kills"] == 6
