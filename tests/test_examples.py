"""Every stage of the pocket family's making runs, stops, and goes on where it was."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent / "examples" / "pocket_family"
DISTILLED = ("turbo", "lcm", "lcm-lora", "dmd2", "lightning")
sys.path.insert(0, str(HERE))


def run(script, *arguments, work):
    done = subprocess.run([sys.executable, HERE / script, "--work", work, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Two steps of every stage, in their order."""
    work = tmp_path_factory.mktemp("work")
    few = ("--steps", 2, "--batch", 4)
    run("train_vae.py", *few, "--refine", 2, work=work)
    run("train_decoder.py", *few, work=work)
    run("train_oracle.py", *few, work=work)
    run("train_scorer.py", *few, work=work)
    run("train_base.py", *few, "--pictures", 40, work=work)
    for stage in DISTILLED:
        run(f"train_{stage.replace('-', '_')}.py", *few, "--pictures", 40, work=work)
    run("extract_lora.py", "--stage", "dmd2", "--rank", 4, work=work)
    return work


@pytest.mark.parametrize("stage", ["vae", "decoder", "oracle", "scorer", "base", *DISTILLED])
def test_every_stage_runs_for_two_steps_and_writes_down_its_facts(work, stage):
    steps = 6 if stage == "lightning" else 2  # three rounds
    assert f'"steps": {steps}' in (work / stage / "facts.json").read_text()


@pytest.mark.parametrize("form", ["lcm-lora", "dmd2-lora"])
def test_lora_forms_are_controls_that_ctrlx_reads_whole(work, form):
    from ctrlx.controls.read import read_control

    assert len(read_control(work / form / "lora" / "pytorch_lora_weights.safetensors").modules) > 100


def test_a_difference_within_the_rank_is_extracted_exactly():
    import torch
    from extract_lora import truncated

    difference = torch.randn(12, 3) @ torch.randn(3, 8 * 9)
    down, up = truncated(difference.view(12, 8, 3, 3), 3)
    assert down.shape == (3, 8, 3, 3) and up.shape == (12, 3, 1, 1)
    assert (up.flatten(1) @ down.flatten(1) - difference).abs().max() < 1e-4


def test_what_the_stages_made_loads_in_plain_diffusers_and_open_clip(work, tmp_path):
    import open_clip
    import torch
    from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel

    for stage in ("base", "turbo", "scorer"):
        run("assemble.py", "--stage", stage, "--registry", tmp_path, work=work)
    pipe = StableDiffusionXLPipeline.from_pretrained(tmp_path, torch_dtype=torch.float32)
    pipe.unet = UNet2DConditionModel.from_pretrained(tmp_path / "turbo" / "unet", torch_dtype=torch.float32)
    picture = pipe("a person", num_inference_steps=1, guidance_scale=0.0, height=64, width=64, output_type="np").images
    assert picture.shape == (1, 64, 64, 3)
    model = open_clip.create_model(f"local-dir:{tmp_path / 'scorer'}")
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'scorer'}")(["an old person"])
    assert torch.isfinite(model.float().encode_text(tokens)).all()


def test_a_stage_that_was_stopped_goes_on_and_makes_the_same_weights(tmp_path):
    import torch
    from recipe import Average, Run, adamw, update

    def train(folder, stop_after):
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 1)
        optimizer, schedule = adamw(layer.parameters(), 0.1, 10, warmup=2)
        average = Average(layer)
        run = Run("stage", 10, 7, folder, layer=layer, optimizer=optimizer, schedule=schedule, average=average)
        for step in run:
            update(optimizer, schedule, (layer(torch.randn(8, 3)) - 1).square().mean(), layer.parameters())
            average.update(layer)
            if step == stop_after:
                run.step += 1
                run.save()
                break
        return layer.weight.detach(), average.weights["weight"]

    whole = train(tmp_path / "whole", None)
    train(tmp_path / "parts", 4)
    resumed = train(tmp_path / "parts", None)
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed))


def test_the_latents_of_a_finished_autoencoder_have_mean_0_and_deviation_1_and_decode_as_before(work):
    import random

    import pictures
    import torch
    import train_vae
    from diffusers import AutoencoderKL

    torch.manual_seed(1)
    vae = AutoencoderKL(**train_vae.CONFIG).eval()
    _, x, _, _ = pictures.batch(random.Random(0), 64)
    with torch.no_grad():
        before = vae.decode(vae.encode(x).latent_dist.mean).sample
        train_vae.finish(vae, 64)
        latents = vae.encode(x).latent_dist.mean
        after = vae.decode(latents * vae.config.scaling_factor).sample
    assert (before - after).abs().max() < 1e-3
    assert latents.mean((0, 2, 3)).abs().max() < 1e-3
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 1e-3


def test_styles_and_subjects_are_kept_out_of_the_base_world():
    from random import Random

    from world import sample_scene

    scenes = [sample_scene(Random(seed)) for seed in range(2000)]
    assert not any(scene.style or scene.subject or scene.crown for scene in scenes)
    assert 0.55 < sum(scene.kind == "person" for scene in scenes) / 2000 < 0.65


def test_every_word_of_a_caption_is_true_of_its_picture():
    from random import Random

    from captions import caption
    from oracle import shows, truth
    from world import sample_scene

    asked = 0
    for seed in range(500):
        rng = Random(seed)
        scene = sample_scene(rng)
        for attribute, word in caption(scene, rng, keep=1.0)[1].items():
            answers = {k: v for k, v in truth(scene).items() if v is not None}
            assert attribute in answers and shows(answers, attribute, word), (scene, attribute, word)
            asked += 1
    assert asked > 2000


def test_the_same_scene_is_drawn_with_the_same_pixels():
    from random import Random

    import numpy as np
    from drawing import draw
    from world import sample_scene

    scene = sample_scene(Random(4))
    assert np.array_equal(np.asarray(draw(scene)), np.asarray(draw(scene)))
