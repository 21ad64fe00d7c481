"""`ctrlx eval --matrix` as a user runs it, and as a user stops it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ctrlx.cli.app import main
from tests import tiny_matrix

SMALL = ["eval", "--matrix", "--controls", "age", "--targets", "turbo,dmd2", "--seeds", "2", "--strengths", "0.5,1"]


@pytest.fixture(autouse=True)
def _(home, tmp_path):
    tiny_matrix.write_family(home)
    tiny_matrix.add_control(tmp_path, "age", 0)


def test_json_is_one_document_and_the_gate_takes_its_folder(tmp_path, capsys):
    assert main([*SMALL, "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(cell["target"], cell["strength"]) for cell in found["cells"]] == [(t, s) for t in ("base", "turbo", "dmd2") for s in (0.5, 1.0)]
    assert found["made"] == 3 * 3 * 4 and os.path.isfile(found["report"])
    assert main(["gate", str(tmp_path / "out"), "--min-ratio", "-1e9", "--max-side-effects", "0"]) == 1
    assert "probes" in capsys.readouterr().out


def test_a_table_is_printed_for_a_person(capsys):
    assert main([*SMALL[:6], "--seeds", "1", "-s", "1"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[:5] == ["CONTROL", "TARGET", "DIRECTION", "STRENGTH", "EFFECT"]
    assert "59/59" in out and "report  " in out and "report.html" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["eval"], "say what to evaluate: `ctrlx eval --matrix`"),
        (["eval", "--matrix", "--strengths", "much"], "--strengths takes numbers"),
        (["eval", "--matrix", "--controls", "aeg"], "did you mean 'age'?"),
    ],
)
def test_what_cannot_be_is_one_sentence(capsys, arguments, words):
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1 and words in told


def drawn(home) -> int:
    return len(list((home / "pictures").rglob("*.png")))


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_where_it_was(home, tmp_path, capsys, end):
    command = [sys.executable, "-m", "ctrlx", *SMALL[:-4], "--seeds", "20", "--json"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while drawn(home) < 20 and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(end)
    assert running.wait(60) == (130 if end == signal.SIGINT else -signal.SIGKILL)
    kept = drawn(home)
    assert main(command[3:]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reused"] >= 20 and found["reused"] >= kept - 1  # kill -9 may leave one file whose row was not written yet
    assert found["made"] + found["reused"] == 3 * 4 * 40
    assert all(cell["drift"] == 0 for cell in found["cells"])
