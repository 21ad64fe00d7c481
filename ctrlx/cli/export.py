"""`ctrlx export NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def export(
    name: Annotated[str, typer.Argument(help="A control's name.")],
    form: Annotated[str, typer.Option("--format", help="kohya (ComfyUI, A1111), diffusers, or peft (a folder).")] = "kohya",
    strength: Annotated[float, typer.Option(help="What strength 1 of the exported file is here.")] = 1.0,
    out: Annotated[Optional[Path], typer.Option(help="Where to write; in this folder by default.")] = None,
) -> None:
    """Write a control as a file that other programs load.

    Example: ctrlx export slider_age --format kohya
    """
    from ctrlx.commands.export import export

    print(export(name, form=form, strength=strength, out=out))
