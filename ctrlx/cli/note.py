"""`ctrlx note NAME TEXT`."""

from __future__ import annotations

from typing import Annotated

import typer

from ctrlx.cli import output


def note(
    name: Annotated[str, typer.Argument(help="A control's name.")],
    text: Annotated[str, typer.Argument(help="The note, in place of the one it had; '' for none.")],
    as_json: output.AsJson = False,
) -> None:
    """Write a note on a control.

    Example: ctrlx note slider_age "best at strength 1.5 on turbo"
    """
    from ctrlx.commands.note import note

    control = note(name, text)
    if as_json:
        output.json_document(control)
    else:
        print(f"{control.name}: {control.notes or 'no notes'}")
