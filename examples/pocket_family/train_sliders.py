"""The built-in sliders, trained with the command that users have: python train_sliders.py --name slider_age

Each is trained into a registry of its own under work/, and then written to registry/controls with its record.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ctrlx.commands.train import train_slider
from ctrlx.records import Control
from ctrlx.store import Registry
from ctrlx.training.settings import SliderSettings
from recipe import HERE, command_line

CONTROLS = HERE.parent.parent / "registry" / "controls"
PERSON = "a portrait of a person"
KEEP = tuple(f"{color} shirt" for color in ("red", "blue", "white", "black")) + ("short hair", "long hair")
SLIDERS = {
    "slider_age": dict(positive="an old person", negative="a young person"),
    "slider_smile": dict(positive="a smiling person", negative="a sad person"),
    "slider_muscular": dict(positive="a muscular person", negative="a thin person"),
}
PROMPTS = (PERSON, "a person on a blue background", "a person wearing a green shirt", "a picture of a person with short hair")


def main(name: str = "slider_age", on: str = "base", steps: int = 300, work: str = "work", controls: str = str(CONTROLS)) -> None:
    home = Path(work) / "home"
    settings = SliderSettings(target_prompt=PERSON, **SLIDERS[name], steps=steps)
    with Registry.open(home) as registry:
        if any(control.name == name for control in registry.controls()):
            registry.remove_control(name)
    trained = train_slider(name, settings, on=on, home=home, on_progress=print_progress)
    with Registry.open(home) as registry:
        ship(trained.control, registry.weights_path(trained.control), Path(controls))


def print_progress(what: str, done: int, total: int, note: str = "") -> None:
    if done % 20 == 0 or done == total:
        print(f"{what} {done}/{total} {note}", flush=True)


def ship(control: Control, weights: Path, folder: Path) -> None:
    """The record as TOML, the weights beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(weights, folder / f"{control.name}.safetensors")
    recipe = {k: v for k, v in control.recipe.items() if k != "run"}
    lines = [f'{key} = {toml(value)}' for key, value in (
        ("kind", control.kind), ("family", control.family), ("source", control.source), ("sha256", control.sha256),
        ("created", control.created), ("concept", control.concept), ("prompts", PROMPTS), ("rank", control.rank),
        ("alpha", control.alpha), ("modules", control.modules))]
    lines += ["", "[recipe]", *(f"{key} = {toml(value)}" for key, value in recipe.items())]
    (folder / f"{control.name}.toml").write_text("\n".join(lines) + "\n")


def toml(value) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    command_line(main)
