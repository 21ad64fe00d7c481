"""Weight files, named by their content: <home>/weights/ab/<sha256>.safetensors."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ctrlx.errors import BadInput, BadWeights, MissingWeights
from ctrlx.store.database import told

CHUNK = 1 << 20  # bytes


def place_of(home: Path, sha256: str) -> Path:
    """Where the file with this content lies, or would lie."""
    return home / "weights" / sha256[:2] / f"{sha256}.safetensors"


def put(home: Path, source: Path | bytes) -> tuple[str, int]:
    """Keep a copy of `source` under its own hash; (sha256, bytes). A copy that is there already, and whole, is left alone.

    A kill at any moment leaves either no file of that name or the whole file.
    """
    with _opened(source) as stream:
        sha256, size = _digest(stream)
        place = place_of(home, sha256)
        with told(home):
            if not (place.is_file() and digest(place) == (sha256, size)):
                stream.seek(0)
                _write(stream, place)
    return sha256, size


def check(path: Path, name: str, size: int) -> Path:
    """`path`, when a file of `size` bytes lies there; `name` is the control it belongs to."""
    try:
        found = path.stat().st_size
    except OSError:
        raise MissingWeights(f"the weights of '{name}' are gone from {path}; bring the file back, or `ctrlx rm {name}`") from None
    if found != size:
        raise BadWeights(f"the weights of '{name}' at {path} have {found:,} bytes, not {size:,}; bring the file back, or `ctrlx rm {name}`")
    return path


def verify(path: Path, name: str, sha256: str) -> Path:
    """`path`, when its content has this hash."""
    with told(path):
        found, _ = digest(path)
    if found != sha256:
        raise BadWeights(
            f"the weights of '{name}' at {path} have been altered (sha256 {found[:12]}…, not {sha256[:12]}…); "
            f"bring the file back, or `ctrlx rm {name}`"
        )
    return path


def digest(path: Path) -> tuple[str, int]:
    """(sha256, bytes) of a file."""
    with path.open("rb") as stream:
        return _digest(stream)


def sha256_of(data: bytes) -> str:
    """sha256 of bytes."""
    return _digest(io.BytesIO(data))[0]


def write_bytes(data: bytes, place: Path) -> None:
    """The file `place`, whole or not there at all."""
    _write(io.BytesIO(data), place)


def _digest(stream: BinaryIO) -> tuple[str, int]:
    from hashlib import sha256

    sha, size = sha256(), 0
    while chunk := stream.read(CHUNK):
        sha.update(chunk)
        size += len(chunk)
    return sha.hexdigest(), size


@contextmanager
def _opened(source: Path | bytes) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        stream = source.open("rb")
    except OSError as wrong:
        raise BadInput(f"{source} cannot be read ({(wrong.strerror or str(wrong)).lower()}); give the path of a weight file") from wrong
    with stream:
        yield stream


def _write(stream: BinaryIO, place: Path) -> None:
    """Write to a temporary file beside `place`, flush it to the disk, rename it, flush the folder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.stem}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as out:
            while chunk := stream.read(CHUNK):
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(place.parent)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
