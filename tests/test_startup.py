"""What starts quickly because it imports nothing heavy, seen in a process of its own, in an environment that has torch."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests.shipped import control, weights

HEAVY = ("torch", "torchvision", "diffusers", "transformers", "peft", "accelerate", "open_clip", "numpy", "PIL", "huggingface_hub")
SLOW = ("sqlite_utils", "pydantic", "rich.console")  # what else would show in the time of a list
SPY = """
import sys
from ctrlx.cli.app import main
code = main(sys.argv[1:])
print(code, *(name for name in {names!r} if name in sys.modules), file=sys.stderr)
"""


def imported(*arguments: str, names=HEAVY) -> list[str]:
    """The exit code of `ctrlx ARGUMENTS`, then what it imported of `names`."""
    command = [sys.executable, "-c", SPY.format(names=names), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=dict(os.environ), timeout=120, stdin=subprocess.DEVNULL)
    return done.stderr.splitlines()[-1].split()


@pytest.fixture(autouse=True)
def _(home):
    from ctrlx.store import Registry

    with Registry.open() as registry:
        registry.add_control(control(), weights())


def test_this_environment_could_import_what_is_looked_for():
    assert all(importlib.util.find_spec(name) for name in (*HEAVY, *SLOW))


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["list"], ["list", "--json"], ["show", "my_slider"], ["targets"], ["targets", "sdxl", "--json"], ["rm", "my_slider", "--yes"],
     ["search", "slider"], ["tag", "my_slider", "face"], ["note", "my_slider", "good"], ["rename", "my_slider", "other"], ["history", "my_slider"],
     ["list", "--tag", "age", "--sort", "-size"], ["verify"], ["gc"], ["doctor"]],
    ids=" ".join,
)
def test_verbs_that_only_look_things_up_import_nothing_heavy(arguments):
    assert imported(*arguments) == ["0"]


@pytest.mark.parametrize("arguments", [["show", "my_sldier"], ["targets", "pockt"], ["transfer", "my_sldier", "--to", "turbo"], ["transfer", "my_slider", "--to", "trubo"], ["generate", "--target", "trubo"], ["generate", "--control", "my_sldier"]], ids=" ".join)
def test_an_unknown_name_is_told_before_anything_heavy_is_imported(arguments):
    assert imported(*arguments) == ["2"]


def test_a_safetensors_file_is_inspected_without_anything_heavy(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(weights())
    assert imported("inspect", str(tmp_path / "x.safetensors"), "--json", "--against", "sdxl/base") == ["0"]


def test_an_up_to_date_registry_is_listed_without_the_library_that_migrates_it():
    assert imported("list", "--kind", "slider", names=SLOW) == ["0"]


def test_the_startup_benchmark_runs_and_gives_both_ratios(capsys):
    from benchmarks import startup

    ratios = startup.main(runs=1, controls=10)
    assert set(ratios) == set(startup.TARGETS)
    assert "bare import" in capsys.readouterr().out
