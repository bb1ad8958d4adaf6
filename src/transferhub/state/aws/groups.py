"""`Groups`: the rows of one epoch of a run, read and written as groups and chunks of parts.

An epoch begins with a run, and anew when the run is reset. Groups cover all keys without a gap and
never overlap, as the leaves of a B-tree do: which one covers a key is one query away.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from uuid import uuid4

from transferhub.aws.attributes import Item
from transferhub.aws.table import ABSENT, Action, Delete, Put, Table, When
from transferhub.model.transfer import Transfer, TransferRecord, Upload, UploadRecord
from transferhub.state.aws.chunk import Chunk, chunk_key, parts_of
from transferhub.state.aws.counts import UPLOADS, Delta, code_key, counts_of
from transferhub.state.aws.group import (
    AT_ONCE,
    Entry,
    Group,
    due_key,
    groups_of,
    pack_record,
    packed_upload,
    read_body,
    read_record,
    read_upload,
)
from transferhub.state.aws.group import pack as pack_rows
from transferhub.state.aws.group import unpack as unpack_rows
from transferhub.state.aws.schema import DUE
from transferhub.state.aws.sort_keys import body_key, first_row, is_head, last_head, row_key
from transferhub.state.aws.work import Row

_MOST_KEPT = 512
"""Groups, and as many chunks, that are kept in memory between verbs."""

_DUE_ROWS = 16


class Change:
    """What one transaction writes, with what it adds to the sums.

    Attributes:
        histories: of transfers whose row of failed attempts is read, by key.
        rings: rows in which something may start, and when, in microseconds since 1970.
        dropped: generations of parts that nothing needs any more, and how many chunks they have.
    """

    def __init__(self, epoch: str, root: str, expires: int) -> None:
        self.epoch = epoch
        self.root = root
        self.expires = expires
        self.groups: dict[bytes, Group] = {}
        self.chunks: dict[bytes, Chunk] = {}
        self.counts = Delta()
        self.histories: dict[str, TransferRecord] = {}
        self.rings: list[tuple[Row, int]] = []
        self.dropped: list[tuple[str, int]] = []
        self.rows: list[Action] = []
        self._troubles: dict[str, Action] = {}
        self._uploads: dict[str, Action] = {}
        self.uploads = 0

    def take(self, group: Group, chunk: Chunk | None = None) -> None:
        self.groups[group.sort_key] = group
        if chunk is not None:
            self.chunks[chunk.sort_key] = chunk

    def ring(self, group: Group, due: int) -> None:
        self.rings.append((Row(is_chunk=False, sort_key=group.sort_key), due))

    def ring_chunk(self, chunk: Chunk, due: int) -> None:
        self.rings.append((Row(is_chunk=True, sort_key=chunk.sort_key), due))

    def note_trouble(self, record: TransferRecord, *, dead: bool) -> None:
        """Keeps a transfer's failed attempts; those of a dead letter can be found by its code."""
        self.histories[record.transfer.key] = record
        sort_key = row_key(record.transfer.key)
        item: Item = {
            "pk": troubles_of(self.epoch),
            "sk": sort_key,
            "record": pack_record(record),
            "dead": dead,
            "expires": self.expires,
        }
        if dead:
            item |= {"due_of": coded(self.epoch, record.code), "due": sort_key}
        self._troubles[record.transfer.key] = Put(item)

    def put_upload(self, entry: Entry, upload: Upload, *, abandoned: bool = False) -> None:
        item = {
            "pk": uploads_of(self.root),
            "sk": entry.upload_row.encode(),
            "epoch": self.epoch,
            "abandoned": abandoned,
            "upload": pack_rows([[entry.transfer.key, *packed_upload(upload)]]),
            "expires": self.expires,
        }
        self._uploads[entry.upload_row] = Put(item)

    def delete_upload(self, ident: str) -> None:
        self._uploads[ident] = Delete({"pk": uploads_of(self.root), "sk": ident.encode()})
        self.uploads -= 1

    @property
    def own_rows(self) -> list[Action]:
        return [*self._troubles.values(), *self._uploads.values(), *self.rows]

    @property
    def size(self) -> int:
        """Actions of the transaction, at most: both sums among them."""
        return len(self.groups) + len(self.chunks) + len(self.own_rows) + 2


