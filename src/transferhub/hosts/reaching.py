"""What the settings let tasks reach from this machine."""

from __future__ import annotations

from pathlib import Path

from transferhub.control.reach import ReachRules
from transferhub.hosts.hub_settings import ALL, ENVIRONMENT, HubSettings


def reach_rules(settings: HubSettings) -> ReachRules:
    powers = settings.local_powers
    return ReachRules(
        everything=ALL in powers,
        folders=tuple(Path(power) for power in powers if power.startswith("/")),
        environment=ENVIRONMENT in powers,
        metadata=settings.allow_metadata_endpoints,
    )
