"""A whole tuning: killed, extended, run with what it wrote; what is refused before it begins."""

import random
import shutil
import signal
import time
from functools import partial

import pytest

import ddpg
from ddpg import cli
from ddpg.config import config_to_dict, read_config
from ddpg.errors import TrainingError, UsageError
from ddpg.study.folder import read_plan
from ddpg.study.plan import Asked
from ddpg.study.tuning import api
from ddpg.study.tuning.search import Wanted, new_search, read_search, write_search
from ddpg.study.work.task import Ending
from tests.ddpg.run.runs import begin, files_of, without_drawing
from tests.ddpg.study.studies import QUICKLY, SMALL, begun, kill_all, until
from tests.ddpg.study.test_kills import FLAGS
from tests.ddpg.study.tuning.made import Pretended, tuned

pytest.importorskip("optuna")
SHORT = QUICKLY | {"total_timesteps": 160, "eval_every": 20, "eval_episodes": 1}
FLAGS_OF_SHORT = [*FLAGS, "--total-timesteps", 160, "--eval-every", 20, "--eval-episodes", 1]
BRIEF = SHORT | {"total_timesteps": 120, "eval_every": 30, "warmup_steps": 100}
SPACE = ["actor_lr", "tau", "noise_std"]
"""Settings for which nothing is compiled anew."""


def of(tune_dir):
    """What must not depend on how a tuning was carried out."""
    names = ("tune.json", "trials.csv", "best.json", "tune.html", "rerun/study.json")
    found = {name: (tune_dir / name).read_bytes() for name in names}
    drawn = ("lock", ".log", "learning_curve.png")
    runs = files_of(tune_dir / "rerun" / "runs")
    return found | {name: data for name, data in runs.items() if not name.endswith(drawn)}


def has_ended(journal, count):
    """Whether so many trials have."""
    return journal.exists() and journal.read_text().count('"op_code":6') >= count


@pytest.mark.slow
def test_kills_of_everything_do_not_show_nor_does_the_number_of_jobs(tmp_path, monkeypatch):
    asked = {"trials": 9, "seeds": 2, "space": SPACE, "seed": 1}
    pendulum = {"env_id": "Pendulum-v1", "env_kwargs": {"max_episode_steps": 20}}
    once = tuned(tmp_path / "a", monkeypatch, **pendulum, **asked, **SHORT)
    assert {trial.state for trial in once.trials} == {"complete", "pruned"}
    words = ("tune", "--env-id", "Pendulum-v1", "--env-kwargs", "max_episode_steps=20")
    words += ("--tune-dir", tmp_path / "b", "--space", *SPACE, "--seed", 1)
    luck = random.Random(2)
    for count in (1, 3, 5, 7):
        process = begun(*words, "--trials", 9, "--seeds", 2, *FLAGS_OF_SHORT)
        until(partial(has_ended, tmp_path / "b" / "journal.log", count))
        time.sleep(luck.uniform(0.0, 0.5))
        kill_all(process)
    process = begun("tune", tmp_path / "b")
    until(lambda: list((tmp_path / "b" / "rerun").rglob("state.safetensors")))
    kill_all(process)
    assert begun("tune", tmp_path / "b").wait() == 0
    assert of(tmp_path / "b") == of(tmp_path / "a")


def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path, capfd):
    process = begun("tune", "--env-id", SMALL, "--tune-dir", tmp_path / "t", *FLAGS)
    until(lambda: list((tmp_path / "t").rglob("evaluations.csv")))
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert not (tmp_path / "t" / "rerun").exists()
    assert (tmp_path / "t" / "tune.html").exists()


def test_a_tuning_writes_a_config_whose_run_is_the_one_that_was_best(tmp_path, monkeypatch):
    tuning = tuned(
        tmp_path / "t", monkeypatch, env_id=SMALL, trials=5, seeds=2, space=SPACE, **BRIEF
    )
    config = read_config(tmp_path / "t" / "best.json")
    assert config == tuning.best and config.seed == 0
    with without_drawing():
        begin(tmp_path / "again", config)
    again = files_of(tmp_path / "again")
    runs = [path.parent for path in (tmp_path / "t" / "rerun").rglob("seed-0/config.json")]
    assert len(runs) == 4
    (same,) = [run for run in runs if files_of(run)["config.json"] == again["config.json"]]
    assert files_of(same) == again
    seeds = {read_config(path).seed for path in (tmp_path / "t" / "trials").rglob("config.json")}
    assert seeds == {*range(1000, 1005)}
    assert {r.seed for r in tuning.rerun.results} == {0, 1}


