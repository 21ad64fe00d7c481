"""A file is told what it is from its header: by structure, without torch, and without an exception whatever the bytes."""

import json
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ctrlx import catalogue
from ctrlx.commands.inspect import inspect
from ctrlx.controls.denoisers import shipped
from ctrlx.errors import BadInput, BadWeights, NotKnown

SDXL = shipped("sdxl")
ORIGINAL = {  # the original code's name: diffusers' module
    "input_blocks_4_1_transformer_blocks_1_attn1_to_q": "down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_q",
    "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
    "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
    "middle_block_1_proj_in": "mid_block.attentions.0.proj_in",
    "middle_block_2_out_layers_3": "mid_block.resnets.1.conv2",
    "output_blocks_2_1_transformer_blocks_0_attn2_to_out_0": "up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_out.0",
    "output_blocks_5_2_conv": "up_blocks.1.upsamplers.0.conv",
    "output_blocks_5_0_skip_connection": "up_blocks.1.resnets.2.conv_shortcut",
    "time_embed_2": "time_embedding.linear_2",
    "label_emb_0_0": "add_embedding.linear_1",
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
}
NAMINGS = {  # a module's name and the parts of its LoRA, as each writes it
    "kohya": ("lora_unet_{flat}.lora_down.weight", "lora_unet_{flat}.lora_up.weight"),
    "diffusers-peft": ("unet.{name}.lora_A.weight", "unet.{name}.lora_B.weight"),
    "diffusers": ("unet.{name}.lora.down.weight", "unet.{name}.lora.up.weight"),
    "peft": ("base_model.model.{name}.lora_A.weight", "base_model.model.{name}.lora_B.weight"),
}


def lora(modules, naming="kohya", rank=1, denoiser=SDXL):
    """Zeros in the shapes of a LoRA on `modules`, which map the names written to the UNet's own."""
    modules = modules if isinstance(modules, dict) else {name: name for name in modules}
    down_key, up_key = NAMINGS[naming]
    tensors = {}
    for written, name in modules.items():
        out, *rest = denoiser.shapes[name]
        words = {"name": written, "flat": written.replace(".", "_")}
        tensors[down_key.format(**words)] = np.zeros((rank, *rest), "float16")
        tensors[up_key.format(**words)] = np.zeros((out, rank, *(1 for _ in rest[1:])), "float16")
    return tensors


@pytest.fixture
def file(tmp_path, home):
    def write(tensors, metadata=None, name="x.safetensors"):
        save_file(tensors, tmp_path / name, metadata)
        return tmp_path / name

    return write


def test_sdxl_s_shapes_are_those_of_the_real_unet():
    assert len(SDXL.shapes) == 794
    assert SDXL.shapes["up_blocks.0.attentions.2.transformer_blocks.9.attn2.to_k"] == (1280, 2048)
    assert shipped("sd15").shapes["down_blocks.0.attentions.0.proj_in"] == (320, 320, 1, 1)


def test_the_shapes_that_ship_are_what_diffusers_makes(tmp_path):
    from benchmarks import unet_shapes

    unet_shapes.main(tmp_path)
    for family in ("sdxl", "sd15"):
        assert (tmp_path / f"{family}.json").read_text() == (catalogue.registry_folder() / f"shapes/{family}.json").read_text()


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_naming_is_known_and_fits_every_target_of_its_family(file, naming):
    names = [name for name in SDXL.shapes if "attn" in name]
    found = inspect(file(lora(names, naming, rank=2)))
    assert (found.format, found.family, found.kind, dict(found.components)) == (naming, "sdxl", "lora", {"unet": len(names)})
    assert found.rank == {"2": len(names)}
    assert set(found.targets) >= {"sdxl/base", "sdxl/turbo", "sdxl/lightning", "sdxl/lcm", "sdxl/dmd2"}
    assert all((fit.adapted, fit.dropped, fit.foreign) == (len(names), (), ()) for fit in found.targets.values())


def test_blocks_numbered_by_the_original_code_beside_diffusers_names_are_all_found(file):
    found = inspect(file({**lora(ORIGINAL), **lora(["mid_block.attentions.0.proj_out"])}), against=["sdxl/base"])
    assert found.targets["sdxl/base"].adapted == len(ORIGINAL) + 1
    assert found.format == "kohya-locon"


