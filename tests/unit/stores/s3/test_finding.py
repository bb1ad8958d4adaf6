import asyncio

import pytest

from tests.unit.stores.s3.scripted import Answer, ScriptedTransport, error, scripted
from transferhub.errors import InputError
from transferhub.stores.base import ObjectStore
from transferhub.stores.s3 import RegionFindingStore
from transferhub.stores.s3.errors import WrongRegionError

ELSEWHERE = error("PermanentRedirect", status=301, more="<Region>ap-south-1</Region>")
SOMEWHERE = error("PermanentRedirect", status=301)
HEADED = Answer(fields={"etag": "e", "content-length": "4"})
LISTED = Answer(body=b"<ListBucketResult></ListBucketResult>")


class Opener:
    """Opens scripted stores and remembers the regions."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.regions: list[str] = []
        self.transport = ScriptedTransport([])

    def __call__(self, region: str) -> ObjectStore:
        self.regions.append(region)
        store, self.transport = scripted(*self.answers, region=region)
        return store


def finding(opener: Opener, *answers: Answer) -> tuple[RegionFindingStore, ScriptedTransport]:
    store, transport = scripted(*answers, region="us-east-1")
    return RegionFindingStore(store, opener), transport


async def test_a_bucket_is_asked_where_it_is() -> None:
    opener = Opener(LISTED, HEADED)
    store, first = finding(opener, ELSEWHERE)
    await store.check()
    await store.head("key")
    assert opener.regions == ["ap-south-1"]
    assert (len(first.requests), len(opener.transport.requests)) == (1, 2)
    assert "/ap-south-1/s3/" in opener.transport.requests[0].headers["authorization"]
    assert "ap-south-1" in store.location


async def test_requests_under_way_move_together() -> None:
    opener = Opener(*[HEADED] * 5)
    store, _first = finding(opener, *[ELSEWHERE] * 5)
    await asyncio.gather(*(store.head("key") for _ in range(5)))
    assert opener.regions == ["ap-south-1"]


async def test_a_bucket_that_is_nowhere_is_not_followed_for_ever() -> None:
    opener = Opener(ELSEWHERE, ELSEWHERE)
    store, _first = finding(opener, ELSEWHERE)
    for _ in range(2):
        with pytest.raises(WrongRegionError, match="ap-south-1"):
            await store.head("key")
    assert opener.regions == ["ap-south-1"]


async def test_a_region_that_is_not_told_cannot_be_found() -> None:
    opener = Opener()
    store, _first = finding(opener, SOMEWHERE)
    with pytest.raises(WrongRegionError):
        await store.head("key")
    assert opener.regions == []


async def test_what_is_no_name_of_a_region_is_not_followed() -> None:
    def refuse(region: str) -> ObjectStore:
        raise InputError("region", f"{region!r} is not the name of a region")

    store, _transport = scripted(ELSEWHERE)
    with pytest.raises(WrongRegionError):
        await RegionFindingStore(store, refuse).head("key")


async def test_an_object_is_read_where_it_is() -> None:
    body = Answer(body=b"body", fields={"content-length": "4", "etag": "e"})
    store, _first = finding(Opener(body), ELSEWHERE)
    async with store.get("key") as reader:
        assert await reader.read() == b"body"
    await store.aclose()
