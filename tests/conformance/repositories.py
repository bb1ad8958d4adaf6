"""What every adapter of the Repositories port must do, on whatever stands behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from uuid import uuid4

import pytest

from tests.servers import oci_images as oci
from tests.servers.pusher import Pusher
from transferhub.errors import NotFoundError, UnsupportedError
from transferhub.registries import MOVABLE, Digest, ListedImage, Repositories


def everything(_tag: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One registry: the port to it, and a plain client that puts things there.

    Attributes:
        creates: the first push into a repository does.
        tells_untagged: images without tags are listed, too.
        deletes_tags: a tag can be taken from an image that has others.
        tells_times: of pushes.
    """

    repositories: Repositories
    pusher: Pusher
    creates: bool = False
    tells_untagged: bool = True
    deletes_tags: bool = True
    tells_times: bool = True

    async def push(self, image: oci.Manifest, *tags: str, name: str = "") -> str:
        """The name of the repository, a new one where none is given."""
        name = name or new_name()
        await self.repositories.create(name)
        self.pusher.push(image, name, *tags)
        return name

    async def images(
        self, name: str, wanted: Callable[[str], bool] = everything
    ) -> list[ListedImage]:
        return [image async for image in self.repositories.images(name, wanted=wanted)]

    async def tags(
        self, name: str, wanted: Callable[[str], bool] = everything
    ) -> dict[str, Digest]:
        listed = await self.images(name, wanted)
        found = [(tag, image.digest) for image in listed for tag in image.tags]
        assert len(dict(found)) == len(found)
        return dict(found)


def new_name() -> str:
    return f"t{uuid4().hex[:12]}/web"


class RepositoriesSuite:
    """Attributes:
    peer_faults: tests that the server behind the adapter fails, and its fault. They run all the
        same: a fault that is mended is noticed.
    """

    peer_faults: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _expect_peer_faults(self, request: pytest.FixtureRequest) -> None:
        if fault := self.peer_faults.get(request.node.name):
            request.applymarker(pytest.mark.xfail(reason=fault, strict=True))

    async def test_a_repository_that_was_pushed_to_is_named_once(self, place: Place) -> None:
        name = await place.push(oci.image("a"), "1")
        names = [one async for one in place.repositories.names()]
        assert names.count(name) == 1

    async def test_there_is_a_rule_only_where_images_can_be_put(self, place: Place) -> None:
        name = new_name()
        assert await place.repositories.rule(name) == (MOVABLE if place.creates else None)
        await place.repositories.create(name)
        assert await place.repositories.rule(name) == MOVABLE

    async def test_creating_again_changes_nothing(self, place: Place) -> None:
        image = oci.image("a")
        name = await place.push(image, "1")
        await place.repositories.create(name)
        assert await place.tags(name) == {"1": image.digest}

    async def test_every_tag_is_listed_with_its_image(self, place: Place) -> None:
        one, many = oci.image("a"), oci.multi_platform("b")
        name = await place.push(one, "1", "1.0")
        await place.push(many, "2", name=name)
        assert await place.tags(name) == {"1": one.digest, "1.0": one.digest, "2": many.digest}
        kinds = {image.digest: image.media_type for image in await place.images(name) if image.tags}
        assert kinds == {one.digest: one.media_type, many.digest: many.media_type}

    async def test_a_tag_that_was_moved_is_at_its_new_image_alone(self, place: Place) -> None:
        old, new = oci.image("a"), oci.image("b")
        name = await place.push(old, "latest", "1")
        await place.push(new, "latest", "2", name=name)
        assert await place.tags(name) == {"latest": new.digest, "1": old.digest, "2": new.digest}

    async def test_only_wanted_tags_are_listed(self, place: Place) -> None:
        image, other = oci.image("a"), oci.image("b")
        name = await place.push(image, "1", "1-debug")
        await place.push(other, "2-debug", name=name)
        listed = await place.images(name, lambda tag: not tag.endswith("-debug"))
        assert [(found.digest, found.tags) for found in listed] == [(image.digest, ("1",))]

    async def test_images_without_tags_are_listed_as_far_as_the_registry_does(
        self, place: Place
    ) -> None:
        many = oci.multi_platform("a")
        name = await place.push(many, "1")
        untagged = {image.digest for image in await place.images(name) if not image.tags}
        children = {child.digest for child in many.children}
        assert untagged == (children if place.tells_untagged else set())

    async def test_times_of_pushes_are_aware(self, place: Place) -> None:
        name = await place.push(oci.image("a"), "1")
        (image,) = await place.images(name)
        assert (image.pushed_at is not None) is place.tells_times
        assert image.pushed_at is None or image.pushed_at.tzinfo is not None

    async def test_an_unknown_repository_holds_nothing(self, place: Place) -> None:
        assert await place.images(new_name()) == []

    async def test_an_empty_repository_holds_nothing(self, place: Place) -> None:
        name = new_name()
        await place.repositories.create(name)
        assert await place.images(name) == []

    async def test_the_last_tag_takes_its_image_along(self, place: Place) -> None:
        kept, gone = oci.image("a"), oci.image("b")
        name = await place.push(kept, "1")
        await place.push(gone, "2", name=name)
        await place.repositories.delete(name, "2", Digest(gone.digest), shared=False)
        assert await place.tags(name) == {"1": kept.digest}
        assert place.pusher.manifest(name, gone.digest) is None

    async def test_a_tag_goes_alone_where_others_stay(self, place: Place) -> None:
        image = oci.image("a")
        name = await place.push(image, "1", "1.0")
        deleting = place.repositories.delete(name, "1", Digest(image.digest), shared=True)
        if place.deletes_tags:
            await deleting
            assert await place.tags(name) == {"1.0": image.digest}
            return
        with pytest.raises(UnsupportedError) as caught:
            await deleting
        assert f"{name}:1" in caught.value.message
        assert await place.tags(name) == {"1": image.digest, "1.0": image.digest}

    async def test_what_is_not_there_cannot_be_deleted(self, place: Place) -> None:
        name = await place.push(oci.image("a"), "1")
        gone = Digest(oci.image("b").digest)
        for repository in (name, new_name()):
            with pytest.raises(NotFoundError):
                await place.repositories.delete(repository, "2", gone, shared=False)