def test_a_slider_of_self_attention_alone_is_sdxl_s_by_its_blocks(file):
    found = inspect(file(lora([name for name in SDXL.shapes if ".attn1." in name]), name="age_slider.safetensors"))
    assert (found.family, found.kind) == ("sdxl", "slider")


def test_a_file_for_stable_diffusion_1_5_is_told_apart_and_does_not_fit_sdxl(file):
    old = shipped("sd15")
    names = [name for name in old.shapes if ".attn2." in name]
    found = inspect(file(lora(names, denoiser=old)), against=["sdxl/base"])
    assert found.family == "sd15"
    assert found.targets["sdxl/base"].adapted + len(found.targets["sdxl/base"].dropped) == len(names) == found.targets["sdxl/base"].total
    assert len(found.targets["sdxl/base"].dropped) > len(names) // 2


def test_alphas_are_read_in_every_number_type(file, tmp_path):
    tensors = lora(["conv_in", "conv_out"])
    tensors["lora_unet_conv_in.alpha"], tensors["lora_unet_conv_out.alpha"] = np.array(0.5, "float16"), np.array(8, "int64")
    assert inspect(file(tensors)).alpha == {"0.5": 1, "8": 1}


def test_text_encoders_and_embeddings_are_counted_and_are_foreign_to_a_unet(file):
    te = {f"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_{side}.weight": np.zeros((1, 1), "float16") for side in ("down", "up")}
    found = inspect(file({**lora(["conv_in"]), **te, "bundle_emb.ohwx.clip_l": np.zeros((1, 8), "float16"), "odd": np.zeros(3, "float16")}), against=["sdxl/base"])
    assert dict(found.components) == {"unet": 1, "text_encoder_2": 1, "embedding": 1}
    assert found.trigger_words == ("ohwx",)
    assert set(found.targets["sdxl/base"].foreign) == {*te, "bundle_emb.ohwx.clip_l", "odd"}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"modelspec.trigger_phrase": "ohwx man, hat"}, ("ohwx man", "hat")),
        ({"ss_tag_frequency": json.dumps({"a": {"ohwx": 20, "hat": 3}}), "ss_dataset_dirs": json.dumps({"a": {"img_count": 20}})}, ("ohwx",)),
        ({"ss_dataset_dirs": json.dumps({"10_ohwx man": {"img_count": 20}})}, ("ohwx man",)),
        ({"ss_tag_frequency": "{" * 5000, "ss_dataset_dirs": "[1]"}, ()),
    ],
)
def test_trigger_words_come_from_the_metadata(file, metadata, words):
    assert inspect(file(lora(["conv_in"]), metadata)).trigger_words == words


def test_the_training_base_comes_from_the_metadata(file):
    found = inspect(file(lora(["conv_in"]), {"ss_base_model_version": "sdxl_base_v1-0", "ss_sd_model_hash": "31e35c80fc"}))
    assert found.trained_on == {"base": "sdxl_base_v1-0", "hash": "31e35c80fc"}


@pytest.mark.parametrize(
    ("key", "what", "kind"),
    [
        ("lora_unet_conv_in.hada_w1_a", "kohya-loha", "lora"),
        ("lora_unet_conv_in.lokr_w1", "kohya-lokr", "lora"),
        ("lora_unet_conv_in.dora_scale", "kohya-dora", "lora"),
        ("unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_k_custom_diffusion.weight", "custom-diffusion", "custom-diffusion"),
        ("clip_l", "textual-inversion", "textual-inversion"),
        ("model.diffusion_model.input_blocks.0.0.weight", "a whole model, not a control", None),
        ("image_proj.proj.weight", "an IP-Adapter", None),
        ("lllite_unet_input_blocks_4_1.down.0.weight", "a ControlNet-LLLite", None),
        ("who.knows", "unknown", None),
    ],
)
def test_what_is_no_plain_lora_is_called_what_it_is(file, key, what, kind):
    found = inspect(file({key: np.zeros((2, 2), "float16")}))
    assert (found.format, found.kind) == (what, kind)


