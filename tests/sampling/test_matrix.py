"""The key of a picture changes with all that makes it and with nothing else; a faulty picture is told from a real one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctrlx.sampling.matrix import LARGEST, Wanted, digest, draw, largest_difference, plan_of, probe, recipe_of
from ctrlx.targets.models import Models
from tests import tiny

WEIGHTS = {"tiny": "1", "tiny/base": "2"}


def key(models=None, target=None, weights=WEIGHTS):
    models = models or tiny.models()
    return digest(recipe_of(models, target or models.family.base, weights))


@pytest.mark.parametrize(
    "changes",
    [{"steps": 4}, {"guidance": 3.0}, {"scheduler": "DDIMScheduler"}, {"scheduler_args": {"timestep_spacing": "trailing"}}, {"size": 64},
     {"prediction_type": "v_prediction"}, {"form": "lora"}, {"lora_scale": 0.5}],
    ids=str,
)
def test_whatever_changes_the_picture_changes_the_key(changes):
    assert key(target=replace(tiny.family().base, **changes)) != key()


def test_other_weights_and_another_dtype_change_the_key():
    assert key(weights={**WEIGHTS, "tiny/base": "3"}) != key()
    assert key(Models(tiny.family(), tiny.registry(), device="cpu", dtype=torch.bfloat16)) != key()


@pytest.mark.parametrize("changes", [{"notes": "new"}, {"licence": "other"}, {"method": "other"}, {"hidden": True}, {"name": "other"}], ids=str)
def test_words_about_a_target_do_not_change_the_key(changes):
    assert key(target=replace(tiny.family().base, **changes)) == key()


def wanted(seed: int) -> Wanted:
    return Wanted(str(seed), "base", None, 0.0, "a cat", seed)


def test_pictures_come_one_by_one_each_with_its_key():
    models = tiny.models()
    drawn = list(draw(models, plan_of(models, models.family.base, None, 0.0, None), [wanted(seed) for seed in range(3)]))
    assert [(one.wanted.key, one.fault, one.image.size) for one in drawn] == [(str(seed), "", (tiny.SIZE, tiny.SIZE)) for seed in range(3)]


@pytest.mark.parametrize("value, fault", [(float("nan"), "nan"), (0.0, "flat")])
def test_a_picture_that_is_none_is_told(value, fault):
    models = tiny.models()
    decoder = models.shared.pipeline.vae.decoder.conv_out
    spoiled = models.denoiser(models.family.base).unet.conv_out if fault == "nan" else decoder
    torch.nn.init.constant_(spoiled.weight, value)
    torch.nn.init.constant_(spoiled.bias, value)
    [drawn] = draw(models, plan_of(models, models.family.base, None, 0.0, None), [wanted(0)])
    assert drawn.fault == fault


def test_the_same_batch_is_the_same_bit_for_bit():
    models = tiny.models()
    plan, pairs = plan_of(models, models.family.base, None, 0.0, None), [("a cat", 0), ("a dog", 1)]
    before = probe(models, plan, pairs)
    assert largest_difference(before, probe(models, plan, pairs)) == 0
    assert largest_difference(before, probe(models, plan, pairs[::-1])) > 0


def test_a_difference_that_is_no_number_is_as_large_as_can_be():
    nan = np.array([np.nan, 1.0])
    assert largest_difference(nan, nan) == 0
    assert largest_difference(nan, np.ones(2)) == LARGEST
