"""The whole work of each role on a state on AWS, in small: every verb that it uses."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.conformance.fleets import LOAD, member
from tests.conformance.histories import START, line, sample
from tests.conformance.inboxes import event
from tests.conformance.ledger_facts import (
    LEASE,
    UPLOAD,
    WORKER,
    FakeClock,
    done,
    extra,
    failed,
    lease_all,
    new,
    news,
    part_done,
    parts,
)
from tests.conformance.notices import channel, notice
from tests.conformance.people import NOW, entry, link, sealed, session, token, user
from tests.conformance.task_stores import CREATED, run, task
from transferhub.aws.queue import Posting
from transferhub.control.listener import Listener
from transferhub.model.event import EventSource, SourceKind
from transferhub.model.history import THINNINGS, OfTask
from transferhub.model.pages import RunFilter
from transferhub.model.people import Strikes
from transferhub.model.run import RunState, TaskId
from transferhub.model.transfer import Lease, RunId, Shard, TransferState, WorkKind
from transferhub.state.aws.audit import AwsAudit
from transferhub.state.aws.channels import AwsChannels
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.creating import create_state, delete_state, describe_state
from transferhub.state.aws.fleet import AwsFleet
from transferhub.state.aws.inbox import AwsInbox
from transferhub.state.aws.ledger import AwsLedger
from transferhub.state.aws.logs import AwsLogs
from transferhub.state.aws.outbox import AwsOutbox
from transferhub.state.aws.people import AwsPeople
from transferhub.state.aws.samples import AwsSamples
from transferhub.state.aws.schema import DEAD, TABLES, WORK
from transferhub.state.aws.seats import AwsSeats
from transferhub.state.aws.tasks import AwsTaskStore
from transferhub.state.aws.vault import AwsVault
from transferhub.state.notices import Addressee

TASK, RUN = TaskId("task"), RunId("run")
_LATER = datetime(2100, 1, 1, tzinfo=UTC)


async def prepare(connection: Connection) -> None:
    """What there is before a role comes to work: a task, its queued run, and transfers."""
    store = AwsTaskStore(connection)
    queue = await connection.queue(WORK)
    events = EventSource(kind=SourceKind.SQS, queue_url=queue.url).to_json()
    spec = {"source": {"url": "s3://bucket"}, "destination": {"url": "s3://other"}}
    await store.create_task(replace(task(TASK), events=events, spec=spec))
    await store.create_run(run(RUN, of=TASK, state=RunState.QUEUED))
    await AwsVault(connection).create(sealed("key"))
    await AwsInbox(connection).put(TASK, [event("a"), event("b")])
    await _record(await AwsLedger.open(connection), RUN)
    await queue.send([Posting(_change_of("c"))] * 2)


def _change_of(key: str) -> str:
    """As S3 tells of it."""
    of = {"bucket": {"name": "bucket"}, "object": {"key": key}}
    return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": of}]})


async def _record(ledger: AwsLedger, of: RunId) -> None:
    transfers = [new("in parts", 10), *news(300), extra("held", TransferState.HELD)]
    await ledger.record(of, transfers, [Shard(ident="all", done=False, detail="{}")])


async def as_worker(connection: Connection, of: RunId = RUN) -> None:
    store, inbox = AwsTaskStore(connection), AwsInbox(connection)
    listener = Listener(store, inbox, connection.resource(WORK.name))
    ledger = await AwsLedger.open(connection, hear=listener.hear)
    leases = {at.transfer.key: at for at in await lease_all(ledger, of)}
    large = leases.pop("in parts")
    assert await ledger.renew([large], LEASE) == []
    await ledger.save_upload(large, UPLOAD)
    await ledger.save_parts(large, UPLOAD, parts(5, 5))
    await ledger.complete_parts([part_done(at) for at in await _of_kind(ledger, of, WorkKind.PART)])
    await ledger.complete([done(at) for at in await _of_kind(ledger, of, WorkKind.FINISH)])
    dead, again, back, *rest = leases.values()
    await ledger.fail([failed(dead), failed(again, _LATER)])
    await ledger.release([back])
    await ledger.complete([done(at) for at in rest])
    # What waits for its next attempt, and what was released.
    assert (await ledger.totals(of)).open == 2
    await ledger.aclose()


async def _of_kind(ledger: AwsLedger, of: RunId, kind: WorkKind) -> list[Lease]:
    return [at for at in await lease_all(ledger, of) if at.kind is kind]


async def as_finder(connection: Connection) -> None:
    store, fleet = AwsTaskStore(connection), AwsFleet(connection)
    inbox, logs, ledger = (
        AwsInbox(connection),
        AwsLogs(connection),
        await AwsLedger.open(connection),
    )
    me = member("me")
    await fleet.register(me)
    await fleet.heartbeat(me.ident, LOAD)
    assert await fleet.members()

    claimed = await store.claim_run(me.ident, LEASE)
    assert claimed is not None
    await store.task_version(claimed.task, claimed.task_version)
    assert await store.get_task(claimed.task)
    await store.keep_run(claimed, LEASE)
    assert await AwsVault(connection).get("key")
    assert await inbox.lag()
    await inbox.done(TASK, await inbox.waiting(TASK, limit=10))
    for _ in range(2):  # the first ones fill what is to take the others
        await logs.append(
            [replace(line(letter * 4_000, RUN), task=TASK) for letter in "abcdefgh" * 4]
        )
    await AwsSamples(connection).add(RUN, TASK, sample(1))

    other = RunId("other")
    await _record(ledger, other)
    assert await ledger.shards(other)
    assert await ledger.known(other, ["in parts"])
    assert await ledger.replace(other, [new("changed")])
    await as_worker(connection, RUN)
    await lease_all(ledger, other)
    await ledger.reclaim(other, [WORKER])
    await ledger.release_held(other)
    await ledger.part_bytes(other)
    async for _ in ledger.transfers(other):
        pass
    for upload in await ledger.uploads(other):
        await ledger.forget_upload(other, upload)
    await ledger.reset(other)

    await store.release_run(claimed)
    taken = await store.claim_run(me.ident, LEASE)
    assert taken is not None
    await store.update_run(replace(taken, state=RunState.SUCCEEDED, ended_at=CREATED))
    assert (await store.runs(RunFilter(task=TASK))).items
    assert (await store.runs()).items
    await fleet.forget(CREATED)
    await fleet.leave(me.ident)
    await describe_state(connection)
    await ledger.aclose()


async def as_hub(connection: Connection) -> None:
    await _dies(connection)
    await as_finder(connection)
    store, ledger = AwsTaskStore(connection), await AwsLedger.open(connection)
    assert await ledger.failures(RUN)
    assert await ledger.failure_groups(RUN)
    assert (await ledger.page(RUN)).items
    assert await ledger.redrive(RUN)
    assert await ledger.ledgers()
    await ledger.purge(RUN)

    second = task("second")
    await store.create_task(second)
    second = await store.update_task(replace(second, name="Second"))
    await store.plan_task(second.ident, None, CREATED)
    assert await store.due_tasks(_LATER)
    assert (await store.tasks()).items
    assert await store.find_task(second.fingerprint, owner=second.owner)
    await store.event_tasks()
    await store.create_run(replace(run("moment", of=second.ident), scheduled_at=CREATED))
    await store.expired_runs(_LATER)
    for told in await store.untold_runs():
        await store.note_told(told)
    await store.delete_task(second.ident, with_runs=True)

    seats, vault, inbox, logs = (
        AwsSeats(connection),
        AwsVault(connection),
        AwsInbox(connection),
        AwsLogs(connection),
    )
    await seats.take("scheduler", "me", LEASE)
    await AwsAudit(connection).append(entry("me"))
    assert await AwsAudit(connection).entries()
    await vault.replace(sealed("key", version=2), sealed("key"))
    assert await vault.all()
    await vault.delete("key")
    await inbox.put(TASK, [event("c")])
    await inbox.forget(TASK)
    assert (await logs.page(OfTask(TASK))).lines
    await logs.forget(RUN)
    await _look_back(AwsSamples(connection))
    await _let_in(AwsPeople(connection))
    await _tell(AwsChannels(connection), AwsOutbox(connection))
    await ledger.aclose()


async def _let_in(people: AwsPeople) -> None:
    await people.create_user(user("ann"))
    await people.update_user(user("ann"))
    assert await people.users()
    await people.create_link(link("link"))
    assert await people.take_link("link", NOW)
    await people.create_session(session("session"))
    await people.touch_session("session", NOW + timedelta(minutes=1))
    assert await people.get_session("session")
    assert await people.end_sessions("ann")
    await people.create_token(token("token"))
    assert await people.revoke_token("token", NOW)
    assert await people.get_token("digest of token")
    assert await people.replace_strikes("ann", None, Strikes(count=1, at=NOW))
    assert await people.purge(_LATER, _LATER)


async def _tell(channels: AwsChannels, outbox: AwsOutbox) -> None:
    await channels.create_channel(channel(FakeClock(), "slack"))
    to = [Addressee(channel="slack", window=timedelta(0))]
    for ident in "ab":
        assert await outbox.add(notice(FakeClock(), ident), to, [ident])
    [message] = await outbox.messages()
    assert message.count == 2
    await outbox.claim(LEASE)
    await channels.delete_channel("slack")
    assert await outbox.purge(_LATER)


async def _look_back(samples: AwsSamples) -> None:
    assert await samples.latest([RUN])
    assert await samples.series(OfTask(TASK), START, _LATER, points=2)
    for thinning in THINNINGS:
        await samples.thin(thinning, _LATER)
    await samples.purge(START)
    await samples.forget(RUN)


async def _dies(connection: Connection) -> None:
    """A message of the run, and one of another, are among the dead letters."""
    work, dead = await connection.queue(WORK), await connection.queue(DEAD)
    messages = await work.receive(10, hidden=timedelta(0))
    told = next(words for at in messages if "epoch" in (words := json.loads(at.body)))
    of_another = {**told, "epoch": uuid4().hex}
    await dead.send([Posting(json.dumps(told)), Posting(json.dumps(of_another))])


async def as_creator(connection: Connection) -> None:
    await create_state(connection)
    await create_state(connection, backups=True, protected=True)
    await _unprotect(connection)
    await delete_state(connection)


async def _unprotect(connection: Connection) -> None:
    for table in TABLES:
        asked = {"TableName": connection.resource(table.name), "DeletionProtectionEnabled": False}
        await connection.dynamodb.ask("UpdateTable", asked)
