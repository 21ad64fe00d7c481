"""Every form of target loads to the same UNet, once; a broken one is refused in one sentence."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctrlx.controls.attach import set_strengths
from ctrlx.errors import BadCatalogue, BadWeights, MissingWeights, WrongFamily
from ctrlx.records import Weights
from ctrlx.sampling.loop import denoise
from ctrlx.sampling.pictures import generate
from ctrlx.sampling.plans import alone, hybrid
from ctrlx.sampling.text import encode
from ctrlx.targets.models import Models
from tests import tiny
from tests.controls import files

UNET = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    """A copy of the base's UNet that a test may break."""
    return shutil.copytree(tiny.registry() / "tiny" / "unet", tmp_path / "unet")


def at(place, **recipe):
    return tiny.target("copy", weights=Weights(path=str(place)), **recipe)


def same_unet(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_a_model_is_loaded_once_and_frozen():
    models = tiny.models()
    base = models.family.base
    assert models.denoiser(base) is models.denoiser(base)
    assert models.shared is models.shared
    unet = models.denoiser(base).unet
    assert not unet.training and not any(parameter.requires_grad for parameter in unet.parameters())
    assert unet.dtype == torch.float32


@pytest.mark.parametrize("name", ["unet.safetensors", "unet.bin"])
def test_a_single_file_in_halves_is_the_base_architecture_with_its_weights(tmp_path, folder, name):
    halves = {key: tensor.half() for key, tensor in load_file(folder / UNET).items()}
    save_file(halves, tmp_path / name) if name.endswith("safetensors") else torch.save(halves, tmp_path / name)
    target = at(tmp_path / name)
    unet = tiny.models(target).denoiser(target).unet
    assert unet.dtype == torch.float32
    assert (unet.conv_in.weight - halves["conv_in.weight"].float()).abs().max() == 0
    assert not any(tensor.is_meta for tensor in [*unet.parameters(), *unet.buffers()])


def test_a_lora_form_shares_the_base_unet_and_is_on_for_its_own_leg_only(tmp_path):
    base = tiny.models().denoiser(tiny.family().base).unet
    save_file(files.diffusers_peft(files.slider(base, alpha=4.0, size=0.1)), tmp_path / "form.safetensors")
    target = at(tmp_path / "form.safetensors", form="lora", lora_scale=0.75)
    models = tiny.models(target)
    assert models.denoiser(target).unet is models.denoiser(models.family.base).unet
    plain = list(denoise(tiny.models(), alone(tiny.family().base, models.scheduler_config, steps=4, guidance=0), "a cat", [1]))
    led = list(denoise(models, hybrid(models.family.base, target, models.scheduler_config, 2), "a cat", [1]))
    assert [torch.equal(one.prediction, other.prediction) for one, other in zip(plain, led, strict=True)] == [True, True, False, False]
    set_strengths(models.denoiser(target).unet, {"target copy": 0.75})
    assert torch.equal(models.denoiser(target).unet.conv_in.weight, base.conv_in.weight)


def test_a_target_of_another_family_is_refused():
    with pytest.raises(WrongFamily, match="'sdxl/turbo' is no target of family 'tiny'"):
        tiny.models().denoiser(tiny.variant(tiny.family().targets["turbo"], family="sdxl"))


def test_a_truncated_unet_is_refused_in_one_line(folder):
    (folder / UNET).write_bytes((folder / UNET).read_bytes()[:-5000])
    with pytest.raises(BadWeights, match="may be truncated or corrupt") as raised:
        tiny.models().denoiser(at(folder))
    assert "\n" not in str(raised.value) and str(folder) in str(raised.value)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_unet_with_a_weight_missing_is_refused_rather_than_left_at_random(folder, kind):
    tensors = load_file(folder / UNET)
    del tensors["conv_out.bias"]
    save_file(tensors, folder / UNET)
    with pytest.raises(BadWeights, match="it lacks 'conv_out.bias'"):
        tiny.models().denoiser(at(folder if kind == "folder" else folder / UNET))


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_unet_with_a_weight_too_many_is_refused(folder, kind):
    save_file({**load_file(folder / UNET), "strange.weight": torch.zeros(2)}, folder / UNET)
    with pytest.raises(BadWeights, match="it has the unknown 'strange.weight'"):
        tiny.models().denoiser(at(folder if kind == "folder" else folder / UNET))


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_unet_of_other_widths_is_refused(folder, kind):
    save_file({**load_file(folder / UNET), "conv_in.weight": torch.zeros(24, 4, 3, 3)}, folder / UNET)
    with pytest.raises(BadWeights, match="cannot be read as a UNet"):
        tiny.models().denoiser(at(folder if kind == "folder" else folder / UNET))


def test_a_pickle_with_code_in_it_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("sprung",))

    torch.save({"conv_in.weight": Trap()}, tmp_path / "unet.bin")
    with pytest.raises(BadWeights, match="a pickle of tensors only"):
        tiny.models().denoiser(at(tmp_path / "unet.bin"))


@pytest.mark.parametrize(
    "broken", ["text_encoder_2/model.safetensors", "vae/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"]
)
def test_a_broken_part_of_the_family_is_refused(tmp_path, broken):
    root = shutil.copytree(tiny.registry(), tmp_path / "registry")
    file = root / "tiny" / broken
    file.write_bytes(file.read_bytes()[:100])
    models = Models(tiny.family(), root, device="cpu")
    with pytest.raises(BadWeights, match="cannot be read as"):
        assert models.scheduler_config and models.shared


def test_a_family_that_is_not_there_says_so(tmp_path):
    with pytest.raises(MissingWeights, match="tiny is not there"):
        assert Models(tiny.family(), tmp_path, device="cpu").shared


@pytest.mark.parametrize(
    ("field", "sentence"), [("pipeline", "names the pipeline 'Nonsense'"), ("scheduler", "names the scheduler 'Nonsense'")]
)
def test_names_that_diffusers_does_not_have_are_mistakes_of_the_catalogue(field, sentence):
    family = tiny.family()
    with pytest.raises(BadCatalogue, match=sentence):
        if field == "pipeline":
            assert Models(tiny.variant(family, pipeline="Nonsense"), tiny.registry(), device="cpu").shared
        else:
            alone(tiny.variant(family.base, scheduler="Nonsense"), tiny.models().scheduler_config)


def test_loading_says_nothing(capfd, recwarn):
    models = tiny.models()
    models.denoiser(models.family.base), models.shared
    out, err = capfd.readouterr()
    assert out == err == "" and not [warning for warning in recwarn if issubclass(warning.category, (UserWarning, FutureWarning))]


def test_a_config_of_the_scheduler_is_plain_data():
    assert json.dumps(tiny.models().scheduler_config)


def test_a_model_that_is_first_asked_for_in_inference_mode_can_still_be_trained():
    models = tiny.models()
    with torch.inference_mode():
        generate(models, alone(models.family.base, models.scheduler_config), "a cat", [1])
    assert not any(parameter.is_inference() for parameter in models.denoiser(models.family.base).unet.parameters())
    assert not encode(models.shared, ["a cat"]).embeds.is_inference()
