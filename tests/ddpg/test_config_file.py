import json
import os
import random
import threading
from pathlib import Path

import pytest

from ddpg.config import DDPGConfig, TrainConfig, config_text, config_to_dict, read_config
from ddpg.errors import UsageError

CONFIG = TrainConfig(seed=7, ddpg=DDPGConfig(hidden=(8, 4), gamma=0.95, noise="ou"))
TEXT = config_text(CONFIG)


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "config.json"

    def call(data, sealed=False):
        path.unlink(missing_ok=True)  # writing over a file may wait for the disk
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_config(path, sealed=sealed)

    call.path = path
    return call


def test_what_is_written_is_read_from_the_file_or_its_folder(read):
    assert read(TEXT, sealed=True) == CONFIG
    assert read_config(read.path.parent, sealed=True) == CONFIG
    assert {**json.loads(TEXT), "checksum": None} == {**config_to_dict(CONFIG), "checksum": None}
    assert list(json.loads(TEXT))[-1] == "checksum"


def test_order_and_white_space_are_nobodys_business(read):
    turned = dict(reversed(json.loads(TEXT).items()))
    assert read(json.dumps(turned, indent=7), sealed=True) == CONFIG


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
        (b"\xff{}", "cannot be read as JSON: 'utf-8'"),
        ("[1]", "must hold a JSON object, got a list"),
        ("null", "must hold a JSON object, got None"),
        ('{"gamma": 3}', "gamma must be a number from 0 to 1, got 3"),
        ('{"gamma": NaN}', "cannot be read as JSON: NaN is no number there"),
        ('{"gamma": -Infinity}', "cannot be read as JSON: -Infinity is no number there"),
        ('{"gamma": 1e400}', "gamma must be a number from 0 to 1, got inf"),
        ('{"gamma": 1' + "0" * 4000 + "}", "gamma must be a number from 0 to 1, got 1000"),
        ('{"gamma": 1, "gamma": 1}', "'gamma' stands in it twice"),
        ('{"seed": 1e3}', "seed must be an integer of 0 or more, got 1000.0"),
        ('{"seed": ' + "9" * 5000 + "}", "cannot be read as JSON: Exceeds the limit"),
        ('{"seed": ' + "9" * 4000 + "}", "seed must be below 2**63, got 999"),
        ('{"batch_size": 1e300}', "batch_size must be an integer of 1 or more, got 1e+300"),
        ('{"hidden": {"8": 8}}', "hidden must be one or more positive integers, got {'8': 8}"),
        ('{"noise": {}}', "noise must be 'gaussian' or 'ou', got {}"),
        ('{"env_id": ["a\\nb"]}', "env_id must be the id of a gymnasium environment"),
        ('{"ddpg": {}}', "unknown setting 'ddpg'"),
        ('{"a\\u0000b": 1}', r"unknown setting 'a\x00b'"),
        ("[" * 100_000, "cannot be read: it is nested too deeply"),
        ('{"a":' * 100_000, "cannot be read: it is nested too deeply"),
        ('{"checksum": ' + "[" * 900 + "]" * 900 + "}", "its checksum does not fit"),
        ('{"hidden": ' + "[" * 900 + "]" * 900 + "}", "hidden must be one or more"),
        (" " * 1_000_001, "holds more than 1,000,000 bytes"),
        ("{" + ",".join(f'"k{n}":0' for n in range(80_000)) + "}", "unknown setting 'k0'"),
    ],
    ids=range(26),
)
def test_a_hostile_file_is_one_line_that_names_it(read, text, message):
    with pytest.raises(UsageError) as error:
        read(text)
    assert str(error.value).startswith(str(read.path))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 500 + len(str(read.path))


@pytest.mark.parametrize("changed", ["edited", "removed"])
def test_a_run_folder_wants_the_checksum_that_a_file_for_a_new_run_can_do_without(read, changed):
    values = {**json.loads(TEXT), "gamma": 0.5}
    if changed == "removed":
        del values["checksum"]
        assert read(json.dumps(values)).ddpg.gamma == 0.5
        with pytest.raises(UsageError, match=r'its entry "checksum" is missing: .*--config'):
            read(json.dumps(values), sealed=True)
    else:
        for sealed in (True, False):
            with pytest.raises(UsageError, match=r"its checksum does not fit: .*--config"):
                read(json.dumps(values), sealed=sealed)


def test_a_file_without_an_end_is_left_at_once():
    with pytest.raises(UsageError, match=r"^/dev/zero: holds more than 1,000,000 bytes"):
        read_config(Path("/dev/zero"))


def test_a_pipe_may_hold_settings_but_no_run_is_one(tmp_path):
    pipe = tmp_path / "config.json"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(TEXT,))
    writer.start()
    assert read_config(pipe) == CONFIG
    writer.join()
    with pytest.raises(UsageError, match=r"config\.json: is no file"):
        read_config(tmp_path, sealed=True)  # nobody writes: this would wait for ever


def test_what_is_not_there_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "config.json"):
        with pytest.raises(UsageError, match=r"config\.json does not exist$"):
            read_config(path)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be read: Not a directory"):
        read_config(tmp_path / "file" / "config.json")


def unchanged_or_refused(read, data):
    try:
        return read(data, sealed=True) == CONFIG
    except UsageError as error:
        return str(error).startswith(str(read.path)) and "\n" not in str(error)


def test_no_flipped_bit_is_read(read):
    good = bytearray(TEXT.encode())
    for bit in range(8 * len(good)):
        good[bit // 8] ^= 1 << bit % 8
        assert unchanged_or_refused(read, bytes(good)), bit
        good[bit // 8] ^= 1 << bit % 8


def mutated(good, rng):
    """`good` after one to three accidents."""
    data = bytearray(good)
    for _ in range(rng.randint(1, 3)):
        a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        part = bytes(data[a:b])
        accident = rng.randrange(7)
        if accident == 0:
            data[a : a + 1] = bytes([rng.randrange(256)])
        elif accident == 1:
            del data[a:b]
        elif accident == 2:
            data[b:b] = part
        elif accident == 3:
            del data[max(a, 1) :]
        elif accident == 4:
            data[a:b] = part[::-1]
        elif accident == 5:
            data[a:b] = bytes(len(part))
        else:
            data[a:a] = rng.randbytes(rng.randint(1, 8))
        data = data or bytearray(b"x")
    return bytes(data)


def test_two_thousand_accidents_are_refused_or_change_nothing(read):
    rng = random.Random(0)
    good = TEXT.encode()
    kept = 0
    for number in range(2000):
        data = mutated(good, rng)
        assert unchanged_or_refused(read, data), (number, data)
        kept += data == good
    assert kept < 100  # most of them were accidents indeed
