"""A hub elsewhere, over GraphQL."""

from transferhub.hosts.remote.hub import RemoteHub

__all__ = ["RemoteHub"]
