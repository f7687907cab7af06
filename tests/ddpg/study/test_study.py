"""Many runs as one call: what each is, what becomes of one that fails, how a study grows."""

import os
import platform
import shutil
import sys
import tempfile

import numpy as np
import pytest

import ddpg
import tinygrad_rl as tg
from ddpg.errors import UsageError
from ddpg.study import folder
from ddpg.study.work.processes import Processes
from ddpg.study.work.task import Task
from tests.ddpg.run.runs import files_of
from tests.ddpg.study.studies import (
    EXPLOSIVE,
    FAILING,
    QUICKLY,
    SMALL,
    as_single_runs,
    assert_same_study,
    children,
    go_on,
    quickly,
)


@pytest.fixture(scope="module")
def of_two_seeds(tmp_path_factory):
    """A folder, and the study in it, at its end."""
    folder = tmp_path_factory.mktemp("two")
    return folder, quickly(folder, seeds=2)


@pytest.fixture
def two(tmp_path, of_two_seeds):
    """The same study in `tmp_path / "s"`, to do something to."""
    shutil.copytree(of_two_seeds[0], tmp_path / "s")
    return of_two_seeds[1]


def states(study):
    return [result.state for result in study.results]


def test_each_run_is_the_one_that_train_makes_and_a_study_grows(tmp_path):
    quickly(tmp_path / "s")
    first = files_of(tmp_path / "s" / "runs" / "tests.ddpg.run.environments-Small-v0" / "seed-0")
    go_on(tmp_path / "s", seeds=2, settings={"gamma": [0.9, 0.99]})
    as_single_runs(tmp_path / "o", [SMALL], seeds=2, settings={"gamma": [0.9, 0.99]})
    made = {r.run: r for r in go_on(tmp_path / "s").results}
    assert len(made) == 4
    assert first == files_of(tmp_path / "s" / [*made][1])  # where it was, although named otherwise
    for result in go_on(tmp_path / "o").results:
        (same,) = (r for r in made.values() if (r.setting, r.seed) == (result.setting, result.seed))
        assert same.evaluations == result.evaluations != []


def test_a_run_that_was_made_with_train_counts(tmp_path):
    ddpg.train(SMALL, run_dir=tmp_path / "s" / "runs" / "mine", progress=False, seed=1, **QUICKLY)
    before = files_of(tmp_path / "s" / "runs" / "mine")
    study = quickly(tmp_path / "s", seeds=2)
    assert sorted(r.run for r in study.results)[0] == "runs/mine"
    assert files_of(tmp_path / "s" / "runs" / "mine") == before
    assert states(study) == ["finished"] * 2


def test_runs_that_fail_and_diverge_are_reported_and_take_no_other_along(tmp_path):
    study = quickly(tmp_path / "s", [FAILING, SMALL, EXPLOSIVE], seeds=1)
    failed, finished, diverged = study.results
    assert (failed.state, finished.state, diverged.state) == ("failed", "finished", "diverged")
    assert "reward" in failed.message
    assert "diverged" in diverged.message
    log = (tmp_path / "s" / f"{failed.run}.log").read_text()
    assert log.splitlines()[-1] == f"failed: {failed.message}"
    again = go_on(tmp_path / "s")
    assert states(again) == states(study)


def test_the_page_says_with_which_versions_the_runs_were_made(tmp_path, two):
    state = tmp_path / "s" / two.results[0].run / "checkpoint" / "state.safetensors"
    tg.save(state, tg.load(state) | {"versions": {"python": "3.9.1"}})
    go_on(tmp_path / "s")
    page = (tmp_path / "s" / "study.html").read_text()
    assert f"python 3.9.1 and {platform.python_version()}, " in page
    assert f"numpy {np.__version__}" in page


