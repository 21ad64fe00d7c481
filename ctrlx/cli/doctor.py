"""`ctrlx doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from ctrlx.cli import output


def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="Make again what can be made again from the records beside the weight files.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Find what is wrong with the registry: missing and unused files, lost records, a broken database.

    Example: ctrlx doctor --mend
    """
    from ctrlx.commands.doctor import examine

    found = examine(mend=mend)
    if as_json:
        output.json_document(found)
    else:
        print("\n".join(f"{'mended' if finding.mended else 'found'}: {finding.what}" for finding in found) or "all is well")
