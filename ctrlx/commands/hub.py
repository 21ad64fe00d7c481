"""Hugging Face repositories: `hf:owner/repo[/file][@revision]`, or an address of the site; huggingface_hub downloads and resumes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ctrlx.errors import BadInput

HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")


class Place(NamedTuple):
    """A repository, perhaps one file of it, perhaps at one revision."""

    repo: str
    file: str | None
    revision: str | None


def is_hub(source: str) -> bool:
    return source.startswith("hf:") or urlsplit(source).hostname in HOSTS


def parse(source: str) -> Place:
    """Raises BadInput."""
    text = source.removeprefix("hf:")
    if not source.startswith("hf:"):
        address = re.fullmatch(r"/([^/]+/[^/]+)(?:/(?:resolve|blob|tree)/([^/]+)(?:/(.+))?)?/?", urlsplit(source).path)
        if address:
            return Place(address[1], address[3], address[2])
    elif found := re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/([^@]+))?(?:@(\S+))?", text):
        return Place(found[1], found[2], found[3])
    raise BadInput(f"'{source[:120]}' names no repository of the Hub; say hf:owner/repo, hf:owner/repo/file or hf:owner/repo/file@revision")


def fetch(place: Place, choose) -> Path:
    """The weight file on this machine, its adapter_config.json beside it where there is one. `choose(names, where)` picks among several.

    Raises BadInput.
    """
    from huggingface_hub import hf_hub_download, list_repo_files
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        file, names = place.file, []
        if file is None:
            names = list_repo_files(place.repo, revision=place.revision)
            file = choose([name for name in names if "/" not in name], place.repo)
        if "adapter_config.json" in names and file.startswith("adapter_model"):
            hf_hub_download(place.repo, "adapter_config.json", revision=place.revision)
        return Path(hf_hub_download(place.repo, file, revision=place.revision))
    except HFValidationError:
        raise BadInput(f"'{place.repo}' is no name of a Hub repository; it must look like 'owner/name'") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as wrong:
        said = " ".join(str(wrong).split())[:160] or type(wrong).__name__
        raise BadInput(f"{place.repo} cannot be had from the Hub ({said}); check the name, HF_TOKEN and the network") from None
