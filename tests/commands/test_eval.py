"""A matrix on the tiny family: what it measures, what it never draws twice, and what is left when it goes wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ctrlx import catalogue
from ctrlx.commands.eval import evaluate
from ctrlx.commands.matrix import Asked
from ctrlx.commands.transfer import transfer
from ctrlx.errors import BadInput, HomeTrouble, MissingWeights, NotKnown, PartialCoverage, WrongFamily
from ctrlx.records import Control, Weights
from ctrlx.store import Registry
from tests import tiny, tiny_matrix
from tests.controls import files

ONE = Asked(controls=["age"], targets=["turbo"], seeds=2, strengths=[1])
FILES = {"matrix.json", "matrix.csv", "matrix.md", "matrix.tex", "heatmap.png", "heatmap.svg", "report.html", "grid_age.png"}


@pytest.fixture(autouse=True)
def _(home, tmp_path):
    """A home with the tiny family, a slider of its base and one of its turbo."""
    tiny_matrix.write_family(home)
    tiny_matrix.add_control(tmp_path, "age", 0)
    tiny_matrix.add_control(tmp_path, "fast", 1, source="turbo")


def test_a_control_is_measured_on_its_source_and_on_the_target(tmp_path):
    found = evaluate(ONE, out=tmp_path / "out")
    assert [(cell["target"], cell["direction"], cell["n"], cell["drift"]) for cell in found.cells] == [("base", "source", 4, 0), ("turbo", "forward", 4, 0)]
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES == {Path(path).name for path in found.files}
    assert (found.made, found.reused) == (16, 0)  # 2 targets, with and without, 2 prompts, 2 seeds
    assert found.cells[0]["coverage"] == {"adapted": 59, "total": 59} and found.warnings == ()
    assert all(cell["side_effects"]["distance"] > 0 and cell["side_effects"]["probes"] > 0 for cell in found.cells)
    with Registry.open() as registry:
        assert registry.run(found.run).made == found.files
        assert len(registry.scores(registry.control("age"), found.run)) == 8


def test_json_has_the_keys_that_were_promised(tmp_path):
    evaluate(ONE, out=tmp_path / "out")
    document = json.loads((tmp_path / "out/matrix.json").read_text())
    assert {"cells", "scorer", "report", "seconds", "made", "reused", "run"} <= document.keys()
    assert {"control", "source", "target", "direction", "strength", "percent", "low", "high", "n", "ratio", "side_effects", "coverage", "broken"} <= document["cells"][0].keys()
    assert document["scorer"].keys() == {"name", "hash"}


def test_its_figures_are_those_of_transfer():
    found = evaluate(ONE)
    other = transfer("age", to="turbo", strengths=[1], seeds=2)
    for cell, side in zip(found.cells, ("source", "target")):
        for name in ("percent", "low", "high", "points"):
            assert cell[name] == pytest.approx(other.efficacy[side]["1"][name], abs=1e-4)


def test_the_same_again_draws_nothing_and_finds_the_same(monkeypatch):
    first = evaluate(ONE)
    monkeypatch.setattr("ctrlx.targets.models.load_unet", None)  # no UNet is loaded either
    again = evaluate(ONE)
    assert (again.made, again.reused) == (0, 16)
    assert again.cells == first.cells


def test_more_of_everything_draws_only_what_is_new():
    evaluate(ONE)
    found = evaluate(ONE._replace(targets=["turbo", "dmd2"], strengths=[1, 2]))
    assert found.reused == 16
    assert found.made == 8 + 4 + 8  # at 2 on base and turbo, originals on dmd2, at 1 and 2 there


def test_originals_are_shared_by_controls(tmp_path):
    tiny_matrix.add_control(tmp_path, "smile", 3)
    found = evaluate(ONE._replace(controls=["age", "smile"]))
    assert found.made == 2 * 4 * 3


@pytest.mark.parametrize("drawn", [1, 5, 9, 13])
def test_what_was_drawn_before_ctrl_c_is_kept(drawn):
    def stop(what, done, total):
        if what == "drawing" and done == drawn:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(ONE, on_progress=stop)
    with Registry.open() as registry:
        assert registry.runs("eval")[0].status == "interrupted"
    found = evaluate(ONE)
    assert (found.made, found.reused) == (16 - drawn, drawn)
    assert all(cell["drift"] == 0 for cell in found.cells)


def test_an_altered_picture_is_drawn_again(home):
    evaluate(ONE)
    one = next((home / "pictures").rglob("*.png"))
    before = np.asarray(Image.open(one).convert("RGB")).astype(int)
    one.write_bytes(b"no picture")
    assert evaluate(ONE).made == 1
    again = max((home / "pictures").rglob("*.png"), key=lambda path: path.stat().st_mtime_ns)
    assert abs(np.asarray(Image.open(again).convert("RGB")) - before).max() <= 1  # alone in its batch now


def test_with_nothing_said_every_control_goes_both_ways(monkeypatch, home):
    monkeypatch.setattr(catalogue, "DEFAULT_FAMILY", "tiny")
    away = tiny.target("away", weights=Weights(path="nowhere", subfolder="unet"))
    file = tiny_matrix.write_family(home, away, tiny.target("shy"))
    file.write_text(file.read_text().replace("[targets.shy]\n", "[targets.shy]\nhidden = true\n"))
    found = evaluate(Asked(seeds=1, strengths=[1]))
    assert [(cell["control"], cell["target"], cell["direction"]) for cell in found.cells] == [
        ("age", "base", "source"), *(("age", name, "forward") for name in ("turbo", "lcm", "dmd2")),
        ("fast", "turbo", "source"), ("fast", "base", "reverse"),
    ]
    assert "away left out" in found.warnings[0]


def test_controls_that_cannot_be_scored_are_left_out_with_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "DEFAULT_FAMILY", "tiny")
    tiny_matrix.add_control(tmp_path, "mute", 5, concept="")
    assert any("mute left out" in warning for warning in evaluate(ONE._replace(controls=[])).warnings)
    with pytest.raises(BadInput, match="--concept"):
        evaluate(ONE._replace(controls=["mute"]))


def test_pictures_that_break_are_flagged_and_the_other_cells_kept(tmp_path):
    tiny_matrix.add_control(tmp_path, "wild", 4, size=1e18)
    found = evaluate(ONE._replace(controls=["age", "wild"]))
    broken = {cell["control"]: cell["broken"] for cell in found.cells if cell["target"] == "turbo"}
    assert broken == {"age": False, "wild": True}
    assert any("'wild' on turbo at strength 1 broke" in warning for warning in found.warnings)
    json.loads(Path(found.report).with_name("matrix.json").read_text(), parse_constant=pytest.fail)


def test_a_control_that_leaves_something_behind_is_told(monkeypatch):
    from ctrlx.controls import attach

    whole = attach.detach

    def careless(unet, name):
        whole(unet, name)
        unet.conv_in.weight.data += 0.01

    monkeypatch.setattr(attach, "detach", careless)
    found = evaluate(ONE)
    assert all(cell["drift"] > 0 for cell in found.cells)
    assert any("left something behind" in warning for warning in found.warnings)


def test_a_control_that_fits_in_part_is_left_undrawn_unless_less_is_asked_for(tmp_path):
    partial(tmp_path, "part")
    with pytest.raises(PartialCoverage, match="59 of 60 modules where 100% is asked for"):
        evaluate(ONE._replace(controls=["part"]))
    both = evaluate(ONE._replace(controls=["part", "age"]))
    assert [cell["percent"] is None for cell in both.cells] == [True, True, False, False]
    assert both.cells[0]["coverage"] == {"adapted": 59, "total": 60} and "--min-coverage" in both.warnings[0]
    assert evaluate(ONE._replace(controls=["part"], threshold=0.9)).cells[0]["percent"] is not None


def partial(folder: Path, name: str) -> None:
    """A control with a module that no target has."""
    state = files.diffusers_peft(files.slider(tiny.unet(1), 7))
    nowhere = "unet.mid_block.attentions.7.to_q"
    save_file({**state, f"{nowhere}.lora_A.weight": torch.ones(4, 8), f"{nowhere}.lora_B.weight": torch.ones(8, 4)}, folder / f"{name}.safetensors")
    record = Control(name, "slider", "tiny", "base", "", 0, "trained", "2025-01-31", concept=tiny_matrix.CONCEPT, prompts=("a cat",))
    with Registry.open() as registry:
        registry.add_control(record, folder / f"{name}.safetensors")


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"controls": ["agee"]}, NotKnown, "did you mean 'age'"),
        ({"targets": ["trubo"]}, NotKnown, "did you mean 'turbo'"),
        ({"direction": "forwards"}, NotKnown, "did you mean 'forward'"),
        ({"prompts": "peple"}, NotKnown, "did you mean 'people'"),
        ({"targets": ["sdxl/turbo"]}, WrongFamily, "one matrix for each"),
        ({"direction": "reverse"}, BadInput, "train one with `ctrlx train slider NAME --on TARGET`"),
        ({"controls": ["fast"], "direction": "forward"}, BadInput, "trained on a base target"),
        ({"controls": ["fast"], "targets": ["dmd2"]}, BadInput, "leave nothing to measure"),
        ({"seeds": 0}, BadInput, "--seeds"),
        ({"strengths": [0]}, BadInput, "other than 0"),
        ({"strengths": [float("nan")]}, BadInput, "other than 0"),
        ({"threshold": 2}, BadInput, "--min-coverage"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_before_anything_is_loaded(monkeypatch, changes, error, words):
    monkeypatch.setattr("ctrlx.commands.eval.Work", None)
    with pytest.raises(error, match=words):
        evaluate(ONE._replace(**changes))


def test_a_target_without_weights_that_was_named_is_an_error(home):
    tiny_matrix.write_family(home, tiny.target("away", weights=Weights(path="nowhere", subfolder="unet")))
    with pytest.raises(MissingWeights, match="nowhere"):
        evaluate(ONE._replace(targets=["away"]))


def test_a_missing_scorer_is_told_before_anything_is_drawn(home):
    file = home / "families/tiny.toml"
    file.write_text(file.read_text().replace(str(tiny_matrix.scorer()), "no/scorer"))
    with pytest.raises(MissingWeights, match="the scorer 'no/scorer'"):
        evaluate(ONE)
    assert not (home / "pictures").exists()


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("ctrlx.commands.eval.Work", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeTrouble, match="--out"):
        evaluate(ONE, out=tmp_path / "file")


def test_a_lora_form_is_measured_on_the_base_s_own_unet(home, tmp_path):
    save_file(files.diffusers_peft(files.slider(tiny.unet(1), 9, size=0.1)), tmp_path / "form.safetensors")
    form = tiny.target("form", "LCMScheduler", Weights(path=str(tmp_path), file="form.safetensors"), form="lora")
    tiny_matrix.write_family(home, form)
    found = evaluate(ONE._replace(targets=["form", "turbo"]))
    assert [(cell["target"], cell["drift"]) for cell in found.cells] == [("base", 0), ("form", 0), ("turbo", 0)]
