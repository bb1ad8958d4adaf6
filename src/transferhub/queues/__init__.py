"""Queues in which others tell of changes."""
