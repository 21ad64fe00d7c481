from dataclasses import fields

import pytest

from ctrlx import catalogue
from ctrlx.errors import BadCatalogue, NotKnown
from ctrlx.records import Weights
from tests.shipped import ship_control

FAMILY = """
title = "Mine"
pipeline = "StableDiffusionXLPipeline"
prompt = "a house"
weights = { path = "mine" }
scorer = { kind = "open_clip", model = "ViT-L-14", pretrained = "openai" }

[targets.base]
role = "base"
method = "diffusion training"
licence = "MIT"
weights = { path = "mine/unet" }
scheduler = "EulerDiscreteScheduler"
steps = 20
"""


@pytest.fixture
def mine(home):
    """Writes home/families/mine.toml from FAMILY, one piece of it replaced."""
    folder = home / "families"
    folder.mkdir(parents=True)

    def write(old: str = "", new: str = ""):
        assert old in FAMILY
        (folder / "mine.toml").write_text(FAMILY.replace(old, new, 1) if old else FAMILY)

    return write


def test_shipped_families_have_one_base_and_the_targets_that_the_design_names(home):
    known = catalogue.families()
    assert {"pocket", "sdxl"} <= set(known)
    assert {"base", "turbo", "lightning", "lcm", "dmd2"} <= set(known["sdxl"].targets)
    for family in known.values():
        assert family.base.full_name == f"{family.id}/base"
        assert all(target.weights.label for target in family.targets.values())


def test_a_bare_target_is_looked_for_in_the_given_family_and_else_in_pocket(home):
    assert catalogue.resolve_target("turbo").full_name == "pocket/turbo"
    assert catalogue.resolve_target("turbo", "sdxl").full_name == "sdxl/turbo"
    assert catalogue.resolve_target("sdxl/turbo", "pocket").full_name == "sdxl/turbo"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("trubo", "no target named 'trubo' in family 'pocket'; did you mean 'turbo'?"),
        ("sdlx/turbo", "no family named 'sdlx'; did you mean 'sdxl'?"),
        ("sdxl/lightening", "no target named 'lightening' in family 'sdxl'; did you mean 'lightning'?"),
    ],
)
def test_an_unknown_target_or_family_suggests_the_nearest(home, name, sentence):
    with pytest.raises(NotKnown) as wrong:
        catalogue.resolve_target(name)
    assert str(wrong.value) == sentence


def test_a_family_file_of_the_user_s_own_is_a_family_like_any_other(mine):
    mine()
    target = catalogue.resolve_target("mine/base")
    assert (target.steps, target.guidance, target.weights.path) == (20, 0.0, "mine/unet")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('prompt = "a house"', 'prompts = "a house"', "no key is named 'prompts'; did you mean 'prompt'?"),
        ("steps = 20", "stps = 20", "no key is named 'targets.base.stps'; did you mean 'steps'?"),
        ("steps = 20", 'steps = "20"', "key 'targets.base.steps' must be a whole number, and is '20'"),
        ("steps = 20", "hidden = 1", "key 'targets.base.hidden' must be true or false, and is 1"),
        ("steps = 20", "guidance = true", "key 'targets.base.guidance' must be a number, and is True"),
        ("steps = 20", "only_steps = []", "key 'targets.base.only_steps' must be a list of whole numbers, not empty, and is []"),
        ('title = "Mine"', "", "key 'title' is missing"),
        ('licence = "MIT"', "", "key 'targets.base.licence' is missing"),
        ('role = "base"', 'role = "bass"', "key 'targets.base.role' must be one of base, distilled, and is 'bass'"),
        ('role = "base"', 'role = "distilled"', 'exactly one target must have role "base"'),
        ('{ path = "mine/unet" }', '{ path = "mine/unet", repo = "a/b" }', "'targets.base.weights' must have either 'path' or 'repo'"),
        ('{ path = "mine" }', "{}", "'weights' must have either 'path' or 'repo'"),
        ('{ path = "mine" }', '{ paht = "mine" }', "no key is named 'weights.paht'; did you mean 'path'?"),
        ('{ path = "mine" }', '"mine"', "key 'weights' must be a table, and is 'mine'"),
        ("[targets.base]", "targets.other = 3\n[targets.base]", "key 'targets.other' must be a table, and is 3"),
        ('title = "Mine"', 'title = "Mine', "cannot be read"),
    ],
)
def test_a_wrong_family_file_is_refused_naming_the_file_and_the_key(mine, old, new, told):
    mine(old, new)
    with pytest.raises(BadCatalogue) as wrong:
        catalogue.families()
    assert "mine.toml" in str(wrong.value)
    assert told in str(wrong.value)


