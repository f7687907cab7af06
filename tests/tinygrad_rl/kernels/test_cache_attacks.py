"""The cache under attack: whoever could write to it must not have code run as the user.

The attacker here knows the seal and renews it, poisons what is executed in every way that the file
allows, and leaves a mark if anything of it runs.
"""

import hashlib
import importlib.util
import json
import os
import py_compile
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tinygrad_rl.kernels.cached import SOURCE, again, finish, only, start
from tinygrad_rl.kernels import cache, place, private

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
STRANGER = 12345


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "it ran"


def poison(file: Path, mark: Path) -> None:
    """Make a file of the cache leave a mark when it is run, and do its work besides."""
    text = f"import os; os.path.exists({str(mark)!r}) or os.mkdir({str(mark)!r})\n{SOURCE}"
    if file.suffix == ".py":
        file.write_text(text)
    elif file.suffix == ".pyc":
        source = mark.with_name("poison.py")
        source.write_text(text)
        header = file.read_bytes()[:16]
        py_compile.compile(str(source), str(file))
        file.write_bytes(header + file.read_bytes()[16:])
    else:  # a pickle that calls os.mkdir
        file.write_bytes(f"cos\nmkdir\n(V{mark}\ntR.".encode())


def sealed(folder: Path) -> None:
    """What an attacker would do as well."""
    file = only(folder, "probe*.seal")
    names = json.loads(file.read_text())
    digests = {n: hashlib.sha256((folder / "__pycache__" / n).read_bytes()) for n in names}
    file.write_text(json.dumps({n: d.hexdigest() for n, d in digests.items()}))


def poison_all(folder: Path, mark: Path) -> None:
    for suffix in (".py", ".pyc", ".nbi", ".nbc"):
        poison(only(folder, f"probe*{suffix}"), mark)
    sealed(folder)


@pytest.mark.parametrize("suffix", [".py", ".pyc", ".nbi", ".nbc"])
def test_a_poisoned_file_is_never_run(folder: Path, mark: Path, suffix: str) -> None:
    poison(only(folder, f"probe*{suffix}"), mark)
    with pytest.warns(RuntimeWarning, match="compiled anew"):
        assert again() is (suffix == ".py")
    assert not mark.exists()


def test_a_program_goes_on_after_an_attack_with_one_warning(folder: Path, mark: Path) -> None:
    for suffix in (".py", ".pyc", ".nbi", ".nbc"):
        poison(only(folder, f"probe*{suffix}"), mark)
    hit, said = finish(start(folder, PYTHONDONTWRITEBYTECODE=""))
    assert not mark.exists() and not hit
    assert said.count("RuntimeWarning") == 1 and "compiled anew" in said


def unsealed(file: Path) -> None:
    seal = only(file.parents[1], "probe*.seal")
    names = json.loads(seal.read_text())
    del names[file.name]
    seal.write_text(json.dumps(names))


@pytest.mark.parametrize("where", ["in the folder of code", "beside the source"])
def test_bytecode_that_nobody_sealed_is_never_run(folder: Path, mark: Path, where: str) -> None:
    """Also that of a source whose time and size are right, which Python would take."""
    source, pyc = only(folder, "probe*.py"), only(folder, "probe*.pyc")
    unsealed(pyc)
    times = (int(source.stat().st_mtime), source.stat().st_size)
    stamp = b"".join(number.to_bytes(4, "little") for number in times)
    pyc.write_bytes(importlib.util.MAGIC_NUMBER + bytes(4) + stamp)
    poison(pyc, mark)
    if where == "beside the source":
        pyc.rename(folder / f"{source.stem}.pyc")
    assert again() is True
    assert not mark.exists()


def test_an_index_that_nobody_sealed_is_never_run(folder: Path, mark: Path) -> None:
    index = only(folder, "*.nbi")
    unsealed(index)
    poison(index, mark)
    assert again() is False
    assert not mark.exists()
    assert again() is True


# -- folders ---------------------------------------------------------------------------------------


def group_writable(folder: Path) -> None:
    folder.chmod(0o770)


def writable_by_all(folder: Path) -> None:
    folder.chmod(0o1777)


def foreign(folder: Path) -> None:
    os.chown(folder, STRANGER, -1)


def in_a_folder_of_all(folder: Path) -> None:
    folder.parent.chmod(0o777)


def in_a_folder_of_a_group(folder: Path) -> None:
    os.chown(folder.parent, -1, STRANGER)
    folder.parent.chmod(0o770)


def in_a_foreign_folder(folder: Path) -> None:
    os.chown(folder.parent, STRANGER, -1)


def link_to_a_folder_of_all(folder: Path) -> None:
    there = folder.parent / "there"
    folder.rename(there)
    folder.symlink_to(there)
    there.chmod(0o777)


