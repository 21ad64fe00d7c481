"""`ctrlx import SOURCE`."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from ctrlx.cli import output
from ctrlx.cli.progress import progress


def import_control(
    source: Annotated[str, typer.Argument(help="A file, a folder, hf:owner/repo[/file][@revision], an https address, or civitai:NUMBER.")],
    name: Annotated[Optional[str], typer.Option(help="What to call it; made from the file's name by default.")] = None,
    family: Annotated[Optional[str], typer.Option(help="The family it is made for; seen from its blocks by default.")] = None,
    kind: Annotated[Optional[str], typer.Option(help="slider, lora, dreambooth, custom-diffusion, …")] = None,
    concept: Annotated[str, typer.Option(help="Text that its pictures are scored against: 'an old person'.")] = "",
    on: Annotated[Optional[str], typer.Option("--source", help="The target it was trained on; the family's base by default.")] = None,
    unet_only: Annotated[bool, typer.Option("--unet-only", help="Leave text encoders and embeddings out, and record how many.")] = False,
    rank: Annotated[Optional[int], typer.Option(help="Keep whole weights at this rank, the error told; exact by default.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Keep a control that was made elsewhere: all of it, or none and the reason.

    Example: ctrlx import ~/Downloads/age_slider.safetensors --kind slider --concept "an old person"
    """
    from ctrlx.commands.importing import import_control

    with progress() as report:
        found = import_control(source, name=name, family=family, kind=kind, concept=concept, on=on, unet_only=unet_only, rank=rank, on_progress=report)
    if as_json:
        output.json_document(found)
        return
    control = found.control
    if not found.new:
        output.say(f"this file is here already, as '{control.name}'; nothing was changed")
    print(f"{control.name}: {control.kind} of {control.modules} modules, rank {control.rank}, for {control.family}/{control.source}")
    output.facts({
        "format": f"{found.format}, kept {found.kept}", "sha256": found.hashes["sha256"], "AutoV2": found.hashes["autov2"],
        "AutoV3": found.hashes.get("autov3"), "error": f"{found.error:.2%} of a module's change at most" if found.error else None,
        "left out": ", ".join(f"{count} {what}" for what, count in found.left_out.items()),
        "trigger words": ", ".join(control.recipe.get("trigger_words", ())), "next": f"ctrlx transfer {control.name} --to TARGET",
    })