DAMAGES = {
    "state.safetensors": "checkpoint/state.safetensors",
    "its ending": "../seed-0.json",
    "config.json": "config.json",
    "evaluations.csv": "evaluations.csv",
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_run_is_reported_and_takes_no_other_along(tmp_path, two, what):
    one, other = (tmp_path / "s" / result.run for result in two.results)
    damage(one / DAMAGES[what])
    if what == "state.safetensors":  # of a run at its end nobody looks at it
        one.with_name("seed-0.json").unlink()
    shutil.rmtree(other)  # something is left to do
    again = go_on(tmp_path / "s")
    if what == "its ending":  # which the run itself knows
        assert states(again) == ["finished"] * 2
        assert again.results[0].evaluations == two.results[0].evaluations
        return
    assert states(again) == ["failed", "finished"]
    assert f"{what}" in again.results[0].message and "damaged" in again.results[0].message
    page = (tmp_path / "s" / "study.html").read_text()
    assert what in page
    shutil.rmtree(one)
    mended = go_on(tmp_path / "s")
    assert [r.evaluations for r in mended.results] == [r.evaluations for r in two.results]


@pytest.mark.parametrize("how", ["a digit", "a column", "lines", "all"])
def test_a_table_that_is_not_as_its_run_wrote_it_does_not_count(tmp_path, how):
    study = quickly(tmp_path / "s", seeds=2)
    table = tmp_path / "s" / study.results[1].run / "evaluations.csv"
    text = table.read_text()
    if how == "all":
        table.unlink()
    else:
        first, last = text[:-40], text[-40:]
        new = {
            "a digit": first + last.replace("3", "4"),
            "a column": text.replace("mean", "meam"),
            "lines": text[: text[:-1].rfind("\n") + 1],
        }
        table.write_text(new[how])
        assert table.read_text() != text
    again = go_on(tmp_path / "s")
    assert states(again) == ["finished", "failed"]
    assert "evaluations.csv is " in again.results[1].message


def damage(path):
    """One bit, in the middle of what counts."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x80
    path.write_bytes(data)


def test_a_run_whose_folder_is_gone_is_made_again(tmp_path, two):
    shutil.rmtree(tmp_path / "s" / two.results[0].run)
    assert states(go_on(tmp_path / "s")) == ["finished"] * 2
    as_single_runs(tmp_path / "o", [SMALL], seeds=2)
    assert_same_study(tmp_path / "s", tmp_path / "o")


def test_a_study_is_prolonged(tmp_path):
    quickly(tmp_path / "s")
    (result,) = go_on(tmp_path / "s", total_timesteps=400).results
    assert (result.state, result.steps) == ("finished", 400)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"jobs": 0}, "jobs must be 1 or more, got 0"),
        ({"jobs": 10_000}, "is more than this machine's"),
        ({"threads": 10_000}, "more than this machine's"),
        ({"env_ids": ["Nothing-v0"]}, "unknown environment 'Nothing-v0'"),
        ({"env_ids": ["CartPole-v1"]}, "Discrete"),
        ({"hidden": (10**6, 10**6)}, "hidden 1000000x1000000 needs"),
        ({"gamma": 2}, "gamma must be"),
        ({"jobs": "2"}, "jobs must be 1 or more, got '2'"),
        ({"jobs": 1.5}, "jobs must be 1 or more, got 1.5"),
        ({"ray": None}, "ray must be True, False or an address, got None"),
        ({"ray": ""}, "ray must be True, False or an address, got ''"),
        ({"study_dir": ""}, "study_dir must be a path, got ''"),
        ({"study_dir": "a\0b"}, "study_dir must be a path"),
        ({"study_dir": 3}, "study_dir must be a path, got 3"),
        ({"preset": 5}, "preset must be none or an id with a preset, got 5"),
        ({"seed": "a"}, "seed must be an integer of 0 or more, got 'a'"),
        ({"seed": 1, "seeds": [3]}, "seed has no effect beside a list of seeds"),
        ({"env_id": SMALL}, "env_id is no setting of a study"),
        ({"settings": {"tau": 0.1}}, "tau must have a list of values, got 0.1"),
        ({"settings": {"algorithm": [["ddpg"]]}}, r"algorithm must be .*, got \['ddpg'\]"),
        ({"settings": {"tau": [0.1]}, "tau": 0.3}, "tau has a value for all runs and another one"),
        (
            {"settings": {"algorithm": ["td3"]}, "critics": 1},
            "critics has a value for all runs .*, that of algorithm td3",
        ),
    ],
)
def test_bad_input_is_said_before_anything_is_written(tmp_path, asked, said):
    with pytest.raises(UsageError, match=said):
        quickly(**{"study_dir": tmp_path / "s", **asked})
    assert list(tmp_path.iterdir()) == []


def test_folders_of_others_are_left_alone(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    for name, said in (("file", "is a file"), ("full", r"holds something else \(thesis.tex\)")):
        with pytest.raises(UsageError, match=said):
            quickly(tmp_path / name)
    with pytest.raises(UsageError, match="holds no study"):
        go_on(tmp_path / "none")
    quickly(tmp_path / "s")
    (tmp_path / "s" / "study.html").unlink()
    (tmp_path / "s" / "study.html").mkdir()
    with pytest.raises(UsageError, match=r"study.html is a folder, where a file of this name goes"):
        go_on(tmp_path / "s", seeds=2)
    assert not list((tmp_path / "s").rglob("seed-1"))
    with pytest.raises(UsageError, match=r"holds another study: gamma is 0.99 there and 0.5 here"):
        quickly(tmp_path / "s", gamma=0.5)
    with pytest.raises(UsageError, match=r"^tau must be a number from 0 to 1, got 2"):
        quickly(tmp_path / "s", tau=2)
    path = tmp_path / "s" / folder.PLAN
    path.write_text(path.read_text().replace("0.99", "0.98"))
    with pytest.raises(UsageError, match=r"study.json: its checksum does not fit"):
        go_on(tmp_path / "s")


def test_a_process_that_was_killed_as_it_wrote_its_first_plan_leaves_a_folder_of_its_own(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ".study.json.12.34.part").write_text("{")
    (tmp_path / "s" / "lock").touch()
    assert states(quickly(tmp_path / "s")) == ["finished"]
    assert not list((tmp_path / "s").glob(".*"))


def test_names_that_are_one_as_folders_are_two_runs(tmp_path):
    study = quickly(tmp_path / "s", settings=[{"gamma": 0.9}, {"gamma": 0.90000001}])
    assert [result.run.split("/")[2:] for result in study.results] == [
        ["gamma=0.9", "seed-0"],
        ["gamma=0.9", "seed-0-2"],
    ]
    assert states(study) == ["finished"] * 2


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system knows no cores")
def test_a_run_has_a_core_of_its_own(tmp_path):
    cores = sorted(os.sched_getaffinity(0))
    backend = Processes(len(cores), 1)
    try:
        for i in range(len(cores)):
            backend.start(str(i), Task(str(tmp_path / str(i)), {}))
        found = [{*os.sched_getaffinity(pid)} for pid in children(os.getpid())]
    finally:
        backend.close()
    assert sorted(map(min, found)) == cores and set(map(len, found)) == {1}
    assert sorted(os.sched_getaffinity(0)) == cores


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system knows no cores")
def test_two_studies_take_different_cores_while_there_are_some(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # other tests have claims of their own
    cores = sorted(os.sched_getaffinity(0))
    backends = [Processes(1, 1) for _ in (*cores, "one that has to share")]
    try:
        for i, backend in enumerate(backends):
            backend.start(str(i), Task(str(tmp_path / str(i)), {}))
        found = [min(os.sched_getaffinity(pid)) for pid in children(os.getpid())]
    finally:
        for backend in backends:
            backend.close()
    assert sorted(found) == sorted([*cores, cores[0]])


def test_modules_that_are_found_here_are_found_in_runs(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_environments.py").write_text(
        "import gymnasium\nfrom tests.ddpg.run.environments import Small\n"
        "gymnasium.register('Mine-v0', Small, max_episode_steps=25, disable_env_checker=True)\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "mine")])
    assert states(quickly(tmp_path / "s", "my_environments:Mine-v0")) == ["finished"]
