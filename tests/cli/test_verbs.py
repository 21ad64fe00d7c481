import json

import pytest

from ctrlx.cli.app import main
from ctrlx.store import Registry
from tests.shipped import control, weights


@pytest.fixture(autouse=True)
def _(home, shipped):
    """A home of its own, and one built-in control."""


def said(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_list_shows_what_ships_from_the_first_command_on(capsys):
    header, line = said(capsys, "list").splitlines()
    assert header.split() == ["NAME", "KIND", "FAMILY", "SOURCE", "RANK", "MODULES", "ORIGIN", "SIZE"]
    assert line.split()[:7] == ["slider_age", "slider", "pocket", "base", "4", "1", "built-in"]


def test_list_filters(capsys):
    with Registry.open() as registry:
        registry.add_control(control("style", kind="lora", family="sdxl"), weights(1))
    names = lambda *arguments: [found["name"] for found in json.loads(said(capsys, "list", "--json", *arguments))]
    assert names() == ["slider_age", "style"]
    assert names("--kind", "lora") == names("--family", "sdxl") == names("--source", "sdxl/base") == ["style"]
    assert names("--source", "base") == ["slider_age", "style"]
    assert names("--kind", "dreambooth") == []


def test_an_empty_list_says_so_on_stderr(capsys):
    assert main(["list", "--kind", "dreambooth"]) == 0
    assert capsys.readouterr() == ("", "no control is like that; `ctrlx list` shows all of them\n")


def test_show_tells_the_record_the_recipe_the_file_the_scores_and_the_runs(capsys, shipped):
    from tests.store.test_registry import score

    with Registry.open() as registry, registry.recording("transfer", {}, read={"slider_age": "0"}) as run:
        registry.add_scores(run, [score(0, 23.0, name="slider_age")])
        registry.finish_run(run, "done")
    out = said(capsys, "show", "slider_age")
    for wanted in ("an old person", "steps", "220", str(shipped / "controls/slider_age.safetensors"), "+15.0 %", run.id, "done"):
        assert wanted in out
    document = json.loads(said(capsys, "show", "slider_age", "--json"))
    assert document["control"]["recipe"]["steps"] == 220
    assert len(document["control"]["sha256"]) == 64
    assert document["scores"][0]["target"] == "pocket/turbo"
    assert document["runs"][0]["status"] == "done"


def test_rm_with_yes_removes(capsys):
    assert main(["rm", "SLIDER_AGE", "--yes"]) == 0
    assert capsys.readouterr() == ("", "removed 'slider_age'\n")
    assert main(["show", "slider_age"]) == 2


def test_rm_asks_on_a_terminal(capsys, monkeypatch):
    import ctrlx.cli.remove as verb

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(verb.typer, "confirm", lambda *_, **__: False)
    assert main(["rm", "slider_age"]) == 0
    assert "nothing was removed" in capsys.readouterr().err
    monkeypatch.setattr(verb.typer, "confirm", lambda *_, **__: True)
    assert main(["rm", "slider_age"]) == 0
    assert "removed 'slider_age'" in capsys.readouterr().err


def test_rm_removes_nothing_where_nobody_can_be_asked(program, capsys):
    done = program("rm", "slider_age")
    assert done.returncode == 2
    with Registry.open() as registry:
        assert registry.control("slider_age")


def test_targets_shows_each_family_with_recipes_and_whether_weights_are_here(capsys, shipped):
    (shipped / "pocket/turbo/unet").mkdir(parents=True)
    (shipped / "pocket/turbo/unet/config.json").write_text("{}")
    out = said(capsys, "targets", "pocket")
    base, turbo = (next(line for line in out.splitlines() if line.startswith(name)) for name in ("base", "turbo"))
    assert "  no " in base
    assert "  yes " in turbo
    assert "EulerAncestral" in turbo
    assert "sdxl" not in out
    families = {family["id"]: family for family in json.loads(said(capsys, "targets", "--json"))}
    [turbo] = [target for target in families["sdxl"]["targets"] if target["name"] == "sdxl/turbo"]
    assert (turbo["target"]["size"], turbo["target"]["guidance"]) == (512, 0.0)
