"""Training on pictures: what each kind's loss is, that stopping costs nothing, and that the file draws something else than without."""

import json
import subprocess
import sys
from dataclasses import asdict
from itertools import islice

import pytest
import torch
from PIL import Image, ImageDraw

from ctrlx.cli.app import main
from ctrlx.commands.train_pictures import train_pictures
from ctrlx.controls.attach import attached
from ctrlx.controls.read import read_control
from ctrlx.errors import BadInput, NotKnown
from ctrlx.sampling.pictures import generate
from ctrlx.sampling.plans import Applied, alone
from ctrlx.store import Registry
from ctrlx.training import checkpoint, data, latents
from ctrlx.training.diffusion import diffusion_loss, loss_with_prior, snr_weight
from ctrlx.training.gather import gather
from ctrlx.training.key_values import as_lora
from ctrlx.training.kinds import make_job
from ctrlx.training.latents import encoded
from ctrlx.training.loop import train
from ctrlx.training.lora import set_scale
from ctrlx.training.settings import settings_of
from tests import tiny

KINDS = ("lora", "dreambooth", "image-slider", "custom-diffusion")


def draw(folder, color, names=("a", "b", "c"), caption="a ball"):
    """Pictures of a ball, each with a caption beside it."""
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        picture = Image.new("RGB", (48, 40), "white")
        ImageDraw.Draw(picture).ellipse((4 + 4 * i, 4, 30 + 4 * i, 30), color)
        picture.save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(f"{caption} {name}\n")
    return str(folder)


@pytest.fixture
def told(tmp_path):
    """Options by kind, with pictures drawn for each."""
    red, blue = draw(tmp_path / "red", "red"), draw(tmp_path / "blue", "blue")
    prior = {"class_prompt": "a ball", "class_pictures": 2}
    few = {"steps": 4, "batch": 2, "learning_rate": 1e-2}
    return {
        "lora": {**few, "data": red, "trigger": "zzz", "accumulation": 2, "schedule": "cosine", "warmup": 1, "min_snr": 5.0},
        "dreambooth": {**few, **prior, "data": red, "instance_prompt": "a sks ball"},
        "image-slider": {**few, "before": red, "after": blue, "prompt": "a ball"},
        "custom-diffusion": {**few, **prior, "data": red, "concept_prompt": "a sks ball"},
    }


def job_of(kind, told, folder, on="base"):
    models, settings = tiny.models(), settings_of(kind, told[kind])
    folder.mkdir(exist_ok=True)
    return models, settings, gather(settings), make_job(models, models.family.targets[on], settings, gather(settings), folder, folder / "home")


def trained(kind, told, folder, stop_after=None):
    _, settings, gathered, job = job_of(kind, told, folder)
    steps = train(job.parameters, job.loss_at, settings, folder, fingerprint=gathered.fingerprint)
    return job, list(islice(steps, stop_after))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_stopped_and_resumed_makes_the_same_weights(kind, told, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0)
    whole, all_steps = trained(kind, told, tmp_path / "whole")
    trained(kind, told, tmp_path / "parts", stop_after=2)
    resumed, steps = trained(kind, told, tmp_path / "parts")
    assert steps[0].step > 1
    assert list(steps[-1].losses) == list(all_steps[-1].losses)
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters, resumed.parameters, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_loads_whole_is_recorded_and_draws_something_else(kind, told, home):
    tiny.write_family(home)
    done = train_pictures(kind, "my_ball", {**told[kind], "on": "tiny/base", "sample_every": 2, "concept": "a red ball"})
    assert (done.control.kind, done.control.source, done.control.concept) == (kind, "base", "a red ball")
    recipe = done.control.recipe
    assert len(recipe["data_sha256"]) == 64 and len(recipe["loss_curve"]) == 4 and recipe["steps"] == 4
    assert Image.open(done.samples).width > 100
    assert not (home / "training" / "my_ball").exists()
    with Registry.open() as registry:
        weights = read_control(registry.weights_path(done.control))
    models = tiny.models()
    base = models.family.base
    plain = generate(models, alone(base, models.scheduler_config, steps=3), "a ball", [1])
    with attached(models.denoiser(base).unet, {"it": weights}) as coverage:
        edited = generate(models, alone(base, models.scheduler_config, steps=3, controls=[Applied("it")]), "a ball", [1])
    assert coverage["it"].ratio == 1 and coverage["it"].total == done.control.modules
    assert (plain != edited).any()


def written_out(stage, x0, texts, t, noise):
    abar = stage.abars[t].view(-1, 1, 1, 1)
    with torch.no_grad():
        said = stage.predict(abar**0.5 * x0 + (1 - abar) ** 0.5 * noise, t, texts)
    return ((said - noise) ** 2).mean((1, 2, 3)), abar.flatten()


