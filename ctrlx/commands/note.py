"""Notes on a control."""

from __future__ import annotations

from ctrlx.records import Control
from ctrlx.store import Registry, labels


def note(name: str, text: str) -> Control:
    """The control called `name` with `text` for its notes; no text takes them away. Raises NotKnown."""
    with Registry.open() as registry:
        return labels.set_notes(registry, name, text)