def link_through_a_folder_of_all(folder: Path) -> None:
    """A link to a link that anybody could replace."""
    there, between = folder.parent / "there", folder.parent / "between"
    folder.rename(there)
    between.mkdir()
    (between / "link").symlink_to("../there")
    folder.symlink_to("between/link")
    between.chmod(0o777)


def foreign_link(folder: Path) -> None:
    there = folder.parent / "there"
    folder.rename(there)
    folder.symlink_to(there)
    os.chown(folder, STRANGER, -1, follow_symlinks=False)


EXPOSED = [
    group_writable,
    writable_by_all,
    in_a_folder_of_all,
    link_to_a_folder_of_all,
    link_through_a_folder_of_all,
    *(
        pytest.param(how, marks=as_root)
        for how in (foreign, in_a_foreign_folder, in_a_folder_of_a_group, foreign_link)
    ),
]


@pytest.mark.parametrize("expose", EXPOSED)
def test_a_folder_that_others_can_change_is_not_used(
    folder: Path, mark: Path, expose: Callable[[Path], None]
) -> None:
    poison_all(folder, mark)
    before = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    expose(folder)
    with pytest.warns(RuntimeWarning) as said:
        assert again() is False
    assert not mark.exists()
    assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before
    (message,) = [str(w.message) for w in said]
    assert str(folder) in message and "TINYGRAD_RL_CACHE" in message
    assert "another user (uid 12345)" in message or "chmod go-w" in message
    private = cache.cache_dir()
    assert private != folder and stat.S_IMODE(private.stat().st_mode) == 0o700
    assert again() is True  # in the private folder, and without another warning


def test_what_the_warning_says_helps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.chmod(0o777)
    with pytest.warns(RuntimeWarning) as said:
        again()
    command = str(said[0].message).partition("(")[2].partition(" would")[0]
    subprocess.run(command.split(), check=True)
    monkeypatch.setattr(place, "_given_up", set())
    assert again() is True
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_nothing_is_made_in_a_folder_that_others_can_change(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(private.ExposedError):
        private.make_folder(home / "cache" / "ours")
    assert not list(home.iterdir())


def test_a_folder_that_is_replaced_while_the_program_runs_is_not_used(
    folder: Path, mark: Path
) -> None:
    assert again() is True
    poison_all(folder, mark)
    folder.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="chmod go-w"):
        assert again() is False
    assert not mark.exists()


@as_root
def test_a_private_group_is_nobody_else(tmp_path: Path) -> None:
    """Some systems give each user a group, and make new folders writable by it."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o775)
    os.chown(home, 0, 0)
    private.make_folder(home / "cache")
    os.chown(home, 0, STRANGER)
    with pytest.raises(private.ExposedError):
        private.make_folder(home / "cache")


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o077])
def test_what_is_made_is_private_whatever_the_mask(folder: Path, mask: int) -> None:
    home = folder.parent
    shutil.rmtree(home)
    before = os.umask(mask)
    try:
        assert again() is False
    finally:
        os.umask(before)
    made = [home, folder, *folder.rglob("*")]
    assert len(made) == 8  # with the folder of code: source, seal, bytecode, index, machine code
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert again() is True


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["*.py", "*.pyc", "*.nbi", "*.nbc", "*.seal"])
@pytest.mark.parametrize("how", ["group", pytest.param("owner", marks=as_root)])
def test_a_file_that_others_could_have_written_is_not_used(
    folder: Path, mark: Path, pattern: str, how: str
) -> None:
    file = only(folder, f"probe{pattern}")
    if file.suffix != ".seal":
        poison(file, mark)
    if file.suffix != ".py":
        sealed(folder)
    file.chmod(0o620) if how == "group" else os.chown(file, STRANGER, -1)
    with pytest.warns(RuntimeWarning, match="compiled anew"):
        assert again() is (pattern == "*.py")
    assert not mark.exists()
    assert again() is True
    made = only(folder, f"probe{pattern}").stat()
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (os.geteuid(), 0o600)


def test_a_link_is_replaced_and_what_it_leads_to_stays(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_text("precious")
    source = only(folder, "probe*.py")
    source.unlink()
    source.symlink_to(target)
    with pytest.warns(RuntimeWarning, match="compiled anew"):
        assert again() is True
    assert target.read_text() == "precious"
    assert not source.is_symlink() and source.read_text() == SOURCE


def test_a_private_folder_is_gone_at_exit(folder: Path, tmp_path: Path) -> None:
    folder.chmod(0o777)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    finish(start(folder, TMPDIR=str(temporary)))
    assert not list(temporary.iterdir())


def test_a_child_leaves_the_private_folder_to_its_parent(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[Callable[[], None]] = []
    monkeypatch.setattr(place.atexit, "register", cleared.append)
    path = place._temporary.__wrapped__()
    monkeypatch.setattr(place.os, "getpid", lambda: 1)
    cleared[0]()
    assert path.exists()
    monkeypatch.undo()
    cleared[0]()
    assert not path.exists()
