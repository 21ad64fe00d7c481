"""Grids and tables for people."""
