"""Composition roots: they read settings and choose implementations."""
