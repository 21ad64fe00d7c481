import hashlib

import pytest

from ctrlx.records import Weights
from ctrlx.targets.fingerprint import fingerprints, sha256
from tests import tiny


def test_a_model_of_one_file_is_told_by_that_file_s_sha256():
    file = tiny.registry() / "tiny/turbo/unet/diffusion_pytorch_model.safetensors"
    family = tiny.family()
    found = fingerprints(family, (family.targets["turbo"],), tiny.registry())
    assert found["tiny/turbo"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert set(found) == {"tiny", "tiny/turbo"} and found["tiny"] != found["tiny/turbo"]


def test_a_lora_form_is_told_with_the_base_that_it_lies_on(tmp_path):
    (tmp_path / "lora.safetensors").write_bytes(b"lora")
    fast = tiny.target("fast", weights=Weights(path=str(tmp_path / "lora.safetensors")), form="lora")
    found = fingerprints(tiny.family(fast), (fast,), tiny.registry())
    assert set(found) == {"tiny", "tiny/base", "tiny/fast"}
    assert found["tiny/fast"] == hashlib.sha256(b"lora").hexdigest()


@pytest.mark.parametrize("name", ["a" * 64, "b" * 63])
def test_the_hub_s_blobs_are_named_by_their_sha256_and_not_read(tmp_path, name):
    (tmp_path / name).write_bytes(b"weights")
    (tmp_path / "model.safetensors").symlink_to(tmp_path / name)
    wanted = name if len(name) == 64 else hashlib.sha256(b"weights").hexdigest()
    assert sha256(tmp_path / "model.safetensors") == wanted
