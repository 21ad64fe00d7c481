"""What goes wrong with a home: each is one sentence, and nothing that was reported done is lost."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ctrlx.errors import HomeTrouble
from ctrlx.store import Registry, database
from tests.shipped import control, weights

CHECKOUT = Path(__file__).parents[2]


def python(code: str, **environment: str) -> subprocess.Popen:
    command, pipes = [sys.executable, "-c", textwrap.dedent(code)], {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **environment}, cwd=CHECKOUT, **pipes)


def trouble() -> str:
    with pytest.raises(HomeTrouble) as wrong:
        Registry.open()
    assert "\n" not in str(wrong.value)
    return str(wrong.value)


def test_a_home_that_is_a_file_or_lies_under_one(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "home"):
        monkeypatch.setenv("CTRLX_HOME", str(place))
        assert trouble().startswith(f"{place} cannot be used")
        assert "set CTRLX_HOME to a folder that you can write to" in trouble()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder where nobody can write")
def test_a_home_that_cannot_be_made(monkeypatch):
    monkeypatch.setenv("CTRLX_HOME", "/proc/self/ctrlx")
    assert "cannot be used" in trouble()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_home_that_is_read_only(home):
    home.mkdir()
    home.chmod(0o500)
    assert "cannot be used" in trouble()


def test_a_database_that_is_none(home):
    home.mkdir()
    (home / "registry.db").write_bytes(b"not a database, and long enough to be looked at " * 100)
    assert "is not a registry that can be read" in trouble()


def test_a_database_of_a_newer_ctrlx(home):
    Registry.open().close()
    connection = sqlite3.connect(home / "registry.db")
    connection.execute(f"PRAGMA user_version = {database.VERSION + 1}")
    connection.close()
    assert "newer ctrlx; upgrade ctrlx" in trouble()


def test_a_database_that_another_program_keeps_locked(home, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    with Registry.open() as registry:
        other = sqlite3.connect(home / "registry.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HomeTrouble, match="locked by another program"):
            registry.start_run("transfer", {})
        other.close()


def test_a_full_disk_while_weights_are_written_leaves_no_file_and_no_row(home, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with Registry.open() as registry:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(HomeTrouble, match="is full; free some space"):
            registry.add_control(control(), weights())
        assert "my_slider" not in [found.name for found in registry.controls()]
    assert [file for file in (home / "weights").rglob("*") if file.is_file()] == []


def test_a_full_disk_while_a_row_is_written(home):
    """SQLite's own page limit stands in for the disk: the complaint is the same."""
    with Registry.open() as registry:
        connection = registry._database._connection
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(HomeTrouble, match="is full; free some space"):
            registry.start_run("transfer", {"text": "x" * 100_000})
        assert registry.runs() == []


def test_many_processes_can_open_a_new_home_at_once(home):
    code = """
        from ctrlx.store import Registry
        with Registry.open() as registry:
            registry.finish_run(registry.start_run("race", {}), "done")
    """
    racing = [python(code) for _ in range(6)]
    told = [process.communicate(timeout=60) for process in racing]
    assert [(process.returncode, errors) for process, (_, errors) in zip(racing, told, strict=True)] == [(0, "")] * 6
    with Registry.open() as registry:
        assert len(registry.runs(command="race")) == 6


def test_two_processes_can_add_the_same_control_at_once(home):
    code = """
        from ctrlx.store import Registry
        from tests.shipped import control, weights
        with Registry.open() as registry:
            registry.add_control(control(), weights())
    """
    racing = [python(code) for _ in range(2)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in racing] == [("", 0)] * 2
    with Registry.open() as registry:
        registry.verified_weights_path(registry.control("my_slider"))


KILLED = """
    import os, signal
    from ctrlx.store import Registry, registry, weights
    from tests.shipped import control, weights as data

    def die(*arguments, **options):
        os.kill(os.getpid(), signal.SIGKILL)

    with Registry.open() as opened:
        opened.add_control(control("first"), data(1))
        opened.start_run("transfer", {})
        {kill}
        opened.add_control(control("second"), data(2))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize(
    "kill",
    ["os.replace = die", "weights._flush_folder = die", "opened._database.insert = die"],
    ids=["before the file has its name", "when the file has its name", "between file and row"],
)
def test_a_kill_loses_nothing_that_was_done_and_leaves_nothing_half_done(home, kill):
    process = python(KILLED.replace("{kill}", kill))
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", -signal.SIGKILL)
    with Registry.open() as registry:
        names = [found.name for found in registry.controls()]
        assert "first" in names
        assert "second" not in names
        registry.verified_weights_path(registry.control("first"))
        assert [run.status for run in registry.runs()] == ["running"]
        registry.verified_weights_path(registry.add_control(control("second"), weights(2)))
