"""Targets: from a recipe in a family file to a model that runs."""
