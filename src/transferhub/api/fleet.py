"""Answers about the processes of the hub."""

from __future__ import annotations

from transferhub.api.reading import Arguments, Json, moment, told
from transferhub.control.hub import Hub
from transferhub.model.fleet import Member
from transferhub.model.people import Caller


async def workers(hub: Hub, _: Arguments, caller: Caller) -> list[Json]:
    return [_told(member) for member in await hub.workers.all(caller)]


async def drain(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return _told(await hub.workers.drain(caller, arguments["id"]))


def _told(member: Member) -> Json:
    return {
        "id": member.ident,
        "kind": told(member.kind),
        "host": member.host,
        "pid": member.pid,
        "version": member.version,
        "startedAt": moment(member.started_at),
        "seenAt": moment(member.seen_at),
        "draining": member.draining,
        "runs": list(member.load.runs),
        "leases": member.load.leases,
        "objectsPerSecond": member.load.objects_per_second,
        "bytesPerSecond": member.load.bytes_per_second,
    }
