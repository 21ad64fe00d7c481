"""Figures read from pictures."""
