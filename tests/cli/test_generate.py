import json
import sys

import pytest

from ctrlx.cli.app import main
from tests import tiny


@pytest.fixture(autouse=True)
def _(home):
    tiny.write_family(home)


def test_generate_tells_the_plan_the_pictures_and_what_it_took(capsys, tmp_path):
    assert main(["generate", "a cat", "-t", "tiny/dmd2", "--hybrid-k", "1", "-n", "2", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "tiny/base at 999  ->  tiny/dmd2 at 749 499 249"
    assert lines[2].split() == ["0", "a", "cat", str(tmp_path / "a-cat-0.png")]
    assert lines[4].startswith("4 forwards a picture, ") and "at the peak (process)" in lines[4]
    assert lines[5].startswith("run  ") and err == ""
    assert main(["generate", "--from", str(tmp_path / "a-cat-1.png")]) == 0
    assert f"the same as {tmp_path / 'a-cat-1.png'}, pixel for pixel" in capsys.readouterr().out


def test_json_has_the_keys_that_scripts_read(capsys):
    assert main(["generate", "-t", "tiny/dmd2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"images", "plan", "forwards", "seconds", "peak_memory", "run"} <= set(document)
    assert set(document["images"][0]) == {"path", "prompt", "seed"}
    assert {"target", "timesteps", "guidance", "controls"} <= set(document["plan"][0])


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--hybrid-k", "9"], 2, "the base cannot lead for 9 of 4 steps; give a k from 0 to 4"),
        (["--size", "big"], 2, "'big' is no size; write WIDTHxHEIGHT"),
        (["--control", "nobody"], 2, "no control named 'nobody'"),
        (["--show"], 2, "--show draws on a terminal, and this is none"),
        (["--show", "--json"], 2, "leave --show out"),
        (["--from", "no.png"], 2, "there is no picture no.png"),
    ],
)
def test_mistakes_are_one_sentence(capsys, arguments, code, sentence):
    assert main(["generate", "-t", "tiny/dmd2", *arguments]) == code
    out, err = capsys.readouterr()
    assert sentence in err and err.count("\n") == 1 and out == ""


def test_show_without_its_library_says_how_to_get_it(capsys, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["generate", "-t", "tiny/dmd2", "--show"]) == 2
    assert "pip install 'ctrlx[show]'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("rows", "wanted"), [(40, "\N{UPPER HALF BLOCK}"), (0, "the terminal does not say how large it is")])
def test_show_draws_on_a_terminal(rows, wanted, tmp_path):
    pytest.importorskip("textual_image")
    import fcntl
    import os
    import pty
    import struct
    import subprocess
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 2 * rows, 0, 0))
    command = [sys.executable, "-m", "ctrlx", "generate", "-t", "tiny/dmd2", "--show", "--out", str(tmp_path)]
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 4096):
            said += chunk
    except OSError:  # how a pseudo-terminal on Linux says that the other side is closed
        pass
    assert running.wait() == 0
    assert wanted in said.decode(errors="replace") and b"Traceback" not in said


def test_a_curve_takes_a_set_of_prompts_and_no_prompt(capsys):
    assert main(["dt", "a cat", "--curve", "-t", "tiny/turbo"]) == 2
    assert "--curve is drawn over --prompts" in capsys.readouterr().err
