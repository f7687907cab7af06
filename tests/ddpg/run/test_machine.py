import os
import re

import numpy as np
import pytest

from ddpg.config import DDPGConfig, TrainConfig
from ddpg.errors import UsageError
from ddpg.run import machine

GB = 10**9


@pytest.fixture
def memory(monkeypatch):
    def set_memory(size):
        monkeypatch.setattr(machine, "available_memory", lambda: size)

    set_memory(24 * GB)
    return set_memory


def config(total_timesteps=20_000, **settings):
    return TrainConfig(total_timesteps=total_timesteps, ddpg=DDPGConfig(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"buffer_size": 10**12}, "buffer_size 1,000,000,000,000 needs 172 TB"),
        ({"buffer_size": 2**62}, "buffer_size 4,611,686,018,427,387,904 needs more than 1,000 PB"),
        ({"hidden": (10**6, 10**6)}, "hidden 1000000x1000000 needs 40 TB"),
        ({"hidden": (2**62,) * 3}, "needs more than 1,000 PB"),
        ({"batch_size": 10**9}, "batch_size 1,000,000,000 needs "),
        ({"hidden": (60_000, 10_000), "batch_size": 10}, "hidden 60000x10000 needs 24.1 GB"),
        ({"hidden": (10**8,)}, "hidden 100000000 needs "),
        ({"critics": 10**8}, "critics 100,000,000 needs "),
        ({"n_step": 10**9}, "n_step 1,000,000,000 needs "),
    ],
)
def test_what_cannot_fit_is_named_with_its_size_and_the_machines(memory, settings, message):
    with pytest.raises(UsageError) as error:
        machine.check_memory(config(**settings), 17, 6)
    assert message in str(error.value)
    assert "this machine has 24 GB" in str(error.value)
    (name,) = re.findall(r"choose a smaller --([a-z-]+)$", str(error.value))
    assert name.replace("-", "_") in settings


def test_what_fits_is_let_through(memory):
    machine.check_memory(TrainConfig(), 3, 1)
    machine.check_memory(config(10**6, hidden=(400, 300), batch_size=256), 376, 17)
    memory(200 * 10**6)  # a small container: 20,000 of the replay's million rows are used
    machine.check_memory(TrainConfig(), 3, 1)
    memory(None)  # a system that does not say
    machine.check_memory(config(buffer_size=10**15), 3, 1)


def test_rows_that_a_run_never_writes_cost_nothing(memory):
    short = machine.needed_memory(config(1000), 17, 6)
    long = machine.needed_memory(config(10**6), 17, 6)
    assert (short["buffer_size"], long["buffer_size"]) == (172_000, 172_000_000)


def test_the_estimate_is_no_more_than_what_an_agent_takes():
    from gymnasium.spaces import Box

    from ddpg.agent import DDPG

    settings = config(hidden=(64, 32))
    agent = DDPG(Box(-1, 1, (17,)), Box(-1, 1, (6,)), settings.ddpg)
    networks = agent.actor, *agent.critics
    parameters = sum(p.numpy().nbytes for n in networks for p in n.parameters())
    assert machine.needed_memory(settings, 17, 6)["hidden"] == machine.COPIES * parameters


@pytest.mark.parametrize(
    "fail",
    [
        lambda: np.zeros((2**62, 4)),
        lambda: np.zeros((10**30, 4)),
        lambda: np.zeros(2**46),
    ],
)
def test_an_allocation_that_fails_nevertheless_is_no_traceback(memory, fail):
    sizes = "buffer_size 800 kB, hidden "
    with (
        pytest.raises(UsageError, match=f"not enough memory for this run: {sizes}"),
        machine.within_memory(TrainConfig(), 3, 1),
    ):
        fail()
        raise MemoryError  # from a system that promises what it does not have


def test_other_refusals_pass(memory):
    refusal = UsageError("no such space")
    with pytest.raises(UsageError) as error, machine.within_memory(TrainConfig(), 3, 1):
        raise refusal
    assert error.value is refusal


def test_nothing_is_begun_that_cannot_fit(memory):
    with (
        pytest.raises(UsageError, match="buffer_size 1,000,000,000,000,000 needs"),
        machine.within_memory(config(buffer_size=10**15), 3, 1),
    ):
        raise AssertionError("begun")


def test_this_machines_memory_is_known():
    assert 10**8 < machine.available_memory() < 10**15


@pytest.mark.parametrize(
    ("membership", "files", "limits"),
    [
        ("0::/a/b\n", {"a/memory.max": "5000\n", "a/b/memory.max": "max\n"}, [5000]),
        ("0::/\n", {"memory.max": "7000\n"}, [7000]),
        ("0::/hidden/from/here\n", {"memory.max": "7000\n"}, [7000]),
        ("4:cpu,memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "900\n"}, [900]),
        ("9:name=systemd:/a:b\n0::/\n", {}, []),
        ("", {}, []),
    ],
)
def test_a_containers_limit_is_found(tmp_path, monkeypatch, membership, files, limits):
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    for name, text in files.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(text)
    (tmp_path / "membership").write_text(membership)
    assert list(machine.cgroup_limits(tmp_path / "membership")) == limits
    assert list(machine.cgroup_limits(tmp_path / "nowhere")) == []


def test_more_threads_than_cores_are_refused_with_their_number(monkeypatch):
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    machine.check_threads(2)
    with pytest.raises(UsageError, match="--threads 99 is more than this machine's 2 cores"):
        machine.check_threads(99)
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    with pytest.raises(UsageError, match=r"1 core$"):
        machine.check_threads(2)


def test_this_process_has_cores():
    assert 1 <= machine.available_cores() <= os.cpu_count()


def test_a_folder_is_tried_and_left_as_it_was(tmp_path):
    machine.check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["/proc", "/nowhere", "/dev/null"])
def test_a_folder_that_takes_no_file_is_refused_even_for_the_administrator(folder):
    with pytest.raises(UsageError, match=f"^nothing can be written in {folder}: "):
        machine.check_writable(folder)
