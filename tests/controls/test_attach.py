"""A control changes what a UNet predicts while it is on, is counted module by module, and leaves no trace."""

import pytest
import torch

from ctrlx.controls.attach import attach, attached, detach, set_strengths
from ctrlx.controls.read import ControlWeights, LoRA
from ctrlx.errors import BadInput, PartialCoverage
from tests import tiny
from tests.controls import files


@pytest.fixture
def unet():
    return tiny.unet(1)


@pytest.fixture
def weights(unet):
    return files.slider(unet)


@torch.no_grad()
def predicted(unet):
    made = torch.Generator().manual_seed(5)
    told = {"text_embeds": torch.randn(2, 16, generator=made), "time_ids": torch.full((2, 6), 32.0)}
    latents, text = torch.randn(2, 4, 8, 8, generator=made), torch.randn(2, 7, 32, generator=made)
    return unet(latents, 500, encoder_hidden_states=text, added_cond_kwargs=told).sample


def snapshot(unet):
    return (
        {name: tensor.clone() for name, tensor in unet.state_dict().items()},
        [*map(id, unet.modules())],
        [p.requires_grad for p in unet.parameters()],
    )


def unchanged(unet, before):
    tensors, modules, gradients = before
    assert unet.state_dict().keys() == tensors.keys()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in unet.state_dict().items())
    assert [*map(id, unet.modules())] == modules
    assert [p.requires_grad for p in unet.parameters()] == gradients
    assert not hasattr(unet, "peft_config")


def by_hand(unet, weights, strength):
    """The UNet with W + strength * alpha / rank * up @ down written into it."""
    for name, lora in weights.modules.items():
        weight = unet.get_submodule(name).weight
        change = (lora.up.flatten(1) @ lora.down.flatten(1)).view_as(weight)
        weight.data += strength * lora.alpha / lora.rank * change
    return unet


@pytest.mark.parametrize("strength", [1.0, -1.5, 0.5])
def test_a_strength_is_the_closed_form(unet, weights, strength):
    with attached(unet, {"age": weights}) as coverage:
        set_strengths(unet, {"age": strength})
        ours = predicted(unet)
    assert coverage["age"].adapted == coverage["age"].total == len(weights.modules) > 30
    wanted = predicted(by_hand(tiny.unet(1), weights, strength))
    assert (ours - wanted).abs().max() < 1e-5 < (wanted - predicted(unet)).abs().max()


def test_each_module_keeps_its_own_rank_and_alpha(unet):
    first, second = files.slider(unet, 1, rank=2, alpha=1.0), files.slider(unet, 2, rank=5, alpha=7.0)
    names = sorted(first.modules)
    mixed = ControlWeights({name: (first if number % 3 else second).modules[name] for number, name in enumerate(names)})
    with attached(unet, {"mixed": mixed}):
        set_strengths(unet, {"mixed": 1.0})
        ours = predicted(unet)
    assert (ours - predicted(by_hand(tiny.unet(1), mixed, 1.0))).abs().max() < 1e-5


def test_strength_zero_is_the_bare_unet_bit_for_bit(unet, weights):
    bare = predicted(unet)
    with attached(unet, {"age": weights}):
        assert torch.equal(predicted(unet), bare)
        set_strengths(unet, {"age": 2.0})
        set_strengths(unet, {"age": 0.0})
        assert torch.equal(predicted(unet), bare)


def test_several_controls_add_up_each_at_its_strength(unet, weights):
    other = files.slider(unet, seed=9)
    with attached(unet, {"age": weights, "v1.5 smile": other}):
        set_strengths(unet, {"age": 1.0, "v1.5 smile": -0.5})
        both = predicted(unet)
        set_strengths(unet, {"v1.5 smile": 1.0})
        one = predicted(unet)
    assert (both - predicted(by_hand(by_hand(tiny.unet(1), weights, 1.0), other, -0.5))).abs().max() < 1e-5
    assert (one - predicted(by_hand(tiny.unet(1), other, 1.0))).abs().max() < 1e-5


def test_the_unet_comes_back_exactly(unet, weights):
    before = snapshot(unet)
    with attached(unet, {"age": weights, "items": files.slider(unet, 2)}):
        set_strengths(unet, {"age": 1.5, "items": 1.0})
        predicted(unet)
    unchanged(unet, before)


def test_the_unet_comes_back_exactly_after_an_exception(unet, weights):
    before = snapshot(unet)
    with pytest.raises(KeyboardInterrupt), attached(unet, {"age": weights}):
        set_strengths(unet, {"age": 1.5})
        raise KeyboardInterrupt
    unchanged(unet, before)


def test_the_unet_comes_back_exactly_when_the_second_control_does_not_fit(unet, weights):
    before = snapshot(unet)
    stranger = ControlWeights({"nowhere.to_q": LoRA(torch.ones(4, 8), torch.ones(8, 4), 1.0)})
    with pytest.raises(PartialCoverage), attached(unet, {"age": weights, "other": stranger}):
        pytest.fail("the block must not begin")
    unchanged(unet, before)


def test_taking_one_control_off_leaves_the_other_on(unet, weights):
    other = files.slider(unet, seed=9)
    attach(unet, "age", weights)
    attach(unet, "smile", other)
    set_strengths(unet, {"age": 1.0, "smile": 2.0})
    detach(unet, "smile")
    assert (predicted(unet) - predicted(by_hand(tiny.unet(1), weights, 1.0))).abs().max() < 1e-5


def test_modules_that_the_unet_lacks_are_counted_and_named(unet, weights):
    narrow = next(name for name in weights.modules if name.endswith("to_q"))
    foreign = {
        **weights.modules,
        "up_blocks.7.attentions.0.proj_in": LoRA(torch.ones(4, 8), torch.ones(8, 4), 1.0),
        narrow: LoRA(torch.ones(4, 999), torch.ones(999, 4), 1.0),
    }
    before = snapshot(unet)
    with pytest.raises(
        PartialCoverage, match=rf"'age' fits this UNet in {len(weights.modules) - 1} of {len(foreign)} modules.*{narrow}, up_blocks.7"
    ):
        attach(unet, "age", ControlWeights(foreign))
    unchanged(unet, before)
    coverage = attach(unet, "age", ControlWeights(foreign), threshold=0.9)
    assert coverage.missing == (narrow, "up_blocks.7.attentions.0.proj_in")
    assert coverage.adapted == len(weights.modules) - 1 and coverage.ratio > 0.9


def test_a_control_that_fits_nowhere_leaves_nothing_behind_even_where_that_is_allowed(unet):
    before = snapshot(unet)
    stranger = ControlWeights({"nowhere.to_q": LoRA(torch.ones(4, 8), torch.ones(8, 4), 1.0)})
    with attached(unet, {"other": stranger}, threshold=0.0) as coverage:
        set_strengths(unet, {})
    assert coverage["other"].ratio == 0
    unchanged(unet, before)


def test_a_strength_for_a_control_that_is_not_there_is_refused(unet):
    with pytest.raises(BadInput, match="'age' has a strength but is not on this UNet"):
        set_strengths(unet, {"age": 1.0})


def test_the_same_name_twice_is_refused(unet, weights):
    with attached(unet, {"age": weights}), pytest.raises(BadInput, match="'age' is already on this UNet"):
        attach(unet, "age", weights)


def test_a_control_follows_the_dtype_of_its_unet(weights):
    unet = tiny.unet(1).to(torch.bfloat16)
    with attached(unet, {"age": weights}, threshold=1.0):
        adapters = [tensor.dtype for name, tensor in unet.state_dict().items() if "lora_" in name]
    assert set(adapters) == {torch.bfloat16}
