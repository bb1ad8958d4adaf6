"""Who knows where a blob is, and who carries it."""

import asyncio
from collections import Counter

from transferhub.plugins.images.blobs import Blobs


class Sizes:
    """The one verb that is asked."""

    def __init__(self, **there: int) -> None:
        self.there = there
        self.asked: Counter[str] = Counter()

    async def blob_size(self, repository: str, digest: str) -> int | None:
        self.asked[f"{repository} {digest}"] += 1
        return self.there.get(f"{repository}_{digest}")


def blobs(sizes: Sizes) -> Blobs:
    return Blobs(sizes)  # type: ignore[arg-type]


async def test_a_registry_is_asked_once_for_a_blob() -> None:
    sizes = Sizes(a_x=3)
    known = blobs(sizes)
    assert [await known.has("a", "x"), await known.has("a", "x")] == [True, True]
    assert [await known.has("b", "x"), await known.has("b", "x")] == [False, False]
    assert set(sizes.asked.values()) == {1}
    assert known.holder("x") == "a"


async def test_an_empty_repository_is_not_asked() -> None:
    sizes = Sizes()
    known = blobs(sizes)
    known.add_empty("a")
    assert not await known.has("a", "x")
    known.add("a", "x")
    assert await known.has("a", "x")
    assert not sizes.asked


async def test_what_proved_wrong_is_asked_anew() -> None:
    sizes = Sizes()
    known = blobs(sizes)
    known.add("a", "x")
    known.add_empty("a")
    known.forget("a")
    assert known.holder("x") is None
    assert not await known.has("a", "x")
    assert sizes.asked == {"a x": 1}


async def test_claims_end_however_the_work_does() -> None:
    known = blobs(Sizes())

    async def fail() -> None:
        with known.claimed(["x", "y"]):
            await asyncio.sleep(0)
            raise RuntimeError

    failing = asyncio.create_task(fail())
    await asyncio.sleep(0)
    assert known.is_claimed("x")
    await asyncio.wait_for(known.settled(["x", "y", "z"]), 1)
    assert not known.is_claimed("x")
    assert isinstance((await asyncio.gather(failing, return_exceptions=True))[0], RuntimeError)
