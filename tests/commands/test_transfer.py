"""A transfer: what it draws, measures and records, and what it refuses before anything is loaded; on the tiny family."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ctrlx.cli.app import main
from ctrlx.commands.transfer import transfer
from ctrlx.errors import BadInput, BadWeights, HomeTrouble, NotKnown, WrongFamily
from ctrlx.store import Registry
from tests import tiny_matrix

QUICK = {"to": "turbo", "strengths": [1.0], "prompts": ["a cat"], "seeds": 2}
KEYS = {"control", "source", "target", "direction", "coverage", "strengths", "efficacy", "grid", "run", "seconds"}


@pytest.fixture
def shiny(home, tmp_path):
    """A home with the tiny family, its scorer, and a slider trained on its base."""
    tiny_matrix.write_family(home)
    tiny_matrix.add_control(tmp_path, "slider_shiny", seed=1)
    return home


@pytest.fixture
def done(shiny):
    """One small transfer, and the home that it was recorded in."""
    return transfer("slider_shiny", home=shiny, **QUICK), shiny


def test_the_json_document_has_the_documented_keys_and_nothing_else_is_on_stdout(shiny, capsys):
    code = main(["transfer", "slider_shiny", "--to", "turbo", "-s", "1", "-p", "a cat", "--seeds", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert KEYS <= found.keys()
    assert found["coverage"].keys() == {"adapted", "total"}
    for side in ("source", "target"):
        assert {"percent", "low", "high", "n"} <= found["efficacy"][side]["1"].keys()


def test_every_module_is_adapted_and_the_direction_is_forward(done):
    found, _ = done
    assert found.coverage["adapted"] == found.coverage["total"] > 0
    assert (found.source, found.target, found.direction) == ("base", "turbo", "forward")


def test_the_grid_and_every_picture_are_on_disk_and_differ_where_the_control_is_on(done):
    found, home = done
    folder = home / "runs" / found.run
    assert Image.open(found.grid).width > 600
    for target in ("base", "turbo"):
        off, on = (np.asarray(Image.open(folder / f"{target}_{strength}_000.png")).astype(int) for strength in ("+0", "+1"))
        assert off.shape == (32, 32, 3)
        assert abs(off - on).max() > 1


def test_what_is_reported_follows_from_the_raw_scores_that_are_stored(done):
    found, home = done
    with Registry.open(home) as registry:
        scores = registry.scores(registry.control("slider_shiny"), run=found.run)
        run = registry.run(found.run)
    assert run.status == "done" and run.result["grid"] == found.grid and "torch" in run.versions
    assert run.read == {"slider_shiny": registry_hash(home)}
    for side, target in (("source", "tiny/base"), ("target", "tiny/turbo")):
        mine = [score for score in scores if score.target == target]
        assert [score.seed for score in mine] == [0, 1]
        points = np.mean([score.edited - score.original for score in mine])
        assert abs(points - found.efficacy[side]["1"]["points"]) < 1e-6


def registry_hash(home):
    with Registry.open(home) as registry:
        return registry.control("slider_shiny").sha256


def test_the_same_transfer_gives_the_same_figures(done):
    again = transfer("slider_shiny", **QUICK)
    assert again.efficacy == done[0].efficacy


@pytest.mark.parametrize(
    "name, to, error, words",
    [
        ("slider_shinny", "turbo", NotKnown, "did you mean 'slider_shiny'"),
        ("slider_shiny", "trubo", NotKnown, "did you mean 'turbo'"),
        ("slider_shiny", "sdxl/turbo", WrongFamily, "family 'tiny'"),
        ("slider_shiny", "base", BadInput, "trained on 'base' itself"),
    ],
)
def test_names_that_do_not_fit_are_refused_with_a_way_out(shiny, name, to, error, words):
    with pytest.raises(error, match=words):
        transfer(name, to=to)


@pytest.mark.parametrize(
    "change", [{"seeds": 0}, {"strengths": [0.0]}, {"strengths": [float("nan")]}, {"prompts": [" "]}, {"threshold": 1.5}]
)
def test_numbers_that_cannot_be_used_are_refused_before_anything_is_drawn(shiny, change):
    with pytest.raises(BadInput):
        transfer("slider_shiny", **{**QUICK, **change})


def test_a_mistyped_name_is_answered_without_torch(shiny):
    script = "import sys; from ctrlx.cli.app import main; code = main(['transfer', 'slider_shinny', '--to', 'turbo']); " \
             "print(code, 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["2", "False"]
    assert "did you mean 'slider_shiny'" in told.stderr


def test_an_out_folder_that_is_a_file_is_refused_and_the_run_is_recorded_as_failed(shiny, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(HomeTrouble, match="--out"):
        transfer("slider_shiny", out=tmp_path / "taken", **QUICK)
    with Registry.open() as registry:
        assert [run.status for run in registry.runs("transfer")] == ["failed"]


def test_an_interrupted_transfer_is_recorded_as_interrupted_and_scores_nothing(shiny):
    def stop(what, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer("slider_shiny", on_progress=stop, **QUICK)
    with Registry.open() as registry:
        assert [run.status for run in registry.runs("transfer")] == ["interrupted"]
        assert registry.scores(registry.control("slider_shiny")) == []


def test_a_weight_file_that_was_altered_is_refused(shiny):
    with Registry.open() as registry:
        path = registry.weights_path(registry.control("slider_shiny"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(BadWeights, match="slider_shiny"):
        transfer("slider_shiny", **QUICK)


def test_a_distilled_control_goes_back_to_the_base_in_reverse(shiny, tmp_path):
    tiny_matrix.add_control(tmp_path, "slider_back", seed=2, source="turbo")
    found = transfer("slider_back", to="base", strengths=[1.0], prompts=["a cat"], seeds=1)
    assert (found.source, found.target, found.direction) == ("turbo", "base", "reverse")