def chance(stage, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(stage.material.latents), (batch,), generator=generator)
    t = stage.timesteps[torch.randint(len(stage.timesteps), (batch,), generator=generator)]
    return chosen, t, torch.randn(stage.material.latents[chosen].shape, generator=generator), generator


def test_the_diffusion_loss_equals_the_formula_written_out_with_min_snr(told, tmp_path):
    _, settings, _, job = job_of("lora", told, tmp_path / "work")
    chosen, t, noise, _ = chance(job.stage, 2, 3)
    each, abar = written_out(job.stage, job.stage.material.latents[chosen], [job.stage.material.texts[i] for i in chosen], t, noise)
    snr = abar / (1 - abar)
    wanted = (each * torch.minimum(snr, torch.tensor(5.0)) / snr).mean()
    assert abs(job.loss_at(0, torch.Generator().manual_seed(3)) - wanted) < 1e-5


def test_the_loss_with_a_class_is_the_sum_of_both_losses(told, tmp_path):
    told["dreambooth"]["prior_weight"] = 0.5
    _, settings, _, job = job_of("dreambooth", told, tmp_path / "work")
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        both = [diffusion_loss(job.stage, material, settings, generator) for material in (job.stage.material, job.stage.prior)]
        assert abs(loss_with_prior(job.stage, settings, torch.Generator().manual_seed(3)) - (both[0] + 0.5 * both[1])) < 1e-6


def test_an_image_slider_denoises_before_at_minus_one_and_after_at_one_from_the_same_noise(told, tmp_path):
    models, settings, gathered, job = job_of("image-slider", told, tmp_path / "work")
    for _ in train(job.parameters, job.loss_at, settings, tmp_path / "work"):
        pass
    loss = job.loss_at(0, torch.Generator().manual_seed(3))
    chosen, t, noise, _ = chance(job.stage, 2, 3)
    wanted = 0
    for scale, folder in ((-1.0, "before"), (1.0, "after")):
        set_scale(job.stage.unet, scale)
        x0 = encoded(models.shared, data.pictures_in(told["image-slider"][folder]), 32)[chosen]
        wanted += written_out(job.stage, x0, [0, 0], t, noise)[0].mean() / 2
    assert abs(loss - wanted) < 1e-5


@pytest.mark.parametrize("kind,expected", [("epsilon", [1.0, 0.2]), ("v_prediction", [0.5, 5 / 26]), ("sample", [1.0, 5.0])])
def test_min_snr_weighs_each_prediction_type_in_its_own_terms(kind, expected):
    abar = torch.tensor([0.5, 25 / 26])  # signal to noise 1 and 25
    assert (snr_weight(kind, abar, 5.0) - torch.tensor(expected)).abs().max() < 1e-4


def test_class_pictures_are_drawn_once_and_kept_under_home(told, tmp_path, monkeypatch):
    job_of("dreambooth", told, tmp_path / "work")
    monkeypatch.setattr(latents, "draw", lambda *_: pytest.fail("drawn twice"))
    job_of("custom-diffusion", told, tmp_path / "work")
    assert len(list((tmp_path / "work" / "home" / "class-pictures").iterdir())) == 1


