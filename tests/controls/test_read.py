"""A control file is read whole or refused in a sentence that says what it is."""

import json

import pytest
import torch
from safetensors.torch import save_file

from ctrlx.controls.read import read_control
from ctrlx.errors import BadWeights
from tests import tiny
from tests.controls import files


@pytest.fixture(scope="module")
def unet():
    return tiny.unet(1)


@pytest.fixture
def weights(unet):
    return files.slider(unet)


def saved(folder, tensors, metadata=None, name="control.safetensors"):
    path = folder / name
    if path.suffix == ".safetensors":
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, metadata)
    else:
        torch.save(tensors, path)
    return path


def same(read, wanted):
    assert read.modules.keys() == wanted.modules.keys()
    for name, lora in wanted.modules.items():
        assert torch.equal(read.modules[name].down, lora.down) and torch.equal(read.modules[name].up, lora.up)
        assert read.modules[name].alpha == lora.alpha


def test_kohya_names_are_read_with_their_alphas(tmp_path, weights):
    same(read_control(saved(tmp_path, files.kohya(weights))), weights)


def test_a_slider_pickle_is_read_without_running_code(tmp_path, weights):
    same(read_control(saved(tmp_path, files.kohya(weights), name="slider.pt")), weights)


def test_blocks_numbered_as_in_the_original_sdxl_code_are_found(tmp_path):
    blocks = {
        "input_blocks_4_1_transformer_blocks_0_attn1_to_q": "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "input_blocks_8_1_proj_in": "down_blocks.2.attentions.1.proj_in",
        "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
        "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
        "middle_block_1_transformer_blocks_9_ff_net_2": "mid_block.attentions.0.transformer_blocks.9.ff.net.2",
        "output_blocks_2_1_transformer_blocks_0_attn2_to_out_0": "up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_out.0",
        "output_blocks_5_0_emb_layers_1": "up_blocks.1.resnets.2.time_emb_proj",
    }
    tensors = {}
    for number, name in enumerate(blocks, start=1):
        tensors[f"lora_unet_{name}.lora_down.weight"] = torch.full((2, 3), float(number))
        tensors[f"lora_unet_{name}.lora_up.weight"] = torch.full((5, 2), float(number))
        tensors[f"lora_unet_{name}.alpha"] = torch.tensor(float(number))
    modules = read_control(saved(tmp_path, tensors)).modules
    assert {name: (lora.alpha, float(lora.down[0, 0])) for name, lora in modules.items()} == {
        name: (number, number) for number, name in enumerate(blocks.values(), start=1)
    }


@pytest.mark.parametrize("naming", [files.diffusers_peft, files.diffusers_middle])
def test_diffusers_names_are_read_at_a_scale_of_one(tmp_path, unet, naming):
    weights = files.slider(unet, alpha=4.0)
    same(read_control(saved(tmp_path, naming(weights))), weights)


def test_names_without_the_unet_prefix_are_read(tmp_path, unet):
    weights = files.slider(unet, alpha=4.0)
    same(read_control(saved(tmp_path, weights.state_dict())), weights)


def test_what_diffusers_saves_itself_is_read_with_the_alpha_of_its_header(tmp_path, unet):
    from peft import LoraConfig

    lent = tiny.unet(1)
    lent.add_adapter(LoraConfig(r=2, lora_alpha=3, target_modules=["to_q", "conv1"], alpha_pattern={"conv1": 5}, init_lora_weights=False))
    lent.save_lora_adapter(tmp_path)
    read = read_control(tmp_path / "pytorch_lora_weights.safetensors")
    assert {name.rsplit(".", 1)[1]: lora.alpha for name, lora in read.modules.items()} == {"to_q": 3.0, "conv1": 5.0}
    assert read.rank == 2


def test_a_rank_stabilised_lora_is_read_at_its_own_scale(tmp_path, unet):
    header = {"lora_adapter_metadata": json.dumps({"unet.r": 4, "unet.lora_alpha": 2, "unet.use_rslora": True})}
    read = read_control(saved(tmp_path, files.diffusers_peft(files.slider(unet)), header))
    assert {lora.alpha / lora.rank for lora in read.modules.values()} == {2 / 4**0.5}


