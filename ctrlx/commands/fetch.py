"""Where an import comes from: a file or folder here, a Hub repository, an https address, CivitAI."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ctrlx.commands import civitai, hub
from ctrlx.commands.download import download
from ctrlx.errors import BadInput

OnProgress = Callable[[str, int, int], None]  # what is under way, bytes done, bytes in all


@dataclass(frozen=True)
class Fetched:
    """A weight file on this machine: what to call it, where it came from, the hash its page states, and what else that page says."""

    file: Path
    name: str
    origin: str
    sha256: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def fetched(source: str, home: Path, on_progress: OnProgress) -> Iterator[Fetched]:
    """The weight file that `source` means; what was downloaded for it is gone when the block ends.

    Raises BadInput, BadWeights, HomeTrouble.
    """
    if hub.is_hub(source):
        yield from_hub(source)
    elif civitai.is_civitai(source):
        listed = civitai.look_up(source)
        with downloaded(listed.address, home, on_progress, civitai.token()) as arrived:
            yield replace(arrived, name=listed.name, origin=source, sha256=listed.sha256, facts=listed.facts)
    elif "://" in source:
        with downloaded(source, home, on_progress) as arrived:
            yield arrived
    else:
        yield local(source)


@contextmanager
def downloaded(address: str, home: Path, on_progress: OnProgress, token: str | None = None) -> Iterator[Fetched]:
    """A download that is gone when the block ends; where it does not arrive whole, what did arrive stays for the next try."""
    arrived = download(address, home / "downloads", on_progress, token)
    try:
        yield Fetched(arrived.file, arrived.name, address)
    finally:
        for file in (arrived.file, arrived.file.with_suffix(".etag")):
            file.unlink(missing_ok=True)


def from_hub(source: str) -> Fetched:
    from ctrlx.controls.folder import choose

    place = hub.parse(source)
    file = hub.fetch(place, choose)
    named = file.name if place.file else place.repo.split("/")[1]
    return Fetched(file, named, f"hf:{place.repo}/{file.name}{f'@{place.revision}' if place.revision else ''}")


def local(source: str) -> Fetched:
    from ctrlx.controls.folder import choose

    try:
        path = Path(source).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError, RuntimeError) as wrong:
        raise BadInput(f"'{source[:80]}' is no path ({wrong}); give a file, a folder, hf:owner/repo or an https address") from None
    if is_folder:
        chosen = choose([entry.name for entry in path.iterdir() if entry.is_file()], str(path))
        named = path.resolve().name if chosen.startswith(("adapter_", "pytorch_", "delta")) else chosen
        return Fetched(path / chosen, named, str(path.resolve() / chosen))
    if not is_file:
        raise BadInput(f"there is no file or folder '{source[:200]}'; give a path, hf:owner/repo, an https address or civitai:NUMBER")
    return Fetched(path, path.name, str(path.resolve()))
