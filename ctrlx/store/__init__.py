"""The user's registry: SQLite and content-addressed weight files; no torch."""

from ctrlx.store.registry import Registry

__all__ = ["Registry"]
