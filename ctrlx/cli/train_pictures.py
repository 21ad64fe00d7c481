"""`ctrlx train lora`, `dreambooth`, `image-slider` and `custom-diffusion`: their options, which a TOML file may hold as well."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ctrlx.cli import output
from ctrlx.cli.progress import progress

Name = Annotated[str, typer.Argument(help="What to call it.")]
Config = Annotated[Optional[Path], typer.Option(help="A TOML file with any of these options, written_like_this; the command line wins.")]
Data = Annotated[Optional[str], typer.Option(help="A folder of pictures.")]
On = Annotated[Optional[str], typer.Option(help="The target to train on: 'base' (the default), or in full 'sdxl/base'.")]
Concept = Annotated[Optional[str], typer.Option(help="Text that its pictures are scored against.")]
ClassPrompt = Annotated[Optional[str], typer.Option(help="What it is one of: the model draws that itself, so as not to forget it.")]
ClassPictures = Annotated[Optional[int], typer.Option(help="How many pictures of the class.")]
PriorWeight = Annotated[Optional[float], typer.Option(help="Weight of the loss on pictures of the class.")]
Rank = Annotated[Optional[int], typer.Option(help="Rank of each module.")]
Alpha = Annotated[Optional[float], typer.Option(help="Scale of each module is alpha / rank.")]
Modules = Annotated[Optional[str], typer.Option(help="Layers: full, noxattn, attention, selfattn, xattn or xattn-strict.")]
Steps = Annotated[Optional[int], typer.Option(help="Training steps.")]
Batch = Annotated[Optional[int], typer.Option(help="Pictures a batch.")]
Accumulation = Annotated[Optional[int], typer.Option(help="Batches a step.")]
LearningRate = Annotated[Optional[float], typer.Option(help="AdamW's rate.")]
Schedule = Annotated[Optional[str], typer.Option(help="Of the learning rate: constant, linear or cosine.")]
Warmup = Annotated[Optional[int], typer.Option(help="Steps over which the learning rate rises.")]
MinSnr = Annotated[Optional[float], typer.Option(help="Gamma of min-SNR weighting, often 5; 0: every timestep weighs the same.")]
Seed = Annotated[Optional[int], typer.Option(help="Of weights, pictures and noise.")]
Restart = Annotated[bool, typer.Option("--restart", help="Throw an unfinished run of this name away first.")]
SampleEvery = Annotated[Optional[int], typer.Option(help="Draw a strip of sample pictures every so many steps; 0: never.")]


def lora(
    name: Name, data: Data = None, trigger: Annotated[Optional[str], typer.Option(help="A word put before every caption.")] = None,
    on: On = None, concept: Concept = None, rank: Rank = None, alpha: Alpha = None, modules: Modules = None, steps: Steps = None,
    batch: Batch = None, accumulation: Accumulation = None, learning_rate: LearningRate = None, schedule: Schedule = None,
    warmup: Warmup = None, min_snr: MinSnr = None, seed: Seed = None, sample_every: SampleEvery = None, config: Config = None,
    restart: Restart = False, as_json: output.AsJson = False,
) -> None:
    """Train a LoRA on captioned pictures: metadata.jsonl in the folder, or a .txt file beside each.

    Example: ctrlx train lora crayon --data drawings --trigger "crayon drawing"
    """
    _train("lora", dict(locals()))


def dreambooth(
    name: Name, data: Data = None, instance_prompt: Annotated[Optional[str], typer.Option(help="'a sks person'")] = None,
    class_prompt: ClassPrompt = None, class_pictures: ClassPictures = None, prior_weight: PriorWeight = None, on: On = None,
    concept: Concept = None, rank: Rank = None, alpha: Alpha = None, modules: Modules = None, steps: Steps = None, batch: Batch = None,
    accumulation: Accumulation = None, learning_rate: LearningRate = None, schedule: Schedule = None, warmup: Warmup = None,
    min_snr: MinSnr = None, seed: Seed = None, sample_every: SampleEvery = None, config: Config = None, restart: Restart = False,
    as_json: output.AsJson = False,
) -> None:
    """Train a LoRA of one subject on a few pictures of it.

    Example: ctrlx train dreambooth me --data photos --instance-prompt "a sks person" --class-prompt "a person"
    """
    _train("dreambooth", dict(locals()))


def image_slider(
    name: Name, before: Annotated[Optional[str], typer.Option(help="A folder of pictures at strength -1.")] = None,
    after: Annotated[Optional[str], typer.Option(help="The same at strength 1, under the same file names.")] = None,
    graded: Annotated[Optional[list[str]], typer.Option(help="Instead of the two: STRENGTH=FOLDER, twice or more.")] = None,
    prompt: Annotated[Optional[str], typer.Option(help="What the pictures are of.")] = None, on: On = None, concept: Concept = None,
    rank: Rank = None, alpha: Alpha = None, modules: Modules = None, steps: Steps = None, batch: Batch = None,
    accumulation: Accumulation = None, learning_rate: LearningRate = None, schedule: Schedule = None, warmup: Warmup = None,
    min_snr: MinSnr = None, seed: Seed = None, sample_every: SampleEvery = None, config: Config = None, restart: Restart = False,
    as_json: output.AsJson = False,
) -> None:
    """Train a slider on pictures of the same things before and after.

    Example: ctrlx train image-slider smile --before sad --after smiling --prompt "a portrait of a person"
    """
    _train("image-slider", {**locals(), "graded": graded or None})


def custom_diffusion(
    name: Name, data: Data = None, concept_prompt: Annotated[Optional[str], typer.Option(help="'a photo of a sks dog'")] = None,
    class_prompt: ClassPrompt = None, class_pictures: ClassPictures = None, prior_weight: PriorWeight = None, on: On = None,
    concept: Concept = None, rank: Annotated[Optional[int], typer.Option(help="What it is stored at; 0: exactly.")] = None,
    steps: Steps = None, batch: Batch = None, accumulation: Accumulation = None, learning_rate: LearningRate = None,
    schedule: Schedule = None, warmup: Warmup = None, min_snr: MinSnr = None, seed: Seed = None, sample_every: SampleEvery = None,
    config: Config = None, restart: Restart = False, as_json: output.AsJson = False,
) -> None:
    """Train a concept into the keys and values of cross-attention, and keep their change.

    Example: ctrlx train custom-diffusion dog --data photos --concept-prompt "a photo of a sks dog" --class-prompt "a photo of a dog"
    """
    _train("custom-diffusion", dict(locals()))


def _train(kind: str, options: dict[str, Any]) -> None:
    from ctrlx.commands.train_pictures import train_pictures

    name, config, restart, as_json = (options.pop(option) for option in ("name", "config", "restart", "as_json"))
    with progress() as report:
        trained = train_pictures(kind, name, options, config=config, restart=restart, on_progress=report)
    render(trained, as_json)


def render(trained: Any, as_json: bool) -> None:
    """What was trained, and what may come next."""
    if as_json:
        output.json_document(trained)
        return
    control = trained.control
    print(f"{control.name}: {control.modules} modules of rank {control.rank} trained on {control.family}/{control.source}, "
          f"{output.bytes_text(control.size)}")
    if error := control.recipe.get("relative_error"):
        print(f"stored   {control.recipe['stored']}, off by {error:.2g} of the change")
    if trained.samples:
        print(f"samples  {trained.samples}")
    print(f"run      {trained.run}, {trained.seconds:.0f} s\nnext     ctrlx transfer {control.name} --to TARGET")
