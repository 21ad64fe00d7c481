"""Training a control on pictures: a LoRA, a subject, an image slider or a concept, from checked folders to a recorded weight file."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ctrlx import catalogue
from ctrlx.commands.train import OnProgress, Trained, check_free, keep_samples, make_folder, recent_loss
from ctrlx.errors import BadInput
from ctrlx.records import Control, Target
from ctrlx.store import Registry
from ctrlx.training.settings import PictureSettings, check_type, settings_of

BESIDE = {"on": "base", "concept": "", "sample_every": 100}  # options that do not decide the weights of a run that is under way
CURVE = 200  # points of the loss curve that are kept


def train_pictures(
    kind: str, name: str, given: Mapping[str, Any], *, config: Path | None = None, restart: bool = False, home: Path | None = None,
    on_progress: OnProgress = lambda *_, **__: None,
) -> Trained:
    """Trains a control of `kind` with the options `given`, and those of the TOML file `config` that are not given; keeps it as `name`.

    Stopped at any moment, it goes on from its last checkpoint when called again with the same options and pictures.

    Raises:
        NotKnown, BadInput: an unknown option or target, a name that is taken, pictures or captions that are not there.
        MissingWeights, BadWeights, HomeTrouble.
    """
    from ctrlx.training.gather import gather

    began = time.monotonic()
    told = {**(read_config(config) if config else {}), **{option: value for option, value in given.items() if value is not None}}
    beside = {option: told.pop(option, default) for option, default in BESIDE.items()}
    for option, default in BESIDE.items():
        check_type(option, beside[option], default)
    settings = settings_of(kind, told, f"in {config}" if config else "")
    target = catalogue.resolve_target(beside["on"])
    with Registry.open(home) as registry:
        check_free(registry, name)
        gathered = gather(settings)
        folder = registry.home / "training" / name.lower()
        if restart:
            shutil.rmtree(folder, ignore_errors=True)
        with registry.recording(f"train {kind}", {"name": name, "on": target.full_name, **asdict(settings)}) as run:
            file, losses, samples, more = make(target, settings, gathered, folder, registry.home, beside["sample_every"], on_progress)
            recipe = {"method": kind, "run": run.id, **asdict(settings), "loss": round(recent_loss(losses), 6), "loss_curve": curve(losses), **more}
            control = registry.add_control(describe(kind, name, target, settings, beside["concept"], recipe, file), file)
            kept = keep_samples(samples, registry.home / "runs" / run.id)
            result = {"control": name, "sha256": control.sha256, "loss": recipe["loss"], "data": recipe["data_sha256"]}
            registry.finish_run(run, "done", result=result, made=[kept] if kept else [])
    shutil.rmtree(folder, ignore_errors=True)
    return Trained(control, recipe["loss"], kept, run.id, round(time.monotonic() - began, 1))


def read_config(file: Path) -> dict[str, Any]:
    """The options in a TOML file. Raises BadInput."""
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as bad:
        raise BadInput(f"--config {file} cannot be read as TOML ({str(bad)[:120]}); write lines such as steps = 500") from bad


def make(target: Target, settings: PictureSettings, gathered, folder: Path, home: Path, sample_every: int, on_progress: OnProgress):
    """The trained file, all losses, the last strip of samples or None, and what else belongs to the recipe."""
    from ctrlx.targets.models import Models
    from ctrlx.training.interrupt import deferred_interrupt
    from ctrlx.training.kinds import make_job
    from ctrlx.training.loop import train
    from ctrlx.training.samples import pictures_strip

    make_folder(folder)
    models = Models(catalogue.family(target.family))
    job = make_job(models, target, settings, gathered, folder, home, on_progress)
    losses, samples, prompt = [], folder / "samples.png", gathered.prompts[0] or models.family.prompt
    with deferred_interrupt() as interrupted:
        for progress in train(job.parameters, job.loss_at, settings, folder, interrupted, gathered.fingerprint):
            losses = progress.losses
            on_progress("training", progress.step, progress.total, f"loss {recent_loss(losses):.4f}")
            if sample_every and job.samples_between and progress.step % sample_every == 0 and progress.step < progress.total:
                pictures_strip(models, target, prompt, job.strengths).save(samples)
    file = folder / "control.safetensors"
    more = {**job.write(file), "data_sha256": gathered.fingerprint, "pictures": len(gathered.files)}
    if sample_every:
        pictures_strip(models, target, prompt, job.strengths).save(samples)
    return file, list(losses), samples if samples.exists() else None, more


def curve(losses: list[float]) -> list[float]:
    """At most CURVE points: means of equal stretches."""
    stretch = max(1, -(-len(losses) // CURVE))
    return [round(sum(part) / len(part), 6) for part in (losses[i : i + stretch] for i in range(0, len(losses), stretch))]


def describe(kind: str, name: str, target: Target, settings: PictureSettings, concept: str, recipe: dict, file: Path) -> Control:
    from ctrlx.controls.read import read_control

    weights = read_control(file)
    said = next((getattr(settings, field) for field in ("instance_prompt", "concept_prompt", "prompt", "trigger") if getattr(settings, field, "")), "")
    return Control(
        name=name, kind=kind, family=target.family, source=target.name, sha256="", size=file.stat().st_size, origin="trained",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"), concept=concept or said, prompts=(said,) if said else (),
        rank=weights.rank, alpha=next(iter(weights.modules.values())).alpha, modules=len(weights.modules), recipe=recipe,
    )
