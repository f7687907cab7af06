"""Runs on a real Ray cluster: the same bits as in processes, whatever becomes of its nodes."""

import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from ddpg.errors import UsageError
from ddpg.run.machine import available_cores
from ddpg.study.cluster import nodes
from tests.ddpg.study.studies import (
    FLAGS,
    SMALL,
    as_single_runs,
    assert_same_study,
    begun,
    children,
    go_on,
    quickly,
    until,
)

os.environ["RAY_AUTH_MODE"] = "disabled"  # before it is imported: a token would go to ~/.ray
pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*/dev/null:ResourceWarning")  # 2.45
WORDS = ("--env-ids", SMALL, *FLAGS, "--checkpoint-every", 20)

SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a server of gRPC says first (RFC 9113, 6.5)."""


@pytest.fixture(scope="module")
def cluster():
    """Of one node with one core; others come and go."""
    yield from new_cluster()


def new_cluster():
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()


mortal = pytest.fixture(new_cluster)
"""A cluster of its own for a test."""


def run_on(node):
    """The folder of a run that goes on there and has a checkpoint, or None."""
    for worker in children(node.all_processes["raylet"][0].process.pid):
        for run in children(worker):
            log = Path(f"/proc/{run}/fd/1").resolve()
            if log.suffix == ".log" and (log.with_suffix("") / "checkpoint").exists():
                return log.with_suffix("")
    return None


@pytest.mark.slow
def test_a_killed_node_loses_nothing_and_each_run_has_the_bits_of_one_here(cluster, tmp_path):
    as_single_runs(tmp_path / "undisturbed", [SMALL], seeds=2, checkpoint_every=20)
    node = cluster.add_node(num_cpus=1)
    words = ("study", *WORDS, "--seeds", 2, "--study-dir", tmp_path / "s", "--ray", cluster.address)
    process = begun(*words, log=tmp_path / "said")
    run_dir = until(lambda: run_on(node))
    cluster.remove_node(node, allow_graceful=False)
    assert process.wait() == 0, (tmp_path / "said").read_text()
    said = (tmp_path / "said").read_text()
    assert said.count(f"runs/{run_dir.parent.name}/{run_dir.name}: its node is gone; it goes") == 1
    assert "raylet" not in said, "messages of Ray break the table"
    assert_same_study(tmp_path / "s", tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.skipif(available_cores() < 2, reason="a run on two cores needs them")
def test_a_run_waits_for_a_node_that_joins_when_there_is_none(cluster, tmp_path):
    node = cluster.add_node(num_cpus=2)
    words = ("study", *WORDS, "--threads", 2, "--study-dir", tmp_path / "s")
    process = begun(*words, "--ray", cluster.address, log=tmp_path / "said")
    until(lambda: run_on(node))
    cluster.remove_node(node, allow_graceful=False)
    waits = "no node of the Ray cluster has 2 cores for a run: it waits for one"
    until(lambda: waits in (tmp_path / "said").read_text())
    node = cluster.add_node(num_cpus=2)
    assert process.wait() == 0, (tmp_path / "said").read_text()
    cluster.remove_node(node)


@pytest.mark.slow
def test_a_study_whose_cluster_is_gone_says_so_and_its_runs_are_saved(mortal, tmp_path):
    words = ("study", *WORDS, "--total-timesteps", 100_000, "--study-dir", tmp_path / "s")
    process = begun(*words, "--ray", mortal.address, log=tmp_path / "said")
    until(lambda: run_on(mortal.head_node))
    mortal.remove_node(mortal.head_node, allow_graceful=False)
    assert process.wait() == 1, (tmp_path / "said").read_text()
    *_, last = (tmp_path / "said").read_text().splitlines()
    assert last.startswith("error: the Ray cluster at ") and "is gone: what its runs" in last
    (log,) = tmp_path.rglob("seed-0.log")
    until(lambda: log.read_text().endswith("stopped: by SIGTERM\n"))


@pytest.mark.slow
def test_ctrl_c_saves_runs_of_a_cluster_and_they_go_on_here(cluster, tmp_path):
    as_single_runs(tmp_path / "undisturbed", [SMALL], checkpoint_every=300)
    words = ("study", *WORDS, "--checkpoint-every", 300, "--study-dir")
    process = begun(*words, tmp_path / "s", "--ray", cluster.address, log=tmp_path / "said")
    until(lambda: list((tmp_path / "s").rglob("metrics.csv")))
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130, (tmp_path / "said").read_text()
    assert "stopped at step" in (tmp_path / "said").read_text()
    assert list((tmp_path / "s").rglob("state.safetensors")), "nothing was saved"
    go_on(tmp_path / "s")
    assert_same_study(tmp_path / "s", tmp_path / "undisturbed")


def test_a_run_on_the_cluster_that_ray_names_finds_the_modules_that_are_found_here(
    cluster, tmp_path, monkeypatch
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_small.py").write_text(
        "import gymnasium\nfrom tests.ddpg.run.environments import Small\n"
        "gymnasium.register('OnANode-v0', Small, max_episode_steps=25, disable_env_checker=True)\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "mine")])
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    before = signal.getsignal(signal.SIGTERM)
    (result,) = quickly(
        tmp_path / "s", "my_small:OnANode-v0", ray=True, total_timesteps=100
    ).results
    assert (result.state, result.steps) == ("finished", 100)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_node_must_have_the_same_versions_and_see_the_folder(cluster, tmp_path, monkeypatch):
    handle = os.open(tmp_path, os.O_RDONLY)  # a name of the folder that is good here alone
    with pytest.raises(UsageError, match=r"node [\d.]+ does not see this machine's folder"):
        quickly(Path(f"/proc/self/fd/{handle}/s"), ray=cluster.address)
    os.close(handle)
    mine = nodes.of_this_machine("ray")
    monkeypatch.setattr(nodes, "of_this_machine", lambda *names: mine | {"numpy": "1.2.3"})
    with pytest.raises(UsageError, match=r"node [\d.]+ has other versions than .* numpy 1.2.3 ->"):
        quickly(tmp_path / "s", ray=cluster.address)
    with pytest.raises(UsageError, match="no node of the Ray cluster answers and has 1,000 cores"):
        quickly(tmp_path / "s", ray=cluster.address, threads=1000)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def answering(said):
    """The address of something that says this to everyone."""

    def serve():
        connected, _ = listening.accept()
        with connected:
            connected.recv(100)
            connected.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_an_address_that_is_none_of_ray_is_said_before_anything_is_written(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for address, said in (
        (f"127.0.0.1:{port}", f"no Ray cluster answers at 127.0.0.1:{port}: Connection refused"),
        ("127.0.0.1", "is HOST:PORT, as 10.0.0.5:6379, got '127.0.0.1'"),
        ("ray://127.0.0.1:10001", "is HOST:PORT"),
    ):
        with pytest.raises(UsageError, match=said):
            quickly(tmp_path / "s", ray=address)
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address,
        pytest.raises(UsageError, match=f"what answers at {address} is no Ray cluster"),
    ):
        quickly(tmp_path / "s", ray=address)
    for raised, said in (
        (ConnectionError("?"), "cannot join what answers at .* it may be of another version"),
        (RuntimeError("Version mismatch:\n  Python: 3.11.7\n"), "mismatch: Python: 3.11.7$"),
    ):
        monkeypatch.setattr("ray.init", Mock(side_effect=raised))
        with answering(SETTINGS) as address, pytest.raises(UsageError, match=said):
            quickly(tmp_path / "s", ray=address)
    with pytest.raises(UsageError, match="jobs must be 1 or more, got 0"):
        quickly(tmp_path / "s", ray=True, jobs=0)
    assert list(tmp_path.iterdir()) == []
