"""What a registry lets us read: Docker Hub counts manifests, and gives so many in six hours."""

from __future__ import annotations

from datetime import timedelta

from transferhub.errors import ThrottledError
from transferhub.registries.base import Registry

_RETRY_AFTER = timedelta(hours=1)


async def check_pulls(registry: Registry, repository: str, digest: str) -> None:
    """Returns where a manifest may be read now.

    Raises:
        ThrottledError: none is left. To ask all the same would be refused, and may be held against
            whoever asks.
    """
    if registry.pulls_left != 0:
        return
    await registry.head(repository, digest)  # free, and tells what is left by now
    if registry.pulls_left != 0:
        return
    error = ThrottledError(
        f"Reading the manifest of {repository}@{digest} at {registry.host} has to wait: none is"
        " left of what the registry lets this login, or this address, read in some hours; go on"
        " later, or log in for more.",
    )
    error.retry_after = _RETRY_AFTER
    raise error
