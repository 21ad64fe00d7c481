"""`ctrlx generate [PROMPT]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctrlx.cli import output
from ctrlx.cli.progress import progress
from ctrlx.sampling.settings import Settings, parse_size


def generate(
    prompt: Annotated[str | None, typer.Argument(help="What to draw; the family's own prompt by default.")] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="What to draw with: 'turbo', or in full 'sdxl/turbo'.")] = None,
    hybrid_k: Annotated[int | None, typer.Option("--hybrid-k", help="Let the base lead for the first K of the target's steps.")] = None,
    base: Annotated[str | None, typer.Option(help="What leads in a hybrid; the family's base by default.")] = None,
    base_steps: Annotated[int | None, typer.Option(help="Base steps that stand for the first K; as many by default.")] = None,
    base_guidance: Annotated[float | None, typer.Option(help="Guidance of the base in a hybrid; 0 by default.")] = None,
    preset: Annotated[str | None, typer.Option(help="The base's steps: correct (its own scheduler) or paper (the target's).")] = None,
    skip_first: Annotated[int | None, typer.Option(help="Leave the target's first N steps out.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the target; its own number by default.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance of the target; its own by default.")] = None,
    control: Annotated[list[str] | None, typer.Option("--control", "-c", help="NAME[:STRENGTH][@TARGET]; may be repeated.")] = None,
    start_noise: Annotated[int | None, typer.Option(help="Keep controls off above this timestep (0 to 999).")] = None,
    min_coverage: Annotated[float, typer.Option(help="Least share of a control's modules that a target must take.")] = 1.0,
    negative: Annotated[str | None, typer.Option(help="What guidance leads away from.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first picture; 0 by default.")] = None,
    count: Annotated[int, typer.Option("-n", "--count", help="Pictures a prompt, each of the next seed.")] = 1,
    prompts: Annotated[str | None, typer.Option(help="A text file with a prompt a line, or the name of a prompt set.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels; the target's own by default.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures drawn at once.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, float16 or bfloat16.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the fastest by default.")] = None,
    offload: Annotated[bool, typer.Option("--offload", help="Keep only the UNet that is at work on the device.")] = False,
    source: Annotated[Path | None, typer.Option("--from", help="Make this picture again; other options change it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the pictures; the run's own by default.")] = None,
    draw: Annotated[bool, typer.Option("--show", help="Draw the pictures in the terminal too.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Make pictures with a target alone, a hybrid of base and distilled model, or without the first steps.

    Example: ctrlx generate --hybrid-k 1
    """
    from ctrlx.commands.generate import generate

    if draw:
        output.check_pictures(as_json)
    settings = Settings(
        target=target, base=base, hybrid_k=hybrid_k, base_steps=base_steps, base_guidance=base_guidance, skip_first=skip_first, steps=steps,
        guidance=guidance, controls=tuple(control or ()), start_noise=start_noise, negative=negative,
        size=None if size is None else parse_size(size), preset=preset, dtype=dtype,
    )
    with progress() as report:
        made = generate(() if prompt is None else (prompt,), settings, prompts_file=prompts, seed=seed, count=count, source=source,
                        batch=batch, device=device, offload=offload, threshold=min_coverage, out=out, on_progress=report)
    if as_json:
        output.json_document(made)
    else:
        show(made, draw)


def show(made, draw: bool) -> None:
    """The result as a person reads it."""
    for warning in made.warnings:
        output.say(f"warning: {warning}")
    print("  ->  ".join(map(leg_text, made.plan)))
    output.table(("SEED", "PROMPT", "PICTURE"), [(image.seed, image.prompt, image.path) for image in made.images])
    if made.remade:
        print(remade_text(made.remade))
    print(f"{made.forwards} forwards a picture, {made.seconds:.1f} s, {output.bytes_text(made.peak_memory)} at the peak ({made.memory_of})")
    print(f"run  {made.run}")
    if draw:
        output.pictures([image.path for image in made.images])


def leg_text(leg) -> str:
    """'pocket/base at 999 with slider_age 1.5'."""
    controls = ", ".join(f"{name} {strength:g}" for name, strength in leg["controls"].items())
    guidance = f", guidance {leg['guidance']:g}" if leg["guidance"] else ""
    return f"{leg['target']} at {' '.join(f'{t:g}' for t in leg['timesteps'])}{guidance}{f', with {controls}' if controls else ''}"


def remade_text(remade) -> str:
    if remade["identical"]:
        return f"the same as {remade['source']}, pixel for pixel"
    return f"differs from {remade['source']} by up to {remade['largest_difference']}/255"
