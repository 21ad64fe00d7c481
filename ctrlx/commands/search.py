"""Controls by any word of theirs."""

from __future__ import annotations

from ctrlx.records import ListedControl
from ctrlx.store import Registry, labels


def search(words: str, *, limit: int = 50) -> list[ListedControl]:
    """Controls whose name, tags, notes, prompts, concept, trigger words or hashes hold every word, the best first. Raises BadInput."""
    with Registry.open() as registry:
        return labels.search(registry, words, limit)
