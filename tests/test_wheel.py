"""What is installed is what was tested: registry/ lies outside the package in a checkout and inside it in a wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
WHERE = "from ctrlx import catalogue; print(catalogue.__file__); print(catalogue.registry_folder()); print(*catalogue.families())"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The folder that a freshly built wheel unpacks to."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True, timeout=300)
    [file] = folder.glob("ctrlx-*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_a_wheel_finds_the_registry_that_it_carries(wheel, home):
    done = subprocess.run([sys.executable, "-c", WHERE], cwd=wheel, check=True, capture_output=True, text=True, env=dict(os.environ))
    module, folder, families = done.stdout.splitlines()
    assert module == str(wheel / "ctrlx/catalogue.py")
    assert folder == str(wheel / "ctrlx/_registry")
    assert {"pocket", "sdxl"} <= set(families.split())


def test_a_wheel_carries_every_file_of_the_registry(wheel):
    def files(folder: Path) -> set[str]:
        return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts}

    shipped = files(CHECKOUT / "registry")
    assert shipped
    assert files(wheel / "ctrlx/_registry") == shipped


def test_a_checkout_finds_the_registry_beside_the_package():
    done = subprocess.run([sys.executable, "-c", WHERE], cwd=CHECKOUT, check=True, capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.splitlines()[1] == str(CHECKOUT / "registry")


def test_an_installed_ctrlx_is_a_program():
    done = subprocess.run([Path(sys.executable).parent / "ctrlx", "--version"], check=True, capture_output=True, text=True, cwd="/")
    assert done.stdout.startswith("ctrlx ")
