"""Images that share blobs are filled in at once, whatever fails."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from transferhub.errors import StoreError, TransientError
from transferhub.plugins.images.blobs import Blobs
from transferhub.plugins.images.filler import LIGHT_BYTES, Filler, Heavy
from transferhub.plugins.images.load import Load
from transferhub.plugins.images.moved import Moved
from transferhub.plugins.images.sides import OpenRegistry
from transferhub.registries import Digest, Manifest, RegistryConfig, manifest_of, read_contents
from transferhub.registries.manifest import OCI_MANIFEST, digest_of
from transferhub.registries.skopeo import Carriage, Carried, Skopeo

CONFIG = RegistryConfig(host="there.test", patience=timedelta(0))
REPOSITORIES = ["a", "b", "c"]


class World:
    """A source that has everything, a destination that has nothing, and a skopeo between them.

    Attributes:
        faults: share of the uploads and programs that fail.
        lends: the destination mounts.
    """

    def __init__(self, seed: int, *, faults: float = 0.0, lends: bool = True) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.lends = lends
        self.there: set[tuple[str, str]] = set()
        self.uploads: Counter[str] = Counter()
        self.programs = 0

    host = "there.test"

    async def login(self) -> None:
        return None

    async def _turn(self) -> None:
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)

    async def _may_fail(self) -> None:
        await self._turn()
        if self.random.random() < self.faults:
            raise TransientError("it failed")

    async def blob_size(self, repository: str, digest: str) -> int | None:
        await self._turn()
        return 1 if (repository, digest) in self.there else None

    async def mount(self, repository: str, digest: str, *, source: str) -> bool:
        await self._turn()
        assert (source, digest) in self.there
        if self.lends:
            self.there.add((repository, digest))
        return self.lends

    async def put_blob(self, repository: str, content: bytes) -> Digest:
        digest = digest_of(content)
        assert not self.lends or not any(d == digest for _, d in self.there)
        await self._may_fail()
        self.uploads[digest] += 1
        self.there.add((repository, digest))
        return digest

    async def copy(self, carriage: Carriage, *, time_limit: timedelta) -> Carried:
        self.programs += 1
        await self._may_fail()
        manifest = self.made[carriage.digest]
        repository = carriage.destination.repository
        blobs = {blob.digest for blob in read_contents(manifest).blobs}
        fresh = {digest for digest in blobs if (repository, digest) not in self.there}
        self.uploads.update(fresh)
        self.there |= {(repository, digest) for digest in fresh}
        return Carried(
            digest=carriage.digest,
            uploaded=frozenset(fresh),
            mounted=frozenset(),
            present=frozenset(blobs - fresh),
        )

    def image(self, blobs: dict[bytes, int]) -> Manifest:
        """An image with blobs of these bytes, which claims that they have these sizes."""
        rows = ",".join(
            f'{{"mediaType":"x","digest":"{digest_of(content)}","size":{size}}}'
            for content, size in blobs.items()
        )
        config = f'{{"mediaType":"c","digest":"{digest_of(b"config")}","size":6}}'
        text = f'{{"schemaVersion":2,"config":{config},"layers":[{rows}]}}'
        made = manifest_of(text.encode(), OCI_MANIFEST)
        self.made[made.digest] = made
        return made

    made: dict[str, Manifest]


class Source:
    """Has every blob."""

    host = "here.test"

    def __init__(self, contents: list[bytes]) -> None:
        held = [*contents, b"config"]
        self._contents: dict[str, bytes] = {digest_of(content): content for content in held}

    async def login(self) -> None:
        return None

    @asynccontextmanager
    async def blob(self, _: str, digest: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async def pieces() -> AsyncIterator[bytes]:
            await asyncio.sleep(0)
            yield self._contents[digest]

        yield pieces()


def opened(registry: object) -> OpenRegistry:
    return OpenRegistry(
        registry=registry,  # type: ignore[arg-type]
        repositories=registry,  # type: ignore[arg-type]
        config=CONFIG,
    )


async def fill_all(world: World, images: int, *, heavy: float) -> Moved:
    """Fills random images with blobs of one small stock, each until it succeeds."""
    stock = {f"blob {n}".encode(): 10 for n in range(12)}
    for content in stock:
        if world.random.random() < heavy:
            stock[content] = LIGHT_BYTES + 1
    world.made = {}
    source = opened(Source([*stock]))

    async def skopeo() -> Skopeo:
        return world  # type: ignore[return-value]

    carries = Heavy(skopeo=skopeo, most=3, time_limit=timedelta(minutes=1))
    filler = Filler(opened(world), Blobs(world), carries)  # type: ignore[arg-type]

    async def fill() -> Moved:
        chosen = world.random.sample([*stock], world.random.randrange(1, 6))
        manifest = world.image({content: stock[content] for content in chosen})
        load = Load(
            source=source,
            repository="from",
            goes_to=world.random.choice(REPOSITORIES),
            digest=manifest.digest,
            reference=manifest.digest,
        )
        while True:
            try:
                moved = await filler.fill(load, manifest)
            except StoreError:
                continue
            needed = {blob.digest for blob in read_contents(manifest).blobs}
            assert all((load.goes_to, digest) in world.there for digest in needed)
            assert moved.sent + moved.mounted + moved.present == len(needed)
            return moved

    return sum(await asyncio.gather(*(fill() for _ in range(images))), Moved())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("faults", [0.0, 0.3])
async def test_no_blob_is_uploaded_twice_and_nobody_waits_for_ever(
    seed: int, faults: float
) -> None:
    world = World(seed, faults=faults)
    async with asyncio.timeout(10):
        moved = await fill_all(world, 40, heavy=0.25)
    assert set(world.uploads.values()) == {1}
    if not faults:
        assert moved.sent == sum(world.uploads.values())


@pytest.mark.parametrize("seed", range(10))
async def test_where_nothing_is_mounted_each_repository_gets_a_blob_once(seed: int) -> None:
    world = World(seed, lends=False)
    async with asyncio.timeout(10):
        await fill_all(world, 40, heavy=0.25)
    assert max(world.uploads.values()) <= len(REPOSITORIES)


async def test_light_images_need_no_program() -> None:
    world = World(1)
    moved = await fill_all(world, 20, heavy=0.0)
    assert (world.programs, moved.sent) == (0, sum(world.uploads.values()))


async def test_who_waits_for_a_blob_does_not_look_for_it_again_and_again() -> None:
    """Where nothing is mounted, a repository that has a blob is of no use to others."""

    class Patient(Blobs):
        looks = 0

        async def has(self, repository: str, digest: str) -> bool:
            self.looks += 1
            return await super().has(repository, digest)

    class Slow(World):
        async def _turn(self) -> None:
            for _ in range(200):
                await asyncio.sleep(0)

    world = Slow(1, lends=False)
    world.made = {}
    manifest = world.image({b"shared": 10})
    blobs = Patient(world)  # type: ignore[arg-type]
    for one in read_contents(manifest).blobs:
        world.there.add(("lender", one.digest))
        blobs.add("lender", one.digest)

    async def skopeo() -> Skopeo:
        raise AssertionError("it is light")

    heavy = Heavy(skopeo=skopeo, most=1, time_limit=timedelta(minutes=1))
    filler = Filler(opened(world), blobs, heavy)
    load = Load(
        source=opened(Source([b"shared"])),
        repository="from",
        goes_to="to",
        digest=manifest.digest,
        reference=manifest.digest,
    )
    first = asyncio.create_task(filler.fill(load, manifest))
    while not blobs.is_claimed(digest_of(b"shared")):  # noqa: ASYNC110 - its own turns
        await asyncio.sleep(0)
    await filler.fill(load, manifest)
    await first
    assert blobs.looks < 20
    assert set(world.uploads.values()) == {1}
