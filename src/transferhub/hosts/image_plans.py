"""What a run of images would do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transferhub.engine.tuning import Tuning
from transferhub.hosts.credentials import Lent
from transferhub.hosts.images import ImagesKind
from transferhub.plugins.images.plan import Plan
from transferhub.plugins.images.spec import ImagesSpec


async def plan_images(
    spec: ImagesSpec,
    tuning: Tuning,
    env: Mapping[str, str],
    *,
    lent: Lent | None = None,
    folder: Path,
) -> Plan:
    """Lists both sides and changes nothing.

    Args:
        lent: by a hub; None where there is none.
        folder: of the state.

    Raises:
        InputError: a list, a credential or a variable cannot be used.
        StoreError: a registry cannot be reached or listed.
    """
    spec.check_lists()
    kind = ImagesKind()
    replication = kind.open(
        spec, kind.tuned(spec, tuning), env, lent=lent, folder=folder, looking=True
    )
    try:
        await replication.check()
        return await replication.survey()
    finally:
        await replication.aclose()
