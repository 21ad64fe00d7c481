"""`ctrlx rm NAME`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ctrlx.cli import output
from ctrlx.errors import BadInput
from ctrlx.records import Control


def remove(
    name: Annotated[str, typer.Argument(help="A control's name.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a control from the registry.

    Its weight file and its scores stay; a built-in control that was removed does not come back.

    Example: ctrlx rm my_slider --yes
    """
    from ctrlx.commands.remove import remove

    removed = remove(name, agreed=_agree if yes else _ask)
    output.say(f"removed '{removed.name}'" if removed else "nothing was removed")


def _agree(control: Control) -> bool:
    return True


def _ask(control: Control) -> bool:
    if not sys.stdin.isatty():
        raise BadInput(f"nobody can be asked whether to remove '{control.name}'; say `ctrlx rm {control.name} --yes`")
    return typer.confirm(f"remove {control.kind} '{control.name}' ({control.origin}, {control.family})?", err=True)
