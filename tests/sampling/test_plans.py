"""A plan is data; hybrids and skipped steps are plans for the same loop."""

import json

import pytest
import torch

from ctrlx.errors import BadInput
from ctrlx.sampling.loop import denoise
from ctrlx.sampling.plans import Applied, Leg, Plan, alone, hybrid, skip_first
from ctrlx.sampling.schedulers import make_scheduler, timesteps_for
from tests import tiny
from tests.controls import files

TRAILING = {"timestep_spacing": "trailing"}
SDXL = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "leading", "steps_offset": 1}


@pytest.fixture(scope="module")
def models():
    return tiny.models()


def latents(models, plan, seeds=(1,), prompt="a cat"):
    return list(denoise(models, plan, prompt, list(seeds)))[-1].latents


@pytest.mark.parametrize(
    ("scheduler", "args", "steps", "timesteps"),
    [
        ("EulerDiscreteScheduler", {}, 4, (751, 501, 251, 1)),
        ("EulerDiscreteScheduler", TRAILING, 4, (999, 749, 499, 249)),
        ("EulerDiscreteScheduler", TRAILING, 8, (999, 874, 749, 624, 499, 374, 249, 124)),
        ("EulerAncestralDiscreteScheduler", TRAILING, 2, (999, 499)),
        ("LCMScheduler", {}, 4, (999, 759, 499, 259)),
        ("LCMScheduler", {}, 8, (999, 879, 759, 639, 499, 379, 259, 139)),
        ("DDIMScheduler", TRAILING, 4, (999, 749, 499, 249)),
    ],
)
def test_timesteps_are_those_that_the_authors_give(scheduler, args, steps, timesteps):
    assert timesteps_for(tiny.target("x", scheduler, scheduler_args=args), SDXL, steps) == timesteps


def test_a_step_count_that_a_target_was_not_made_for_is_refused():
    with pytest.raises(BadInput, match="'tiny/x' was made for 2, 4 steps, not 3"):
        alone(tiny.target("x", only_steps=(2, 4)), SDXL, steps=3)
    with pytest.raises(BadInput, match="runs at 4 fixed timesteps, not 2"):
        alone(tiny.target("x", "LCMScheduler", timesteps=(999, 749, 499, 249)), SDXL, steps=2)
    with pytest.raises(BadInput, match="LCMScheduler has no 60 steps"):
        alone(tiny.target("x", "LCMScheduler"), SDXL, steps=60)
    with pytest.raises(BadInput, match="0 steps draw nothing"):
        alone(tiny.target("x"), SDXL, steps=0)


def test_a_plan_can_be_written_as_json(models):
    base, dmd2 = models.family.base, models.family.targets["dmd2"]
    plan = hybrid(base, dmd2, models.scheduler_config, 1, controls=[Applied("age", 1.5)])
    assert json.loads(json.dumps(plan.described())) == [
        {
            "target": "tiny/base",
            "timesteps": [999],
            "guidance": 0.0,
            "scheduler": "EulerDiscreteScheduler",
            "controls": {"age": 1.5},
            "start_noise": None,
        },
        {
            "target": "tiny/dmd2",
            "timesteps": [749, 499, 249],
            "guidance": 0.0,
            "scheduler": "LCMScheduler",
            "controls": {"age": 1.5},
            "start_noise": None,
        },
    ]
    assert plan.steps == 4 and plan.targets == (base, dmd2) and plan.size == (32, 32)


@pytest.mark.parametrize("k", [0, 1, 2, 4])
@pytest.mark.parametrize(
    "target",
    [
        tiny.target("euler", scheduler_args=TRAILING),
        tiny.target("leading", guidance=3.0),
        tiny.target("ancestral", "EulerAncestralDiscreteScheduler", scheduler_args=TRAILING),
        tiny.target("ddim", "DDIMScheduler", scheduler_args=TRAILING),
        tiny.target("lcm", "LCMScheduler"),
        tiny.target("dmd2", "LCMScheduler", timesteps=(999, 749, 499, 249)),
    ],
    ids=lambda target: target.name,
)
def test_a_hybrid_of_a_model_with_itself_is_that_model_bit_for_bit(models, target, k):
    plan = hybrid(target, target, models.scheduler_config, k, base_guidance=target.guidance)
    assert torch.equal(latents(models, plan), latents(models, alone(target, models.scheduler_config)))


