"""Looks at both sides of a task, and makes the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from transferhub.engine.groups import each
from transferhub.errors import StoreError
from transferhub.plugins.images.blobs import Blobs
from transferhub.plugins.images.looking import Looked, Looking, Wanted
from transferhub.plugins.images.manifests import Manifests
from transferhub.plugins.images.plan import (
    WORK,
    DestinationSide,
    Plan,
    PlanRow,
    RowKind,
    SourceSide,
    make_plan,
)
from transferhub.plugins.images.reader import ENDING_CODES
from transferhub.plugins.images.reference import Reference
from transferhub.plugins.images.repository_map import RepositoryMap
from transferhub.plugins.images.sides import Side
from transferhub.plugins.images.spec import ImagesSpec

_REPOSITORIES_AT_ONCE = 16
_AT_ONCE = 32
_SHOWN = 5
_UPLOADS = frozenset({RowKind.COPY, RowKind.REFERRER})

Failures = dict[str, StoreError]
"""By the key of the row."""


class Survey:
    """Asks both sides of a task what they have; changes nothing."""

    def __init__(
        self,
        spec: ImagesSpec,
        *,
        source: Side,
        destination: Side,
        manifests: Manifests,
        blobs: Callable[[], Awaitable[Blobs]],
        list_text: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self._spec = spec
        self._selection = spec.selection
        self._source = source
        self._destination = destination
        self._manifests = manifests
        self._blobs = blobs
        self._list_text = list_text
        self._public = spec.source.scheme == "public"

    async def plan(self) -> Plan:
        """Raises:
        InputError: the list, or where its repositories would go, is wrong; all of it.
        StoreError: neither side can be asked anything.
        """
        wanted = await self._wanted()
        failures: Failures = {}
        rows: list[PlanRow] = []

        async def step(one: Wanted) -> Looked | None:
            return await self._look(one, failures, rows)

        looked = await each(step, wanted, limit=_REPOSITORIES_AT_ONCE)
        found = [one for one in looked if one is not None]
        plan = await self._planned(found, rows)
        return replace(plan, notes=tuple(self._notes(plan, found, failures)))

    async def again(self, row: PlanRow) -> tuple[Plan, Sequence[StoreError]]:
        """Looks once more at what a row could not tell of.

        Returns:
            The plan for it, and why other images of it cannot be looked at now either.

        Raises:
            StoreError: nothing of it can.
        """
        host, _, rest = row.source.partition("/")
        repository = Reference(host, rest)
        names = await self._map()
        named = Reference(host, rest, row.tag, row.digest)
        one = Wanted(
            repository=repository,
            name=names.name(repository),
            goes_to=row.repository,
            listed=not named.manifest,
            images=(named,) if named.manifest else (),
        )
        looked = await self._looking(one)
        return await self._planned([looked], []), [*looked.failures.values()]

    # What is wanted

    async def _map(self) -> RepositoryMap:
        return self._spec.repository_map(
            source_host=await self._source_host(), host=await self._host(self._destination)
        )

    async def _source_host(self) -> str:
        return "" if self._public else await self._host(self._source)

    async def _host(self, side: Side) -> str:
        location = self._spec.source if side is self._source else self._spec.destination
        return location.host or (await side.at()).registry.host

    async def _wanted(self) -> list[Wanted]:
        names = await self._map()
        if self._spec.all:
            repositories = [one async for one in self._repositories(names)]
            goes_to = names.destinations(repositories)
            return [
                Wanted(
                    repository=one,
                    name=names.name(one),
                    goes_to=goes_to[one],
                    listed=True,
                    extra=True,
                )
                for one in sorted(goes_to)
            ]
        text = await self._list_text() if self._list_text and self._spec.images_parameter else ""
        with self._spec.listed(source_host=await self._source_host(), text=text) as images:
            assert images is not None
            listed = list(images.repositories())
        goes_to = names.destinations(one.repository for one in listed)
        return [
            Wanted(
                repository=one.repository,
                name=names.name(one.repository),
                goes_to=goes_to[one.repository],
                listed=one.all_tags,
                images=one.images,
            )
            for one in listed
        ]

    async def _repositories(self, names: RepositoryMap) -> AsyncIterator[Reference]:
        host, prefix = await self._source_host(), self._spec.source.prefix
        async for name in (await self._source.at()).repositories.names():
            one = Reference(host, name)
            if name.startswith(prefix) and self._selection.selects_repository(names.name(one)):
                yield one

    # Looking

    async def _look(self, one: Wanted, failures: Failures, rows: list[PlanRow]) -> Looked | None:
        """None: nothing could be seen; the rows and their failures say so."""
        looked = None
        found: list[tuple[Reference | None, StoreError]]
        try:
            looked = await self._looking(one)
            found = [*looked.failures.items()]
        except StoreError as error:
            all_of_it = [None] if one.listed else []
            found = [(image, error) for image in (*all_of_it, *one.images)]
        for image, failure in found:
            if failure.code in ENDING_CODES and not self._public:
                raise failure
            row = one.unlisted(image)
            failures[row.key] = failure
            rows.append(row)
        return looked

    async def _looking(self, one: Wanted) -> Looked:
        return await Looking(
            one,
            self._selection,
            source=await self._source.at(one.repository.host),
            destination=await self._destination.at(),
            manifests=self._manifests,
        ).look()

    # Planning

    async def _planned(self, looked: Sequence[Looked], rows: Sequence[PlanRow]) -> Plan:
        """The plan, once it is known what of it the destination has without a tag."""
        sides = [(one.source, one.destination) for one in looked]
        empty = {one.destination.repository for one in looked if one.empty}
        blobs = await self._blobs()
        for repository in empty | {d.repository for _, d in sides if not d.exists}:
            blobs.add_empty(repository)
        plan = make_plan(sides, manifests=self._manifests.contents, unlisted=rows)
        if not any(row.kind in _UPLOADS for row in plan.rows):
            return plan
        uploads = _uploads(plan, but=empty)
        there = await each(self._is_there, uploads, limit=_AT_ONCE)
        sides = _with_digests(sides, [row for row, has in zip(uploads, there, strict=True) if has])
        uploads = _uploads(make_plan(sides))
        await each(self._read, uploads, limit=_AT_ONCE)
        held = await self._held(uploads, blobs)
        return make_plan(sides, manifests=self._manifests.contents, blobs=held, unlisted=rows)

    async def _is_there(self, row: PlanRow) -> bool:
        registry = (await self._destination.at()).registry
        with suppress(StoreError):  # else it is copied, and the copy meets the cause
            await registry.head(row.repository, row.digest)
            return True
        return False

    async def _read(self, row: PlanRow) -> None:
        """Reads the manifests of a copy; what fails is met again by the copy, which says it."""
        host, _, repository = row.source.partition("/")
        with suppress(StoreError):
            registry = (await self._source.at(host)).registry
            await self._manifests.tree(registry, repository, row.digest)

    async def _held(self, uploads: Iterable[PlanRow], blobs: Blobs) -> set[str]:
        """Blobs that the repositories have which they would be uploaded to."""
        contents = self._manifests.contents
        needed = {
            (row.repository, blob.digest)
            for row in uploads
            for one in self._manifests.closure(row.digest)
            if one in contents
            for blob in contents[one].blobs
        }

        async def held(one: tuple[str, str]) -> bool:
            with suppress(StoreError):
                return await blobs.has(*one)
            return False

        rows = sorted(needed)
        has = await each(held, rows, limit=_AT_ONCE)
        return {digest for (_, digest), there in zip(rows, has, strict=True) if there}

    # Telling

    def _notes(self, plan: Plan, looked: Sequence[Looked], failures: Failures) -> Iterator[str]:
        yield from _refused(failures)
        if self._spec.all and not looked and not failures:
            yield f"{self._spec.source.url} has no repository that the filters let through"
        gone = [row.origin for row in plan.of_kind(RowKind.GONE)]
        if gone:
            yield f"not at the source, though the list names it: {_some(gone, 'image')}"
        conflicts = [row.key for row in plan.of_kind(RowKind.CONFLICT)]
        if conflicts:
            yield f"immutable at the destination, and left as it is: {_some(conflicts, 'tag')}"
        without = [f"{one.source.repository}:{tag}" for one in looked for tag in one.without]
        if without:
            yield f"left out, as not for {self._spec.platform}: {_some(without, 'image')}"
        if plan.unmeasured:
            yield f"of {plan.unmeasured} images the size could not be told before they are copied"
        yield from self._pull_notes(plan)

    def _pull_notes(self, plan: Plan) -> Iterator[str]:
        wanted = Counter(
            row.source.partition("/")[0] if self._public else ""
            for row in plan.rows
            if row.kind in WORK and self._manifests.kept(row.digest) is None
        )
        for host, opened in self._source.opened.items():
            left = opened.registry.pulls_left
            if left is not None and left < wanted[host]:
                yield (
                    f"{opened.registry.host} lets {left} more manifests be read for now, and"
                    f" {wanted[host]} are needed; the others come later, or with a login"
                )


def _uploads(plan: Plan, *, but: Iterable[str] = ()) -> list[PlanRow]:
    """What would be uploaded, to repositories that are there, but for some."""
    left_out = {*but, *plan.create}
    return [row for row in plan.rows if row.kind in _UPLOADS and (row.repository not in left_out)]


def _with_digests(
    sides: Iterable[tuple[SourceSide, DestinationSide]], there: Iterable[PlanRow]
) -> list[tuple[SourceSide, DestinationSide]]:
    digests: dict[str, set[str]] = {}
    for row in there:
        digests.setdefault(row.repository, set()).add(row.digest)
    return [
        (source, replace(side, digests={*side.digests, *digests.get(side.repository, ())}))
        for source, side in sides
    ]


def _refused(failures: Failures) -> Iterator[str]:
    """The first ones in full, and how many others there are."""
    for key, error in [*failures.items()][:_SHOWN]:
        yield f"{key} could not be looked at: {error.message}"
    if len(failures) > _SHOWN:
        yield f"{len(failures) - _SHOWN} more could not be looked at; the report has them"


def _some(names: Sequence[str], noun: str) -> str:
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'} ({shown}{more})"
