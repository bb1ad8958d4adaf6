"""Tasks of objects: from parameters to stores, their wrappers and lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from transferhub.engine.tuning import Tuning
from transferhub.hosts.credentials import Lent
from transferhub.hosts.limits import Limits
from transferhub.hosts.stores import describe_credentials, open_store
from transferhub.model.objects import ObjectEntry, WriteOptions
from transferhub.plugins.objects.inventory import inventory_entries, read_inventory
from transferhub.plugins.objects.key_lists import manifest_pages, read_prefixes
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.replication import (
    ObjectReplication,
    Scope,
    Writing,
    server_side,
)
from transferhub.plugins.objects.selection import Selection
from transferhub.plugins.objects.spec import ObjectsSpec, parse_spec
from transferhub.stores.adaptive import AdaptiveStore
from transferhub.stores.base import ObjectStore
from transferhub.stores.retrying import RetryingStore, RetryPolicy
from transferhub.stores.throttled import ThrottledStore, TokenBucket


class ObjectsKind:
    """A Kind."""

    def parse(self, values: Mapping[str, Any]) -> ObjectsSpec:
        return parse_spec(values)

    def tuned(self, _: ObjectsSpec, tuning: Tuning) -> Tuning:
        return tuning

    def warnings(
        self, spec: ObjectsSpec, env: Mapping[str, str], lent: Lent | None
    ) -> Sequence[str]:
        sides = (spec.source, spec.destination)
        return [said for side in sides for said in describe_credentials(side, env, lent).warnings]

    def open(
        self,
        spec: ObjectsSpec,
        tuning: Tuning,
        env: Mapping[str, str],
        *,
        limits: Limits | None = None,
        lent: Lent | None = None,
        folder: Path,
        looking: bool = False,
    ) -> ObjectReplication:
        return open_replication(spec, tuning, env, limits=limits, lent=lent, looking=looking)


def open_replication(
    spec: ObjectsSpec,
    tuning: Tuning,
    env: Mapping[str, str],
    *,
    limits: Limits | None = None,
    lent: Lent | None = None,
    looking: bool = False,
) -> ObjectReplication:
    """Opens both stores of a spec, within the limits of one process.

    Args:
        limits: of this process; by default those of `tuning`, which do not change.
        lent: by a hub; None where there is none.
        looking: nothing is to be changed.

    Raises:
        InputError: a list or a credential of the spec cannot be used.
        UnsupportedError: the two sides cannot do what the spec asks.
    """
    limits = limits or Limits(tuning)
    opened = partial(open_store, env=env, lent=lent, timeout=tuning.timeout)
    source = _wrapped(opened(spec.source), tuning, limits, bandwidth=limits.bandwidth)
    destination = _wrapped(opened(spec.destination, looking=looking), tuning, limits)
    return ObjectReplication(
        source=source,
        destination=destination,
        keys=KeyMap.of(spec),
        scope=_scope(spec, partial(open_store, env=env, lent=lent)),
        compare=spec.compare,
        writing=Writing(
            options=WriteOptions(
                acl=spec.acl,
                sse="" if spec.sse == "none" else spec.sse,
                kms_key=spec.kms_key,
            ),
            storage_class_for=spec.storage_class_for,
            keep_metadata=spec.keep_metadata,
            tags=spec.tags,
            server_side=server_side(source, destination, spec.copy_mode),
            part_size=spec.part_size,
        ),
        listers=tuning.listers,
    )


def _wrapped(
    store: ObjectStore, tuning: Tuning, limits: Limits, *, bandwidth: TokenBucket | None = None
) -> ObjectStore:
    store = AdaptiveStore(store, limits.adaptive())
    if limits.requests is not None or bandwidth is not None:
        store = ThrottledStore(store, requests=limits.requests, bandwidth=bandwidth)
    return RetryingStore(store, policy=RetryPolicy(patience=tuning.patience))


def _scope(spec: ObjectsSpec, opened: Callable[[Location], ObjectStore]) -> Scope:
    prefixes, keys, inventory = [""], None, None
    if spec.prefix_list:
        prefixes = read_prefixes(spec.prefix_list, source=spec.source)
    if spec.manifest:
        keys = partial(manifest_pages, spec.manifest, source=spec.source)
    if spec.inventory is not None:
        inventory = partial(_inventory_pages, spec, spec.inventory, opened)
    return Scope(
        prefixes=prefixes, selection=Selection.from_spec(spec), keys=keys, inventory=inventory
    )


async def _inventory_pages(
    spec: ObjectsSpec, location: Location, opened: Callable[[Location], ObjectStore]
) -> AsyncIterator[list[ObjectEntry]]:
    store = RetryingStore(opened(location))
    try:
        inventory = await read_inventory(store, spec.inventory_key, bucket=spec.source.bucket)
        async for page in inventory_entries(store, inventory, base=spec.source.prefix):
            yield page
    finally:
        await store.aclose()
