"""What is exported is the same change in whatever naming, comes back through import, and loads in plain diffusers."""

import json

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file

from ctrlx.commands.export import export
from ctrlx.commands.importing import import_control
from ctrlx.controls.convert import as_stored
from ctrlx.controls.read import read_control
from ctrlx.errors import BadInput, NotKnown
from ctrlx.store import Registry
from ctrlx.store.hashes import hashes
from tests import tiny
from tests.controls import files
from tests.shipped import control


@pytest.fixture
def slider(home):
    tiny.write_family(home)
    weights = files.slider(tiny.unet(1))
    with Registry.open() as registry:
        registry.add_control(control("age", family="tiny", recipe={"trigger_words": ["ohwx"]}), as_stored(weights, {}))
    return weights


def change(lora):
    return lora.alpha / lora.rank * lora.up.flatten(1) @ lora.down.flatten(1)


@pytest.mark.parametrize(("form", "strength"), [("kohya", 1.0), ("kohya", -1.5), ("diffusers", 2.0), ("peft", 1.0)])
def test_an_exported_control_comes_back_as_the_same_change(slider, tmp_path, form, strength):
    place = export("age", form=form, strength=strength, out=tmp_path / ("out" if form == "peft" else "out.safetensors"))
    back = import_control(str(place), name="back").control
    with Registry.open() as registry:
        modules = read_control(registry.weights_path(back)).modules
    assert modules.keys() == slider.modules.keys()
    assert max((change(modules[name]) - strength * change(lora)).abs().max() for name, lora in slider.modules.items()) < 1e-5


@pytest.mark.parametrize("form", ["kohya", "diffusers"])
def test_plain_diffusers_loads_every_module_of_it(slider, tmp_path, form):
    from diffusers import StableDiffusionXLPipeline

    lent = tiny.unet(1)
    place = export("age", form=form, out=tmp_path / "x.safetensors")
    state, alphas, metadata = StableDiffusionXLPipeline.lora_state_dict(str(place), unet_config=lent.config, return_lora_metadata=True)
    lent.load_lora_adapter(state, prefix="unet", network_alphas=alphas if not metadata else None, metadata=metadata or None)
    layers = {name: module for name, module in lent.named_modules() if isinstance(module, LoraLayer)}
    adapter = next(iter(lent.peft_config))
    assert layers.keys() == slider.modules.keys()
    assert max((layers[name].get_delta_weight(adapter).flatten(1) - change(lora)).abs().max() for name, lora in slider.modules.items()) < 1e-6


def test_the_header_tells_what_other_programs_look_for(slider, tmp_path):
    place = export("age", out=tmp_path / "x.safetensors")
    with safe_open(place, "np") as opened:
        told = opened.metadata()
    assert told["sshs_model_hash"][:12] == hashes(place)["autov3"]
    assert (told["ss_network_dim"], told["modelspec.title"], told["modelspec.trigger_phrase"]) == ("4", "age", "ohwx")
    assert all(torch.isfinite(tensor).all() for tensor in load_file(place).values())


def test_a_peft_folder_is_one_that_peft_reads(slider, tmp_path):
    from peft import LoraConfig

    export("age", form="peft", out=tmp_path / "a")
    assert LoraConfig.from_pretrained(tmp_path / "a").r == 4
    assert json.loads((tmp_path / "a/adapter_config.json").read_text())["peft_type"] == "LORA"


def test_what_cannot_be_exported_is_one_sentence(slider, tmp_path):
    for wrong, sentence, options in ((NotKnown, "did you mean 'kohya'", {"form": "kohia"}), (BadInput, "there already", {"out": tmp_path}), (BadInput, "changes nothing", {"strength": 0})):
        with pytest.raises(wrong, match=sentence):
            export("age", **options)
