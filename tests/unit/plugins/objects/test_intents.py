"""Uploads that a crash left before their ids were told."""

from datetime import UTC, datetime, timedelta

import pytest

from transferhub.engine.compare import CompareMode
from transferhub.engine.merge import Everything
from transferhub.model.clock import utc_now
from transferhub.model.objects import Attributes, WriteOptions
from transferhub.model.transfer import Upload
from transferhub.plugins.objects.keymap import KeyMap
from transferhub.plugins.objects.replication import ObjectReplication, Scope, Writing
from transferhub.stores.memory import MemoryStore


class DatedStore(MemoryStore):
    """A store on a server whose clock goes `ahead`, and that tells it as S3 does."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self._ahead = ahead
        super().__init__(clock=lambda: utc_now() + ahead)

    @property
    def server_time(self) -> datetime | None:
        return datetime.now(UTC) + self._ahead


async def uploads_left(destination: MemoryStore, intended_ago: timedelta, key: str) -> int:
    """How many open uploads of `key` stay when an intent of "object" is given up."""
    await destination.create_upload(key, attributes=Attributes(), options=WriteOptions())
    replication = ObjectReplication(
        source=MemoryStore(),
        destination=destination,
        keys=KeyMap(source_base="", destination_base=""),
        scope=Scope(prefixes=[""], selection=Everything()),
        compare=CompareMode.SIZE,
        writing=Writing(options=WriteOptions(), storage_class_for=lambda _: ""),
        listers=1,
    )
    await replication.abort(Upload("object", "", utc_now() - intended_ago))
    return len(await destination.list_uploads(key))


async def test_an_upload_that_was_created_after_its_intent_is_given_up() -> None:
    assert await uploads_left(MemoryStore(), timedelta(seconds=2), "object") == 0


async def test_an_upload_may_have_waited_for_its_turn() -> None:
    assert await uploads_left(MemoryStore(), timedelta(minutes=5), "object") == 0


@pytest.mark.parametrize("ahead", [timedelta(minutes=14), timedelta(minutes=-14)])
async def test_the_server_s_clock_may_be_off_as_far_as_s3_bears_it(ahead: timedelta) -> None:
    assert await uploads_left(DatedStore(ahead), timedelta(seconds=2), "object") == 0


@pytest.mark.parametrize(
    "intended_ago", [timedelta(hours=1), timedelta(minutes=-5)], ids=["long-before", "after"]
)
async def test_an_upload_of_another_time_is_someone_else_s(intended_ago: timedelta) -> None:
    assert await uploads_left(MemoryStore(), intended_ago, "object") == 1


async def test_an_upload_of_a_key_that_only_starts_alike_is_someone_else_s() -> None:
    assert await uploads_left(MemoryStore(), timedelta(seconds=2), "object-2") == 1
