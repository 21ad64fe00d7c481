"""UNets that are done with are let go, so that a long run holds one at a time."""

import gc
import weakref

import torch
from safetensors.torch import save_file

from ctrlx.records import Weights
from tests import tiny
from tests.controls import files


def test_only_the_unets_that_are_named_are_kept():
    models = tiny.models()
    base, turbo = models.family.targets["base"], models.family.targets["turbo"]
    gone, kept = weakref.ref(models.denoiser(base).unet), models.denoiser(turbo).unet
    models.keep_only([turbo])
    gc.collect()
    assert gone() is None
    assert models.denoiser(turbo).unet is kept


def test_a_lora_form_keeps_its_base_and_leaves_it_as_it_was(tmp_path):
    save_file(files.diffusers_peft(files.slider(tiny.unet(1), 9)), tmp_path / "form.safetensors")
    form = tiny.target("form", "LCMScheduler", Weights(path=str(tmp_path), file="form.safetensors"), form="lora")
    models = tiny.models(form)
    base = models.denoiser(models.family.base).unet
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    assert models.denoiser(form).unet is base
    models.keep_only([form])
    assert models.denoiser(form).unet is base
    models.keep_only([models.family.base])
    assert models.denoiser(models.family.base).unet is base
    after = base.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert models.denoiser(form).unet is base  # and it can be put on again
