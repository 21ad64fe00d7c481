"""CivitAI's models and versions, by number or address: which file, what its hash must be, what its page says of it."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from ctrlx.commands.download import read_json
from ctrlx.errors import BadInput

SERVICE = "https://civitai.com"
HOSTS = ("civitai.com", "www.civitai.com")


class Listed(NamedTuple):
    """A file that CivitAI lists."""

    address: str
    name: str
    sha256: str | None
    facts: dict[str, Any]


def is_civitai(source: str) -> bool:
    return source.startswith("civitai:") or urlsplit(source).hostname in HOSTS


def token() -> str | None:
    return os.environ.get("CIVITAI_API_TOKEN") or None


def service() -> str:
    """CIVITAI_ENDPOINT, or CivitAI itself."""
    return os.environ.get("CIVITAI_ENDPOINT", SERVICE).rstrip("/")


def look_up(source: str) -> Listed:
    """`civitai:MODEL`, `civitai:MODEL@VERSION`, `civitai:@VERSION`, or an address of a model or a download.

    A model without a version means its latest. Raises BadInput.
    """
    model, version = _numbers(source)
    if version is None:
        versions = _answer(f"models/{model}").get("modelVersions") or []
        if not versions:
            raise BadInput(f"CivitAI's model {model} has no version that can be downloaded; check the number")
        found = versions[0]
    else:
        found = _answer(f"model-versions/{version}")
    files = [file for file in found.get("files") or [] if file.get("downloadUrl") and file.get("type", "Model") == "Model"]
    files.sort(key=lambda file: (not str(file.get("name", "")).endswith(".safetensors"), not file.get("primary", False)))
    if not files:
        raise BadInput(f"{source} has no weight file that can be downloaded; check the number")
    chosen = files[0]
    facts = {"civitai": {"version": found.get("id"), "model": found.get("modelId") or model, "base": found.get("baseModel")}}
    if found.get("trainedWords"):
        facts["trigger_words"] = [str(word) for word in found["trainedWords"]]
    hashes = chosen.get("hashes") or {}
    return Listed(chosen["downloadUrl"], str(chosen.get("name") or f"civitai-{found.get('id')}"), hashes.get("SHA256"), facts)


def _numbers(source: str) -> tuple[str | None, str | None]:
    """(model, version)"""
    if found := re.fullmatch(r"civitai:(\d+)?(?:@(\d+))?", source):
        if any(found.groups()):
            return found[1], found[2]
    parts = urlsplit(source)
    if found := re.match(r"/models/(\d+)", parts.path):
        return found[1], (parse_qs(parts.query).get("modelVersionId") or [None])[0]
    if found := re.match(r"/api/download/models/(\d+)", parts.path):
        return None, found[1]
    raise BadInput(f"'{source[:120]}' names no model of CivitAI's; say civitai:MODEL, civitai:MODEL@VERSION or a model's address")


def _answer(path: str) -> dict[str, Any]:
    answer = read_json(f"{service()}/api/v1/{path}", token())
    if not isinstance(answer, dict):
        raise BadInput(f"CivitAI's answer for {path} is not understood; try again later")
    return answer