def test_a_built_in_control_is_its_toml_and_the_weights_beside_it(tmp_path):
    ship_control(tmp_path, "slider_age")
    [control] = catalogue.built_in_controls(tmp_path)
    weights = catalogue.weights_of_built_in("slider_age", tmp_path)
    assert (control.name, control.origin, control.size, control.recipe["steps"]) == ("slider_age", "built-in", weights.stat().st_size, 220)


def test_a_built_in_control_without_weights_or_with_a_wrong_key_is_refused(tmp_path):
    file = ship_control(tmp_path, "slider_age", kind="slidr")
    with pytest.raises(BadCatalogue, match="slider_age.toml: .*'slidr'"):
        catalogue.built_in_controls(tmp_path)
    ship_control(tmp_path, "slider_age", size=3)
    with pytest.raises(BadCatalogue, match="no key is named 'size'"):
        catalogue.built_in_controls(tmp_path)
    file.with_suffix(".safetensors").unlink()
    with pytest.raises(BadCatalogue, match="no slider_age.safetensors beside it"):
        catalogue.built_in_controls(tmp_path)


def test_a_name_never_leaves_the_controls_folder(tmp_path):
    for name in ("../secret", "/etc/passwd", "a/b", "", ".hidden", "x" * 101, "a\n"):
        with pytest.raises(BadCatalogue, match="cannot be a name"):
            catalogue.weights_of_built_in(name, tmp_path)


def test_shipped_prompt_sets_load_and_an_unknown_one_suggests_the_nearest():
    known = catalogue.prompt_sets()
    assert known
    assert all(prompts and all(prompts) for prompts in known.values())
    name = next(iter(known))
    assert catalogue.prompt_set(name) == known[name]
    with pytest.raises(NotKnown, match=f"did you mean '{name}'"):
        catalogue.prompt_set(f"{name}x")


def test_weights_are_present_when_their_folder_or_their_snapshot_is(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "registry_folder", lambda: tmp_path)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    in_registry, on_the_hub = Weights(path="mine", subfolder="unet"), Weights(repo="owner/name", file="unet.safetensors")
    assert not catalogue.weights_present(in_registry)
    assert not catalogue.weights_present(on_the_hub)
    (tmp_path / "mine/unet").mkdir(parents=True)
    (tmp_path / "mine/unet/config.json").write_text("{}")
    snapshot = tmp_path / "hf/hub/models--owner--name/snapshots/abc"
    snapshot.mkdir(parents=True)
    assert not catalogue.weights_present(on_the_hub)
    (snapshot / "unet.safetensors").write_bytes(b"x")
    assert catalogue.weights_present(in_registry)
    assert catalogue.weights_present(on_the_hub)


def test_every_field_of_the_records_has_a_converter():
    from ctrlx.records import Control, ScorerSpec, Target

    nested = {"Weights"}
    for kind in (Control, ScorerSpec, Target, Weights):
        assert {field.type.removesuffix(" | None") for field in fields(kind)} <= set(catalogue.CONVERT) | nested


def test_a_family_says_which_target_finishes_a_picture_where_nobody_does(tmp_path):
    from tests import tiny

    assert catalogue.families(tmp_path)["sdxl"].default_target.name == "dmd2"
    assert tiny.family().default_target.name == "turbo"
    file = tiny.write_family(tmp_path, preferred="dmd3")
    with pytest.raises(BadCatalogue, match="'preferred' must be one of base, turbo, lcm, dmd2"):
        catalogue.families(file.parent)
    tiny.write_family(tmp_path, preferred="lcm")
    assert catalogue.families(file.parent)["tiny"].default_target.name == "lcm"
