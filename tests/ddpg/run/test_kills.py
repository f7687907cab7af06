"""However a run is ended, it goes on as if nothing had happened."""

import os
import random
import signal
import time

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.errors import TrainingError, UsageError
from ddpg.run.disk import folder
from ddpg.run.runs import resume
from tests.ddpg.run import environments
from tests.ddpg.run.runs import (
    assert_can_be_read,
    assert_same_run,
    begin,
    config,
    ended,
    files_of,
    forked,
    go_on,
    killed,
    place_of,
    quiet,
    rows,
    without_drawing,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


pytestmark = pytest.mark.usefixtures("no_drawing", "happens")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that nobody ended."""
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    with without_drawing():
        begin(run_dir, config())
    return run_dir


def arrange(run_dir, step, what):
    """`what` happens in this training step of a run without evaluations, when it goes on."""
    place = place_of(run_dir)
    (replayed,) = place["length"]
    environments.happens.clear()
    environments.happens[environments.steps + replayed + step - place["step"]] = what


def fail():
    raise OSError("the simulator\nis gone")


def test_five_kills_at_random_moments(tmp_path):
    start = time.monotonic()
    begin(tmp_path / "undisturbed", config())
    took = time.monotonic() - start
    moments = random.Random(3)
    for _ in range(5):
        child = forked(lambda: go_on(tmp_path / "run", config()))
        time.sleep(moments.uniform(0, 0.6 * took))
        os.kill(child, signal.SIGKILL)
        assert ended(child) in (0, -signal.SIGKILL)
        assert_can_be_read(tmp_path / "run", whole=False)
    go_on(tmp_path / "run", config())
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_loses_nothing(tmp_path, undisturbed, happens, number):
    """Heard in training and in evaluations, with a checkpoint due at that step and without."""
    for later in (1, 19, 40, 60, 39):
        happens.clear()
        happens[environments.steps + later] = lambda: os.kill(os.getpid(), number)
        log = go_on(tmp_path / "run", config())
        assert log.stopped_by == number
        assert log.steps == place_of(tmp_path / "run")["step"]
        assert_can_be_read(tmp_path / "run")
    assert 85 < log.steps < 100
    go_on(tmp_path / "run", config())
    assert_same_run(tmp_path / "run", undisturbed)


@pytest.mark.parametrize("noise", ["ou", "gaussian"])
def test_an_environment_that_fails_once_in_a_step(tmp_path, noise):
    """In the very first, in an episode's first, middle and last, of warm-up and after."""
    settings = config("Double", noise=noise, eval_every=0)
    begin(tmp_path / "undisturbed", settings)
    last = int(rows(tmp_path / "undisturbed" / folder.METRICS_TABLE)[-1]["step"])
    assert 86 < last < 98
    for step in (1, 38, 85, last - 1, last, last + 1, last + 2):
        arrange(tmp_path / "run", step, fail)
        with pytest.raises(TrainingError, match=f"^step {step}: .*step raised .* is gone$"):
            go_on(tmp_path / "run", settings)
        assert_can_be_read(tmp_path / "run")
        assert place_of(tmp_path / "run")["step"] == step - 1
    go_on(tmp_path / "run", settings)
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


def test_an_environment_that_fails_once_in_an_evaluation(tmp_path, undisturbed, happens):
    happens[35] = fail  # the steps of an evaluation come after 30 of training
    with pytest.raises(TrainingError, match=r"^step 30: .* evaluation's episode from seed 1000"):
        go_on(tmp_path / "run", config())
    assert place_of(tmp_path / "run")["step"] == 30
    go_on(tmp_path / "run", config())
    assert_same_run(tmp_path / "run", undisturbed)


def test_an_environment_that_fails_while_its_episode_is_replayed(tmp_path):
    settings = config(eval_every=0)
    begin(tmp_path / "undisturbed", settings)
    arrange(tmp_path / "run", 89, fail)
    with pytest.raises(TrainingError):
        go_on(tmp_path / "run", settings)
    assert place_of(tmp_path / "run")["length"][0] > 1
    for _ in range(2):
        environments.happens[environments.steps + 2] = fail
        with pytest.raises(TrainingError, match="replayed"):
            go_on(tmp_path / "run", settings)
        assert place_of(tmp_path / "run")["step"] == 88
    go_on(tmp_path / "run", settings)
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.parametrize("value", [float("nan"), np.float64(np.inf), 1e300])
def test_an_impossible_reward(tmp_path, value):
    settings = config(eval_every=0)
    begin(tmp_path / "undisturbed", settings)
    arrange(tmp_path / "run", 67, lambda: value)
    with pytest.raises(TrainingError, match=r"^step 67: the environment's reward is"):
        go_on(tmp_path / "run", settings)
    assert place_of(tmp_path / "run")["step"] == 66
    go_on(tmp_path / "run", settings)
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.parametrize("kind", ["OneBuffer", "Overwriting"])
def test_what_an_environment_does_with_its_arrays_is_its_own_affair(tmp_path, undisturbed, kind):
    log = go_on(tmp_path / "run", config(kind, total_timesteps=70))
    assert log.steps == 70
    go_on(tmp_path / "run", config(kind))
    one, two = files_of(tmp_path / "run"), files_of(undisturbed)
    assert one[folder.TRANSITIONS] == two[folder.TRANSITIONS]
    assert one[folder.MODEL] == two[folder.MODEL]


def test_a_longer_run_is_as_one_that_was_long_from_the_start(tmp_path, undisturbed):
    """Whether an evaluation was due at the first end or not, and where a best one was."""
    for total in (10, 37, 45, 60, 88, 100):
        go_on(tmp_path / "run", config(total_timesteps=total))
        begin(tmp_path / f"{total}", config(total_timesteps=total))
        assert_same_run(tmp_path / "run", tmp_path / f"{total}")
    assert_same_run(tmp_path / "run", undisturbed)


def test_a_finished_run_that_goes_on_stays_as_it_is(tmp_path):
    settings = config(total_timesteps=50)
    begin(tmp_path, settings)
    before = files_of(tmp_path)
    go_on(tmp_path, settings)
    assert files_of(tmp_path) == before


def test_a_shorter_run_forgets_what_came_later(tmp_path):
    """A run that was killed beyond its last checkpoint may have had its best agent there."""
    rare = {"checkpoint_every": 50, "eval_every": 10, "seed": 3, "warmup_steps": 40}
    killed(tmp_path / "run", config(**rare), at=95)
    assert place_of(tmp_path / "run")["step"] == 50
    later = (tmp_path / "run" / folder.BEST).read_bytes()
    go_on(tmp_path / "run", config(**rare, total_timesteps=50))
    begin(tmp_path / "other", config(**rare, total_timesteps=50))
    assert (tmp_path / "other" / folder.BEST).read_bytes() != later
    assert_same_run(tmp_path / "run", tmp_path / "other")


def test_a_copy_goes_on_and_the_run_stays(tmp_path, undisturbed):
    killed(tmp_path / "run", config(), at=70)
    before = files_of(tmp_path / "run")
    resume(tmp_path / "run", copy_to=tmp_path / "copies" / "1", console=quiet())
    assert files_of(tmp_path / "run") == before
    assert_same_run(tmp_path / "copies" / "1", undisturbed)


def test_a_copy_of_a_run_that_was_never_saved(tmp_path, undisturbed):
    killed(tmp_path / "run", config(), at=10)
    before = files_of(tmp_path / "run")
    for name in (folder.TRANSITIONS, folder.METRICS_TABLE):
        (tmp_path / "run" / name).unlink(missing_ok=True)
        before.pop(name, None)
    resume(tmp_path / "run", copy_to=tmp_path / "copy", console=quiet())
    assert files_of(tmp_path / "run") == before
    assert_same_run(tmp_path / "copy", undisturbed)


def test_two_at_once_in_one_folder(tmp_path, undisturbed):
    refused = []

    def try_it():
        for work in (go_on, begin, lambda *run: resume(run[0], copy_to=tmp_path / "copy")):
            with pytest.raises(UsageError) as error:
                work(tmp_path / "run", config())
            assert "\n" not in str(error.value)

    def meanwhile():
        refused.append(ended(forked(try_it)))

    environments.happens |= {3: meanwhile, 50: meanwhile}
    begin(tmp_path / "run", config())
    assert refused == [0, 0]
    assert_same_run(tmp_path / "run", undisturbed)
    assert not (tmp_path / "copy").exists()


def test_an_action_for_an_observation_that_is_given_up_is_not_carried_out(tmp_path):
    """It was chosen, and the environment failed; then that could not be brought back."""
    settings = config("Unrepeatable", eval_every=0, warmup_steps=20, seed=3)
    arrange(tmp_path / "run", 67, fail)
    with pytest.raises(TrainingError):
        go_on(tmp_path / "run", settings)
    place = place_of(tmp_path / "run")
    chosen = float(place["action"].numpy()[0])
    assert (place["step"], place["length"] != [0]) == (66, True)
    go_on(tmp_path / "run", settings)
    stored = np.fromfile(tmp_path / "run" / folder.TRANSITIONS, "<f4").reshape(100, -1)[66]
    (action,), begins = stored[2:3], stored[-1]
    assert begins == 1.0 and action != chosen


def test_an_environment_that_cannot_be_replayed_begins_a_new_episode(tmp_path):
    settings = config("Unrepeatable", warmup_steps=40, seed=3)
    killed(tmp_path / "run", settings, at=95)
    place = place_of(tmp_path / "run")
    assert place["length"][0] > 0
    console = quiet()
    go_on(tmp_path / "run", settings, console)
    assert "this environment cannot be replayed" in console.file.getvalue()
    ends = rows(tmp_path / "run" / folder.METRICS_TABLE)
    assert place_of(tmp_path / "run")["step"] == 100
    (given_up,) = place["length"]
    (unfinished,) = place_of(tmp_path / "run")["length"]
    assert sum(row["length"] for row in ends) + given_up + unfinished == 100
    assert_best_is_the_best(tmp_path / "run")


def assert_best_is_the_best(run_dir):
    """The best agent is that of the step with the best evaluation."""
    best = max(rows(run_dir / folder.EVALUATIONS_TABLE), key=lambda row: row["mean"])
    assert tg.load(run_dir / folder.BEST)["steps_explored"] == best["step"]
