"""Pictures by name, on the tiny family: what is written, how it is made again, and what is left when it goes wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ctrlx.commands.generate import generate
from ctrlx.errors import BadInput, HomeTrouble, NotKnown, PartialCoverage, WrongFamily
from ctrlx.records import Control, Weights
from ctrlx.reports.png import read_picture
from ctrlx.sampling.settings import Settings
from ctrlx.store import Registry
from tests import tiny
from tests.controls import files

HYBRID = Settings(target="tiny/dmd2", hybrid_k=1)
DMD2 = Settings(target="tiny/dmd2")


@pytest.fixture(autouse=True)
def _(home):
    """A home that knows the tiny family."""
    tiny.write_family(home)


@pytest.fixture
def sliders(tmp_path):
    """Two controls of the tiny family, 'age' and 'smile'."""
    return [add_slider(tmp_path, name, seed) for seed, name in enumerate(("age", "smile"))]


def add_slider(folder: Path, name: str, seed: int, family: str = "tiny", **more) -> Control:
    weights = files.slider(tiny.unet(1), seed)
    file = folder / f"{name}.safetensors"
    save_file({**files.diffusers_peft(weights), **more}, file)
    record = Control(name=name, kind="slider", family=family, source="base", sha256="", size=0, origin="trained", created="2025-01-31")
    with Registry.open() as registry:
        return registry.add_control(record, file)


def pixels(made) -> np.ndarray:
    return np.stack([np.asarray(Image.open(image.path)) for image in made.images])


def test_a_hybrid_is_drawn_recorded_and_told(tmp_path):
    made = generate(["a cat"], HYBRID, count=3, seed=5, out=tmp_path / "out")
    assert [(image.prompt, image.seed, Path(image.path).name) for image in made.images] == [("a cat", s, f"a-cat-{s}.png") for s in (5, 6, 7)]
    assert [(leg["target"], leg["timesteps"], leg["scheduler"]) for leg in made.plan] == [
        ("tiny/base", [999], "EulerDiscreteScheduler"),
        ("tiny/dmd2", [749, 499, 249], "LCMScheduler"),
    ]
    assert made.forwards == 4 and made.peak_memory > 0 and made.warnings == ()
    with Registry.open() as registry:
        run = registry.run(made.run)
    assert (run.command, run.status, run.made) == ("generate", "done", tuple(image.path for image in made.images))
    assert run.arguments["base"] == "tiny/base" and run.arguments["preset"] == "correct" and run.result["forwards"] == 4
    json.dumps(run.result)


def test_nothing_given_draws_the_family_s_prompt_with_its_preferred_target(monkeypatch):
    from ctrlx import catalogue

    monkeypatch.setattr(catalogue, "DEFAULT_FAMILY", "tiny")
    made = generate(settings=Settings(hybrid_k=1))
    assert made.images[0].prompt == "a thing" and made.plan[-1]["target"] == "tiny/dmd2"
    assert Path(made.images[0].path).parent.name == made.run


def test_forwards_count_guidance_that_doubles_the_batch():
    assert generate(settings=Settings(target="tiny/base", steps=3, guidance=5.0)).forwards == 6
    assert generate(settings=Settings(target="tiny/lcm", steps=3)).forwards == 3  # guidance is an input of its UNet
    assert generate(settings=Settings(target="tiny/dmd2", hybrid_k=1, base_steps=3, base_guidance=7.0)).forwards == 9


def test_skip_first_leaves_steps_out():
    made = generate(settings=Settings(target="tiny/dmd2", skip_first=1))
    assert made.plan[0]["timesteps"] == [749, 499, 249] and made.forwards == 3


def test_the_paper_s_preset_steps_the_base_by_the_distilled_scheduler():
    made = generate(settings=Settings(target="tiny/dmd2", hybrid_k=1, preset="paper"))
    assert [leg["scheduler"] for leg in made.plan] == ["LCMScheduler", "LCMScheduler"]
    assert made.plan[0]["guidance"] == 0


@pytest.mark.parametrize(
    "settings",
    [HYBRID, Settings(target="tiny/turbo", negative="blue"), Settings(target="tiny/base", size=(48, 32), guidance=3.0, dtype="bfloat16"),
     Settings(target="tiny/lcm", skip_first=1, steps=5), Settings(target="tiny/turbo", hybrid_k=2, base_steps=3, preset="paper")],
    ids=["hybrid", "ancestral", "base in bfloat16", "lcm", "paper"],
)
def test_a_picture_makes_itself_again_bit_for_bit(settings):
    made = generate(["a cat", "a dog"], settings, count=3, seed=11)
    for chosen in (made.images[0], made.images[4]):
        again = generate(source=Path(chosen.path))
        assert again.remade == {"source": chosen.path, "identical": True, "largest_difference": 0}
        assert again.warnings == () and again.plan == made.plan
        assert (again.images[0].prompt, again.images[0].seed) == (chosen.prompt, chosen.seed)
        twice = generate(source=Path(again.images[0].path))
        assert twice.remade["identical"]


def test_what_is_given_beside_from_changes_the_picture():
    first = generate(["a cat"], HYBRID, seed=3)
    other = generate(source=Path(first.images[0].path), seed=4)
    assert (other.images[0].prompt, other.images[0].seed, other.remade) == ("a cat", 4, None)
    assert other.plan == first.plan and (pixels(other) != pixels(first)).any()
    assert len(generate(source=Path(first.images[0].path), settings=Settings(hybrid_k=2)).plan[0]["timesteps"]) == 2


def test_what_has_changed_since_is_told(home):
    first = generate(["a cat"], DMD2)
    tiny.write_family(home, tiny.target("dmd2", "LCMScheduler", Weights(path="tiny", subfolder="unet"), timesteps=(999, 700, 400, 100)))
    again = generate(source=Path(first.images[0].path))
    assert not again.remade["identical"] and again.remade["largest_difference"] > 0
    assert any("recipe has changed" in warning for warning in again.warnings)
    assert any("'tiny/dmd2' has other weights" in warning for warning in again.warnings)


def test_a_seed_s_picture_is_the_same_whatever_the_batch():
    """Exactly where the sums are split alike; within one step of 255 where a BLAS splits them by the size of the batch."""
    one, five = (pixels(generate(["a cat"], HYBRID, count=5, batch=batch)) for batch in (1, 5))
    assert abs(one.astype(int) - five).max() <= 1


def test_a_picture_s_file_names_the_weights_it_was_made_of(sliders):
    made = generate(["a cat"], Settings(target="tiny/dmd2", hybrid_k=1, controls=("AGE:1.5@base", "smile:-1")))
    _, recipe = read_picture(Path(made.images[0].path))
    assert recipe["controls"] == {control.name: control.sha256 for control in sliders}
    assert set(recipe["weights"]) == {"tiny", "tiny/base", "tiny/dmd2"} and all(len(sha) == 64 for sha in recipe["weights"].values())
    assert recipe["settings"]["controls"] == ["age:1.5@base", "smile:-1"]
    assert recipe["settings"]["dtype"] == "float32" and recipe["run"] == made.run
    assert [leg["controls"] for leg in made.plan] == [{"age": 1.5, "smile": -1.0}, {"smile": -1.0}]
    assert made.coverage["age"]["dmd2"]["adapted"] == made.coverage["age"]["dmd2"]["total"] > 10
    assert generate(source=Path(made.images[0].path)).remade["identical"]


def test_controls_change_the_picture_and_a_strength_of_nought_does_not(sliders):
    plain, on, off, late = (
        pixels(generate(["a cat"], Settings(target="tiny/dmd2", controls=controls, start_noise=start)))
        for controls, start in (((), None), (("age:2",), None), (("age:0",), None), (("age:2",), 300))
    )
    assert (plain != on).any() and (plain == off).all()
    assert (late != on).any() and (late != plain).any()


def test_a_control_goes_on_the_leg_that_is_named(sliders):
    plans = {at: generate(settings=Settings(target="tiny/dmd2", hybrid_k=1, controls=(f"age@{at}",))).plan for at in ("base", "dmd2", "tiny/dmd2", "distilled")}
    assert [leg["controls"] for leg in plans["base"]] == [{"age": 1.0}, {}]
    assert all([leg["controls"] for leg in plans[at]] == [{}, {"age": 1.0}] for at in ("dmd2", "tiny/dmd2", "distilled"))


def test_a_lora_form_makes_a_hybrid_on_one_unet(home, tmp_path):
    """The distillation LoRA is off while the base leads: the same as two UNets, one of them with the LoRA on it throughout."""
    lora = tmp_path / "dmd2_lora.safetensors"
    save_file(files.diffusers_peft(files.slider(tiny.unet(1), 7)), lora)
    one = tiny.target("fast", "LCMScheduler", Weights(path=str(lora)), form="lora", timesteps=(999, 749, 499, 249))
    tiny.write_family(home, one)
    made = generate(["a cat"], Settings(target="tiny/fast", hybrid_k=2), count=2)
    models = tiny.models(one)
    assert models.denoiser(one).unet is models.denoiser(models.family.base).unet
    base = generate(["a cat"], Settings(target="tiny/fast", hybrid_k=4), count=2)  # the base alone, on the same timesteps
    fast = generate(["a cat"], Settings(target="tiny/fast"), count=2)
    assert (pixels(made) != pixels(base)).any() and (pixels(made) != pixels(fast)).any()
    add_slider(tmp_path, "fastness", 7)  # the LoRA as a control on the second leg of a hybrid of two equal UNets
    two = tiny.target("slow", "LCMScheduler", timesteps=(999, 749, 499, 249))
    tiny.write_family(home, one, two)
    wanted = generate(["a cat"], Settings(target="tiny/slow", hybrid_k=2, controls=("fastness@slow",)), count=2)
    assert (pixels(made) == pixels(wanted)).all()
    assert generate(settings=Settings(target="tiny/fast", hybrid_k=1), offload=True).warnings


def test_offload_keeps_idle_unets_off_the_device_and_changes_no_bit():
    models = tiny.models()
    models.offload = True
    assert (pixels(generate(["a cat"], HYBRID)) == pixels(generate(["a cat"], HYBRID, offload=True))).all()
    moves = []
    for name in ("base", "dmd2"):
        unet = models.denoiser(models.family.targets[name]).unet
        unet.to = lambda device, name=name: moves.append((name, str(device)))
    models.device = torch.device("cuda")
    models.ready(models.family.targets["dmd2"])
    assert moves == [("base", "cpu"), ("dmd2", "cuda")]


@pytest.mark.parametrize(
    ("wrong", "kind", "sentence"),
    [
        ({"settings": Settings(target="tiny/dmd2", hybrid_k=5)}, BadInput, "cannot lead for 5 of 4 steps; give a k from 0 to 4"),
        ({"settings": Settings(target="tiny/dmd2", hybrid_k=1, base="sdxl/base")}, WrongFamily, "share no latents"),
        ({"settings": Settings(target="tiny/base", hybrid_k=1)}, BadInput, "give --target turbo or lcm or dmd2"),
        ({"settings": Settings(target="tiny/dmd2", hybrid_k=1, skip_first=1)}, BadInput, "give one of them"),
        ({"settings": Settings(target="tiny/dmd2", skip_first=4)}, BadInput, "skip 0 to 3"),
        ({"settings": Settings(target="tiny/dmd2", base_steps=4)}, BadInput, "--base-steps is about a hybrid"),
        ({"settings": Settings(target="tiny/dmd2", steps=3)}, BadInput, "made for 4 steps"),
        ({"settings": Settings(target="tiny/dmd2", size=(32, 30))}, BadInput, "multiples of 4"),
        ({"settings": Settings(target="tiny/trubo")}, NotKnown, "did you mean 'turbo'"),
        ({"settings": Settings(target="tiny/dmd2", hybrid_k=1, preset="papr")}, NotKnown, "did you mean 'paper'"),
        ({"settings": Settings(target="tiny/dmd2", dtype="float46")}, NotKnown, "did you mean 'float16'"),
        ({"settings": Settings(target="tiny/dmd2", controls=("agee",))}, NotKnown, "did you mean 'age'"),
        ({"settings": Settings(target="tiny/dmd2", controls=("age@base",))}, NotKnown, "no target named 'base' in this plan"),
        ({"settings": Settings(target="tiny/dmd2", controls=("age", "age:2"))}, BadInput, "more than once"),
        ({"settings": Settings(target="pocket/turbo", controls=("age",))}, WrongFamily, "was made for family 'tiny'"),
        ({"settings": DMD2, "prompts": ["  "]}, BadInput, "the prompt is empty"),
        ({"settings": DMD2, "prompts": ["a" * 100]}, BadInput, "102 tokens"),
        ({"settings": Settings(target="tiny/base", negative="a" * 100)}, BadInput, "102 tokens"),
        ({"settings": DMD2, "count": 0}, BadInput, "give -n 1 or more"),
        ({"settings": DMD2, "seed": -1}, BadInput, "is no seed"),
        ({"settings": DMD2, "batch": 0}, BadInput, "--batch is 0"),
        ({"settings": DMD2, "device": "cuda:99"}, BadInput, "is no device of this machine"),
        ({"settings": DMD2, "prompts": ["a"], "prompts_file": "people"}, BadInput, "give one of them"),
        ({"settings": DMD2, "prompts_file": "no/such.txt"}, BadInput, "there is no file no/such.txt"),
        ({"settings": DMD2, "prompts_file": "peple"}, NotKnown, "did you mean 'people'"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_cannot_be_drawn_is_one_sentence_with_a_way_out(sliders, tmp_path, wrong, kind, sentence):
    with pytest.raises(kind, match=sentence) as told:
        generate(**wrong, out=tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not list((tmp_path / "out").glob("*"))


def test_a_control_that_fits_in_part_is_refused_or_told(tmp_path):
    extra = {f"unet.mid_block.nowhere.lora_{side}.weight": torch.zeros(4, 4) for side in "AB"}
    add_slider(tmp_path, "wide", 0, **extra)
    settings = Settings(target="tiny/dmd2", controls=("wide",))
    with pytest.raises(PartialCoverage):
        generate(settings=settings)
    made = generate(settings=settings, threshold=0.5)
    assert "1 of " in made.warnings[0] and "'wide'" in made.warnings[0]


def test_prompts_come_from_a_file_or_a_named_set(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("\ufeffa cat\n\n# no\n  a dog  \n", encoding="utf-8")
    made = generate(settings=DMD2, prompts_file=str(file), count=2)
    assert [(image.prompt, image.seed) for image in made.images] == [("a cat", 0), ("a cat", 1), ("a dog", 0), ("a dog", 1)]
    file.write_text("\n#\n")
    with pytest.raises(BadInput, match="holds no prompt"):
        generate(settings=DMD2, prompts_file=str(file))


@pytest.mark.parametrize("wrong", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["ctrl-c", "full disk"])
def test_finished_pictures_are_kept_when_a_run_stops(tmp_path, monkeypatch, wrong):
    save, calls = Image.Image.save, []

    def third_fails(self, *arguments, **more):
        calls.append(1)
        if len(calls) == 3:
            raise wrong
        save(self, *arguments, **more)

    monkeypatch.setattr(Image.Image, "save", third_fails)
    with pytest.raises((KeyboardInterrupt, HomeTrouble)) as told:
        generate(["a cat"], DMD2, count=5, batch=1, out=tmp_path)
    kept = sorted(str(file) for file in tmp_path.glob("*.png"))
    assert [Path(file).name for file in kept] == ["a-cat-0.png", "a-cat-1.png"]
    assert not list(tmp_path.glob(".*"))
    with Registry.open() as registry:
        [run] = registry.runs("generate")
    assert run.status == ("interrupted" if isinstance(wrong, KeyboardInterrupt) else "failed") and list(run.made) == kept
    if isinstance(wrong, OSError):
        assert "No space left on device" in str(told.value) and "the 2 before it are kept" in str(told.value)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_loaded(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeTrouble, match="give another folder with --out"):
        generate(settings=DMD2, out=tmp_path / "file")


def test_progress_counts_every_step():
    seen = []
    generate(["a cat"], HYBRID, count=3, batch=2, on_progress=lambda *told: seen.append(told))
    assert [done for what, done, total in seen if what == "drawing"] == list(range(1, 9))
    assert {total for what, _, total in seen if what == "drawing"} == {8}


@pytest.mark.parametrize("change", [{"batch": [10**9, 0]}, {"batch": [2, 2]}, {"seed": "3"}, {"settings": {"steps": "many"}}, {"prompt": "x", "settings": None}])
def test_a_recipe_that_was_altered_is_refused(tmp_path, change):
    from ctrlx.reports.png import write_picture

    made = generate(["a cat"], DMD2)
    path = Path(made.images[0].path)
    _, recipe = read_picture(path)
    path = write_picture(Image.open(path), tmp_path, "altered", recipe | change)
    with pytest.raises(BadInput):
        generate(source=path)
