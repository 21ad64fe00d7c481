"""The picture that a prediction implies: closed forms, and the schedulers' own where they mean the same."""

import pytest
import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

from ctrlx.sampling.loop import denoise
from ctrlx.sampling.maths import X0, abar_from_sigma, from_vp, sigma_from_abar, to_vp
from ctrlx.sampling.plans import alone
from tests import tiny

SHAPE = (2, 4, 8, 8)


def drawn(seed):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("abar", [0.0047, 0.3, 0.9991])
def test_each_kind_of_prediction_gives_back_the_picture_that_was_noised(abar):
    x0, eps = drawn(1), drawn(2)
    x = abar**0.5 * x0 + (1 - abar) ** 0.5 * eps
    v = abar**0.5 * eps - (1 - abar) ** 0.5 * x0
    for kind, prediction in {"epsilon": eps, "v_prediction": v, "sample": x0}.items():
        assert (X0[kind](x, prediction, abar) - x0).abs().max() < 1e-12


def test_variance_preserving_and_exploding_forms_hold_the_same_picture():
    x0, eps, sigma = drawn(1), drawn(2), torch.tensor(3.7, dtype=torch.float64)
    abar = abar_from_sigma(float(sigma))
    assert (to_vp(x0 + sigma * eps, sigma) - (abar**0.5 * x0 + (1 - abar) ** 0.5 * eps)).abs().max() < 1e-12
    assert (from_vp(to_vp(x0, sigma), sigma) - x0).abs().max() < 1e-12
    assert abs(sigma_from_abar(abar) - 3.7) < 1e-12


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, DDIMScheduler])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_x0_equals_that_of_schedulers_that_mean_the_same(kind, prediction_type):
    if prediction_type == "sample" and kind is EulerAncestralDiscreteScheduler:
        pytest.skip("diffusers has no such scheduler")
    target = tiny.target("x", kind.__name__, prediction_type=prediction_type, guidance=2.0)
    models = tiny.models(target)
    scheduler = kind.from_config({**models.scheduler_config, "clip_sample": False}, prediction_type=prediction_type)
    scheduler.set_timesteps(4)
    scheduler.is_scale_input_called = True
    for position, step in enumerate(denoise(models, alone(target, models.scheduler_config), "a cat", [1])):
        sigma = getattr(scheduler, "sigmas", torch.zeros(5))[position]
        theirs = scheduler.step(step.prediction, scheduler.timesteps[position], from_vp(step.noisy, sigma)).pred_original_sample
        assert (theirs - step.x0).abs().max() < 1e-4 * max(1, float(step.x0.abs().max()))
