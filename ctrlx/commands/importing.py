"""A control made elsewhere, from a file, a folder or an address to a recorded weight file: whole, or refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrlx import catalogue
from ctrlx.commands.fetch import OnProgress, fetched
from ctrlx.errors import BadInput, BadWeights, NotKnown
from ctrlx.records import KINDS, Control, Target
from ctrlx.store import Registry
from ctrlx.store.hashes import hashes

if TYPE_CHECKING:
    from ctrlx.controls.convert import Converted
    from ctrlx.controls.inspect import Inspection, Sorted


@dataclass(frozen=True)
class Imported:
    """A control as recorded. `kept` is "as it was" or "converted"; `left_out` counts what the user had left out; `new`: it was not here."""

    control: Control
    format: str
    kept: str
    left_out: Mapping[str, int]
    error: float
    hashes: Mapping[str, str]
    new: bool


@dataclass(frozen=True)
class Request:
    """What the user said of a control, every name resolved."""

    name: str | None = None
    kind: str | None = None
    family: str | None = None
    on: str | None = None  # the target it was trained on
    concept: str = ""
    unet_only: bool = False
    rank: int | None = None


@dataclass(frozen=True, eq=False)
class Read:
    """A file read in full: its LoRAs, the bytes to keep, and what is told of it."""

    data: Path | bytes
    converted: Converted
    said: Inspection
    source: Target
    facts: Mapping[str, Any] = field(default_factory=dict)


def import_control(
    source: str, *, name: str | None = None, kind: str | None = None, family: str | None = None, on: str | None = None, concept: str = "",
    unet_only: bool = False, rank: int | None = None, home: Path | None = None, on_progress: OnProgress = lambda *_: None,
) -> Imported:
    """Keeps the control at `source`: a path, `hf:owner/repo[/file][@revision]`, an https address, or `civitai:` and a number.

    on: the target it was trained on; its family's base where nobody says. unet_only: leave text encoders and embeddings out.
    rank: for whole weights and LoKr, keep this many singular values, the error told. The same file again changes nothing.

    Raises:
        NotKnown, BadInput: before anything is fetched.
        BadWeights, PartialCoverage, MissingWeights, HomeTrouble: nothing is recorded.
    """
    request = resolve(name, kind, family, on, concept, unet_only, rank)
    with Registry.open(home) as registry, fetched(source, registry.home, on_progress) as found:
        known = hashes(found.file)
        if found.sha256 and found.sha256.lower() != known["sha256"]:
            raise BadWeights(f"{source} arrived with sha256 {known['sha256'][:12]}…, not {found.sha256[:12].lower()}… as its page says; fetch it again")
        if there := already(registry, known["sha256"], request.name):
            recipe = there.recipe
            return Imported(there, recipe.get("format", ""), recipe.get("kept", ""), recipe.get("left_out", {}), recipe.get("error", 0.0), known, False)
        read = read_file(found.file, found.name, request)
        control = describe(read, request, name or name_from(found.name), {**found.facts, "imported_from": found.origin, "hashes": known})
        if hashes(found.file) != known:
            raise BadWeights(f"{found.file} changed while it was read; wait until whatever writes it is done")
        with registry.recording("import", {"source": source, "name": control.name}) as run:
            control = registry.add_control(control, read.data)
            registry.finish_run(run, "done", result={"control": control.name, "sha256": control.sha256})
    recipe = control.recipe
    return Imported(control, recipe["format"], recipe["kept"], recipe["left_out"], recipe["error"], known, True)


def resolve(
    name: str | None, kind: str | None, family: str | None, on: str | None, concept: str, unet_only: bool, rank: int | None
) -> Request:
    """Every name looked up before anything is read."""
    if name is not None and not catalogue.NAME.fullmatch(name):
        raise BadInput(f"a control cannot be named '{name[:80]}'; {catalogue.NAME_RULE}")
    if kind is not None and kind not in KINDS:
        raise NotKnown("kind", kind, KINDS)
    if family is not None:
        catalogue.family(family)
    if rank is not None and rank < 1:
        raise BadInput(f"a rank of {rank} holds nothing; give 1 or more")
    if on is not None and ("/" in on or family is not None):
        family = catalogue.resolve_target(on, family).family
    elif on is not None and on not in (names := {name for each in catalogue.families().values() for name in each.targets}):
        raise NotKnown("target", on, names)
    return Request(name, kind, family, on, concept, unet_only, rank)


def already(registry: Registry, sha256: str, name: str | None) -> Control | None:
    """The control that this file was imported as before, under this name if one is given."""
    there = registry.controls_of_file(sha256)
    return next((control for control in there if name is None or control.name.lower() == name.lower()), None)


def read_file(path: Path, called: str, request: Request) -> Read:
    """All of a file's weights, as LoRAs of the UNet it was made for. Raises BadInput, BadWeights, PartialCoverage, MissingWeights."""
    families = catalogue.families()
    from ctrlx.controls import convert, denoisers, inspect
    from ctrlx.controls.folder import adapter_config

    file = inspect.sort_file(path, called)
    known = denoisers.known_denoisers(families)
    said = inspect.inspect(file, known, {})
    family = families[family_of(path, said, request, families)]
    source = catalogue.resolve_target(request.on, family.id) if request.on else family.base
    denoiser = denoisers.denoiser_of(source)
    if denoiser is None:
        raise BadInput(f"the modules of {source.full_name} are not known, since its weights are not on this machine; see `ctrlx targets`")
    tensors = convert.tensors_of(file)
    if said.kind == "custom-diffusion":
        converted = read_custom(file, tensors, denoiser, source, request)
    else:
        converted = convert.convert(file, tensors, denoiser, unet_only=request.unet_only, rank=request.rank, config=adapter_config(path))
    as_it_was = file.container == "safetensors" and convert.reads_as(path, converted.weights)
    facts = {"format": said.format, "kept": "as it was" if as_it_was else "converted", "left_out": dict(converted.left_out),
             "error": round(converted.error, 6), "trigger_words": list(said.trigger_words), "trained_on": dict(said.trained_on)}
    return Read(path if as_it_was else convert.as_stored(converted.weights, file.metadata), converted, said, source, facts)