@pytest.mark.parametrize(
    ("key", "shape", "sentence"),
    [
        ("bundle_emb.ohwx.clip_l", (1, 16), "text embeddings bundled in"),
        ("lora_unet_mid_block_attentions_0_proj_in.hada_w1_a", (4, 4), "is a LoHa"),
        ("lora_unet_mid_block_attentions_0_proj_in.lokr_w1", (4, 4), "is a LoKr"),
        ("lora_unet_mid_block_attentions_0_proj_in.dora_scale", (4, 1), "is a DoRA, whose magnitudes would be lost"),
        ("lora_unet_mid_block_resnets_0_conv1.lora_mid.weight", (4, 4, 3, 3), "Tucker"),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha", (), "text encoders too"),
        ("something.else", (3,), "such as 'something.else', beside"),
    ],
)
def test_one_foreign_key_beside_a_lora_is_named_and_refused(tmp_path, weights, key, shape, sentence):
    with pytest.raises(BadWeights, match=sentence):
        read_control(saved(tmp_path, {**files.kohya(weights), key: torch.zeros(shape)}))


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("base_model.model.mid_block.attentions.0.proj_in.lora_A.weight", "PEFT's own layout"),
        ("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", "made for a transformer"),
        ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "made for a transformer"),
        ("model.diffusion_model.input_blocks.0.0.weight", "a whole model"),
        ("clip_l", "a textual inversion"),
        ("down.attn2.processor.to_k_custom_diffusion.weight", "Custom Diffusion"),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path, key, sentence):
    with pytest.raises(BadWeights, match=sentence):
        read_control(saved(tmp_path, {key: torch.zeros(2, 2)}))


def test_blocks_named_in_two_ways_are_refused_where_diffusers_drops_some(tmp_path, weights):
    twice = {
        "lora_unet_input_blocks_4_1_proj_in.lora_down.weight": torch.ones(4, 32),
        "lora_unet_input_blocks_4_1_proj_in.lora_up.weight": torch.ones(32, 4),
    }
    with pytest.raises(BadWeights, match="2 weights such as .* would be lost"):
        read_control(saved(tmp_path, {**files.kohya(weights), **twice}))


def test_half_a_lora_is_refused(tmp_path, weights):
    tensors = files.diffusers_peft(weights)
    tensors.pop(next(name for name in tensors if "lora_B" in name))
    with pytest.raises(BadWeights, match="only half of the LoRA"):
        read_control(saved(tmp_path, tensors))


def test_halves_of_different_rank_are_refused(tmp_path, weights):
    tensors = files.diffusers_peft(weights)
    name = next(name for name in tensors if name.endswith("to_q.lora_B.weight"))
    with pytest.raises(BadWeights, match="whose halves do not fit"):
        read_control(saved(tmp_path, {**tensors, name: tensors[name][:, :3]}))


def test_an_alpha_of_no_module_is_refused(tmp_path, weights):
    with pytest.raises(BadWeights, match="the alpha of 'lora_unet_nowhere' but not its weights"):
        read_control(saved(tmp_path, {**files.kohya(weights), "lora_unet_nowhere.alpha": torch.tensor(1.0)}))


def test_numbers_that_are_not_finite_are_refused(tmp_path, weights):
    tensors = files.kohya(weights)
    next(iter(tensors.values()))[0, 0] = float("nan")
    with pytest.raises(BadWeights, match="not finite in "):
        read_control(saved(tmp_path, tensors))


@pytest.mark.parametrize("name", ["control.safetensors", "control.pt"])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, weights, name):
    path = saved(tmp_path, files.kohya(weights), name=name)
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(BadWeights, match="may be truncated or corrupt") as raised:
        read_control(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["control.safetensors", "control.pt"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_a_file_of_something_else_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadWeights, match="cannot be read as"):
        read_control(tmp_path / name)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    with pytest.raises(BadWeights, match="a pickle of tensors only"):
        read_control(saved(tmp_path, {"weight": Trap()}, name="control.pt"))
    assert not (tmp_path / "sprung").exists()


def test_an_empty_file_of_weights_is_refused(tmp_path):
    with pytest.raises(BadWeights, match="holds no weights"):
        read_control(saved(tmp_path, {}))
