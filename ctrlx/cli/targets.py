"""`ctrlx targets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ctrlx.cli import output

if TYPE_CHECKING:
    from ctrlx.commands.targets import ListedFamily, ListedTarget

COLUMNS = ("NAME", "ROLE", "METHOD", "STEPS", "GUIDANCE", "SCHEDULER", "SIZE", "HERE", "WEIGHTS", "LICENCE")


def targets(
    family: Annotated[str | None, typer.Argument(help="Only this family.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """List the targets that a control can be put on.

    With the recipe that each must be run with, and whether its weights are on this machine.

    Example: ctrlx targets sdxl
    """
    from ctrlx.commands.targets import list_targets

    listed = list_targets(family=family)
    if as_json:
        output.json_document(listed)
    else:
        for one in listed:
            _family(one)


def _family(family: ListedFamily) -> None:
    output.table(COLUMNS, map(_row, family.targets), title=f"{family.id}: {family.title}")
    print()


def _row(target: ListedTarget) -> tuple:
    of = target.target
    recipe = (of.steps, f"{of.guidance:g}", of.scheduler.removesuffix("Scheduler").removesuffix("Discrete"), of.size)
    return (of.name, of.role, of.method, *recipe, "yes" if target.present else "no", of.weights.label, of.licence)
