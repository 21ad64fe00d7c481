"""Use cases: names in, a record out; one file a verb."""
