"""Whatever is done to the files of a run: one line that names the file, or no difference at all."""

import os
import random
import shutil
import zlib

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.config import read_config
from ddpg.errors import UsageError
from ddpg.run.disk import checkpoint, folder
from ddpg.run.disk.checkpoint import load_agent
from ddpg.run.disk.saved_spaces import read_spaces
from ddpg.run.log import EVALUATION_COLUMNS
from ddpg.run.runs import opened
from tests.ddpg.run.runs import (
    assert_same_run,
    begin,
    config,
    files_of,
    flat,
    go_on,
    killed,
    place_of,
    without_drawing,
)

FEW, MANY = 60, 2000


def flip_bit(data, draw):
    place = draw.randrange(len(data))
    data[place] ^= 1 << draw.randrange(8)


def change_byte(data, draw):
    data[draw.randrange(len(data))] = draw.randrange(256)


def some(data, draw):
    """A range that is often short."""
    start = draw.randrange(len(data))
    return slice(start, start + 1 + int(draw.random() ** 4 * len(data)))


def delete(data, draw):
    del data[some(data, draw)]


def duplicate(data, draw):
    part = some(data, draw)
    data[part.start : part.start] = data[part]


def zero(data, draw):
    part = some(data, draw)
    data[part] = bytes(len(data[part]))


def swap(data, draw):
    """Two ranges of the same length."""
    a, b = some(data, draw), some(data, draw)
    length = min(len(data[a]), len(data[b]))
    a, b = slice(a.start, a.start + length), slice(b.start, b.start + length)
    data[a], data[b] = data[b], data[a]


def truncate(data, draw):
    del data[draw.randrange(len(data)) :]


def append(data, draw):
    data += draw.randbytes(1 + draw.randrange(100))


def empty(data, draw):
    data.clear()


MUTATIONS = (
    *(flip_bit, change_byte, delete, duplicate, zero, swap, truncate, append) * 5,
    empty,
)


