"""main(): exit codes and what is said on which stream. CliRunner would bypass it."""

import json
import subprocess
import sys

import pytest

from ctrlx import __version__, errors
from ctrlx.cli import app
from ctrlx.cli.app import main


def test_help_names_every_verb_with_a_whole_sentence(capsys):
    assert main(["--help"]) == 0
    out, _ = capsys.readouterr()
    for verb in ("transfer", "generate", "dt", "train", "list", "show", "rm", "targets"):
        assert f"  {verb} " in out
    assert "..." not in out.partition("Commands:")[2]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ctrlx {__version__}\n"


def test_every_verb_ends_its_help_in_an_example(capsys):
    groups = {"": app.app, **{f"{group.name} ": group.typer_instance for group in app.app.registered_groups}}
    verbs = {f"{prefix}{command.name}": command for prefix, group in groups.items() for command in group.registered_commands}
    assert {"transfer", "generate", "dt", "train slider", "list", "show", "rm", "targets"} <= set(verbs)
    for verb, command in verbs.items():
        assert command.callback.__doc__.strip().splitlines()[-1].strip().startswith(f"Example: ctrlx {verb}"), verb


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["show", "slidr_age"], 2, "error: no control named 'slidr_age'; did you mean 'slider_age'?"),
        (["rm", "slidr_age", "--yes"], 2, "error: no control named 'slidr_age'; did you mean 'slider_age'?"),
        (["targets", "pockt"], 2, "error: no family named 'pockt'; did you mean 'pocket'?"),
        (["list", "--kind", "slidr"], 2, "error: no kind named 'slidr'; did you mean 'slider'?"),
        (["list", "--family", "pockt"], 2, "error: no family named 'pockt'; did you mean 'pocket'?"),
        (["list", "--source", "bas"], 2, "error: no target named 'bas'; did you mean 'base'?"),
        (["list", "--source", "sdxl/bas"], 2, "error: no target named 'bas' in family 'sdxl'; did you mean 'base'?"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr_and_an_exit_code(home, shipped, capsys, arguments, code, sentence):
    assert main(arguments) == code
    assert capsys.readouterr() == ("", f"{sentence}\n")


def test_a_wrong_command_line_exits_with_2(capsys):
    assert main(["lst"]) == 2
    assert "Did you mean 'list'?" in capsys.readouterr().err
    assert main(["show"]) == 2


def test_every_error_s_exit_code_reaches_the_shell(monkeypatch, capsys):
    kinds = [errors.CtrlxError, *errors.CtrlxError.__subclasses__()]
    assert len(kinds) == 9
    for kind in kinds:
        monkeypatch.setattr(app, "app", _raising(kind("thing", "x", ["y"]) if kind is errors.NotKnown else kind("that is wrong; do this")))
        assert main([]) == kind.exit_code > 0
        assert capsys.readouterr().err.startswith("error: ")


def test_ctrl_c_is_told_and_exits_with_130(monkeypatch, capsys):
    import ctrlx.commands.targets as command

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "list_targets", interrupted)
    assert main(["targets"]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


@pytest.mark.parametrize("arguments", [["--debug", "targets"], ["targets", "--debug"]])
def test_a_bug_is_one_sentence_and_debug_shows_its_traceback(home, monkeypatch, capsys, arguments):
    import ctrlx.commands.targets as command

    def broken(**_):
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr(command, "list_targets", broken)
    assert main(["targets"]) == 1
    assert capsys.readouterr() == ("", "error: ctrlx has a bug (ZeroDivisionError: oh); run it again with --debug and report what that shows\n")
    assert main(arguments) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    monkeypatch.setenv("CTRLX_DEBUG", "1")
    assert main(["targets"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error(program, home):
    command = f"{sys.executable} -m ctrlx targets --json | head -n 1"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[\n", "")


def test_trouble_with_the_home_is_one_sentence_and_exit_code_6(program, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    done = program("list", CTRLX_HOME=str(file))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (6, "", 1)


def test_json_is_one_document_alone_on_stdout(program):
    for arguments in (["list", "--json"], ["targets", "--json"]):
        done = program(*arguments)
        assert done.returncode == 0
        json.loads(done.stdout)
        assert done.stderr == ""


def _raising(wrong: Exception):
    def raise_it(*_, **__):
        raise wrong

    return raise_it
