import pytest

from ddpg.errors import UsageError
from ddpg.run.disk import folder
from ddpg.run.look.saved import find_runs, grouped, read_runs
from tests.ddpg.run.look.made import made_run

SOME = {100: -1.0}


def names(paths):
    return [path.name for path in paths]


def read(*paths):
    return read_runs(paths, pytest.fail)


@pytest.fixture
def tree(tmp_path):
    """Two runs, one deeper, one with a run's folder in it, and a file."""
    for name in ("b", "deep/er/c", "a", "a/checkpoint/inner"):
        made_run(tmp_path / name, SOME)
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_runs_are_found_by_folder_by_parent_and_by_pattern_each_once(tree):
    assert names(find_runs([tree / "b"])) == ["b"]
    assert names(find_runs([tree])) == ["a", "b", "c"]
    assert names(find_runs([tree / "[ab]"])) == ["a", "b"]
    (tree / "link").symlink_to(tree / "a")
    assert names(find_runs([tree / "b", tree, tree / "link"])) == ["b", "a", "c"]


def test_a_file_that_a_shell_pattern_gives_too_is_passed_over(tree):
    assert names(find_runs([tree / "b", tree / "notes.txt"])) == ["b"]
    with pytest.raises(UsageError, match=r"notes.txt holds no run"):
        find_runs([tree / "notes.txt"])
    with pytest.raises(UsageError, match=r"none of these is a run folder: notes.txt, notes.txt"):
        find_runs([tree / "notes.txt"] * 2)


def test_a_place_without_a_run_is_named(tree):
    (tree / "empty").mkdir()
    with pytest.raises(UsageError, match=r"/empty holds no run"):
        find_runs([tree / "a", tree / "empty"])
    with pytest.raises(UsageError, match=r"there is no run folder .*/nowhere"):
        find_runs([tree / "a", tree / "nowhere"])
    with pytest.raises(UsageError, match=r"there is no run folder .*/x\*"):
        find_runs([tree / "x*"])


def test_different_environments_are_both_named(tmp_path):
    one = made_run(tmp_path / "p", SOME)
    other = made_run(tmp_path / "h", SOME, env_id="Hopper-v5")
    with pytest.raises(UsageError, match=r"/p is of Pendulum-v1 and .*/h is of Hopper-v5"):
        read(one, other)


def test_runs_without_rows_are_left_out_and_none_with_rows_is_an_error(tmp_path):
    full, empty = made_run(tmp_path / "full", SOME), made_run(tmp_path / "empty")
    bare = made_run(tmp_path / "bare")
    (bare / folder.METRICS_TABLE).unlink()
    (bare / folder.EVALUATIONS_TABLE).unlink()
    said = []
    assert [run.path for run in read_runs([empty, full, bare], said.append)] == [full]
    assert [line.partition(" is left out")[0] for line in said] == [str(empty), str(bare)]
    with pytest.raises(UsageError, match=r"no episode has ended in .*/empty and 1 more"):
        read(empty, bare)


def test_a_damaged_run_is_named(tmp_path):
    run = made_run(tmp_path / "a", SOME)
    (run / folder.METRICS_TABLE).write_text("step,return\n1,2,3\n")
    with pytest.raises(UsageError, match=r"metrics.csv is damaged"):
        read(run)
    (run / folder.CONFIG).write_text("{}")
    with pytest.raises(UsageError, match=r"config.json: its entry .*missing"):
        read(run)


def test_seeds_and_lengths_make_no_group_and_labels_say_what_differs(tmp_path):
    td3 = {"critics": 2, "target_noise": 0.2, "critic_layer_norm": True}
    runs = read(
        made_run(tmp_path / "1", SOME, seed=1, total_timesteps=500),
        made_run(tmp_path / "2", SOME, seed=2, total_timesteps=900, threads=1),
        made_run(tmp_path / "3", SOME, seed=1, hidden=[8, 8], **td3),
    )
    assert {k: names(r.path for r in v) for k, v in grouped(runs, pytest.fail).items()} == {
        "hidden 64x64, critics 1, target_noise 0, critic_layer_norm off": ["1", "2"],
        "hidden 8x8, critics 2, target_noise 0.2, critic_layer_norm on": ["3"],
    }
    assert list(grouped(runs[:2], pytest.fail)) == [""]


def test_a_copy_is_no_second_measurement_and_the_longer_one_counts(tmp_path):
    runs = read(
        made_run(tmp_path / "short", SOME, seed=1),
        made_run(tmp_path / "other", SOME, seed=2),
        made_run(tmp_path / "long", SOME | {200: 0.0}, seed=1, total_timesteps=200),
    )
    said = []
    ((members),) = grouped(runs, said.append).values()
    assert names(run.path for run in members) == ["long", "other"]
    assert len(said) == 1
    assert "/short is left out: it has the settings and the seed of" in said[0]
