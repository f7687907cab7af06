"""However a study is ended, it goes on as if nothing had happened."""

import json
import random
import re
import signal
import sys
import time
from dataclasses import asdict
from functools import partial

import pytest

from ddpg.config import config_to_dict
from ddpg.study import folder
from ddpg.study.plan import Asked, new_plan
from ddpg.study.work import child
from ddpg.study.work.task import Task, ending_from, log_of
from tests.ddpg.study.studies import (
    ASKING,
    DEADLY,
    DOUBLE,
    FLAGS,
    FORKING,
    HANGING,
    QUICKLY,
    SMALL,
    STOPPED,
    as_single_runs,
    assert_same_study,
    begun,
    children,
    go_on,
    kill,
    kill_all,
    quickly,
    until,
)


def more_checkpoints(study_dir, before):
    return len(list(study_dir.rglob("state.safetensors"))) > before


@pytest.mark.slow
def test_five_kills_of_everything_and_two_environments_two_settings_three_seeds(tmp_path):
    asked = {"settings": {"critic_lr": [1e-3, 3e-4]}, "seeds": 3}
    as_single_runs(tmp_path / "undisturbed", [SMALL, DOUBLE], **asked)
    one = tmp_path / "killed"
    words = ("study", "--env-ids", SMALL, DOUBLE, "--set", "critic_lr=1e-3,3e-4", "--seeds", 3)
    moments = random.Random(1)
    for _ in range(5):
        process = begun(*words, "--study-dir", one, *FLAGS)
        until(partial(more_checkpoints, one, len(list(one.rglob("state.safetensors")))))
        time.sleep(moments.uniform(0.0, 0.5))
        kill_all(process)
    assert 0 < len(list(one.rglob("seed-?.json"))) < 12
    study = go_on(one)
    assert [result.state for result in study.results] == ["finished"] * 12
    assert_same_study(one, tmp_path / "undisturbed")


def test_a_killed_worker_is_replaced(tmp_path):
    as_single_runs(tmp_path / "undisturbed", [SMALL], total_timesteps=1000)
    words = ("study", "--env-ids", SMALL, "--study-dir", tmp_path / "s", *FLAGS)
    process = begun(*words, "--total-timesteps", 1000)
    until(lambda: list((tmp_path / "s").rglob("state.safetensors")))
    (worker,) = children(process.pid)
    kill(worker)
    assert process.wait() == 0
    assert_same_study(tmp_path / "s", tmp_path / "undisturbed")


def test_workers_save_and_end_when_the_study_is_killed(tmp_path):
    words = ("study", "--env-ids", SMALL, "--study-dir", tmp_path / "s", *FLAGS)
    process = begun(*words, "--total-timesteps", 100_000, "--checkpoint-every", 100_000)
    until(lambda: list((tmp_path / "s").rglob("evaluations.csv")))
    (worker,) = children(process.pid)
    kill(process.pid)
    process.wait()
    until(lambda: list((tmp_path / "s").rglob("state.safetensors")), 20.0)
    until(lambda: worker not in children(1), 20.0)


def test_a_worker_that_hangs_ends_when_the_study_is_killed_and_says_where(tmp_path, monkeypatch):
    patient = "from ddpg.study.work import worker; worker.PATIENCE = 0.5; worker.main()"
    monkeypatch.setattr(child, "_COMMAND", [sys.executable, "-c", patient])
    run_dir = tmp_path / "seed-0"
    process = child.begin(child.search_path(), log_of(run_dir))
    task = Task(
        str(run_dir), config_to_dict(new_plan(Asked([HANGING], fixed=QUICKLY)).members[0].config)
    )
    process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
    process.stdin.flush()
    log = log_of(run_dir)
    until(lambda: "hangs" in log.read_text())
    process.stdin.close()
    until(lambda: process.poll() is not None)
    assert re.search(r"environments.py.* in step", log.read_text())
    with process.stdout as answer:
        assert ending_from(answer.read(), process.returncode).kind == "lost"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_every_run(tmp_path, number):
    as_single_runs(tmp_path / "undisturbed", [SMALL], total_timesteps=1000, checkpoint_every=1000)
    words = ("study", "--env-ids", SMALL, "--study-dir", tmp_path / "s", *FLAGS)
    process = begun(*words, "--total-timesteps", 1000, "--checkpoint-every", 1000)
    until(lambda: list((tmp_path / "s").rglob("evaluations.csv")))
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert list((tmp_path / "s").rglob("state.safetensors")), "nothing was saved"
    go_on(tmp_path / "s")
    assert_same_study(tmp_path / "s", tmp_path / "undisturbed")


def test_a_run_that_is_lost_again_and_again_has_failed(tmp_path):
    study = quickly(tmp_path / "s", [DEADLY, SMALL])
    deadly, small = study.results
    assert (deadly.state, small.state) == ("failed", "finished")
    assert deadly.message.startswith("its process was ended by SIGKILL, 3 times without getting")


def test_a_run_that_is_stopped_at_the_same_step_again_and_again_has_failed(tmp_path):
    (result,) = quickly(tmp_path / "s", STOPPED).results
    assert result.state == "failed"
    assert result.message.startswith("by SIGTERM, 3 times without getting further")


def test_a_run_ends_though_its_environment_leaves_a_child_and_a_thread_behind(
    tmp_path, monkeypatch
):
    patient = "from ddpg.study.work import worker; worker.PATIENCE = 0.5; worker.main()"
    monkeypatch.setattr(child, "_COMMAND", [sys.executable, "-c", patient])
    (result,) = quickly(tmp_path / "s", FORKING, total_timesteps=50).results
    log = (tmp_path / "s" / f"{result.run}.log").read_text()
    kill(int(re.search(r"child (\d+)", log)[1]))
    assert result.state == "finished"


def test_an_environment_that_asks_for_input_fails_and_does_not_wait(tmp_path):
    (result,) = quickly(tmp_path / "s", ASKING).results
    assert result.state == "failed" and "raised EOFError" in result.message


def test_a_signal_without_a_name_is_called_by_its_number():
    assert ending_from(b"", -40).message == "its process was ended by signal 40"


def test_another_process_at_work_is_waited_for_and_two_studies_in_one_folder_refused(tmp_path):
    words = ("study", "--env-ids", SMALL, "--study-dir", tmp_path / "s", *FLAGS)
    process = begun(*words, "--total-timesteps", 1000)
    until(lambda: (tmp_path / "s" / folder.PLAN).exists())
    with pytest.raises(ValueError, match="another process is at work on"):
        go_on(tmp_path / "s")
    assert process.wait() == 0