class EpochEndedError(Exception):
    """Another process has reset or purged the run: its rows are gone."""


class Groups:
    """Verbs raise AwsError, and EpochEndedError."""

    def __init__(self, table: Table, epoch: str, root: str, process: bytes) -> None:
        """Args:
        root: names the run for what outlives the epoch.
        process: names the row of sums.
        """
        self.epoch = epoch
        self.root = root
        self._table = table
        self._process = process
        self._kept: dict[bytes, Group] = {}
        self._lows: list[bytes] = []
        self._chunks: dict[bytes, Chunk] = {}
        self._bodies: dict[bytes, Sequence[Transfer]] = {}

    # Groups

    async def of_key(self, key: str) -> Group:
        """The group that covers the key: as it was kept, where it was."""
        raw = key.encode()
        at = bisect_right(self._lows, raw) - 1
        if at >= 0 and (kept := self._kept[self._lows[at]]).covers(raw):
            return kept
        return self._keep(await self.search(raw))

    async def read(self, key: str) -> Group:
        """The group that covers the key, read now."""
        return self._keep(await self.search(key.encode()))

    async def search(self, key: bytes) -> Group:
        """As `read`, and it is not kept."""
        which = When(
            "pk = :pk AND sk <= :sk", {":pk": groups_of(self.epoch), ":sk": last_head(key)}
        )
        head: Item | None = None
        # A body without a head is of a write that was cut off; the first head is the one.
        async for items in self._table.pages(which, descending=True, limit=2):
            for item in items:
                if head is not None:
                    return await self._assembled(head, {item["sk"]: item})
                if is_head(item["sk"]):
                    head = item
                    if not head["body"]:
                        return await self._assembled(head, {})
        if head is None:
            raise EpochEndedError
        return await self._assembled(head, {})

    async def at(self, sort_key: bytes) -> Group | None:
        """The group of this head, read now; None where there is none."""
        head = await self._row(sort_key)
        return None if head is None else self._keep(await self._assembled(head, {}))

    async def scan(self, start: bytes = b"") -> AsyncIterator[Sequence[Entry]]:
        """The entries of all groups by key, from a key on, read now, group by group."""
        low = (await self.search(start)).low if start else b""
        which = When(
            "pk = :pk AND sk >= :sk", {":pk": groups_of(self.epoch), ":sk": first_row(low)}
        )
        bodies: dict[bytes, Item] = {}
        async for items in self._table.pages(which):
            for item in items:
                if not is_head(item["sk"]):
                    bodies[item["sk"]] = item
                    continue
                group = await self._assembled(item, bodies)
                bodies.clear()
                # A group that was split meanwhile shows keys that were seen already.
                entries = [at for at in group.entries if at.transfer.key.encode() >= start]
                if entries:
                    start = entries[-1].transfer.key.encode() + b"\x00"
                    yield entries

    async def _assembled(self, head: Item, bodies: Mapping[bytes, Item]) -> Group:
        body = head["body"]
        if not body:
            return Group.of(head["low"], head, ())
        if body not in self._bodies:
            # It never changes: whether it is there is all that a read may be late to know.
            row = bodies.get(body) or await self._row(body, consistent=False)
            row = row or await self._row(body)
            if row is None:  # its head has changed since it was read
                head_now = await self._row(head["sk"])
                if head_now is None:
                    raise EpochEndedError
                return await self._assembled(head_now, {})
            self._bodies[body] = read_body(row["transfers"])
        return Group.of(head["low"], head, self._bodies[body])

    async def _row(self, sort_key: bytes, *, consistent: bool = True) -> Item | None:
        key = {"pk": groups_of(self.epoch), "sk": sort_key}
        return await self._table.get(key, consistent=consistent)

    # Chunks

    async def chunks(self, sort_keys: Sequence[bytes], *, kept: bool) -> dict[bytes, Chunk]:
        """Those of these chunks that there are. Args: kept: as they were kept, where they were."""
        found = {at: self._chunks[at] for at in sort_keys if kept and at in self._chunks}
        missing = [{"pk": parts_of(self.epoch), "sk": at} for at in sort_keys if at not in found]
        for item in await self._table.get_many(missing):
            found[item["sk"]] = self._chunks[item["sk"]] = Chunk.of(item)
        return found

    async def all_chunks(self, generation: str) -> list[Chunk]:
        which = When(
            "pk = :pk AND begins_with(sk, :generation)",
            {":pk": parts_of(self.epoch), ":generation": generation.encode()},
        )
        return [Chunk.of(item) async for page in self._table.pages(which) for item in page]

    async def put_chunks(self, chunks: Sequence[Chunk], expires: int) -> None:
        """Writes new chunks, which nothing names yet."""
        await self._table.write([chunk.item(self.epoch, expires) for chunk in chunks])

    async def drop_chunks(self, dropped: Iterable[tuple[str, int]]) -> None:
        await self.drop_rows_of_chunks(
            chunk_key(generation, number)
            for generation, count in dropped
            for number in range(count)
        )

    async def drop_rows_of_chunks(self, sort_keys: Iterable[bytes]) -> None:
        keys = [*sort_keys]
        for key in keys:
            self._chunks.pop(key, None)
        await self._table.write(deletes=[{"pk": parts_of(self.epoch), "sk": key} for key in keys])

    # What may start

    async def due(
        self, stream: str, now: int | None, *, since: int = AT_ONCE
    ) -> AsyncIterator[Sequence[bytes]]:
        """Sort keys of rows of a stream ("fresh", "again" or "parts") in which something may start
        by `now` (None: ever), and not before `since`, those that wait longest first. An index lags:
        a row may have changed meanwhile."""
        which = When("due_of = :of", {":of": f"{self.epoch}|{stream}"})
        if now is not None:
            span = {":since": due_key(since), ":now": due_key(now) + b"\xff"}
            which = When("due_of = :of AND due BETWEEN :since AND :now", {**which.values, **span})
        pages = self._table.pages(which, index=DUE.name, limit=_DUE_ROWS)
        async for items in pages:
            if items:
                yield [item["sk"] for item in items]

    # Rows of transfers

    async def troubles(self, keys: Iterable[str]) -> dict[str, TransferRecord]:
        """What failed of these transfers so far."""
        wanted = [{"pk": troubles_of(self.epoch), "sk": row_key(key)} for key in keys]
        records = [read_record(item["record"]) for item in await self._table.get_many(wanted)]
        return {record.transfer.key: record for record in records}

    async def dead(
        self, code: str = "", after: bytes = b""
    ) -> AsyncIterator[Sequence[TransferRecord]]:
        """Dead letters by key, from after a row's key, in pages."""
        if code:
            which = When(
                "due_of = :of AND due > :after",
                {":of": coded(self.epoch, code), ":after": after or b"\x00"},
            )
            async for rows in self._table.pages(which, index=DUE.name):
                keys = [{"pk": row["pk"], "sk": row["sk"]} for row in rows]
                found = await self._table.get_many(keys)
                found.sort(key=lambda item: bytes(item["sk"]))
                yield [read_record(item["record"]) for item in found if item["dead"]]
            return
        which = When(
            "pk = :pk AND sk > :after", {":pk": troubles_of(self.epoch), ":after": after or b"\x00"}
        )
        keep = When("dead = :dead", {":dead": True})
        async for items in self._table.pages(which, keep=keep):
            yield [read_record(item["record"]) for item in items]

    async def first_dead(self, key_of_code: str) -> TransferRecord | None:
        """The first dead letter of a code, by its `code_key`."""
        which = When("due_of = :of", {":of": f"{self.epoch}|code|{key_of_code}"})
        rows, _ = await self._table.query(which, index=DUE.name, limit=1)
        for row in rows:
            item = await self._table.get({"pk": row["pk"], "sk": row["sk"]})
            if item is not None:
                return read_record(item["record"])
        return None

    async def uploads(self) -> list[tuple[bytes, UploadRecord]]:
        """All of the run, those of former epochs as abandoned, with the keys of their rows."""
        which = When("pk = :pk", {":pk": uploads_of(self.root)})
        found = []
        async for items in self._table.pages(which):
            for item in items:
                [[key, *upload]] = unpack_rows(item["upload"])
                gone = item["abandoned"] or item["epoch"] != self.epoch
                record = UploadRecord(key, read_upload(upload), abandoned=gone)
                found.append((item["sk"], record))
        return sorted(found, key=lambda at: not at[1].abandoned)

    # Writing

    def change(self, expires: int) -> Change:
        return Change(self.epoch, self.root, expires)

    async def commit(self, change: Change) -> bool:
        """Writes all of a change or nothing; False where another writer came first: nothing that
        was read for it may be used any more."""
        groups = [group for group in change.groups.values() if group.is_changed]
        chunks = [chunk for chunk in change.chunks.values() if chunk.is_changed]
        former = await self._put_bodies(groups, change.expires)
        actions: list[Action] = [
            *(Put(at.item(self.epoch, change.expires), _unchanged(at.version)) for at in groups),
            *(Put(at.item(self.epoch, change.expires), _unchanged(at.version)) for at in chunks),
            *change.own_rows,
        ]
        counts = change.counts.to_update(counts_of(self.epoch), self._process, change.expires)
        uploads = Delta({UPLOADS: change.uploads}).to_update(
            counts_of(self.root), self._process, change.expires
        )
        actions += [action for action in (counts, uploads) if action is not None]
        if not actions:
            return True
        try:
            done = await self._write(actions)
        except BaseException:
            self.forget(change)
            raise
        if not done:
            self.forget(change)
            return False
        for chunk in chunks:
            chunk.version += 1
            chunk.is_changed = False
        for group in groups:
            group.version += 1
            group.is_changed = group.body_is_new = False
            self._keep(group)
        await self._table.write(
            deletes=[{"pk": groups_of(self.epoch), "sk": body} for body in former]
        )
        return True

    async def _write(self, actions: Sequence[Action]) -> bool:
        if len(actions) == 1 and isinstance(actions[0], Put):
            return await self._table.put(*actions[0])
        return await self._table.transact(actions)

    async def _put_bodies(self, groups: Sequence[Group], expires: int) -> list[bytes]:
        """Before their heads, which name them. Returns those that they take the place of."""
        former, items = [], []
        for group in groups:
            if not group.body_is_new:
                continue
            if group.body:
                former.append(group.body)
            for entry in group.entries:
                entry.replaced = False
            group.body = body_key(group.low, uuid4().bytes[:8]) if group.entries else b""
            if group.body:
                self._bodies[group.body] = [entry.transfer for entry in group.entries]
                items.append(
                    {
                        "pk": groups_of(self.epoch),
                        "sk": group.body,
                        "transfers": group.pack_body(),
                        "expires": expires,
                    }
                )
        await self._table.write(items)
        return former

    def forget(self, change: Change) -> None:
        """What was read for a change is read anew."""
        for group in change.groups.values():
            self._drop(group.low)
        for sort_key in change.chunks:
            self._chunks.pop(sort_key, None)

    def age(self) -> None:
        """What is kept is not what was read just now any more."""
        for group in self._kept.values():
            group.is_read = False
        if len(self._chunks) > _MOST_KEPT:
            self._chunks.clear()
        for body in [*islice(self._bodies, max(0, len(self._bodies) - _MOST_KEPT))]:
            del self._bodies[body]
        if len(self._kept) > _MOST_KEPT:
            for low in [*islice(self._kept, len(self._kept) // 2)]:
                self._drop(low)

    def _keep(self, group: Group) -> Group:
        if group.low not in self._kept:
            insort(self._lows, group.low)
        self._kept[group.low] = group
        return group

    def _drop(self, low: bytes) -> None:
        if self._kept.pop(low, None) is not None:
            self._lows.remove(low)


def troubles_of(epoch: str) -> str:
    """The partition of the rows of failed attempts."""
    return f"{epoch}|troubles"


def coded(epoch: str, code: str) -> str:
    """The dead letters of a code, in the index."""
    return f"{epoch}|code|{code_key(code)}"


def uploads_of(root: str) -> str:
    return f"{root}|uploads"


def partitions(epoch: str) -> Iterator[str]:
    """Where all rows of an epoch are."""
    return (f"{epoch}|{kind}" for kind in ("groups", "parts", "troubles", "shards", "counts"))


def _unchanged(version: int) -> When:
    return When("version = :version", {":version": version}) if version else ABSENT
