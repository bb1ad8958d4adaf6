"""What the suite of the ObjectStore port knows of the store under test, and how it talks to it."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import md5
from typing import ClassVar

import pytest

from transferhub.errors import NotFoundError, UnsupportedError
from transferhub.model.objects import Attributes, ObjectEntry, UploadedPart, WriteOptions, Written
from transferhub.stores.base import DELETE_BATCH, MIN_PART_BYTES, ObjectStore

NO_ATTRIBUTES = Attributes()
NO_OPTIONS = WriteOptions()


class StoreFacts:
    """Facts that a subclass declares where its store differs from Amazon S3.

    Attributes:
        part_bytes: size of every part but the last.
        holds_folder_keys: `a` and `a/b` can stand side by side.
        refuses_folder_keys: where they cannot, the second is refused as a bad key. False: the
            server answers what it likes, and is not asked.
        one_key_many_writers: several may put one key at once. False: the server breaks at it.
        tells_part_sizes: of objects that were uploaded in several parts.
        lists_current_parts: a part that was replaced is not listed any more.
        checksum_of_put: the algorithm that `head(checksums=True)` tells of every object, or "".
        peer_faults: tests that the server behind the adapter fails, by name with or without the
            parameter, and its fault. They run all the same: a fault that is mended is noticed.
    """

    part_bytes: ClassVar[int] = MIN_PART_BYTES
    holds_folder_keys: ClassVar[bool] = True
    refuses_folder_keys: ClassVar[bool] = True
    one_key_many_writers: ClassVar[bool] = True
    tells_part_sizes: ClassVar[bool] = True
    lists_current_parts: ClassVar[bool] = True
    checksum_of_put: ClassVar[str] = ""
    peer_faults: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _expect_peer_faults(self, request: pytest.FixtureRequest) -> None:
        node = request.node
        fault = self.peer_faults.get(node.name) or self.peer_faults.get(node.originalname)
        if fault:
            request.applymarker(pytest.mark.xfail(reason=fault, strict=True))

    def refuses(self, key: str) -> bool:
        """The keys that the store cannot hold; each must be refused, and no other."""
        return False

    def peer_mangles(self, key: str) -> bool:
        """The keys that the server behind the adapter takes and changes: faults of the peer, which
        the adapter cannot know. They are not tried."""
        return False

    in_byte_order = True
    """Listings come in the byte order of keys."""

    def storable(self, keys: Iterable[str]) -> list[str]:
        """Of `keys`, those that the store can hold together."""
        kept: list[str] = []
        for key in dict.fromkeys(keys):
            if self.refuses(key) or self.peer_mangles(key):
                continue
            if self.holds_folder_keys or not any(_nested(key, other) for other in kept):
                kept.append(key)
        return kept


def _nested(one: str, other: str) -> bool:
    return one.startswith(f"{other}/") or other.startswith(f"{one}/")


def digest(body: bytes) -> bytes:
    return md5(body, usedforsecurity=False).digest()


async def put(
    store: ObjectStore,
    key: str,
    body: bytes = b"body",
    *,
    attributes: Attributes = NO_ATTRIBUTES,
    options: WriteOptions = NO_OPTIONS,
) -> Written:
    return await store.put(key, body, attributes=attributes, options=options, md5=digest(body))


async def get(
    store: ObjectStore, key: str, *, offset: int = 0, length: int | None = None, if_match: str = ""
) -> bytes:
    async with store.get(key, offset=offset, length=length, if_match=if_match) as reader:
        body = await reader.read()
        assert reader.length == len(body)
        return body


async def entries(
    store: ObjectStore, prefix: str = "", *, start_after: str = "", limit: int = 1_000
) -> list[ObjectEntry]:
    """Every entry of every page."""
    found: list[ObjectEntry] = []
    token = ""
    while True:
        page = await store.list(prefix, start_after=start_after, token=token, limit=limit)
        assert len(page.entries) <= limit
        found += page.entries
        if not page.next_token:
            return found
        assert page.next_token != token
        token = page.next_token


async def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [entry.key for entry in await entries(store, prefix)]


async def contents(store: ObjectStore) -> dict[str, bytes]:
    return {key: await get(store, key) for key in await keys(store)}


async def clear(store: ObjectStore) -> None:
    found = await keys(store)
    for start in range(0, len(found), DELETE_BATCH):
        assert await store.delete(found[start : start + DELETE_BATCH]) == {}


async def start(
    store: ObjectStore,
    key: str,
    *,
    attributes: Attributes = NO_ATTRIBUTES,
    options: WriteOptions = NO_OPTIONS,
) -> str:
    begun = await store.create_upload(key, attributes=attributes, options=options)
    return begun.upload_id


async def part(
    store: ObjectStore, key: str, upload_id: str, number: int, body: bytes
) -> UploadedPart:
    return await store.upload_part(key, upload_id, number, body, md5=digest(body))


async def refused(store: ObjectStore, key: str) -> bool:
    """Whether the store refuses to write `key`, by the only error that may say so."""
    try:
        await put(store, key)
    except UnsupportedError as error:
        if error.code != "bad_key":
            raise
        return True
    return False


async def is_missing(store: ObjectStore, key: str) -> bool:
    with suppress(NotFoundError, UnsupportedError):
        await store.head(key)
        return False
    return True


def kept(given: Attributes, found: Attributes) -> Mapping[str, bool]:
    """By field, whether `found` holds what was `given`."""
    return {
        name: getattr(given, name) == getattr(found, name)
        for name in Attributes.__dataclass_fields__
    }