@pytest.mark.slow
def test_a_tuning_gets_more_trials_and_more_seeds(tmp_path, monkeypatch):
    made = {"env_id": SMALL, "seeds": 1, "space": SPACE, **BRIEF}
    first = tuned(tmp_path / "t", monkeypatch, trials=2, **made)
    more = tuned(tmp_path / "t", monkeypatch, trials=4, seeds=2)
    assert list(more.trials[:2]) == first.trials
    known = [r.run for r in first.rerun.results]
    assert {*known} < {r.run for r in more.rerun.results}
    assert {r.state for r in more.rerun.results} == {"finished"}
    before = files_of(tmp_path / "t")
    tuned(tmp_path / "t", monkeypatch)
    assert files_of(tmp_path / "t") == before
    monkeypatch.setattr(api, "_checked", lambda tuning, backend, console: tuning)
    at_once = tuned(tmp_path / "o", monkeypatch, trials=4, **made)
    assert more.trials == at_once.trials


def test_runs_that_were_added_to_the_last_study_count_for_their_own_trial_only(
    tmp_path, monkeypatch
):
    made = {"env_id": SMALL, "trials": 2, "seeds": 1, "space": SPACE, **BRIEF}
    first = tuned(tmp_path / "t", monkeypatch, **made)
    plan = read_plan(tmp_path / "t" / "rerun")
    settings = [*plan.settings, {"tau": 0.5}]
    ddpg.run_study(study_dir=tmp_path / "t" / "rerun", settings=settings, seeds=2, progress=False)
    again = tuned(tmp_path / "t", monkeypatch)
    assert [trial.number for trial in again.run_again] == [t.number for t in first.run_again]
    runs = [outcome.runs for outcome in again.rerun.outcomes.values()]
    assert [[run.seed for run in of_one] for of_one in runs] == [[0, 1]] * 2
    assert not any("tau=0.5" in run.run for of_one in runs for run in of_one)


def test_the_last_study_is_looked_at_before_the_first_trial(tmp_path):
    (tmp_path / "t").mkdir()
    search = new_search(Wanted(Asked([SMALL], fixed=SHORT)))
    write_search(tmp_path / "t", search)
    (tmp_path / "t" / "rerun").touch()
    with pytest.raises(UsageError, match="rerun is a file, not a folder for a study"):
        ddpg.tune(tune_dir=tmp_path / "t", progress=False)
    assert not (tmp_path / "t" / "trials").exists()


def test_a_trial_whose_table_is_damaged_is_not_judged_by_it(tmp_path, monkeypatch):
    made = {"env_id": SMALL, "trials": 2, "seeds": 1, "space": SPACE, **BRIEF}
    first = tuned(tmp_path / "t", monkeypatch, **made)
    (tmp_path / "t" / "journal.log").unlink()
    table = tmp_path / "t" / "trials" / "trial-1" / "evaluations.csv"
    table.write_text(table.read_text().replace("mean", "meam"))
    with pytest.raises(TrainingError, match=r"trial-1: .*csv is damaged: .*; without its folder"):
        tuned(tmp_path / "t", monkeypatch)
    shutil.rmtree(table.parent)
    assert tuned(tmp_path / "t", monkeypatch).trials == first.trials


def test_where_no_trial_comes_to_its_end_nothing_is_run_again(tmp_path, monkeypatch):
    asked = {"env_id": SMALL, "trials": 2, "space": ["tau"], **BRIEF}
    tuning = tuned(tmp_path / "t", monkeypatch, critic_lr=1e30, **asked)
    assert {trial.state for trial in tuning.trials} == {"failed"}
    assert "diverged" in tuning.trials[0].message
    assert (tuning.rerun, tuning.best) == (None, None)
    assert not (tmp_path / "t" / "rerun").exists()


def test_a_machine_that_fails_ends_the_tuning_and_says_so(tmp_path, monkeypatch):
    failing = Pretended(1, 0, lambda config: Ending("failed", "no space left on device"))
    monkeypatch.setattr(api, "new_backend", lambda *how: failing)
    with pytest.raises(TrainingError, match=r"trial-0: no space left on device; .* goes on"):
        ddpg.tune(SMALL, tune_dir=tmp_path / "t", progress=False, **SHORT)
    assert read_search(tmp_path / "t").trials == 40


