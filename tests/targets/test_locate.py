"""Weights are found where they are said to be, or a sentence says how to get them; nothing is ever downloaded."""

import os

import pytest

from ctrlx.errors import BadCatalogue, MissingWeights
from ctrlx.records import Weights
from ctrlx.targets.locate import PIPELINE, locate

COMMIT = "a" * 40


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Puts files of a repository into an empty Hub cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def put(repo, *files):
        folder = tmp_path / f"models--{repo.replace('/', '--')}"
        for file in files:
            place = folder / "snapshots" / COMMIT / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("{}")
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(COMMIT)
        return folder / "snapshots" / COMMIT

    return put


def test_a_relative_path_starts_at_the_registry(tmp_path):
    (tmp_path / "pocket" / "unet").mkdir(parents=True)
    (tmp_path / "pocket" / "unet" / "config.json").write_text("{}")
    assert locate(Weights(path="pocket", subfolder="unet"), tmp_path) == (tmp_path / "pocket" / "unet").resolve()
    assert locate(Weights(path="pocket/unet", file="config.json"), tmp_path).is_file()


def test_an_absolute_path_to_a_file_is_taken(tmp_path):
    (tmp_path / "unet.safetensors").write_bytes(b"")
    assert locate(Weights(path=str(tmp_path / "unet.safetensors")), tmp_path / "elsewhere") == (tmp_path / "unet.safetensors").resolve()


@pytest.mark.parametrize(("made", "sentence"), [(True, "pocket unet has no config.json"), (False, "pocket unet is not there")])
def test_a_path_without_weights_says_where_it_looked(tmp_path, made, sentence):
    if made:
        (tmp_path / "pocket" / "unet").mkdir(parents=True)
    with pytest.raises(MissingWeights, match=sentence) as raised:
        locate(Weights(path="pocket", subfolder="unet"), tmp_path)
    assert str(tmp_path / "pocket" / "unet") in str(raised.value)


def test_a_file_and_a_folder_of_a_repository_are_found_in_the_hub_cache(tmp_path, cached):
    snapshot = cached("owner/name", "unet/config.json", "model_index.json", "one.safetensors")
    assert locate(Weights(repo="owner/name", file="one.safetensors"), tmp_path) == snapshot / "one.safetensors"
    assert locate(Weights(repo="owner/name", subfolder="unet"), tmp_path) == snapshot / "unet"
    assert locate(Weights(repo="owner/name"), tmp_path, holds=PIPELINE) == snapshot


@pytest.mark.parametrize(
    ("weights", "command"),
    [
        (Weights(repo="tianweiy/DMD2", file="dmd2_sdxl_4step_unet_fp16.bin"), "hf download tianweiy/DMD2 dmd2_sdxl_4step_unet_fp16.bin"),
        (
            Weights(repo="stabilityai/sdxl-turbo", subfolder="unet", variant="fp16", revision="v1"),
            "hf download stabilityai/sdxl-turbo --revision v1 --include 'unet/*.json' 'unet/*.fp16.safetensors'",
        ),
    ],
)
def test_missing_weights_of_a_repository_come_with_the_command_that_gets_them(tmp_path, cached, weights, command):
    with pytest.raises(MissingWeights) as raised:
        locate(weights, tmp_path)
    assert str(raised.value).startswith(
        f"{weights.label} is not on this machine; get it with `{command}`, or give the path of a local copy"
    )
    assert raised.value.exit_code == 4


def test_a_repository_that_can_have_no_such_name_is_a_mistake_of_the_catalogue(tmp_path):
    with pytest.raises(BadCatalogue, match="'a/b/c' is no name of a Hub repository"):
        locate(Weights(repo="a/b/c", file="x.safetensors"), tmp_path)
    with pytest.raises(BadCatalogue, match="need a 'path' or a 'repo'"):
        locate(Weights(), tmp_path)


def test_finding_weights_takes_no_torch(tmp_path):
    import subprocess
    import sys

    check = "import sys, ctrlx.targets.locate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False, env={**os.environ, "PYTHONPATH": os.getcwd()}).returncode == 0
