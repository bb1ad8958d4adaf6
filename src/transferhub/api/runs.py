"""Answers about runs and their transfers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from transferhub.api.reading import (
    MOST,
    Arguments,
    Json,
    camel,
    given,
    member_of,
    members_of,
    moment,
    page_size,
    parsed_moment,
    told,
)
from transferhub.api.reading import page as told_page
from transferhub.control.hub import Hub
from transferhub.control.standing import Standing
from transferhub.errors import InputError
from transferhub.model.history import Sample
from transferhub.model.pages import RunFilter
from transferhub.model.people import Caller
from transferhub.model.run import Run, RunState, TaskId, Trigger
from transferhub.model.transfer import FailureGroup, RunId, TransferRecord, TransferState


async def page(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    only = given(arguments, "filter", {})
    task, trigger = only.get("task"), only.get("trigger")
    chosen = RunFilter(
        task=None if task is None else TaskId(task),
        states=members_of(RunState, only.get("states")),
        trigger=None if trigger is None else member_of(Trigger, trigger),
        since=parsed_moment(only.get("since")),
        until=parsed_moment(only.get("until")),
    )
    after, limit = given(arguments, "after", ""), page_size(arguments)
    found = await hub.orders.page(caller, chosen, after=after, limit=limit)
    return {"items": await told_runs(hub, caller, found.items), "cursor": found.cursor or None}


async def get(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return await _told(hub, caller, await hub.orders.get(caller, RunId(arguments["id"])))


async def transfers(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    found = await hub.orders.transfers(
        caller,
        RunId(arguments["run"]),
        prefix=given(arguments, "prefix", ""),
        states=members_of(TransferState, arguments.get("states")),
        code=given(arguments, "code", ""),
        after=given(arguments, "after", ""),
        limit=page_size(arguments),
    )
    items = [_told_transfer(record) for record in found.items]
    return {"items": items, "cursor": found.cursor or None}


async def failures(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    limit = page_size(arguments)
    found = await hub.orders.failures(
        caller,
        RunId(arguments["run"]),
        code=given(arguments, "code", ""),
        key=given(arguments, "key", "*"),
        after=given(arguments, "after", ""),
        limit=limit + 1,
    )
    return told_page(found, limit, _told_transfer, "key")


async def failure_groups(hub: Hub, arguments: Arguments, caller: Caller) -> list[Json]:
    groups = await hub.orders.failure_groups(caller, RunId(arguments["run"]))
    return [_told_group(group) for group in groups]


async def start(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    return await _told(hub, caller, await hub.orders.start(caller, TaskId(arguments["task"])))


async def stop(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    abandon = given(arguments, "abandon", False)
    run = await hub.orders.stop(caller, RunId(arguments["id"]), abandon=abandon)
    return await _told(hub, caller, run)


async def retry(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    keys = given(arguments, "keys", ())
    if len(keys) > MOST:
        raise InputError("keys", f"are more than {MOST:,}")
    count, run = await hub.orders.retry(
        caller,
        RunId(arguments["id"]),
        code=given(arguments, "code", ""),
        key=given(arguments, "key", "*"),
        keys=keys,
    )
    return {"count": count, "run": await _told(hub, caller, run)}


async def told_runs(hub: Hub, caller: Caller, runs: Sequence[Run]) -> list[Json]:
    standings = await hub.orders.standings(caller, runs)
    running = [run.ident for run in runs if run.state is RunState.RUNNING]
    samples = await hub.history.latest(caller, running) if running else {}
    return [
        {**_told_run(run, standing), "sample": _told_sample(samples.get(run.ident))}
        for run, standing in zip(runs, standings, strict=True)
    ]


async def _told(hub: Hub, caller: Caller, run: Run) -> Json:
    (only,) = await told_runs(hub, caller, [run])
    return only


def _told_run(run: Run, standing: Standing) -> Json:
    return {
        "id": run.ident,
        "task": run.task,
        "taskVersion": run.task_version,
        "state": told(run.state),
        "trigger": told(run.trigger),
        "order": told(run.order),
        "createdAt": moment(run.created_at),
        "startedAt": moment(run.started_at),
        "endedAt": moment(run.ended_at),
        "scheduledAt": moment(run.scheduled_at),
        "resumed": run.resumed,
        "worker": run.keeper or None,
        "errorCode": run.error_code or None,
        "error": run.error or None,
        "progress": _told_standing(standing),
        "notes": list(run.summary.get("notes", ())),
        "faults": list(run.summary.get("faults", ())),
    }


def _told_sample(sample: Sample | None) -> Json | None:
    if sample is None:
        return None
    return {
        "at": moment(sample.at),
        "phase": sample.phase,
        "workers": sample.workers,
        "bytesPerSecond": sample.bytes_per_second,
        "objectsPerSecond": sample.objects_per_second,
        "secondsLeft": sample.seconds_left,
    }


def _told_standing(standing: Standing) -> Json:
    counts: dict[str, Any] = asdict(standing)
    return {camel(name): value for name, value in {**counts.pop("scan"), **counts}.items()}


def _told_transfer(record: TransferRecord) -> Json:
    transfer = record.transfer
    return {
        "key": transfer.key,
        "difference": told(transfer.difference),
        "action": told(transfer.action),
        "state": told(record.state),
        "size": transfer.size,
        "etag": transfer.etag,
        "destinationEtag": record.destination_etag,
        "modifiedAt": moment(transfer.modified_at),
        "storageClass": transfer.storage_class,
        "attempts": record.attempts,
        "movedBytes": record.moved_bytes,
        "code": record.code,
        "message": record.message,
        "note": record.note,
        "endedAt": moment(record.ended_at),
        "history": [
            {"at": moment(attempt.at), "code": attempt.code, "message": attempt.message}
            for attempt in record.history
        ],
    }


def _told_group(group: FailureGroup) -> Json:
    return {camel(name): value for name, value in asdict(group).items()}
