"""Whatever is imported is loaded whole, by the numbers, or refused in a sentence with nothing recorded."""

import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ctrlx.commands.importing import import_control
from ctrlx.controls.read import read_control
from ctrlx.errors import BadInput, BadWeights, CtrlxError, HomeTrouble, NotKnown, PartialCoverage
from ctrlx.store import Registry
from tests import tiny
from tests.controls import files

TO_Q = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "down_blocks.0.resnets.0.conv1"


@pytest.fixture(scope="module")
def unet():
    return tiny.unet(1)


@pytest.fixture(scope="module")
def slider(unet):
    return files.slider(unet)


@pytest.fixture(autouse=True)
def _(home):
    tiny.write_family(home)


@pytest.fixture
def saved(tmp_path):
    def save(tensors, metadata=None, name="age.safetensors"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path, metadata)
        else:
            torch.save(tensors, path)
        return str(path)

    return save


def kept(imported):
    """The LoRAs as anything that uses the control will read them."""
    with Registry.open() as registry:
        return read_control(registry.verified_weights_path(registry.control(imported.control.name))).modules


def change(lora):
    return lora.alpha / lora.rank * lora.up.flatten(1).float() @ lora.down.flatten(1).float()


def same(modules, wanted, within=1e-6):
    assert modules.keys() == wanted.modules.keys()
    assert max((change(modules[name]) - change(lora)).abs().max() for name, lora in wanted.modules.items()) < within


def refused(wrong, sentence, *arguments, **options):
    with pytest.raises(wrong, match=sentence) as raised:
        import_control(*arguments, **options)
    assert "\n" not in str(raised.value)
    with Registry.open() as registry:
        assert [control.name for control in registry.controls(family="tiny")] == []
        assert registry.runs(command="import") == []


def renamed(tensors, old, new):
    return {key.replace(old, new): tensor for key, tensor in tensors.items()}


def processors(weights):
    """diffusers' old attention processors: 'attn1.processor.to_q_lora.down.weight', 'attn1.processor.to_out_lora.up.weight'."""
    state = {}
    for name, lora in weights.modules.items():
        if "attn" in name:
            place, _, layer = name.removesuffix(".0").rpartition(".")
            state[f"{place}.processor.{layer}_lora.down.weight"], state[f"{place}.processor.{layer}_lora.up.weight"] = lora.down, lora.up
    return state


@pytest.mark.parametrize("name", ["age.safetensors", "age.pt"])
def test_kohya_and_locon_files_and_slider_pickles_are_kept_whole(saved, slider, name):
    found = import_control(saved(files.kohya(slider), name=name), concept="an old person")
    control = found.control
    assert (control.name, control.family, control.source, control.origin, control.concept) == ("age", "tiny", "base", "imported", "an old person")
    assert (control.modules, control.rank, control.alpha) == (len(slider.modules), 4, 1.0)
    assert (found.format, found.kept) == ("kohya-locon", "as it was" if name.endswith("safetensors") else "converted")
    same(kept(found), slider)


@pytest.mark.parametrize("naming", [files.diffusers_peft, files.diffusers_middle])
def test_both_spellings_of_diffusers_are_kept_whole(saved, unet, naming):
    weights = files.slider(unet, alpha=4.0)
    same(kept(import_control(saved(naming(weights)))), weights)


def test_old_attention_processors_are_kept_whole(saved, unet):
    weights = files.slider(unet, alpha=4.0)
    found = import_control(saved(processors(weights)))
    assert found.format == "diffusers-attention-processors"
    modules = kept(found)
    assert set(modules) == {name for name in weights.modules if "attn" in name}
    assert all(torch.equal(modules[name].up, weights.modules[name].up) for name in modules)


