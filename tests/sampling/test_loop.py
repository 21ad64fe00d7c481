"""The loop makes the same latents as diffusers' own SDXL pipeline, and the same picture in any company."""

from itertools import pairwise

import pytest
import torch

from ctrlx.errors import BadInput
from ctrlx.sampling.loop import denoise
from ctrlx.sampling.maths import guidance_embedding
from ctrlx.sampling.pictures import decode, generate
from ctrlx.sampling.plans import alone
from tests import tiny

TRAILING = {"timestep_spacing": "trailing"}
RECIPES = {
    "euler leading": tiny.target("a", guidance=5.0, steps=5),
    "euler leading, 4 steps, no guidance": tiny.target("a"),
    "euler trailing": tiny.target("b", scheduler_args=TRAILING),
    "euler trailing, v": tiny.target("c", scheduler_args=TRAILING, prediction_type="v_prediction", guidance=3.0),
    "euler trailing, sample, one step": tiny.target("d", scheduler_args=TRAILING, prediction_type="sample", steps=1),
    "euler ancestral": tiny.target("e", "EulerAncestralDiscreteScheduler", scheduler_args=TRAILING),
    "euler ancestral, v, guided": tiny.target("f", "EulerAncestralDiscreteScheduler", prediction_type="v_prediction", guidance=2.0),
    "ddim leading": tiny.target("g", "DDIMScheduler", guidance=7.5, steps=6),
    "ddim trailing, a count that does not divide": tiny.target("h", "DDIMScheduler", scheduler_args=TRAILING, steps=3),
    "ddim v": tiny.target("i", "DDIMScheduler", prediction_type="v_prediction"),
    "lcm": tiny.target("j", "LCMScheduler"),
    "lcm guided": tiny.target("k", "LCMScheduler", guidance=1.5, prediction_type="v_prediction"),
    "lcm sample": tiny.target("l", "LCMScheduler", prediction_type="sample"),
    "lcm, explicit timesteps": tiny.target("m", "LCMScheduler", timesteps=(999, 749, 499, 249)),
    "lcm, one explicit timestep": tiny.target("n", "LCMScheduler", timesteps=(399,), steps=1),
    "lcm, guidance embedded": tiny.family().targets["lcm"],
    "guidance of one is no guidance": tiny.target("o", guidance=1.0),
}


@pytest.fixture(scope="module")
def models():
    return tiny.models()


def last(steps):
    return list(steps)[-1]


def by_diffusers(models, target, prompt, seed, **more):
    given = {"timesteps": list(target.timesteps)} if target.timesteps else {"num_inference_steps": target.steps}
    return tiny.reference(target, models)(
        prompt,
        generator=torch.Generator().manual_seed(seed),
        guidance_scale=target.guidance,
        height=tiny.SIZE,
        width=tiny.SIZE,
        **given,
        **more,
    ).images


@pytest.mark.parametrize("recipe", RECIPES)
def test_latents_equal_those_of_diffusers(models, recipe):
    target = RECIPES[recipe]
    ours = last(denoise(models, alone(target, models.scheduler_config), "a red house", [7])).latents
    theirs = by_diffusers(models, target, "a red house", 7, output_type="latent")
    assert (ours - theirs).abs().max() < 1e-5
    assert theirs.std() > 0.1


def test_a_negative_prompt_leads_away_as_in_diffusers(models):
    base = models.family.base
    ours = last(denoise(models, alone(base, models.scheduler_config), "a house", [3], negative="blue")).latents
    theirs = by_diffusers(models, base, "a house", 3, output_type="latent", negative_prompt="blue")
    without = last(denoise(models, alone(base, models.scheduler_config), "a house", [3])).latents
    assert (ours - theirs).abs().max() < 1e-5 < (ours - without).abs().max()


def test_pixels_equal_those_of_diffusers(models):
    base = models.family.base
    ours = generate(models, alone(base, models.scheduler_config), "a cat", [11])
    theirs = by_diffusers(models, base, "a cat", 11, output_type="np")
    assert abs(ours / 255 - theirs).max() < 1 / 255


@pytest.mark.parametrize("name", ["base", "turbo", "lcm", "dmd2"])
def test_a_picture_is_the_same_whatever_the_batch(models, name):
    target = models.family.targets[name]
    plan = alone(target, models.scheduler_config)
    prompts, seeds = ["a cat", "a dog", "a cat", "a tree", "a cat"], [1, 2, 3, 4, 1]
    together, apart = generate(models, plan, prompts, seeds, batch=5), generate(models, plan, prompts, seeds, batch=2)
    assert abs(together.astype(int) - apart).max() <= 1
    assert abs(together[0].astype(int) - together[4]).max() <= 1
    assert abs(together[0].astype(int) - together[2]).max() > 1


def test_seeds_do_not_touch_the_global_generator(models):
    state = torch.get_rng_state()
    generate(models, alone(models.family.targets["turbo"], models.scheduler_config), "a cat", [1])
    assert torch.equal(state, torch.get_rng_state())


def test_steps_are_counted_and_the_last_x0_is_the_picture_where_nothing_is_added(models):
    steps = list(denoise(models, alone(models.family.base, models.scheduler_config), "a cat", [1, 2]))
    assert [step.index for step in steps] == [0, 1, 2, 3, 4]
    assert [step.timestep for step in steps] == [801, 601, 401, 201, 1]
    assert all(earlier.abar < later.abar for earlier, later in pairwise(steps))
    assert (steps[-1].x0 - steps[-1].latents).abs().max() < 1e-4
    for earlier, later in pairwise(steps):
        assert (earlier.latents - later.noisy).abs().max() < 1e-6


def test_ddim_does_not_clip_latents_to_the_range_of_pixels(models):
    steps = list(denoise(models, alone(tiny.target("g", "DDIMScheduler"), models.scheduler_config), "a cat", [1]))
    assert steps[-1].x0.abs().max() > 2
    assert (steps[-1].x0 - steps[-1].latents).abs().max() < 1e-4


def test_latents_of_a_step_can_be_decoded_in_any_batch(models):
    latents = last(denoise(models, alone(models.family.base, models.scheduler_config), "a cat", [1, 2, 3])).latents
    assert abs(decode(models.shared, latents, 1).astype(int) - decode(models.shared, latents, 3)).max() <= 1


def test_the_guidance_embedding_is_that_of_diffusers(models):
    theirs = tiny.reference(models.family.base, models).get_guidance_scale_embedding(torch.tensor([7.5 - 1]), embedding_dim=17)
    assert torch.equal(guidance_embedding(7.5, 17), theirs)


def test_a_size_that_the_vae_cannot_draw_is_refused(models):
    plan = alone(models.family.base, models.scheduler_config, size=(32, 30))
    with pytest.raises(BadInput, match="32x30 pixels .* multiples of 4"):
        next(denoise(models, plan, "a cat", [1]))


def test_a_size_that_is_not_square_reaches_the_picture(models):
    assert generate(models, alone(models.family.base, models.scheduler_config, size=(48, 32)), "a cat", [1]).shape == (1, 32, 48, 3)


def test_a_prompt_longer_than_the_encoders_take_is_refused(models):
    with pytest.raises(BadInput, match="has 102 tokens, and the text encoders take 77"):
        next(denoise(models, alone(models.family.base, models.scheduler_config), "a" * 100, [1]))


def test_prompts_and_seeds_must_be_as_many(models):
    with pytest.raises(BadInput, match="2 prompts for 3 seeds"):
        next(denoise(models, alone(models.family.base, models.scheduler_config), ["a", "b"], [1, 2, 3]))
