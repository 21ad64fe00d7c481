"""Slider training: the objective, what it may touch, and that stopping costs nothing."""

import os
import signal
from itertools import islice

import pytest
import torch

from ctrlx.controls.attach import attached
from ctrlx.controls.read import read_control
from ctrlx.errors import BadInput
from ctrlx.sampling.pictures import generate
from ctrlx.sampling.plans import Applied, alone
from ctrlx.sampling.predict import Predictor
from ctrlx.sampling.text import encode
from ctrlx.training import checkpoint
from ctrlx.training.interrupt import deferred_interrupt
from ctrlx.training.lora import count_modules, lora_parameters, set_scale, write_lora
from ctrlx.training.settings import SliderSettings
from ctrlx.training.slider import guided, slider_loss, train_slider
from ctrlx.training.stage import make_stage, predictor
from tests import tiny

SETTINGS = SliderSettings("a person", "an old person", "a young person", steps=6, batch=2, bank=2, learning_rate=1e-2)


def fresh_stage(settings=SETTINGS):
    models = tiny.models()
    return models, make_stage(models, models.family.base, settings)


def trained(folder, settings=SETTINGS, stop_after=None):
    models, stage = fresh_stage(settings)
    steps = list(islice(train_slider(stage, settings, folder), stop_after))
    return models, stage, steps


def test_the_target_is_the_neutral_prediction_moved_by_eta_times_the_difference():
    neutral, positive, negative = torch.randn(3, 2, 4, 8, 8).double()
    assert (guided(neutral, positive, negative, -2.0) - (neutral - 2 * positive + 2 * negative)).abs().max() < 1e-12


def test_the_loss_equals_the_paper_s_objective_written_out(tmp_path):
    _, stage = fresh_stage()
    next(train_slider(stage, SETTINGS, tmp_path))
    loss = slider_loss(stage, SETTINGS, torch.Generator().manual_seed(3), sign=-1)
    generator = torch.Generator().manual_seed(3)
    chosen = torch.randint(len(stage.bank), (2,), generator=generator)
    t = stage.timesteps[torch.randint(len(stage.timesteps), (2,), generator=generator)]
    noise = torch.randn(stage.bank[chosen].shape, generator=generator)
    abar = stage.abars[t].view(-1, 1, 1, 1)
    x = abar**0.5 * stage.bank[chosen] + (1 - abar) ** 0.5 * noise
    with torch.no_grad():
        set_scale(stage.unet, 0)
        neutral, positive, negative = (stage.predict(x, t, [i, i]) for i in range(3))
        set_scale(stage.unet, -1)
        edited = stage.predict(x, t, [0, 0])
    expected = (edited - (neutral - 3 * (positive - negative))).square().mean()
    assert abs(loss.item() - expected.item()) < 1e-5


def test_training_changes_the_adapter_and_not_one_weight_of_the_model(tmp_path):
    models, stage = fresh_stage()
    before = {name: value.clone() for name, value in stage.unet.state_dict().items()}
    steps = list(train_slider(stage, SETTINGS, tmp_path))
    after = {name.replace(".base_layer", ""): value for name, value in stage.unet.state_dict().items()}
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert any(parameter.abs().max() > 0 for parameter in lora_parameters(stage.unet)[1::2])


def test_a_run_that_was_stopped_and_resumed_makes_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0)
    _, whole, _ = trained(tmp_path / "whole")
    trained(tmp_path / "parts", stop_after=3)
    _, resumed, steps = trained(tmp_path / "parts")
    assert 3 <= steps[0].step <= 4
    for one, other in zip(lora_parameters(whole.unet), lora_parameters(resumed.unet), strict=True):
        assert torch.equal(one, other)


def test_an_interrupt_is_heeded_after_the_step_and_what_was_done_is_kept(tmp_path):
    models, stage = fresh_stage()
    done = []
    with pytest.raises(KeyboardInterrupt):
        for progress in train_slider(stage, SETTINGS, tmp_path, interrupted=lambda: len(done) == 2):
            done.append(progress.step)
    _, _, steps = trained(tmp_path)
    assert done == [1, 2] and steps[0].step == 3