def test_a_peft_folder_is_kept_at_the_scale_of_its_configuration(saved, unet, tmp_path):
    weights = files.slider(unet, alpha=2.0)
    saved(renamed(files.diffusers_peft(weights), "unet.", "base_model.model."), name="my adapter/adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 2, "alpha_pattern": {}}
    (tmp_path / "my adapter/adapter_config.json").write_text(json.dumps(config))
    found = import_control(str(tmp_path / "my adapter"))
    assert (found.control.name, found.format) == ("my-adapter", "peft")
    same(kept(found), weights)
    (tmp_path / "my adapter/adapter_config.json").write_text(json.dumps({**config, "use_rslora": True}))
    assert next(iter(kept(import_control(str(tmp_path / "my adapter"), name="rs")).values())).alpha in (2.0, 4.0)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [({"peft_type": "LOHA"}, "is a LOHA adapter"), ({"peft_type": "LORA"}, "does not state lora_alpha"), ({"peft_type": "LORA", "lora_alpha": 1, "use_dora": True}, "is a DoRA")],
)
def test_a_peft_folder_that_would_be_taken_for_a_plain_lora_is_refused(saved, slider, tmp_path, config, sentence):
    saved(renamed(files.diffusers_peft(slider), "unet.", "base_model.model."), name="a/adapter_model.safetensors")
    (tmp_path / "a/adapter_config.json").write_text(json.dumps(config))
    refused(BadWeights, sentence, str(tmp_path / "a"))


def test_block_names_of_two_codes_in_one_file_are_all_kept(saved, unet):
    """diffusers drops the first sort without a word."""
    weights = files.slider(unet)
    mixed = renamed(files.kohya(weights), "lora_unet_mid_block_attentions_0_", "lora_unet_middle_block_1_")
    same(kept(import_control(saved(mixed))), weights)


def test_a_linear_layer_written_as_a_1_x_1_convolution_is_the_same_change(saved, slider):
    lora = slider.modules[TO_Q]
    names = [f"lora_unet_{TO_Q.replace('.', '_')}.{part}" for part in ("lora_down.weight", "lora_up.weight", "alpha")]
    found = import_control(saved(dict(zip(names, (lora.down[..., None, None], lora.up[..., None, None], torch.tensor(lora.alpha))))))
    assert (change(kept(found)[TO_Q]) - change(lora)).abs().max() < 1e-6


@pytest.mark.parametrize("method", ["loha", "lokr", "lokr-whole", "locon-tucker", "loha-tucker"])
def test_lycoris_algebra_is_the_change_that_lycoris_itself_computes(saved, unet, method):
    lycoris = pytest.importorskip("lycoris.modules")
    torch.manual_seed(0)
    chosen = {"loha": lycoris.loha.LohaModule, "lokr": lycoris.lokr.LokrModule, "locon": lycoris.locon.LoConModule}[method.split("-")[0]]
    options = {"lora_dim": 2, "alpha": 3.0, "use_tucker": "tucker" in method}
    if method.startswith("lokr"):
        options |= {"factor": 4, "full_matrix": method == "lokr-whole"}
    tensors, wanted = {}, {}
    for name in (CONV,) if "tucker" in method else (TO_Q, CONV):
        module = chosen("x", unet.get_submodule(name), **options)
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        flat = f"lora_unet_{name.replace('.', '_')}"
        tensors |= {f"{flat}.{key}": value.detach() for key, value in module.state_dict().items() if "scalar" not in key and "org_" not in key}
        shape = unet.get_submodule(name).weight.shape  # get_diff_weight scales LoHa and LoKr twice; what training runs does not
        whole = module.get_diff_weight(1.0, shape)[0] if method.startswith("locon") else module.get_weight(shape)
        wanted[name] = whole.flatten(1).detach()
    found = import_control(saved(tensors))
    assert found.format.startswith(f"kohya-{method.split('-')[0]}")
    modules = kept(found)
    assert modules.keys() == wanted.keys()
    assert max((change(modules[name]) - wanted[name]).abs().max() for name in wanted) < 1e-5


def custom(unet, seed=3):
    """Cross-attention keys and values moved a little, as whole weights by the module's name."""
    made = torch.Generator().manual_seed(seed)
    modules = {name: module for name, module in unet.named_modules() if name.endswith(("attn2.to_k", "attn2.to_v"))}
    return {name: module.weight.detach() + 0.1 * torch.randn(module.weight.shape, generator=made) for name, module in modules.items()}


