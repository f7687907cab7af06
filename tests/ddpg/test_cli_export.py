import shutil
import sys

import numpy as np
import pytest

from ddpg import cli
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import load_agent
from tests.ddpg.run.runs import QUICKEST, begin, config, files_of, without_drawing


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    with without_drawing():
        begin(run_dir, QUICKEST)
    return run_dir


@pytest.fixture
def run_dir(finished, tmp_path):
    """A run of the test's own, in the folder that it is in."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def export(capsys, tmp_path, monkeypatch):
    """Run `ddpg export` in this process: its status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["export", *map(str, arguments)])
        return end.value.code, *capsys.readouterr()

    return call


def first_layer(path):
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["weight_0"]


def is_refused(said):
    status, out, err = said
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("name", ["c", "npz", "onnx"])
def test_a_policy_goes_into_the_run_and_two_lines_say_where_and_how(export, run_dir, name):
    if name == "onnx":
        pytest.importorskip("onnx")
    before = files_of(run_dir)
    status, out, err = export(run_dir, "--to", name)
    assert (status, err) == (0, "")
    where, how = out.splitlines()
    path = run_dir / f"policy.{name}"
    assert where == (
        f"{path}: the last policy of a run in tests.ddpg.run.environments:Small-v0, "
        "observations of 2, actions of 1"
    )
    assert str(path) in how
    after = files_of(run_dir)
    assert after.pop(path.name)
    assert after == before  # which is also: nothing half-written lies about


def test_the_best_policy_and_the_last_one(export, run_dir, tmp_path):
    # Of QUICKEST the last evaluation is the best one: another one takes its place.
    agent, _ = load_agent(run_dir)
    with without_drawing():
        begin(tmp_path / "other", config(total_timesteps=100, seed=9))
    shutil.copy(tmp_path / "other" / folder.MODEL, run_dir / folder.BEST)
    other, _ = load_agent(run_dir, best=True)
    assert export(run_dir, "--to", "npz")[0] == 0
    status, out, _ = export(run_dir, "--to", "npz", "--best", "-o", "best of.npz")
    assert status == 0
    assert out.startswith(f"{tmp_path / 'best of.npz'}: the best policy")
    last, best = first_layer(run_dir / "policy.npz"), first_layer(tmp_path / "best of.npz")
    np.testing.assert_array_equal(last, agent.actor.mlp[0].weight.numpy())
    np.testing.assert_array_equal(best, other.actor.mlp[0].weight.numpy())
    assert not np.array_equal(last, best)


def test_an_earlier_export_is_replaced(export, run_dir):
    (run_dir / "policy.c").write_text("old")
    assert export(run_dir, "--to", "c")[0] == 0
    assert "tanhf" in (run_dir / "policy.c").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--to is missing: onnx, c or npz"),
        (("--to", "tflite"), "--to must be onnx or c or npz, got 'tflite'"),
        (("--to", "c", "-o", "."), "is a folder; --output takes a file"),
        (("--to", "c", "-o", "no/where.c"), "there is no folder "),
        (("--to", "c", "-o", "/proc/policy.c"), "nothing can be written in /proc: "),
        (("--to", "c", "-o", "/dev/null"), "is a device or a pipe; --output takes a file"),
        (("--to", "c", "-o", "run/model.safetensors"), "is one of the run's own files"),
        (("--to", "c", "-o", "run/checkpoint/policy.c"), "is one of the run's own files"),
        (("--to", "c", "-o", ""), "-o/--output must be a path, got ''"),
        (("--to", "c", "--outptu", "a.c"), "did you mean --output"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    export, run_dir, tmp_path, arguments, message
):
    before = files_of(tmp_path)
    assert message in is_refused(export(run_dir, *arguments))
    assert files_of(tmp_path) == before


def test_a_run_that_is_not_there_or_has_no_best_yet_is_refused(export, tmp_path):
    assert "there is no run folder" in is_refused(export("nowhere", "--to", "c"))
    (tmp_path / "empty").mkdir()
    assert "holds no run" in is_refused(export("empty", "--to", "c"))
    with without_drawing():
        begin(tmp_path / "run", config(total_timesteps=20, eval_every=0))
    before = files_of(tmp_path)
    assert "no evaluation was made yet" in is_refused(export("run", "--to", "c", "--best"))
    assert files_of(tmp_path) == before


def test_a_missing_onnx_is_one_line_with_what_helps(export, run_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    before = files_of(run_dir)
    assert "pip install 'tinygrad-rl[onnx]'" in is_refused(export(run_dir, "--to", "onnx"))
    assert files_of(run_dir) == before
