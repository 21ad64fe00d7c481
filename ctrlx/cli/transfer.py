"""`ctrlx transfer CONTROL --to TARGET`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from ctrlx.cli import output
from ctrlx.cli.progress import progress


def transfer(
    control: Annotated[str, typer.Argument(help="A control's name.")],
    to: Annotated[str, typer.Option("--to", help="The target to put it on: 'turbo', or in full 'sdxl/turbo'.")],
    strength: Annotated[Optional[list[float]], typer.Option("--strength", "-s", help="Strength to draw at; may be repeated.")] = None,
    prompt: Annotated[Optional[list[str]], typer.Option("--prompt", "-p", help="Prompt to draw; may be repeated.")] = None,
    seeds: Annotated[int, typer.Option(help="Pictures a prompt, each of its own seed.")] = 4,
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 0,
    start_noise: Annotated[Optional[int], typer.Option(help="Keep the control off above this timestep (0 to 999).")] = None,
    min_coverage: Annotated[float, typer.Option(help="Least share of the control's modules that the target must take.")] = 1.0,
    out: Annotated[Optional[Path], typer.Option(help="Folder for the grid and the pictures; the run's own by default.")] = None,
    as_json: output.AsJson = False,
) -> None:
    """Put a control on a target it was not trained on, and measure how well it carried over.

    Draws the same prompts and seeds with and without the control, on its own target and on the other one.

    Example: ctrlx transfer slider_age --to turbo
    """
    from ctrlx.commands.transfer import transfer

    with progress() as report:
        found = transfer(control, to=to, strengths=strength or (), prompts=prompt or (), seeds=seeds, first_seed=seed,
                         start_noise=start_noise, threshold=min_coverage, out=out, on_progress=report)
    if as_json:
        output.json_document(found)
    else:
        show(found)


def show(found) -> None:
    """The result as a person reads it."""
    covered = found.coverage
    print(f"{found.control}: {found.source} -> {found.target} ({found.direction}), "
          f"{covered['adapted']} of {covered['total']} modules adapted")
    if covered["adapted"] < covered["total"]:
        output.say(f"warning: {covered['total'] - covered['adapted']} modules have no place on {found.target} and do nothing there")
    sides = ((found.source, "source"), (found.target, "target"))
    rows = [(f"{s:+g}", *(words(found.efficacy[side][f"{s:g}"]) for _, side in sides)) for s in found.strengths]
    output.table(("STRENGTH", *(f"ON {name.upper()}" for name, _ in sides)), rows)
    print(f"\nchange of the CLIP score for '{found.concept}', 95 % interval over {len(found.prompts) * len(found.seeds)} pictures each")
    print(f"grid  {found.grid}\nrun   {found.run}, {found.seconds:.0f} s")


def words(efficacy) -> str:
    """'+20.4 % (18.1 to 22.9)', or points where the original's score is too near zero for a percentage."""
    if efficacy["percent"] is None:
        return f"{efficacy['points']:+.1f} points (the original scores {efficacy['original']:.1f}, too near 0 for a percentage)"
    return f"{efficacy['percent']:+.1f} % ({efficacy['low']:.1f} to {efficacy['high']:.1f})"
