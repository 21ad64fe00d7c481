"""`ctrlx show NAME`."""

from __future__ import annotations

from typing import Annotated

import typer

from ctrlx.cli import output


def show(name: Annotated[str, typer.Argument(help="A control's name.")], as_json: output.AsJson = False) -> None:
    """Show all that is known of one control.

    Its record, recipe and weight file, what was measured of it, and the latest runs that read it.

    Example: ctrlx show slider_age
    """
    from ctrlx.commands.show import show

    shown = show(name)
    if as_json:
        output.json_document(shown)
        return
    facts = output.plain(shown.control)
    recipe = facts.pop("recipe")
    prompts, tags = ", ".join(facts.pop("prompts")), ", ".join(facts.pop("tags"))
    output.facts({**facts, "size": output.bytes_text(facts["size"]), "prompts": prompts, "tags": tags, "file": shown.file})
    _section("recipe", recipe)
    if shown.scores:
        scores = [(s.target, f"{s.strength:g}", s.n, f"{s.original:.2f}", f"{s.edited:.2f}", _percent(s.percent)) for s in shown.scores]
        output.table(("TARGET", "STRENGTH", "PAIRS", "ORIGINAL", "EDITED", "EFFICACY"), scores, title="\nscores (CLIP cosine x 100)")
    if shown.runs:
        output.table(("RUN", "COMMAND", "STATUS", "STARTED"), [(r.id, r.command, r.status, r.started[:19]) for r in shown.runs], title="\nruns")


def _section(title: str, pairs: dict) -> None:
    if pairs:
        print(f"\n{title}")
        output.facts(pairs)


def _percent(percent: float | None) -> str:
    return "" if percent is None else f"{percent:+.1f} %"