def written_custom(form, moved):
    if form == "diffusers":
        return {f"{name.replace('.attn2.', '.attn2.processor.')}_custom_diffusion.weight": weight for name, weight in moved.items()}
    if form == "authors":
        return {"unet": {f"{name}.weight": weight for name, weight in moved.items()}}
    original = {name.replace("mid_block.attentions.0", "middle_block.1"): weight for name, weight in moved.items() if name.startswith("mid")}
    return {"state_dict": {f"model.diffusion_model.{name}.weight": weight for name, weight in original.items()}}


@pytest.mark.parametrize("form", ["diffusers", "authors", "original code"])
def test_custom_diffusion_s_whole_weights_become_changes_to_its_source(saved, unet, form):
    moved = custom(unet)
    found = import_control(saved(written_custom(form, moved), name="cat.bin"), family="tiny")
    assert (found.control.kind, found.control.source) == ("custom-diffusion", "base")
    modules = kept(found)
    assert len(modules) == (len(moved) if form != "original code" else sum(name.startswith("mid") for name in moved)) > 0
    assert max((change(lora) - (moved[name] - unet.get_submodule(name).weight)).abs().max() for name, lora in modules.items()) < 1e-5
    assert found.error < 1e-4


def test_custom_diffusion_at_a_smaller_rank_tells_its_error(saved, unet):
    found = import_control(saved(written_custom("authors", custom(unet)), name="cat.bin"), family="tiny", rank=4)
    assert found.control.rank == 4
    assert 0.1 < found.error < 1
    assert found.control.recipe["error"] == pytest.approx(found.error)


def test_a_compressed_custom_diffusion_is_its_change_already(saved, unet):
    made = torch.Generator().manual_seed(0)
    name = next(iter(custom(unet)))
    out, inner = unet.get_submodule(name).weight.shape
    u, v = torch.randn(out, 3, generator=made), torch.randn(3, inner, generator=made)
    lora = kept(import_control(saved({"unet": {f"{name}.weight": {"u": u, "v": v}}}, name="cat.bin"), family="tiny"))[name]
    assert (change(lora) - u @ v).abs().max() < 1e-5


def test_a_learned_word_is_left_out_only_when_the_user_says_so(saved, unet):
    tensors = {**written_custom("authors", custom(unet)), "modifier_token": {"<new1>": torch.ones(8)}}
    refused(BadWeights, "learned word or text encoder .* --unet-only", saved(tensors, name="cat.bin"), family="tiny")
    assert import_control(saved(tensors, name="cat.bin"), family="tiny", unet_only=True).left_out == {"embedding": 1}


EXTRAS = {"lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (2, 8), "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": (8, 2),
          "bundle_emb.ohwx.clip_l": (1, 8)}


def test_text_encoders_and_bundled_embeddings_are_refused_or_left_out_and_counted(saved, slider):
    path = saved({**files.kohya(slider), **{key: torch.ones(shape) for key, shape in EXTRAS.items()}})
    refused(BadWeights, "1 modules of its text_encoder and 1 embedding vectors, .* --unet-only", path)
    found = import_control(path, unet_only=True)
    assert found.left_out == found.control.recipe["left_out"] == {"text_encoder": 1, "embedding": 1}
    assert found.control.recipe["trigger_words"] == ["ohwx"]
    same(kept(found), slider)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (f"lora_unet_{TO_Q.replace('.', '_')}.dora_scale", "is a DoRA"),
        ("lora_unet_conv_out.diff", "a LyCORIS file with more"),
        ("lora_unet_conv_out.on_input", "a LyCORIS file with more"),
        ("oft_unet_conv_out.oft_blocks", "a LyCORIS file with more"),
        ("lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight", "made for a transformer"),
        ("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", "made for a transformer"),
        ("something.else", "weights that ctrlx does not know, such as 'something.else'"),
    ],
)
def test_one_part_that_cannot_be_kept_refuses_the_whole_file(saved, slider, key, sentence):
    refused(BadWeights, sentence, saved({**files.kohya(slider), key: torch.ones(4, 1)}))


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"clip_l": (1, 8), "clip_g": (1, 8)}, "is a textual inversion"),
        ({"lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": (2, 8)}, "no change of a UNet"),
        ({"image_proj.proj.weight": (2, 8)}, "an IP-Adapter"),
        ({"lllite_unet_input_blocks_4_1.down.0.weight": (2, 8)}, "a ControlNet-LLLite"),
        ({"model.diffusion_model.input_blocks.0.0.weight": (2, 8)}, "a whole model, not a control"),
        ({"who.knows": (2, 8)}, "is unknown"),
    ],
)
def test_what_is_no_control_of_a_unet_is_called_what_it_is(saved, tensors, sentence):
    refused(BadWeights, sentence, saved({key: torch.ones(shape) for key, shape in tensors.items()}))