@pytest.mark.parametrize("scheduler", ["EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DDIMScheduler", "LCMScheduler"])
def test_explicit_timesteps_that_a_scheduler_would_choose_itself_change_nothing(models, scheduler):
    """So that base steps on a distilled model's timesteps are right for schedulers to which diffusers gives no timesteps."""
    chosen = tiny.target("x", scheduler, scheduler_args=TRAILING if scheduler != "LCMScheduler" else {})
    schedule = timesteps_for(chosen, models.scheduler_config)
    longer = (*schedule, 0)  # no rule gives this, so it is set explicitly; its first steps are the same
    own = list(denoise(models, alone(chosen, models.scheduler_config), "a cat", [1]))
    forced = list(denoise(models, Plan((Leg(chosen, longer, 0, 5, 0.0),), (32, 32)), "a cat", [1]))
    for position in range(3):
        assert (own[position].latents - forced[position].latents).abs().max() < 1e-5


@pytest.mark.parametrize("base", ["EulerDiscreteScheduler", "DDIMScheduler", "EulerAncestralDiscreteScheduler"])
@pytest.mark.parametrize("distilled", ["EulerDiscreteScheduler", "LCMScheduler", "EulerAncestralDiscreteScheduler"])
def test_latents_change_hands_at_the_same_share_of_signal(models, base, distilled):
    """What the second model looks at first is what the first one left, in variance-preserving form."""
    velocity = {"prediction_type": "v_prediction"}  # keeps the latents of random weights near unit variance
    second = tiny.target("second", distilled, scheduler_args=TRAILING, **velocity)
    plan = hybrid(tiny.target("first", base, **velocity), second, models.scheduler_config, 2)
    steps = list(denoise(models, plan, "a cat", [1]))
    assert [step.leg for step in steps] == [0, 0, 1, 1]
    assert (steps[1].latents - steps[2].noisy).abs().max() < 1e-5
    assert all(0.5 < step.noisy.std() < 2 for step in steps)


def test_base_steps_may_stand_for_the_first_distilled_one(models):
    base, dmd2 = models.family.base, models.family.targets["dmd2"]
    plan = hybrid(base, dmd2, models.scheduler_config, 1, base_steps=5)
    assert plan.legs[0].timesteps == (999, 949, 899, 849, 799) and plan.legs[0].until == 749
    assert plan.steps == 8
    assert latents(models, plan).isfinite().all()
    with pytest.raises(BadInput, match="900 base steps do not fit between timesteps 999 and 749"):
        hybrid(base, dmd2, models.scheduler_config, 1, base_steps=900)


def test_the_base_can_be_stepped_by_the_distilled_scheduler_as_in_the_paper(models):
    base, dmd2 = models.family.base, models.family.targets["dmd2"]
    plan = hybrid(base, dmd2, models.scheduler_config, 1, base_stepper=dmd2)
    assert plan.described()[0]["scheduler"] == "LCMScheduler"
    assert make_scheduler(base, SDXL, dmd2).config.prediction_type == base.prediction_type
    assert (latents(models, plan) - latents(models, hybrid(base, dmd2, models.scheduler_config, 1))).abs().max() > 1e-3


@pytest.mark.parametrize("k", [-1, 5])
def test_a_base_cannot_lead_for_more_steps_than_there_are(models, k):
    with pytest.raises(BadInput, match=f"cannot lead for {k} of 4 steps; give a k from 0 to 4"):
        hybrid(models.family.base, models.family.targets["dmd2"], models.scheduler_config, k)


