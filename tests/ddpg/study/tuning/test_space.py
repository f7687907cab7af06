"""What is searched: every row is a setting that is allowed, and what is at hand is in it."""

import json
import random
from dataclasses import replace

import pytest

from ddpg import cli
from ddpg.config import (
    ALGORITHMS,
    PRESETS,
    TrainConfig,
    changed,
    config_from_dict,
    config_to_dict,
    sealed_text,
)
from ddpg.errors import UsageError
from ddpg.study.plan import Asked
from ddpg.study.tuning.search import NAME, Wanted, extended, new_search, read_search, write_search
from ddpg.study.tuning.space import (
    ROWS,
    Choices,
    Range,
    defaults,
    largest,
    rounded,
    search_space,
    space_from_dict,
    space_to_dict,
)

NAMES = [row.name for row in ROWS]
ALWAYS = [row.name for row in ROWS if row.always]


def test_every_value_of_the_table_is_allowed():
    for row in ROWS:
        is_range = isinstance(row.values, Range)
        for value in row.values if is_range else row.values.values:
            settings = ALGORITHMS[value] if row.name == "algorithm" else {row.name: value}
            changed(TrainConfig(), settings)
        assert not is_range or 0.0 < row.values.low < row.values.high


@pytest.mark.parametrize("env_id", [None, *PRESETS])
def test_what_is_at_hand_is_in_the_space(env_id):
    base = TrainConfig() if env_id is None else config_from_dict(PRESETS[env_id].settings)
    space = search_space(base, ())
    flat = config_to_dict(base)
    assert [*space] == ALWAYS
    for name, value in defaults(base, space).items():
        values = space[name]
        if isinstance(values, Choices):
            assert value in values.values
        else:
            assert values.low <= value <= values.high
        if name == "algorithm":
            assert ALGORITHMS[value].items() <= flat.items()
        else:
            assert value == flat[name]


def test_a_row_is_widened_by_what_is_at_hand_and_no_further():
    space = search_space(changed(TrainConfig(), {"noise_std": 1.0, "hidden": [32]}), ())
    rows = {row.name: row.values for row in ROWS}
    assert space["noise_std"] == Range(rows["noise_std"].low, 1.0)
    assert space["hidden"].values == (*rows["hidden"].values, [32])
    assert {k: v for k, v in space.items() if rows[k] != v}.keys() == {"noise_std", "hidden"}


def test_what_has_a_value_is_not_searched():
    assert [*search_space(TrainConfig(), {"gamma", "n_step"})] == [
        name for name in ALWAYS if name not in ("gamma", "n_step")
    ]
    for part in ALGORITHMS["td3"]:
        assert "algorithm" not in search_space(TrainConfig(), {part})
    # Neither DDPG nor TD3 is at hand: there is no default to begin with.
    assert "algorithm" not in search_space(changed(TrainConfig(), {"critics": 5}), ())
    assert [*search_space(TrainConfig(), (), ["updates_per_step"])] == ["updates_per_step"]
    with pytest.raises(UsageError, match="nothing to search"):
        search_space(TrainConfig(), {*NAMES})


def test_values_have_few_digits_and_stay_in_their_range():
    luck = random.Random(0)
    for row in ROWS:
        for _ in range(200 if isinstance(row.values, Range) else 0):
            drawn = luck.uniform(*row.values)
            value = rounded(row.values, drawn)
            assert row.values.low <= value <= row.values.high
            assert abs(value - drawn) <= 0.005 * drawn
            assert len(f"{value:e}".partition("e")[0].rstrip("0").replace(".", "")) <= 3
    assert rounded(Range(0.00012345, 1.0), 0.00012345) == 0.00012345


def test_the_largest_setting_is_at_least_as_large_as_every_other():
    found = largest(search_space(TrainConfig(), ()))
    assert (found["algorithm"], found["hidden"], found["batch_size"]) == ("td3", [400, 300], 256)
    assert "tau" not in found


def test_a_tuning_is_what_was_written():
    search = new_search(Wanted(Asked(["Hopper-v5"], fixed={"gamma": 0.9}), 7, 3))
    kept = json.loads(json.dumps(search.to_dict()))
    assert space_from_dict(kept["space"]) == search.space
    assert space_to_dict(space_from_dict(kept["space"])) == kept["space"]
    assert (kept["trials"], kept["seeds"]) == (7, 3)
    assert search.member({"tau": 0.02}, 4).config == replace(
        changed(search.base, {"tau": 0.02}), seed=4
    )
    more = extended(search, Wanted(Asked(["Hopper-v5"], fixed={"threads": 2}), trials=9))
    assert (more.trials, more.seeds, more.base.threads) == (9, 3, 2)
    assert more.space == search.space


def test_jobs_decide_how_far_back_a_trial_looks():
    search = new_search(Wanted(Asked(["Pendulum-v1"])))
    assert [search.for_jobs(jobs).lag for jobs in (1, 2, 3, 8)] == [3, 3, 5, 15]


def test_help_has_the_table(capsys):
    with pytest.raises(SystemExit):
        cli.main(["tune", "--help"])
    said = capsys.readouterr().out
    for row in ROWS:
        assert f"  {row.name}" in said and str(row.values) in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("lag", value) for value in (0, "x", 2.5, None)),
        *(("space", {"tau": value}) for value in ([0.5, 0.1], [0, 0.1], ["a", "b"], "ab", [[]])),
        *(("space", value) for value in ({}, {"seed": [[0, 1]]}, {"hidden": [[3, "a"]]}, [])),
        ("trials", "3"),
    ],
)
def test_what_no_tuning_can_have_is_refused_though_its_checksum_fits(tmp_path, name, value):
    search = new_search(Wanted(Asked(["Pendulum-v1"]), space=["tau", "hidden"]))
    write_search(tmp_path, search)
    assert read_search(tmp_path) == search
    (tmp_path / NAME).write_text(sealed_text(search.to_dict() | {name: value}))
    with pytest.raises(UsageError):
        read_search(tmp_path)
