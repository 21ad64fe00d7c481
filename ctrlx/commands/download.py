"""A file behind an https address, to disk: in pieces, resumed where an earlier try stopped, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ctrlx.errors import BadInput, BadWeights, HomeTrouble

CHUNK = 1 << 20  # bytes
PATIENCE = 30.0  # seconds without an answer
TRIES = 3
OnProgress = Callable[[str, int, int], None]


class Downloaded(NamedTuple):
    """Where a download lies, and what the server calls the file."""

    file: Path
    name: str


class _OnlyHttps(HTTPRedirectHandler):
    def redirect_request(self, request, file, code, message, headers, address):
        check_address(address)
        return super().redirect_request(request, file, code, message, headers, address)


def check_address(address: str) -> str:
    """`address` itself, when it may be asked. Raises BadInput for anything but https, and http to this machine."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        return address
    raise BadInput(f"'{address[:120]}' is no https address; what comes another way can be altered under way")


def download(address: str, folder: Path, on_progress: OnProgress, token: str | None = None) -> Downloaded:
    """The file at `address`, kept in `folder` while it arrives, so that a later call goes on from what is there.

    token: sent to the host of `address` alone. Raises BadInput where the server refuses, BadWeights where it cannot be had whole,
    HomeTrouble where `folder` cannot be written.
    """
    check_address(address)
    part = folder / f"{sha256(address.encode()).hexdigest()[:32]}.part"
    wrong = "it sends nothing"
    for _ in range(TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return Downloaded(part, _fetch(address, part, on_progress, token))
        except HTTPError as refusal:
            if refusal.code == 416:  # what is here is no part of what is there
                part.unlink(missing_ok=True)
            elif refusal.code < 500:
                raise BadInput(f"{address} cannot be had ({refusal.code} {refusal.reason}); {_way_out(refusal.code)}") from None
            wrong = f"{refusal.code} {refusal.reason}"
        except (URLError, HTTPException, TimeoutError, ConnectionError) as trouble:
            wrong = str(getattr(trouble, "reason", trouble)) or type(trouble).__name__
        except OSError as trouble:
            raise HomeTrouble(f"{part} cannot be written ({(trouble.strerror or str(trouble)).lower()}); free some space, or set CTRLX_HOME") from None
    raise BadWeights(f"{address} did not arrive whole ({wrong}); the same command goes on from where it stopped")


def read_json(address: str, token: str | None = None) -> Any:
    """What a web service answers. Raises BadInput."""
    try:
        with _open(check_address(address), {}, token) as answer:
            return json.loads(answer.read(50_000_000))
    except HTTPError as refusal:
        raise BadInput(f"{address} cannot be had ({refusal.code} {refusal.reason}); {_way_out(refusal.code)}") from None
    except (URLError, HTTPException, TimeoutError, ConnectionError) as trouble:
        raise BadInput(f"{address} does not answer ({getattr(trouble, 'reason', trouble)}); try again when the network is there") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{address} answers with something other than JSON; check the address") from None


def _fetch(address: str, part: Path, on_progress: OnProgress, token: str | None) -> str:
    """One try; the name the server gives the file. `If-Range` makes a server that has another file by now send all of it."""
    mark = part.with_suffix(".etag")
    begun = part.stat().st_size if part.is_file() and mark.is_file() else 0
    headers = {"Range": f"bytes={begun}-", "If-Range": mark.read_text()} if begun else {}
    with _open(address, headers, token) as answer:
        resumed = answer.status == 206
        total = int(answer.headers.get("Content-Length") or 0) + (begun if resumed else 0)
        mark.write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
        if not mark.read_text():
            mark.unlink()  # nothing to resume by
        with part.open("ab" if resumed else "wb") as file:
            reached = begun if resumed else 0
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                reached += len(chunk)
                on_progress("downloading", reached, total)
            file.flush()
            os.fsync(file.fileno())
        if total and reached < total:
            raise ConnectionError(f"{total - reached:,} bytes are missing")
        return answer.headers.get_filename() or urlsplit(answer.url).path.rsplit("/", 1)[-1]


def _open(address: str, headers: Mapping[str, str], token: str | None):
    request = Request(address, headers={"User-Agent": "ctrlx", **headers})
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return build_opener(_OnlyHttps).open(request, timeout=PATIENCE)


def _way_out(code: int) -> str:
    if code in (401, 403):
        return "set HF_TOKEN or CIVITAI_API_TOKEN to a token that may read it"
    return "check the address" if code == 404 else "try again later"