def test_a_module_that_the_family_lacks_refuses_the_file_and_names_it(saved, slider):
    foreign = {"lora_unet_up_blocks_7_attentions_0_proj_in.lora_down.weight": torch.ones(4, 8), "lora_unet_up_blocks_7_attentions_0_proj_in.lora_up.weight": torch.ones(8, 4)}
    refused(PartialCoverage, r"in \d+ of \d+ modules; it has no place for up_blocks_7", saved({**files.kohya(slider), **foreign}))


def test_numbers_that_are_not_finite_are_refused(saved, slider):
    tensors = {key: tensor.clone() for key, tensor in files.kohya(slider).items()}
    next(tensor for tensor in tensors.values() if tensor.ndim == 2)[0, 0] = float("nan")
    refused(BadWeights, "not finite", saved(tensors))


def test_shapes_that_do_not_go_together_are_refused(saved, slider):
    tensors = files.kohya(slider)
    key = next(key for key in tensors if "to_q.lora_up" in key)
    refused(BadWeights, "do not go together", saved({**tensors, key: tensors[key][:, :2]}))
    refused(PartialCoverage, "has no place for .*to_q", saved({**tensors, key: tensors[key][:5]}))


@pytest.mark.parametrize("cut", [100, 5000])
def test_a_file_cut_short_is_refused(saved, slider, cut):
    path = Path(saved(files.kohya(slider)))
    path.write_bytes(path.read_bytes()[:-cut])
    refused(BadWeights, f"{cut} bytes are missing at its end" if cut < 1000 else "bytes are missing", str(path))