def test_custom_diffusion_gives_the_model_back_and_its_exact_change_is_stored(told, tmp_path):
    models, settings, gathered, job = job_of("custom-diffusion", told, tmp_path / "work")
    before = {name: value.clone() for name, value in job.stage.unet.state_dict().items()}
    for _ in train(job.parameters, job.loss_at, settings, tmp_path / "work"):
        pass
    changed = {name: value - before[name] for name, value in job.stage.unet.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(".attn2.to_" in name for name in changed)
    told_more = job.write(tmp_path / "control.safetensors")
    assert told_more["relative_error"] < 1e-4
    after = {name.replace(".base_layer", ""): value for name, value in job.stage.unet.state_dict().items()}
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    for name, lora in read_control(tmp_path / "control.safetensors").modules.items():
        assert (lora.alpha / lora.rank * lora.up @ lora.down - changed[f"{name}.weight"]).abs().max() < 1e-5
    assert as_lora({name.removesuffix(".weight"): change for name, change in changed.items()}, 1)[1] > 1e-3


def test_graded_folders_stand_for_their_strengths(tmp_path):
    graded = [f"{scale}={draw(tmp_path / str(i), color)}" for i, (scale, color) in enumerate([("-1", "red"), ("0.5", "blue"), ("2", "black")])]
    settings = {"image-slider": {"graded": graded, "prompt": "a ball", "steps": 1}}
    job, steps = trained("image-slider", settings, tmp_path / "work")
    assert job.strengths == (-1.0, 0.0, 0.5, 2.0) and len(steps) == 1


@pytest.mark.parametrize("on", ["turbo", "lcm", "dmd2"])
def test_a_distilled_target_is_trained_at_its_own_timesteps(on, told, tmp_path):
    _, settings, _, job = job_of("lora", told, tmp_path / "work", on)
    assert len(job.stage.timesteps) == 4
    assert job.loss_at(0, torch.Generator().manual_seed(0)).isfinite()


def test_a_folder_that_cannot_be_trained_on_is_told_with_a_way_out(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no pictures"):
        data.captioned(str(tmp_path / "empty"))
    with pytest.raises(BadInput, match="no folder"):
        data.captioned(str(tmp_path / "nowhere"))
    folder = tmp_path / "some"
    draw(folder, "red")
    (folder / "b.txt").unlink()
    with pytest.raises(BadInput, match="b.png has no caption"):
        data.captioned(str(folder))
    (folder / "metadata.jsonl").write_text(json.dumps({"file_name": "b.png", "text": "the second"}) + "\n")
    assert [one.caption for one in data.captioned(str(folder))] == ["a ball a", "the second", "a ball c"]
    (folder / "metadata.jsonl").write_text("[1]\n")
    with pytest.raises(BadInput, match="line 1"):
        data.captioned(str(folder))
    (folder / "a.png").write_bytes(b"torn")
    with pytest.raises(BadInput, match="cannot be read as a picture"):
        data.open_picture(folder / "a.png", 32)


def test_pairs_go_by_file_name(tmp_path):
    folders = {-1.0: draw(tmp_path / "one", "red"), 1.0: draw(tmp_path / "two", "red", names=("a", "b"))}
    with pytest.raises(BadInput, match="no picture named 'c'"):
        data.paired(folders)


def test_a_pixel_a_caption_and_a_strength_each_change_the_fingerprint(tmp_path):
    files = data.pictures_in(draw(tmp_path / "one", "red"))
    other = data.pictures_in(draw(tmp_path / "two", "blue"))
    assert len({data.fingerprint([(told, file)]) for told in "ab" for file in (files[0], other[0])}) == 4


def test_options_come_from_a_file_and_the_command_line_wins(told, home, tmp_path):
    tiny.write_family(home)
    file = tmp_path / "recipe.toml"
    lines = {**told["lora"], "on": "tiny/base", "sample_every": 0, "steps": 3}
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()))
    done = train_pictures("lora", "from_file", {"steps": 1, "rank": None}, config=file)
    assert done.control.recipe["steps"] == 1 and done.control.recipe["trigger"] == "zzz" and done.samples is None


def test_the_command_line_trains_and_says_what_comes_next(told, home, capsys):
    tiny.write_family(home)
    given = {**told["custom-diffusion"], "on": "tiny/base", "sample_every": 0, "steps": 2, "rank": 1}
    flags = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    assert main(["train", "custom-diffusion", "ball", *flags]) == 0
    told_out = capsys.readouterr().out
    assert "rank 1 trained on tiny/base" in told_out and "of the change" in told_out and "ctrlx transfer ball" in told_out


def test_missing_pictures_are_told_before_torch_is_imported(home, tmp_path):
    script = f"import sys; from ctrlx.cli.app import main; print(main(['train', 'lora', 'x', '--data', {str(tmp_path / 'no')!r}]), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["2", "False"] and "is no folder" in done.stderr


def test_an_option_that_is_not_known_is_refused_with_the_nearest(home, tmp_path):
    (tmp_path / "recipe.toml").write_text('learning_rat = 0.1\n')
    with pytest.raises(NotKnown, match="did you mean 'learning_rate'"):
        train_pictures("lora", "x", {"data": "x"}, config=tmp_path / "recipe.toml")


@pytest.mark.parametrize("change", [{"rank": 0}, {"steps": 0}, {"steps": "many"}, {"schedule": "cosin"}, {"modules": "all"}, {"min_snr": -1.0}, {"data": ""}, {"batch": True}])
def test_settings_that_cannot_be_used_are_refused_at_once(change):
    with pytest.raises((BadInput, NotKnown)):
        settings_of("lora", {"data": "x", **change})


def test_the_learning_rate_rises_then_falls_by_its_schedule():
    settings = settings_of("lora", {"data": "x", "steps": 12, "warmup": 2, "schedule": "linear", "learning_rate": 1.0})
    assert [settings.rate(step) for step in (0, 1, 2, 7)] == [0.5, 1.0, 1.0, 0.5]
    assert asdict(settings)["schedule"] == "linear"