def test_a_hybrid_across_families_is_refused(models):
    stranger = tiny.variant(models.family.base, family="sdxl")
    with pytest.raises(BadInput, match="share no latents"):
        hybrid(stranger, models.family.targets["dmd2"], models.scheduler_config)


@pytest.mark.parametrize("scheduler", ["EulerDiscreteScheduler", "LCMScheduler", "DDIMScheduler"])
def test_skipping_the_first_step_starts_from_unit_noise_at_the_second(models, scheduler):
    target = tiny.target("x", scheduler, scheduler_args=TRAILING if scheduler != "LCMScheduler" else {})
    steps = list(denoise(models, skip_first(target, models.scheduler_config, 1), "a cat", [1]))
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    assert len(steps) == 3 and (steps[0].noisy - noise).abs().max() < 1e-6
    with pytest.raises(BadInput, match="skip 0 to 3"):
        skip_first(target, models.scheduler_config, 4)


def test_a_control_is_off_while_there_is_more_noise_than_start_noise(models):
    dmd2 = models.family.targets["dmd2"]
    config, age = models.scheduler_config, [Applied("age", 2.0)]
    weights = files.slider(models.denoiser(dmd2).unet)
    plain = list(denoise(models, alone(dmd2, config), "a cat", [1]))
    with models.attached([dmd2], {"age": weights}) as coverage:
        late = list(denoise(models, alone(dmd2, config, controls=age, start_noise=700), "a cat", [1]))
        full = list(denoise(models, alone(dmd2, config, controls=age), "a cat", [1]))
        off = list(denoise(models, alone(dmd2, config, controls=[Applied("age", 0.0)]), "a cat", [1]))
    assert coverage["dmd2"]["age"].ratio == 1
    assert [torch.equal(one.prediction, other.prediction) for one, other in zip(late, plain, strict=True)] == [True, True, False, False]
    assert not torch.equal(full[0].prediction, plain[0].prediction)
    assert torch.equal(off[-1].latents, plain[-1].latents)
    assert torch.equal(latents(models, alone(dmd2, config)), plain[-1].latents)


def test_two_plans_run_side_by_side_keep_their_own_strengths(models):
    dmd2, config = models.family.targets["dmd2"], models.scheduler_config
    plans = [alone(dmd2, config, controls=[Applied("age", strength)]) for strength in (1.0, -1.0)]
    with models.attached([dmd2], {"age": files.slider(models.denoiser(dmd2).unet)}):
        apart = [latents(models, plan) for plan in plans]
        for together in zip(*(denoise(models, plan, "a cat", [1]) for plan in plans), strict=True):
            pass
    assert all(torch.equal(step.latents, wanted) for step, wanted in zip(together, apart, strict=True))


def test_each_leg_has_its_own_controls(models):
    base, dmd2, config = models.family.base, models.family.targets["dmd2"], models.scheduler_config
    age = [Applied("age", 2.0)]
    weights = files.slider(models.denoiser(base).unet)
    with models.attached([base, dmd2], {"age": weights}):
        both, neither = (list(denoise(models, hybrid(base, dmd2, config, 2, controls=on), "a cat", [1])) for on in (age, []))
        second = list(denoise(models, hybrid(base, dmd2, config, 2, controls=age, base_controls=()), "a cat", [1]))
    assert torch.equal(second[1].latents, neither[1].latents) and not torch.equal(both[1].latents, neither[1].latents)
    assert not torch.equal(second[2].prediction, neither[2].prediction)


def test_legs_that_do_not_meet_are_a_mistake(models):
    dmd2 = models.family.targets["dmd2"]
    first, last = Leg(dmd2, (999, 749, 499, 249), 0, 1, 0.0), Leg(dmd2, (999, 749, 499, 249), 2, 4, 0.0)
    with pytest.raises(ValueError, match="ends at timestep 749 and the next begins at 499"):
        Plan((first, last), (32, 32))
    with pytest.raises(BadInput, match="do not fall"):
        Leg(dmd2, (999, 749, 749), 0, 3, 0.0)