def test_a_pickle_that_wants_to_run_code_is_refused_and_not_run(saved, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    refused(BadWeights, "is a pickle that wants to run code .* was not opened", saved({"weight": Trap()}, name="age.pt"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "compression", "sentence"),
    [("../../evil.pt", zipfile.ZIP_STORED, "which leads out of it"), ("a/data.pkl", zipfile.ZIP_DEFLATED, "is a compressed archive"), ("a/x.safetensors", zipfile.ZIP_STORED, "is an archive and no weight file")],
)
def test_archives_that_lead_out_or_blow_up_are_refused(tmp_path, name, compression, sentence):
    with zipfile.ZipFile(tmp_path / "age.pt", "w", compression) as archive:
        archive.writestr(name, bytes(10_000))
    refused(BadWeights, sentence, str(tmp_path / "age.pt"))


def test_a_pickle_that_is_called_safetensors_and_the_other_way_round_are_read_by_what_they_are(saved, slider):
    pickle, safe = Path(saved(files.kohya(slider), name="a.pt")), Path(saved(files.kohya(slider), name="b.safetensors"))
    same(kept(import_control(str(pickle.rename(pickle.with_suffix(".safetensors"))))), slider)
    same(kept(import_control(str(safe.rename(safe.with_suffix(".ckpt"))))), slider)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", "\N{PILE OF POO}", "x" * 300, "", "-rf"])
def test_a_name_that_cannot_be_used_is_refused_before_anything_is_read(name):
    refused(BadInput, "a control cannot be named", "nowhere.safetensors", name=name)


@pytest.mark.parametrize(("file", "name"), [("My Slider (v2).safetensors", "My-Slider-v2"), ("é\N{PILE OF POO}.safetensors", "e"), ("x" * 240 + ".safetensors", "x" * 100)])
def test_a_name_is_made_from_the_file_s(saved, slider, file, name):
    assert import_control(saved(files.kohya(slider), name=file)).control.name == name


def test_a_file_whose_name_leaves_nothing_needs_one(saved, slider):
    refused(BadInput, "no name can be made .* --name", saved(files.kohya(slider), name="\N{PILE OF POO}.safetensors"))


def test_the_same_file_again_changes_nothing_and_says_so(saved, slider, tmp_path):
    path = saved(files.kohya(slider))
    first = import_control(path)
    again = import_control(str(shutil.copy(path, tmp_path / "copy.safetensors")))
    assert (first.new, again.new, again.control) == (True, False, first.control)
    assert import_control(path, name="other").control.sha256 == first.control.sha256


def test_another_file_of_a_taken_name_is_refused_with_a_way_out(saved, unet, slider):
    import_control(saved(files.kohya(slider)))
    with pytest.raises(BadInput, match="already another control named 'age'"):
        import_control(saved(files.kohya(files.slider(unet, seed=5))))


def test_hashes_that_others_use_are_kept(saved, slider):
    found = import_control(saved(files.kohya(slider)))
    import hashlib

    content = Path(saved(files.kohya(slider))).read_bytes()
    tensors = content[8 + int.from_bytes(content[:8], "little"):]
    whole = hashlib.sha256(content).hexdigest()
    assert found.hashes == found.control.recipe["hashes"] == {"sha256": whole, "autov2": whole[:10], "autov3": hashlib.sha256(tensors).hexdigest()[:12]}


def test_source_and_kind_are_as_the_user_says(saved, slider):
    control = import_control(saved(files.kohya(slider)), on="turbo", kind="dreambooth").control
    assert (control.source, control.kind) == ("turbo", "dreambooth")


@pytest.mark.parametrize(("options", "sentence"), [({"kind": "slidr"}, "did you mean 'slider'"), ({"family": "tniy"}, "did you mean 'tiny'"), ({"on": "trubo"}, "did you mean 'turbo'"), ({"on": "tiny/trubo"}, "did you mean 'turbo'")])
def test_a_mistyped_name_is_told_before_anything_is_read(options, sentence):
    refused(NotKnown, sentence, "nowhere.safetensors", **options)


def test_what_is_converted_loads_in_plain_diffusers_as_the_same_change(saved, unet, slider):
    found = import_control(saved(files.kohya(slider), name="age.pt"))
    with Registry.open() as registry:
        path = registry.weights_path(found.control)
    from diffusers import StableDiffusionXLPipeline
    from peft.tuners.lora import LoraLayer

    state, _, metadata = StableDiffusionXLPipeline.lora_state_dict(str(path), return_lora_metadata=True)
    lent = tiny.unet(1)
    lent.load_lora_adapter(state, prefix="unet", metadata=metadata)
    layers = {name: module for name, module in lent.named_modules() if isinstance(module, LoraLayer)}
    assert layers.keys() == slider.modules.keys()
    adapter = next(iter(lent.peft_config))
    assert max((layers[name].get_delta_weight(adapter).flatten(1) - change(lora)).abs().max() for name, lora in slider.modules.items()) < 1e-6


def test_a_full_disk_leaves_nothing_recorded(saved, slider, monkeypatch, home):
    path = saved(files.kohya(slider))

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HomeTrouble, match="is full; free some space"):
        import_control(path)
    with Registry.open() as registry:
        assert registry.controls(family="tiny") == []
    assert [file for file in (home / "weights").rglob("*") if file.is_file()] == []


def test_two_imports_of_the_same_file_at_once_are_one_control(saved, slider):
    command = [sys.executable, "-m", "ctrlx", "import", saved(files.kohya(slider))]
    racing = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) for _ in range(2)]
    told = [process.communicate(timeout=240) for process in racing]
    assert [process.returncode for process in racing] == [0, 0], told
    with Registry.open() as registry:
        assert [control.name for control in registry.controls(family="tiny")] == ["age"]


def test_a_file_that_changes_while_it_is_read_is_refused(saved, slider, monkeypatch):
    path = Path(saved(files.kohya(slider)))
    from ctrlx.controls import convert

    read = convert.tensors_of

    def meanwhile(file):
        tensors = read(file)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        return tensors

    monkeypatch.setattr(convert, "tensors_of", meanwhile)
    refused(BadWeights, "changed while it was read", str(path))


@pytest.mark.parametrize("source", ["nowhere.safetensors", "\0", "x" * 5000, ""])
def test_a_source_that_is_not_there_is_one_sentence(source):
    refused(CtrlxError, "no path|no file|weight file", source or ".")
