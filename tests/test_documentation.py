"""The pages say what is there: every verb is in README, every command in README exists, every path and picture that is named is there."""

import re
import shlex
from pathlib import Path

import pytest

from ctrlx.cli.app import app, main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (ctrlx [^\n]*)", README, re.MULTILINE)
VERBS = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme(verb):
    assert re.search(rf"ctrlx {verb}\b", README)


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_verb_and_option_of_a_readme_command_exists(command, home, capsys):
    words = shlex.split(command)[1:]
    groups = [group.name for group in app.registered_groups]
    verb = words[:2] if words[0] in groups else words[:1]
    assert main([*verb, "--help"]) == 0
    told = capsys.readouterr().out
    for option in (word for word in words if word.startswith("--") and word != "--help"):
        assert option in told


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "examples/pocket_family/README.md"])
def test_every_path_and_picture_that_a_page_names_is_there(page):
    text = (ROOT / page).read_text()
    named = re.findall(r"!\[[^\]]*\]\(([^)]+)\)|\]\((?!http)([^)#]+)\)|`((?:ctrlx|tests|registry|examples|benchmarks|docs)/[\w./-]+)`", text)
    paths = [next(filter(None, groups)) for groups in named]
    assert paths or page == "CONTRIBUTING.md"
    missing = [path for path in paths if not (ROOT / path).exists() and not (ROOT / page).parent.joinpath(path).exists()]
    assert not missing


def test_both_readme_commands_are_one_line_each_and_ci_runs_the_second():
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert lines[0].endswith("ctrlx transfer slider_age --to turbo")
    assert lines[1] in (ROOT / ".ci" / "run").read_text()
