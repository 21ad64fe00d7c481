"""The hashes that other programs know a weight file by."""

from __future__ import annotations

import struct
from hashlib import sha256
from pathlib import Path

CHUNK = 1 << 20  # bytes


def hashes(path: Path) -> dict[str, str]:
    """sha256 of the file, AutoV2 (its first ten digits) and, for safetensors, AutoV3: the first twelve of the tensors' alone."""
    whole, tensors = sha256(), sha256()
    with path.open("rb") as file:
        start = file.read(8)
        data = 8 + struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        file.seek(0)
        reached = 0
        while chunk := file.read(CHUNK):
            whole.update(chunk)
            if 0 < data < reached + len(chunk):
                tensors.update(memoryview(chunk)[max(0, data - reached):])
            reached += len(chunk)
    digest = whole.hexdigest()
    found = {"sha256": digest, "autov2": digest[:10]}
    if 0 < data < reached:
        found["autov3"] = tensors.hexdigest()[:12]
    return found
