"""`ctrlx history NAME`."""

from __future__ import annotations

from typing import Annotated

import typer

from ctrlx.cli import output


def history(name: Annotated[str, typer.Argument(help="A control's name.")], as_json: output.AsJson = False) -> None:
    """Show where a control comes from and what happened with it: training, imports, runs, scores.

    Example: ctrlx history slider_age
    """
    from ctrlx.commands.history import history

    found = history(name)
    if as_json:
        output.json_document(found)
        return
    output.facts({"control": found.control.name, "origin": found.control.origin, "created": found.control.created,
                  "trained on": found.trained_on, "derived from": ", ".join(found.derived_from), "sha256": found.control.sha256})
    if found.runs:
        rows = [(run.started[:19], run.command, run.status, run.id) for run in found.runs]
        output.table(("WHEN", "WHAT", "STATUS", "RUN"), rows, title="\nruns")
    if found.scores:
        rows = [(s.target, f"{s.strength:+g}", s.n, "" if s.percent is None else f"{s.percent:+.1f} %", s.run) for s in found.scores]
        output.table(("TARGET", "STRENGTH", "PAIRS", "EFFICACY", "RUN"), rows, title="\nscores")