@pytest.fixture
def heeds_ctrl_c():
    """This process as on a terminal: started in the background, it would ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_held_back_once_and_obeyed_twice(heeds_ctrl_c):
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as asked:
        assert not asked()
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_that_ignores_ctrl_c_goes_on_ignoring_it(heeds_ctrl_c):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred_interrupt() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert not asked()


def test_other_settings_do_not_go_on_from_an_unfinished_run(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0)
    trained(tmp_path, stop_after=2)
    with pytest.raises(BadInput, match="--restart"):
        trained(tmp_path, SliderSettings("a person", "an old person", "a young person", steps=7, batch=2, bank=2))


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(BadInput, match="cannot be read"):
        trained(tmp_path)


def test_the_written_file_draws_what_the_adapter_in_training_drew(tmp_path):
    models, stage, _ = trained(tmp_path)
    target = models.family.base
    live = generate(models, alone(target, models.scheduler_config, steps=3, controls=[Applied("training", 1.5)]), "a person", [1])
    write_lora(stage.unet, tmp_path / "control.safetensors")
    read = read_control(tmp_path / "control.safetensors")
    assert len(read.modules) == count_modules(stage.unet)
    other = tiny.models()
    with attached(other.denoiser(target).unet, {"kept": read}) as coverage:
        kept = generate(other, alone(target, other.scheduler_config, steps=3, controls=[Applied("kept", 1.5)]), "a person", [1])
    plain = generate(other, alone(target, other.scheduler_config, steps=3), "a person", [1])
    assert coverage["kept"].ratio == 1
    assert abs(live.astype(int) - kept.astype(int)).max() <= 1
    assert abs(plain.astype(int) - kept.astype(int)).max() > 1


def test_a_target_that_takes_guidance_is_told_its_own_in_training_as_in_drawing():
    models = tiny.models()
    lcm = models.family.targets["lcm"]
    unet = models.denoiser(lcm).unet
    asked = Predictor(unet, models.shared, ["a person"], lcm.guidance, (lcm.size, lcm.size))
    x, t = torch.randn(1, 4, 8, 8), torch.tensor([499])
    with torch.no_grad():
        assert (predictor(unet, encode(models.shared, ["a person"]), lcm)(x, t, [0]) - asked(x, t)).abs().max() < 1e-6


def test_a_slider_is_refused_where_guidance_is_an_input():
    models = tiny.models()
    with pytest.raises(BadInput, match="train on the base"):
        make_stage(models, models.family.targets["lcm"], SETTINGS)


@pytest.mark.parametrize("modules", ["full", "noxattn", "attention", "selfattn", "xattn", "xattn-strict"])
def test_every_set_of_layers_finds_layers(tmp_path, modules):
    settings = SliderSettings("a person", "an old person", "a young person", steps=1, batch=1, bank=1, modules=modules)
    _, stage, _ = trained(tmp_path, settings)
    names = [name for name, _ in stage.unet.named_parameters() if ".lora_A." in name]
    assert names
    assert any("attn2" in name for name in names) == (modules not in ("noxattn", "selfattn"))


def test_what_is_to_be_preserved_stands_in_all_three_prompts():
    settings = SliderSettings("a person", "an old person", "a young person", preserve=("red shirt",))
    assert settings.prompts() == [("a person, red shirt", "an old person, red shirt", "a young person, red shirt")]


@pytest.mark.parametrize("change", [{"positive": " "}, {"rank": 0}, {"steps": 0}, {"modules": "everything"}, {"learning_rate": 0.0}])
def test_settings_that_cannot_be_used_are_refused_at_once(change):
    with pytest.raises(BadInput):
        SliderSettings(**{"target_prompt": "a", "positive": "b", "negative": "c", **change})