def mutated(original, count, seed=0):
    draw = random.Random(seed)
    for _ in range(count):
        data = bytearray(original)
        draw.choice(MUTATIONS)(data, draw)
        yield bytes(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was killed after its checkpoint of step 80, in an episode, with an action set."""
    run_dir = tmp_path_factory.mktemp("mutations") / "run"
    with without_drawing():
        killed(run_dir, config(warmup_steps=70), at=97)
    assert place_of(run_dir)["step"] == 80
    assert place_of(run_dir)["length"][0] > 0
    return run_dir


@pytest.fixture
def parts(run):
    """What a checkpoint is loaded into, again and again."""
    with opened(run, None) as (parts, _):
        yield parts


def state_of(point, agent):
    """Everything that a loaded checkpoint is."""
    rows = np.array(point.transitions.rows())
    inside = flat(agent.state_dict()) | {"replay": agent.replay.last_rows(len(agent.replay))}
    tables = repr((point.place, point.versions, point.log.episodes, point.log.evaluations))
    return inside | {"rows": rows, "tables": np.array(tables)}


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def refused(load, path):
    """Whether `load` says no, in one line that names the file."""
    try:
        load()
    except UsageError as error:
        said = str(error)
        assert "\n" not in said and len(said) < 1000
        assert path.name in said, said
        return True
    return False


def mutate_all(path, count, load, state):
    """Every mutation of `path` is refused by `load`, or leaves `state()` as it was."""
    original = path.read_bytes()
    load()
    before, harmless = state(), 0
    try:
        for data in mutated(original, count):
            path.write_bytes(data)
            if not refused(load, path):
                harmless += 1
                assert_equal(state(), before)
    finally:
        path.write_bytes(original)
    return harmless


COUNTS = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
def test_config(run, count):
    path, read = run / folder.CONFIG, []

    def load():
        read[:] = [read_config(path, sealed=True)]

    harmless = mutate_all(path, count, load, lambda: {"config": np.array(repr(read))})
    assert harmless < count / 10  # white space, and what stands behind it


@pytest.mark.parametrize("count", COUNTS)
def test_spaces(run, count):
    path, read = run / folder.SPACES, []

    def load():
        read[:] = [read_spaces(path)]

    harmless = mutate_all(path, count, load, lambda: {"spaces": np.array(repr(read))})
    assert harmless < count / 5  # more white space than in settings


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", [folder.MODEL, folder.BEST])
def test_models(run, parts, name, count, monkeypatch):
    # One agent for all: a refused file leaves it as it was.
    monkeypatch.setattr(checkpoint, "new_agent", lambda *settings: parts.agent)

    def load():
        load_agent(run, best=name == folder.BEST)

    harmless = mutate_all(run / name, count, load, lambda: flat(parts.agent.state_dict()))
    assert harmless < count / 20


CHECKPOINTS = [
    *((name, FEW) for name in (folder.STATE, folder.TRANSITIONS)),
    *(pytest.param(n, MANY, marks=pytest.mark.slow) for n in (folder.STATE, folder.TRANSITIONS)),
    # What is read of a table comes after all that was read of the others: a slow no.
    *((name, 3 * FEW) for name in (folder.METRICS_TABLE, folder.EVALUATIONS_TABLE)),
]


@pytest.mark.parametrize(("name", "count"), CHECKPOINTS)
def test_checkpoints(run, parts, name, count):
    points = []

    def load():
        points[:] = [checkpoint.load(parts.agent, parts.evaluation_env, parts.config, run)]
        points[0].close()

    def state():
        return state_of(points[0], parts.agent)

    harmless = mutate_all(run / name, count, load, state)
    # What a kill leaves behind the rows that count is no damage; there is such in metrics.csv.
    assert harmless < count / 20 or name != folder.STATE


def test_what_is_there_behind_the_rows_that_count_does_no_harm(tmp_path, run):
    shutil.copytree(run, tmp_path / "run")
    for name in (folder.TRANSITIONS, folder.METRICS_TABLE, folder.EVALUATIONS_TABLE):
        with (tmp_path / "run" / name).open("ab") as file:
            file.write(b"\xff,\x00 torn")
    settings = config(warmup_steps=70)
    with without_drawing():
        go_on(tmp_path / "run", settings)
        begin(tmp_path / "undisturbed", settings)
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


def link_to_nowhere_ending(path):
    path.symlink_to("/dev/zero")


PLACES = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a device without an end": link_to_nowhere_ending,
    "a link to itself": lambda path: path.symlink_to(path),
    "nothing": lambda path: None,
}
READ = (
    *(folder.CONFIG, folder.SPACES, folder.MODEL, folder.BEST),
    *(folder.STATE, folder.TRANSITIONS, folder.METRICS_TABLE, folder.EVALUATIONS_TABLE),
)


@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize("name", READ)
def test_something_else_in_a_files_place(tmp_path, run, name, what):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / name
    path.unlink()
    PLACES[what](path)

    def load():
        if name in (folder.CONFIG, folder.SPACES, folder.MODEL, folder.BEST):
            load_agent(tmp_path / "run", best=name == folder.BEST)
        else:
            with opened(tmp_path / "run", None):
                pass

    assert refused(load, path)


def test_a_state_that_was_never_written_is_not_missed(tmp_path, run):
    """Else a run that was killed before its first checkpoint could not begin again."""
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / folder.STATE).unlink()
    for name in (folder.METRICS_TABLE, folder.EVALUATIONS_TABLE):
        header, _, _ = (tmp_path / "run" / name).read_text().partition("\n")
        (tmp_path / "run" / name).write_text(f"{header}\n20,{header.count(',') * '0,'}"[:-1] + "\n")
    with opened(tmp_path / "run", None) as (_, point):
        assert point.place.step == 0


HOSTILE = {
    "no dict": lambda state: [1, 2],
    "foreign": lambda state: {"weight": np.zeros(2)},
    "an entry more": lambda state: state | {"more": 1},
    "a negative step": ("place.step", -1),
    "a step that is true": ("place.step", True),
    "a step of another type": ("place.step", 80.0),
    "another step": ("place.step", 79),
    "a far episode": ("place.episode", [10**30]),
    "an episode that is a number": ("place.episode", 1),
    "episodes of two environments": ("place.episode", [1, 1]),
    "no episode": ("place.length", []),
    "an episode longer than the run": ("place.length", [81]),
    "a return that is not finite": ("place.total_reward", [float("nan")]),
    "a return of another type": ("place.total_reward", [3]),
    "an action of another shape": ("place.action", np.zeros(2, np.float32)),
    "an action of many rows": ("place.action", np.zeros((9, 9), np.float32)),
    "an action as a row": ("place.action", np.zeros((1, 1), np.float32)),
    "an action of another type": ("place.action", np.zeros(1, np.int64)),
    "an action out of bounds": ("place.action", np.full(1, 1.5, np.float32)),
    "an action that is not finite": ("place.action", np.full(1, np.nan, np.float32)),
    "an action in words": ("place.action", "left"),
    "an action as a list": ("place.action", [0.0]),
    "an action as a dict": ("place.action", {"0": 0.0}),
    "a place that is a number": ("place", 3),
    "another run's settings": ("config.gamma", 0.5),
    "settings as an array": ("config.gamma", np.full(2, 0.99)),
    "settings in words": ("config", "usual"),
    "settings missing": ("config.gamma", None),
    "an environment as a list": ("config.env_id", ["Pendulum-v1"]),
    "more transitions than steps": ("transitions.count", 81),
    "no transitions": ("transitions.count", 0),
    "countless transitions": ("transitions.count", 1 << 62),
    "two checksums": ("transitions.checksums", [0, 0]),
    "no checksums": ("transitions.checksums", []),
    "a negative checksum": ("transitions.checksums", [-5]),
    "checksums in an array": ("transitions.checksums", np.zeros(1, np.int64)),
    "a sum that is not finite": ("log.sums.mean_q", float("inf")),
    "a sum that is none": ("log.sums.mean_q", None),
    "negative updates": ("log.counts.mean_q", -1),
    "a table without an end": ("log.metrics~csv.length", (1 << 63) - 1),
    "a table without an end in sight": ("log.metrics~csv.length", 1 << 80),
    "a table of half a line": ("log.metrics~csv.length", 70),
    "a table that is a number": ("log.metrics~csv", 7),
    "a version whose name has two lines": lambda state: state | {"versions": {"a\nb": 2}},
    "a setting whose name has two lines": lambda state: state | {"config": {"a\nb" * 999: 2}},
    "a setting more": lambda state: state | {"config": state["config"] | {"a\nb": 2}},
    "an entry of two lines": lambda state: state | {"a\nb" * 999: 2},
    "a best agent in words": ("agents.best", "model"),
    "a best agent of arrays": ("agents.best", np.zeros(3)),
    "another best agent": ("agents.best", 77),
    "another agent": ("agents.model", 77),
    "no agent": ("agents.model", None),
    "versions that are no text": ("versions.numpy", 2),
    "versions in a list": ("versions", ["2.0"]),
}
HOSTILE_AGENTS = {
    "a parameter that is not finite": ("actor.mlp~0~weight", np.full((8, 2), np.inf, "f4")),
    "a parameter of another type": ("actor.mlp~0~weight", np.zeros((8, 2))),
    "a network that is a number": ("actor", 1),
    "a negative count": ("steps_explored", -3),
    "a generator of zeros": ("sampling_rng", [0] * 6),
    "a generator in words": ("sampling_rng", ["1"] * 6),
    "noise that is not finite": ("noise.x", np.full((1, 1), np.nan)),
}


def tampered(state, change):
    if callable(change):
        return change(state)
    names, value = change
    *keys, last = (name.replace("~", ".") for name in names.split("."))
    inner = state
    for key in keys:
        inner = inner[key]
    assert last in inner
    inner[last] = value
    return state


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_state_with_the_right_checksums(tmp_path, run, what):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / folder.STATE
    tg.save(path, tampered(tg.load(path), HOSTILE[what]))
    before = files_of(tmp_path / "run")

    def load():
        with opened(tmp_path / "run", None):
            pass

    with pytest.raises(UsageError) as error:
        load()
    assert str(tmp_path / "run") in str(error.value)
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)
    assert files_of(tmp_path / "run") == before


@pytest.mark.parametrize("what", HOSTILE_AGENTS)
def test_a_hostile_agent_with_the_right_checksums(tmp_path, run, what):
    shutil.copytree(run, tmp_path / "run")
    path, state = tmp_path / "run" / folder.MODEL, tmp_path / "run" / folder.STATE
    tg.save(path, tampered(tg.load(path), HOSTILE_AGENTS[what]))
    tg.save(state, tampered(tg.load(state), ("agents.model", zlib.crc32(path.read_bytes()))))

    def load():
        with opened(tmp_path / "run", None):
            pass

    assert refused(load, path)
    assert refused(lambda: load_agent(tmp_path / "run"), path)


def test_a_run_whose_checkpoint_was_removed_does_not_begin_again(tmp_path, run):
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / folder.CHECKPOINT)
    before = files_of(tmp_path / "run")
    with pytest.raises(UsageError, match=r"state\.safetensors does not exist: .* cannot go on"):
        go_on(tmp_path / "run", config(warmup_steps=70))
    assert files_of(tmp_path / "run") == before


_HEADER = (",".join(EVALUATION_COLUMNS) + "\n").encode()
_ONES = [b"1"] * len(EVALUATION_COLUMNS)
TABLES = {
    "no header": b"\n",
    "another header": b"step\n",
    "not ASCII": "step,naïve\n1,2\n".encode(),
    "too few cells": b"step\n1\n",
    "a number of many digits": _HEADER + b",".join([b"9" * 5000, *_ONES[1:]]) + b"\n",
    "words": _HEADER + b",".join([*_ONES[1:], b"one"]) + b"\n",
}


@pytest.mark.parametrize("what", TABLES)
def test_a_hostile_table_with_the_right_checksum(tmp_path, run, what):
    shutil.copytree(run, tmp_path / "run")
    path, state = tmp_path / "run" / folder.EVALUATIONS_TABLE, tmp_path / "run" / folder.STATE
    path.write_bytes(TABLES[what])
    saved = {"length": len(TABLES[what]), "checksum": zlib.crc32(TABLES[what])}
    tg.save(state, tampered(tg.load(state), ("log.evaluations~csv", saved)))

    def load():
        with opened(tmp_path / "run", None):
            pass

    assert refused(load, path)