def read_custom(file: Sorted, tensors: Mapping[str, Any], denoiser: Any, source: Target, request: Request) -> Converted:
    from ctrlx.controls.custom import convert_custom
    from ctrlx.controls.denoisers import weight_file
    from ctrlx.targets.locate import locate

    place = weight_file(source) or locate(source.weights, catalogue.registry_folder())
    if place.is_dir():
        place = next(iter(sorted(place.glob("diffusion_pytorch_model*.safetensors"))), place)
    return convert_custom(file, tensors, denoiser, place, unet_only=request.unet_only, rank=request.rank)


def family_of(path: Path, said: Inspection, request: Request, families: Mapping) -> str:
    """The family the user named, else the one that the file's blocks show."""
    if request.family:
        return request.family
    if said.family in families:
        return said.family
    if said.kind == "textual-inversion":
        raise BadWeights(f"{path} is a textual inversion, a word for the text encoder; ctrlx puts controls on denoisers and cannot use it")
    if said.kind is None or "unet" not in said.components and said.kind != "custom-diffusion":
        raise BadWeights(f"{path} is {said.format if said.kind is None else 'no change of a UNet'}; ctrlx reads LoRAs of a UNet")
    if said.family:
        raise BadInput(f"{path} is made for '{said.family}', a family that ctrlx has no targets of; see `ctrlx targets`")
    raise BadInput(f"{path} fits no family known here, or several equally well; say --family {'|'.join(families)}")


def describe(read: Read, request: Request, name: str, facts: Mapping[str, Any]) -> Control:
    weights = read.converted.weights
    alphas = {lora.alpha for lora in weights.modules.values()}
    return Control(
        name=name, kind=request.kind or read.said.kind or "lora", family=read.source.family, source=read.source.name, sha256="", size=0,
        origin="imported", created=datetime.now(timezone.utc).isoformat(timespec="seconds"), concept=request.concept,
        rank=weights.rank, alpha=alphas.pop() if len(alphas) == 1 else None, modules=len(weights.modules), recipe={**read.facts, **facts},
    )


def name_from(file_name: str) -> str:
    """A control's name made from a file's: 'My Slider (v2).safetensors' -> 'My-Slider-v2'. Raises BadInput where nothing is left of it."""
    plain = unicodedata.normalize("NFKD", file_name.rsplit("/", 1)[-1]).encode("ascii", "ignore").decode()
    stem = re.sub(r"\.(safetensors|pt|pth|bin|ckpt)$", "", plain, flags=re.IGNORECASE)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-_.")[:100]
    if not catalogue.NAME.fullmatch(name):
        raise BadInput(f"no name can be made from '{file_name[:80]}'; give one with --name")
    return name
