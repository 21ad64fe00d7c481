"""`ctrlx train KIND NAME`; the kinds that need pictures are in train_pictures.py."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from ctrlx.cli import output, train_pictures
from ctrlx.cli.progress import progress

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Train a control and keep it in the registry.")
app.command("lora")(train_pictures.lora)
app.command("dreambooth")(train_pictures.dreambooth)
app.command("image-slider")(train_pictures.image_slider)
app.command("custom-diffusion")(train_pictures.custom_diffusion)


@app.command("slider")
def slider(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    target_prompt: Annotated[str, typer.Option(help="What it acts on: 'a portrait of a person'.")],
    positive: Annotated[str, typer.Option(help="What strength 1 moves towards: 'an old person'.")],
    negative: Annotated[str, typer.Option(help="What it moves away from: 'a young person'.")],
    preserve: Annotated[Optional[list[str]], typer.Option(help="An attribute that must not move with it; may be repeated.")] = None,
    on: Annotated[str, typer.Option(help="The target to train on: 'base', or in full 'sdxl/base'.")] = "base",
    concept: Annotated[str, typer.Option(help="Text that its pictures are scored against; the positive prompt by default.")] = "",
    guidance: Annotated[float, typer.Option(help="How far past the plain difference of the two ends.")] = 3.0,
    rank: Annotated[int, typer.Option(help="Rank of each module.")] = 4,
    alpha: Annotated[float, typer.Option(help="Scale of each module is alpha / rank.")] = 4.0,
    modules: Annotated[str, typer.Option(help="Layers: full, noxattn, attention, selfattn, xattn or xattn-strict.")] = "full",
    steps: Annotated[int, typer.Option(help="Training steps.")] = 300,
    batch: Annotated[int, typer.Option(help="Pictures a step.")] = 12,
    learning_rate: Annotated[float, typer.Option(help="AdamW's rate.")] = 1e-3,
    bank: Annotated[int, typer.Option(help="Pictures of the model's own that it is trained on.")] = 48,
    seed: Annotated[int, typer.Option(help="Of weights, pictures and noise.")] = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Throw an unfinished run of this name away first.")] = False,
    sample_every: Annotated[int, typer.Option(help="Draw a strip of sample pictures every so many steps; 0: never.")] = 100,
    as_json: output.AsJson = False,
) -> None:
    """Train a text slider. Ctrl-C keeps what was done; the same command goes on from there.

    Example: ctrlx train slider age --target-prompt "a portrait of a person" --positive "an old person" --negative "a young person"
    """
    from ctrlx.commands.train import train_slider
    from ctrlx.training.settings import SliderSettings

    settings = SliderSettings(target_prompt=target_prompt, positive=positive, negative=negative, preserve=tuple(preserve or ()),
                              guidance=guidance, rank=rank, alpha=alpha, modules=modules, steps=steps, batch=batch,
                              learning_rate=learning_rate, bank=bank, seed=seed)
    with progress() as report:
        trained = train_slider(name, settings, on=on, concept=concept, restart=restart, sample_every=sample_every, on_progress=report)
    train_pictures.render(trained, as_json)
