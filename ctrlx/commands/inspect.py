"""What a weight file is, and how much of it each target would take, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctrlx import catalogue
from ctrlx.errors import MissingWeights

if TYPE_CHECKING:
    from ctrlx.controls.inspect import Inspection


def inspect(file: Path, *, against: Sequence[str] = ()) -> Inspection:
    """What `file` is, and its fit to the targets `against`; to every target of the family it seems made for where none is named.

    Raises NotKnown, BadInput and BadWeights; MissingWeights for a target whose modules are not known on this machine.
    """
    chosen = [catalogue.resolve_target(name) for name in against]
    families = catalogue.families()
    from ctrlx.controls import denoisers, inspect

    found = inspect.sort_file(file)
    known = denoisers.known_denoisers(families)
    if not chosen and (family := families.get(inspect.guess_family(found, known) or "")):
        chosen = [target for target in family.targets.values() if not target.hidden]
    fitted = {target.full_name: denoisers.denoiser_of(target) for target in chosen}
    unknown = next((name for name, denoiser in fitted.items() if denoiser is None), None)
    if unknown and against:
        raise MissingWeights(f"the modules of {unknown} are not known, since its weights are not on this machine; see `ctrlx targets`")
    return inspect.inspect(found, known, {name: denoiser for name, denoiser in fitted.items() if denoiser is not None})
