"""Training a control on a target, from a checked name to a recorded weight file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from ctrlx import catalogue
from ctrlx.errors import BadInput, HomeTrouble
from ctrlx.records import Control, Family, Target
from ctrlx.store import Registry
from ctrlx.training.settings import SliderSettings

OnProgress = Callable[..., None]  # what is under way, steps done, steps in all, a note


@dataclass(frozen=True)
class Trained:
    """A control as recorded, and where its last sample pictures are."""

    control: Control
    loss: float
    samples: str | None
    run: str
    seconds: float


def train_slider(
    name: str, settings: SliderSettings, *, on: str = "base", concept: str = "", restart: bool = False, sample_every: int = 100,
    home: Path | None = None, on_progress: OnProgress = lambda *_, **__: None,
) -> Trained:
    """Trains a text slider on the target `on` and keeps it as `name`.

    Stopped at any moment, it goes on from its last checkpoint when called again with the same settings.

    Raises:
        NotKnown, BadInput: an unknown target, a name that is taken or unusable, settings that differ from an unfinished run's.
        MissingWeights, BadWeights, HomeTrouble.
    """
    began = time.monotonic()
    target = catalogue.resolve_target(on)
    family = catalogue.family(target.family)
    with Registry.open(home) as registry:
        check_free(registry, name)
        folder = registry.home / "training" / name.lower()
        if restart:
            shutil.rmtree(folder, ignore_errors=True)
        arguments = {"name": name, "on": target.full_name, **asdict(settings)}
        with registry.recording("train slider", arguments) as run:
            file, loss, samples = make_slider(family, target, settings, folder, sample_every, on_progress)
            recipe = {"method": "text slider", "loss": round(loss, 6), "run": run.id, **asdict(settings)}
            control = registry.add_control(describe(name, target, settings, concept, recipe, file), file)
            kept = keep_samples(samples, registry.home / "runs" / run.id)
            trained = Trained(control, loss, kept, run.id, round(time.monotonic() - began, 1))
            registry.finish_run(run, "done", result={"control": name, "sha256": control.sha256, "loss": loss}, made=[kept] if kept else [])
    shutil.rmtree(folder, ignore_errors=True)
    return trained


def check_free(registry: Registry, name: str) -> None:
    """Before the slow part: can a control be called this?"""
    if not catalogue.NAME.fullmatch(name):
        raise BadInput(f"a control cannot be named '{name[:80]}'; {catalogue.NAME_RULE}")
    if any(listed.name.lower() == name.lower() for listed in registry.listing()):
        raise BadInput(f"there is already a control named '{name}'; give this one another name, or `ctrlx rm {name}` first")


def make_slider(family: Family, target: Target, settings: SliderSettings, folder: Path, sample_every: int, on_progress: OnProgress):
    """The trained file, the mean loss of its last steps, and the last strip of samples or None."""
    from ctrlx.targets.models import Models
    from ctrlx.training.interrupt import deferred_interrupt
    from ctrlx.training.lora import write_lora
    from ctrlx.training.samples import strip
    from ctrlx.training.slider import train_slider as steps_of
    from ctrlx.training.stage import make_stage

    make_folder(folder)
    models = Models(family)
    stage = make_stage(models, target, settings, on_progress)
    losses, samples = [], folder / "samples.png"
    with deferred_interrupt() as interrupted:
        for progress in steps_of(stage, settings, folder, interrupted):
            losses.append(progress.loss)
            on_progress("training", progress.step, progress.total, f"loss {recent_loss(losses):.4f}")
            if sample_every and (progress.step % sample_every == 0 or progress.step == progress.total):
                strip(models, target, settings).save(samples)
    file = folder / "control.safetensors"
    write_lora(stage.unet, file)
    return file, recent_loss(losses), samples if samples.exists() else None


def recent_loss(losses: list[float], window: int = 30) -> float:
    """Mean of the last steps' losses; 0 where no step was left to do."""
    recent = losses[-window:]
    return sum(recent) / max(1, len(recent))


def describe(name: str, target: Target, settings: SliderSettings, concept: str, recipe: dict, file: Path) -> Control:
    from ctrlx.controls.read import read_control

    weights = read_control(file)
    return Control(
        name=name, kind="slider", family=target.family, source=target.name, sha256="", size=file.stat().st_size, origin="trained",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"), concept=concept or settings.positive,
        prompts=(settings.target_prompt,), rank=settings.rank, alpha=settings.alpha, modules=len(weights.modules), recipe=recipe,
    )


def keep_samples(samples: Path | None, folder: Path) -> str | None:
    if samples is None:
        return None
    make_folder(folder)
    return str(shutil.copy(samples, folder / "samples.png"))


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise HomeTrouble(f"{folder} cannot be made ({problem.strerror}); free or unlock it, or set CTRLX_HOME") from problem
