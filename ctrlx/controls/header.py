"""A safetensors file's header read without torch and without its tensors: names, shapes and places, and what else the file may be."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from ctrlx.errors import BadInput, BadWeights

LARGEST = 100_000_000  # bytes of header, as the safetensors library allows
WIDTHS = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
          "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8}  # bytes of one number
READ_AS = {"F16": "<e", "F32": "<f", "F64": "<d", "I32": "<i", "I64": "<q", "U8": "<B"}
PICKLE = "pickle"
SAFETENSORS = "safetensors"
MAGIC = (  # how a file begins that is not what it was taken for, and the way out
    (b"version https://git-lfs", "is a Git LFS pointer and not the file itself; run `git lfs pull`, or download the file"),
    (b"<!", "is a web page and not weights; the address may want a login, so download it in a browser"),
    (b"<h", "is a web page and not weights; the address may want a login, so download it in a browser"),
    (b"<H", "is a web page and not weights; the address may want a login, so download it in a browser"),
    (b"<?", "is a web page and not weights; the address may want a login, so download it in a browser"),
    (b"{", "is JSON text and not weights; give the weight file itself"),
    (b"GGUF", "is a GGUF model; ctrlx reads safetensors and pickles of tensors"),
    (b"\x1f\x8b", "is a compressed archive; unpack it and give the weight file"),
    (b"Rar!", "is a compressed archive; unpack it and give the weight file"),
    (b"7z\xbc\xaf", "is a compressed archive; unpack it and give the weight file"),
)


class Entry(NamedTuple):
    """One tensor: its type, shape and place, in bytes from where the tensors begin."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class Header(NamedTuple):
    """What a safetensors file says of itself."""

    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]
    data: int  # where the tensors begin, in bytes

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: entry.shape for name, entry in self.entries.items()}


def container(path: Path) -> str:
    """SAFETENSORS or PICKLE, by how the file begins and not by its name.

    Raises BadInput where it cannot be opened, BadWeights where it is neither, saying what it is.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(32)
    except OSError as wrong:
        raise BadInput(f"{path} cannot be read ({(wrong.strerror or str(wrong)).lower()}); give the path of a weight file") from None
    if not start:
        raise BadWeights(f"{path} is empty; fetch it again")
    length = struct.unpack("<Q", start[:8])[0] if len(start) > 8 else 0
    if start[8:9] == b"{" and length <= max(size, LARGEST):
        return SAFETENSORS
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return PICKLE
    for magic, what in MAGIC:
        if start.lstrip().startswith(magic):
            raise BadWeights(f"{path} {what}")
    return SAFETENSORS  # read_header says what is wrong with it


def read_header(path: Path) -> Header:
    """The header of a safetensors file, every entry checked against the size of the file. Raises BadWeights."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if length > LARGEST:
            raise _broken(path, f"its header would be {length:,} bytes long")
        if not 2 <= length <= size - 8:
            raise _broken(path, "it ends inside its header")
        text = file.read(length)
    try:
        table = json.loads(text.decode("utf-8"))
        metadata = table.pop("__metadata__", None) or {}
        entries = {str(name): _entry(value) for name, value in table.items()}
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _broken(path, "its header cannot be understood") from None
    _check(path, entries, size - 8 - length)
    told = {str(name): str(value) for name, value in metadata.items()} if isinstance(metadata, dict) else {}
    return Header(entries, told, 8 + length)


def scalars(path: Path, header: Header, names: Iterable[str]) -> dict[str, float]:
    """Those of the tensors `names` that hold one number, as numbers."""
    found = {}
    with path.open("rb") as file:
        for name in names:
            entry = header.entries[name]
            if prod(entry.shape) == 1:
                file.seek(header.data + entry.start)
                found[name] = _number(entry.dtype, file.read(entry.end - entry.start))
    return found


def _entry(value: Any) -> Entry:
    start, end = value["data_offsets"]
    shape = tuple(value["shape"])
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise ValueError(value)
    return Entry(str(value["dtype"]), shape, start, end)


def _check(path: Path, entries: Mapping[str, Entry], size: int) -> None:
    """Every tensor fills its place, and the places fill the file, which has `size` bytes of tensors."""
    reached = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        width = WIDTHS.get(entry.dtype)
        if width is not None and prod(entry.shape) * width != entry.end - entry.start:
            raise _broken(path, f"'{name[:80]}' does not fill its place")
        if entry.start != reached or entry.end < entry.start:
            raise _broken(path, f"'{name[:80]}' lies where another tensor does, or leaves a gap")
        reached = entry.end
    if reached > size:
        raise _broken(path, f"{reached - size:,} bytes are missing at its end")
    if reached < size:
        raise _broken(path, f"{size - reached:,} bytes at its end belong to nothing")


def _number(dtype: str, content: bytes) -> float:
    if dtype == "BF16":
        return float(struct.unpack("<f", b"\0\0" + content)[0])
    return float(struct.unpack(READ_AS[dtype], content)[0]) if dtype in READ_AS else float("nan")


def _broken(path: Path, why: str) -> BadWeights:
    return BadWeights(f"{path} cannot be read as safetensors; it may be truncated or corrupt, so fetch it again ({why})")
