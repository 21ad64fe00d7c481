"""A control taken out of the registry, as a file that other programs load."""

from __future__ import annotations

from pathlib import Path

from ctrlx.errors import BadInput, HomeTrouble, NotKnown
from ctrlx.store import Registry

FORMATS = ("kohya", "diffusers", "peft")


def export(name: str, *, form: str = "kohya", strength: float = 1.0, out: Path | None = None) -> Path:
    """Writes the control called `name`; where it lies. `out`: a file, for peft a folder; never one that is there already.

    Raises NotKnown, BadInput, MissingWeights, BadWeights, HomeTrouble.
    """
    if form not in FORMATS:
        raise NotKnown("format", form, FORMATS)
    if strength == 0:
        raise BadInput("a control at strength 0 changes nothing; give another strength")
    with Registry.open() as registry:
        control = registry.control(name)
        file = registry.verified_weights_path(control)
    place = out or Path(f"{control.name}-peft" if form == "peft" else f"{control.name}.safetensors")
    if place.exists():
        raise BadInput(f"{place} is there already; give another place with --out")
    from ctrlx.controls import write
    from ctrlx.controls.read import read_control

    weights = write.at_strength(read_control(file), strength)
    try:
        if form == "peft":
            write.write_peft(weights, place)
        else:
            words = tuple(control.recipe.get("trigger_words", ()))
            writer = write.write_kohya if form == "kohya" else write.write_diffusers
            place.write_bytes(writer(weights, control.family, control.name, words))
    except OSError as wrong:
        raise HomeTrouble(f"{place} cannot be written ({(wrong.strerror or str(wrong)).lower()}); give another place with --out") from None
    return place
