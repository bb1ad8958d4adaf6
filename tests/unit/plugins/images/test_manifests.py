"""Manifests are read once, as long as they are kept."""

import asyncio
from collections import Counter

import pytest

from tests.servers import oci_images as oci
from transferhub.errors import NotFoundError
from transferhub.plugins.images.manifests import Manifests
from transferhub.registries.manifest import Manifest, manifest_of


class Source:
    """The verbs that are asked."""

    pulls_left = None

    def __init__(self, *made: oci.Manifest) -> None:
        self.held = {below.digest: below for one in made for below in one.tree}
        self.asked: Counter[str] = Counter()

    async def manifest(self, _: str, reference: str) -> Manifest:
        self.asked[reference] += 1
        await asyncio.sleep(0)
        if reference not in self.held:
            raise NotFoundError("there is no such image")
        return manifest_of(self.held[reference].content)


def digests(manifests: list[Manifest]) -> list[str]:
    return [one.digest for one in manifests]


async def test_a_tree_is_read_once_and_its_inner_ones_come_first() -> None:
    made = oci.nested_index("tree")
    source, manifests = Source(made), Manifests()
    trees = await asyncio.gather(
        *(manifests.tree(source, "app", made.digest) for _ in range(3))  # type: ignore[arg-type]
    )
    (first, *_) = map(digests, trees)
    assert all(digests(tree) == first for tree in trees)
    assert first == [below.digest for below in made.tree] == manifests.closure(made.digest)
    assert set(source.asked.values()) == {1}


async def test_a_manifest_that_two_name_comes_once() -> None:
    inner = oci.image("inner")
    made = oci.index([inner, oci.index([inner])])
    tree = await Manifests().tree(Source(made), "app", made.digest)  # type: ignore[arg-type]
    assert len(tree) == 3


async def test_what_they_name_outlives_their_bytes() -> None:
    made = [oci.image(f"{number}") for number in range(3)]
    source, manifests = Source(*made), Manifests(most_bytes=len(made[0].content) * 2)
    for one in made:
        await manifests.get(source, "app", one.digest)  # type: ignore[arg-type]
    assert [manifests.kept(one.digest) is None for one in made] == [True, False, False]
    assert manifests.contents.keys() == {one.digest for one in made}


async def test_what_could_not_be_read_is_asked_for_again() -> None:
    made, manifests = oci.image("later"), Manifests()
    source = Source()
    with pytest.raises(NotFoundError):
        await manifests.get(source, "app", made.digest)  # type: ignore[arg-type]
    source.held[made.digest] = made
    found = await manifests.get(source, "app", made.digest)  # type: ignore[arg-type]
    assert found.content == made.content