REFUSED = [
    ({"trials": 0}, "trials must be from 1 to 10,000, got 0"),
    ({"seeds": 1041}, "seeds must be from 1 to 1,000, got 1041"),
    ({"space": ["actor_lrr"]}, "space names 'actor_lrr', .* did you mean 'actor_lr'"),
    ({"space": ["threads"]}, "space names 'threads', .* there are algorithm, actor_lr"),
    ({"space": ["gamma"], "gamma": 0.9}, "space names gamma, which has a value here"),
    ({"space": ["algorithm"], "critics": 3}, "space names algorithm, which has a value here"),
    ({"space": ["hidden"]}, "space names hidden, which has a value here"),
    ({"jobs": 0}, "jobs must be 1 or more"),
    ({"jobs": 10_000}, "more than this machine's"),
    ({"env_id": "Nothing-v0"}, "unknown environment 'Nothing-v0'"),
    ({"eval_every": 0}, "eval_every must be from 1 to 40, got 0"),
    ({"eval_every": 41}, "eval_every must be from 1 to 40, got 41"),
    ({"gamma": 2}, "gamma must be"),
    ({"gama": 0.9}, "unknown setting 'gama'"),
    ({"preset": "Nothing-v0"}, "preset must be none or an id"),
]


@pytest.mark.parametrize(("asked", "said"), REFUSED, ids=str)
def test_bad_input_is_said_before_anything_is_written(tmp_path, asked, said):
    with pytest.raises(UsageError, match=said):
        ddpg.tune(**{"env_id": SMALL, **SHORT, **asked}, tune_dir=tmp_path / "t", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_another_tuning_is_left_alone(tmp_path, monkeypatch):
    made = {"env_id": SMALL, "trials": 2, "seeds": 1, **BRIEF}
    tuned(tmp_path / "t", monkeypatch, **made)
    before = files_of(tmp_path / "t")
    for asked, said in [
        ({"trials": 1}, "it has 2 trials, and 1 are fewer"),
        ({"gamma": 0.99}, "gamma is searched there, and has a value here"),
        ({"critics": 1}, "algorithm is searched there, and has a value here"),
        ({"hidden": (9,)}, r"hidden is \[8\] there and \[9\] here"),
        ({"total_timesteps": 500}, "total_timesteps is 120 there and 500 here"),
        ({"space": ["tau"]}, "it searches algorithm, actor_lr"),
        ({"seed": 3}, "seed 0, which is not asked for here"),
        ({"env_id": "Pendulum-v1"}, "which is not asked for here"),
    ]:
        with pytest.raises(UsageError, match=f"holds another tuning: .*{said}"):
            ddpg.tune(tune_dir=tmp_path / "t", progress=False, **asked)
    assert files_of(tmp_path / "t") == before
    with pytest.raises(UsageError, match="holds no tuning: name the environment"):
        ddpg.tune(tune_dir=tmp_path / "none", progress=False)
    with pytest.raises(UsageError, match=r"holds something else \(best.json\)"):
        ddpg.run_study([SMALL], study_dir=tmp_path / "t", progress=False)
    path = tmp_path / "t" / "tune.json"
    path.write_text(path.read_text().replace('"trials": 2', '"trials": 3'))
    with pytest.raises(UsageError, match=r"tune.json: its checksum does not fit"):
        ddpg.tune(tune_dir=tmp_path / "t", progress=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--env-id is missing"),
        (["--env-id", SMALL, "--trials", "0"], "--trials must be from 1"),
        (["--env-id", SMALL, "--space", "lr"], "--space names 'lr'"),
        (["--env-id", SMALL, "--gamma", "2"], "--gamma must be"),
        (["t", "--tune-dir", "u"], "leave out --tune-dir"),
    ],
)
def test_the_command_line_says_no_in_one_line(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["tune", *words])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_a_line_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ddpg.study.tuning.journal.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["tune", "--env-id", SMALL, "--tune-dir", str(tmp_path / "t")])
    assert ended.value.code == 2
    assert "pip install 'tinygrad-rl[tune]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_settings_at_hand_are_those_of_the_preset(tmp_path, monkeypatch):
    pretended = Pretended(2, 0)
    monkeypatch.setattr(api, "new_backend", lambda *how: pretended)
    monkeypatch.setattr(api, "check_runs", lambda plan: None)  # MuJoCo is an extra
    monkeypatch.setattr(api, "_checked", lambda tuning, backend, console: tuning)
    asked = {"trials": 6, "total_timesteps": 1000, "eval_every": 100}
    tuning = ddpg.tune("Hopper-v5", tune_dir=tmp_path / "t", progress=False, **asked)
    first = tuning.search.trial(0, tuning.trials[0].setting).config
    at_hand = config_to_dict(tuning.search.base)
    assert config_to_dict(first) == at_hand | {"seed": 1000}
    assert tuning.trials[0].setting["algorithm"] == "td3"
    assert (first.ddpg.hidden, first.ddpg.warmup_steps) == ((400, 300), 10_000)
