"""A picture that ctrlx made before, read back to make it again, and compared with what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrlx.errors import BadInput
from ctrlx.sampling.settings import Settings, settings_from

LARGEST_BATCH = 256


@dataclass(frozen=True, eq=False)
class Original:
    """What a picture's file says of its making. `again`: it is to be made as it was, nothing changed."""

    path: Path
    pixels: Any  # (height, width, 3) of uint8
    recipe: Mapping[str, Any]
    settings: Settings
    prompt: str
    seed: int
    batch: int
    position: int
    again: bool = False

    def compared(self, image: Any) -> dict[str, Any]:
        """Whether `image` is the same picture; the largest difference in steps of 1/255."""
        from ctrlx.reports.png import largest_difference

        difference = largest_difference(self.pixels, image)
        return {"source": str(self.path), "identical": difference == 0, "largest_difference": difference}


def read_original(path: Path) -> Original:
    """The picture at `path`. Raises BadInput for one that does not say how it was made."""
    from ctrlx.reports.png import read_picture

    pixels, recipe = read_picture(path)
    try:
        prompt, seed, (batch, position) = recipe["prompt"], recipe["seed"], recipe["batch"]
        right = isinstance(prompt, str) and all(type(number) is int for number in (seed, batch, position))
        if not (right and 0 <= position < batch <= LARGEST_BATCH):
            raise ValueError("its prompt, seed or batch is none")
        return Original(path, pixels, recipe, settings_from(recipe["settings"]), prompt, seed, batch, position)
    except (KeyError, TypeError, ValueError) as problem:
        raise BadInput(f"{path} says how it was made in a way that cannot be read ({problem}); its metadata has been altered") from problem


def differences(original: Original, now: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that is no longer as it was when the picture was made, and may change it."""
    if not original.again:
        return []
    recipe, told = original.recipe, []
    if recipe.get("plan") != now["plan"]:
        told.append("the target's recipe has changed since: the plan is another one")
    for what in ("weights", "controls"):
        before = recipe.get(what) or {}
        told += [f"'{name}' has other weights than then" for name, sha in now[what].items() if before.get(name) != sha]
    versions = recipe.get("versions") or {}
    changed = [f"{name} {versions.get(name, '?')} -> {version}" for name, version in now["versions"].items() if versions.get(name) != version]
    if changed:
        told.append(f"it was made with other versions: {', '.join(changed)}")
    told += [f"it was made with {recipe.get(what)} {what}, now {now[what]}" for what in ("device", "threads") if recipe.get(what) != now[what]]
    return told
