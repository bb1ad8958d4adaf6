"""`AwsFleet`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from transferhub.aws.attributes import Item
from transferhub.aws.table import PRESENT, When
from transferhub.model.clock import Clock, utc_now
from transferhub.model.fleet import Load, Member, MemberKind
from transferhub.model.transfer import RunId
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.shelf import Shelf, changes
from transferhub.state.aws.together import together
from transferhub.state.values import from_micros, to_micros, whole_text


class AwsFleet:
    """A Fleet in DynamoDB: an item for each process.

    A sign of life writes one unit, and to look at ten members reads one or two. So a process that
    gives a sign and looks twice every two seconds costs about $1 a month among ten.
    """

    def __init__(self, connection: Connection, clock: Clock = utc_now) -> None:
        self._connection = connection
        self._clock = clock
        self._members = Shelf(connection, "member")

    async def register(self, member: Member) -> None:
        await self._members.put(member.ident, _to_item(member))

    async def heartbeat(self, ident: str, load: Load) -> Member | None:
        carries = json.dumps(asdict(load))
        change = changes({"seen_at": to_micros(self._clock()), "carries": carries})
        item = await self._members.update(ident, change, PRESENT)
        return _from_item(item) if item else None

    async def drain(self, ident: str) -> bool:
        return await self._members.update(ident, changes({"draining": True}), PRESENT) is not None

    async def members(self, *, after: str = "", limit: int = 1_000) -> Sequence[Member]:
        return [_from_item(item) for item in await self._members.items(after=after, limit=limit)]

    async def leave(self, ident: str) -> None:
        await self._members.delete(ident)

    async def forget(self, before: datetime) -> Sequence[Member]:
        unseen = When("#seen < :before", {":before": to_micros(before)}, {"#seen": "seen_at"})
        found = [_from_item(item) for item in await self._members.items(keep=unseen)]
        # Who deletes it has it: one that gave a sign meanwhile, or that another one has, stays.
        mine = await together(lambda member: self._members.delete(member.ident, unseen), found)
        return [member for member, deleted in zip(found, mine, strict=True) if deleted]

    async def aclose(self) -> None:
        await self._connection.aclose()


def _to_item(member: Member) -> Item:
    return {
        "ident": member.ident,
        "host": whole_text(member.host),
        "pid": member.pid,
        "version": whole_text(member.version),
        "kind": member.kind.value,
        "started_at": to_micros(member.started_at),
        "seen_at": to_micros(member.seen_at),
        "draining": member.draining,
        "carries": json.dumps(asdict(member.load)),
    }


def _from_item(item: Item) -> Member:
    load = json.loads(item["carries"])
    return Member(
        ident=item["ident"],
        host=item["host"],
        pid=item["pid"],
        version=item["version"],
        kind=MemberKind(item["kind"]),
        started_at=from_micros(item["started_at"]),
        seen_at=from_micros(item["seen_at"]),
        draining=item["draining"],
        load=Load(**{**load, "runs": tuple(RunId(run) for run in load["runs"])}),
    )