def test_json_has_the_keys_that_others_may_rely_on(file, capsys):
    from ctrlx.cli.app import main

    assert main(["inspect", str(file(lora(["conv_in"]))), "--json", "--against", "sdxl/turbo"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["format", "family", "kind", "components", "rank", "alpha", "trigger_words", "trained_on", "targets"]
    assert document["targets"] == {"sdxl/turbo": {"adapted": 1, "total": 1, "dropped": [], "foreign": []}}


def test_a_mistyped_target_is_told(file):
    with pytest.raises(NotKnown, match="did you mean 'turbo'"):
        inspect(file(lora(["conv_in"])), against=["sdxl/trubo"])


def test_a_file_of_any_size_takes_a_tenth_of_a_second(file, tmp_path):
    """A sparse file of 8 GB whose one tensor fills it; and all of SDXL's modules."""
    header = json.dumps({"unet.conv_in.lora_A.weight": {"dtype": "F16", "shape": [1 << 32], "data_offsets": [0, 1 << 33]}}).encode()
    with (tmp_path / "large.safetensors").open("wb") as large:
        large.write(struct.pack("<Q", len(header)) + header)
        large.truncate(8 + len(header) + (1 << 33))
    for path in (tmp_path / "large.safetensors", file(lora(list(SDXL.shapes)))):
        inspect(path)
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            inspect(path)
            taken.append(time.perf_counter() - began)
        assert min(taken) < 0.1


HEAD = b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "is a Git LFS pointer .* run `git lfs pull`"),
        (b"<!DOCTYPE html><title>Log in</title>", "is a web page"),
        (b'{"error": "not found"}', "is JSON text"),
        (b"\x1f\x8b" + bytes(60), "is a compressed archive"),
        (struct.pack("<Q", 1 << 40) + b"{" + bytes(60), "its header would be 1,099,511,627,776 bytes long"),
        (struct.pack("<Q", 500) + b'{"a"' + bytes(60), "it ends inside its header"),
        (struct.pack("<Q", len(HEAD)) + HEAD + bytes(2), "2 bytes are missing at its end"),
        (struct.pack("<Q", len(HEAD)) + HEAD + bytes(9), "5 bytes at its end belong to nothing"),
        (struct.pack("<Q", len(HEAD)) + HEAD.replace(b"[2]", b"[9]") + bytes(4), "'a' does not fill its place"),
        (struct.pack("<Q", 60) + b"[" * 60, "its header cannot be understood"),
        (b"XYZ", "it ends inside its header"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path, home, content, sentence):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(BadWeights, match=sentence) as raised:
        inspect(tmp_path / "x.safetensors")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("path", ["nowhere.safetensors", "."])
def test_a_file_that_cannot_be_opened_is_one_sentence(tmp_path, home, path):
    with pytest.raises(BadInput, match="cannot be read"):
        inspect(tmp_path / Path(path))


def test_whatever_the_bytes_are_the_inspector_answers_or_says_what_is_wrong(tmp_path, home):
    hypothesis = pytest.importorskip("hypothesis")
    strategies = hypothesis.strategies
    target = tmp_path / "x.safetensors"
    save_file({**lora(["conv_in"]), "lora_unet_conv_in.alpha": np.array(1, "float16")}, target, {"ss_tag_frequency": "{}"})
    whole = target.read_bytes()
    leaf = strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text()
    tree = strategies.recursive(leaf, lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner), max_leaves=8)
    entry = strategies.fixed_dictionaries({"dtype": strategies.sampled_from(["F16", "BF16", "I3", 5]) , "shape": tree, "data_offsets": tree})
    headers = strategies.dictionaries(strategies.sampled_from(["__metadata__", "lora_unet_conv_in.alpha", "unet.a.lora_A.weight", "b"]), entry | tree)
    cut = strategies.integers(0, len(whole)).map(lambda end: whole[:end])
    flipped = strategies.tuples(strategies.integers(0, 400), strategies.integers(0, 255)).map(lambda at: whole[: at[0]] + bytes([at[1]]) + whole[at[0] + 1 :])
    made = headers.map(lambda table: json.dumps(table).encode()).map(lambda text: struct.pack("<Q", len(text)) + text + bytes(8))

    @hypothesis.settings(max_examples=300, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(strategies.binary(max_size=200) | cut | flipped | made)
    def never_a_traceback(content):
        target.write_bytes(content)
        try:
            inspect(target, against=["sdxl/base"])
        except (BadWeights, BadInput) as wrong:
            assert "\n" not in str(wrong)

    never_a_traceback()
