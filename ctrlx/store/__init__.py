"""The user's registry: SQLite and content-addressed weight files; no torch."""
