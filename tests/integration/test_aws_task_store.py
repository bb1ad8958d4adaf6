"""The task store on DynamoDB: its views, what it costs, and what happens on the way."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.conformance.aws_states import aws_state, connection_to
from tests.conformance.ledger_facts import FakeClock
from tests.conformance.run_stores import LEASE, queued
from tests.conformance.task_stores import CREATED, run, task
from tests.servers.aws_faults import AwsProxy, Refusal, Reset, Unprocessed
from tests.servers.endpoint import Endpoint
from tests.servers.ministack import MinistackServer
from transferhub.aws.attributes import from_wire
from transferhub.errors import ConflictError, LeaseLostError, StateError
from transferhub.model.pages import RunFilter, TaskFilter, TaskSort
from transferhub.model.run import Run, RunOrder, RunState, TaskId, TaskState, Trigger
from transferhub.model.transfer import RunId
from transferhub.state.aws.connection import Connection
from transferhub.state.aws.run_items import ListedRun
from transferhub.state.aws.schema import HUB
from transferhub.state.aws.task_items import ListedTask
from transferhub.state.aws.tasks import AwsTaskStore
from transferhub.state.base import TaskStore

STORES = 3
ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def state(aws_server_for_races: Endpoint) -> AsyncIterator[Connection]:
    async with aws_state(aws_server_for_races) as opened:
        yield opened


@pytest.fixture
async def stores(
    state: Connection, aws_server_for_races: Endpoint
) -> AsyncIterator[Sequence[AwsTaskStore]]:
    async with AsyncExitStack() as stack:
        found = [
            AwsTaskStore(connection_to(aws_server_for_races, state.name)) for _ in range(STORES)
        ]
        for store in found:
            stack.push_async_callback(store.aclose)
        yield found


@pytest.fixture
async def proxy(ministack: MinistackServer) -> AsyncIterator[AwsProxy]:
    async with AwsProxy(ministack.endpoint.url) as listening:
        yield listening


@pytest.fixture
async def watched(ministack: MinistackServer, proxy: AwsProxy) -> AsyncIterator[Connection]:
    """A state of ministack, all of whose requests go through the proxy.

    moto could not: it passes over the token that a transaction has, and carries it out twice.
    """
    async with aws_state(ministack.endpoint.at(proxy.url)) as opened:
        proxy.clear()
        yield opened


@pytest.fixture
def store(watched: Connection) -> AwsTaskStore:
    return AwsTaskStore(watched)


# Views


async def test_views_hold_what_the_items_are_however_writers_race(
    state: Connection, stores: Sequence[AwsTaskStore]
) -> None:
    for number in range(4):
        await stores[0].create_task(replace(task(f"{number}"), next_run_at=CREATED))
        await stores[0].create_run(queued(f"{number}", of=f"{number}"))
    await asyncio.gather(*(_live(store, random.Random(n)) for n, store in enumerate(stores)))
    entries, items = await _all_of(state)
    assert entries == items
    assert {key[0] for key in items} >= {"runs", "tasks", "tasks-due", "runs-in#under-way"}


async def _live(store: TaskStore, chance: random.Random) -> None:
    """Some of all that may happen to a few tasks and runs."""
    for step in range(25):
        name = f"{chance.randrange(4)}"
        with suppress(ConflictError, LeaseLostError):
            await _happen(store, chance, name, step)


async def _happen(store: TaskStore, chance: random.Random, name: str, step: int) -> None:
    known, work = await store.get_run(RunId(name)), await store.get_task(TaskId(name))
    match chance.randrange(9):
        case 0:
            at = CREATED + timedelta(seconds=chance.randrange(3))
            await store.create_run(replace(queued(f"{id(store)}-{step}", of=name), scheduled_at=at))
        case 1:
            await store.claim_run(f"{id(store)}", chance.choice((LEASE, -LEASE)))
        case 2 if known:
            await store.keep_run(known, LEASE)
        case 3 if known:
            await store.release_run(known)
        case 4 if known:
            ended = replace(known, state=chance.choice(ENDED), trigger=Trigger.EVENT)
            await store.update_run(replace(ended, ended_at=CREATED + timedelta(seconds=step)))
        case 5 if known:
            await store.note_told(known)
        case 6 if work:
            await store.update_task(
                replace(work, name=f"{step}", state=chance.choice([*TaskState]), events={"n": step})
            )
        case 7 if work:
            at = CREATED + timedelta(seconds=step)
            await store.plan_task(work.ident, work.next_run_at, chance.choice((None, at)))
        case 8 if known:
            await store.delete_run(known)


async def _all_of(state: Connection) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """All entries of the table, and those that its items should have."""
    answer = await state.dynamodb.ask("Scan", {"TableName": state.resource(HUB.name)})
    assert "LastEvaluatedKey" not in answer
    found = [from_wire(item) for item in answer["Items"]]
    listed = [ListedRun.of(item) for item in found if item["sk"] == "run"]
    moments = {item["ident"] for item in found if item["pk"].startswith("moment#")}
    assert moments == {each.run.ident for each in listed if each.run.scheduled_at is not None}
    tasks = [ListedTask.of(item) for item in found if item["sk"] == "task"]
    whole: list[ListedRun | ListedTask] = [*listed, *tasks]
    wanted = {(at.view, at.at): at.item for each in whole for at in each.entries()}
    entries = {
        (item["pk"], item["sk"]): item for item in found if item["pk"].startswith(("runs", "tasks"))
    }
    return entries, wanted


async def test_orders_and_heartbeats_do_not_lose_each_other(stores: Sequence[AwsTaskStore]) -> None:
    await stores[0].create_run(queued("a"))
    mine = await stores[0].claim_run("k", LEASE)
    assert mine is not None

    async def order(store: TaskStore, times: int) -> None:
        for _ in range(times):
            known = await store.get_run(RunId("a"))
            assert known is not None
            await store.update_run(replace(known, order=RunOrder.STOP, resumed=known.resumed + 1))

    async def keep(store: TaskStore, times: int) -> None:
        for number in range(times):
            await store.keep_run(mine, LEASE * (number + 2))

    await asyncio.gather(order(stores[1], 8), keep(stores[0], 16))
    kept = await stores[2].get_run(RunId("a"))
    assert kept is not None
    assert (kept.resumed, kept.order, kept.version) == (8, RunOrder.STOP, mine.version + 8)
    assert mine.kept_until is not None
    assert kept.kept_until is not None
    assert kept.kept_until - mine.kept_until > 15 * LEASE


async def test_a_run_that_is_claimed_meanwhile_is_never_missing_among_those_under_way(
    stores: Sequence[AwsTaskStore],
) -> None:
    await stores[0].create_run(queued("a"))
    chosen = RunFilter(task=TaskId("task"), states=(RunState.RUNNING, RunState.QUEUED))

    async def move() -> None:
        for _ in range(12):
            mine = await stores[0].claim_run("k", LEASE)
            assert mine is not None
            await stores[0].release_run(mine)

    async def look(store: TaskStore) -> None:
        while not moving.done():
            assert [each.ident for each in (await store.runs(chosen)).items] == ["a"]

    async with asyncio.TaskGroup() as group:
        moving = group.create_task(move())
        for store in stores[1:]:
            group.create_task(look(store))


# Costs


async def test_reads_cost_the_same_whatever_is_kept(
    store: AwsTaskStore, watched: Connection, proxy: AwsProxy
) -> None:
    await _fill(watched, 1_200)
    proxy.clear()
    some = RunFilter(states=(RunState.FAILED,))
    for chosen, queries in (
        (RunFilter(), 1),
        (some, 1),
        (RunFilter(task=TaskId("t1")), 1),
        (replace(some, task=TaskId("t1")), 1),
        (RunFilter(trigger=Trigger.EVENT), 1),
        (RunFilter(states=(RunState.QUEUED, RunState.RUNNING)), 1),
        (RunFilter(states=(RunState.QUEUED,)), 1),
        (RunFilter(states=(RunState.FAILED, RunState.SUCCEEDED)), 2),
        (RunFilter(since=CREATED, until=CREATED + timedelta(seconds=600)), 1),
    ):
        page = await store.runs(chosen, limit=20)
        assert len(page.items) == 20
        again = await store.runs(chosen, after=page.cursor, limit=20)
        assert not {each.ident for each in page.items} & {each.ident for each in again.items}
        assert _actions(proxy) == {"Query": 2 * queries, "BatchGetItem": 2}
        assert _read(proxy) <= 2 * queries * 21
        proxy.clear()
    assert await store.claim_run("k", LEASE)
    assert _actions(proxy) == {"Query": 2, "GetItem": 1, "TransactWriteItems": 1}
    proxy.clear()
    assert len(await store.latest_runs([TaskId("t1"), TaskId("t2")])) == 2
    assert _actions(proxy) == {"Query": 2, "BatchGetItem": 1}
    proxy.clear()
    assert len((await store.expired_runs(CREATED + timedelta(days=9), limit=20)).items) == 20
    assert _actions(proxy) == {"Query": 1 + 6, "BatchGetItem": 2}


async def test_a_rare_run_is_found_among_many(store: AwsTaskStore, watched: Connection) -> None:
    await _fill(watched, 1_200)
    rare = replace(run("rare", of="t1", state=RunState.FAILED, seconds=-1), trigger=Trigger.PERSON)
    await store.create_run(rare)
    found = await store.runs(RunFilter(states=(RunState.FAILED,), trigger=Trigger.PERSON))
    assert [each.ident for each in found.items] == ["rare"]
    found = await store.runs(RunFilter(task=TaskId("t1"), trigger=Trigger.PERSON))
    assert [each.ident for each in found.items] == ["rare"]


async def test_nothing_is_scanned(store: AwsTaskStore, proxy: AwsProxy) -> None:
    await store.create_task(replace(task("a"), next_run_at=CREATED, events={"kind": "queue"}))
    await store.create_run(queued("a", of="a"))
    for sort in TaskSort:
        await store.tasks(TaskFilter(words="name"), sort=sort)
    assert await store.due_tasks(CREATED)
    assert await store.event_tasks()
    assert await store.find_task("f")
    await store.untold_runs()
    await store.delete_task(TaskId("a"), with_runs=True)
    assert not proxy.asked("Scan")
    assert {at.service for at in proxy.seen} == {"dynamodb"}


async def _fill(state: Connection, count: int) -> None:
    """Writes runs of six tasks, in all states, quicker than one by one."""
    states = [*RunState]
    listed = [
        ListedRun(run=_old(f"r{number}", number, states[number // 6 % 6]), number=number)
        for number in range(count)
    ]
    items = [item for each in listed for item in (each.item, *(at.item for at in each.entries()))]
    await state.table(HUB).write(items)


def _old(ident: str, number: int, state: RunState) -> Run:
    at = CREATED + timedelta(seconds=number)
    ended_at = at if state in ENDED else None
    one = run(ident, of=f"t{number % 6}", state=state, seconds=number)
    return replace(one, trigger=Trigger.EVENT, ended_at=ended_at)


def _actions(proxy: AwsProxy) -> dict[str, int]:
    return {at.action: len(proxy.asked(at.action)) for at in proxy.seen}


def _read(proxy: AwsProxy) -> int:
    """The most entries that the queries may have read."""
    return sum(at.parameters.get("Limit", 1 << 30) for at in proxy.asked("Query"))


async def test_most_beats_of_a_keeper_write_the_run_alone(
    watched: Connection, proxy: AwsProxy, clock: FakeClock
) -> None:
    store = AwsTaskStore(watched, clock)
    await store.create_run(queued("a"))
    mine = await store.claim_run("k", LEASE)
    assert mine is not None
    proxy.clear()
    for _ in range(10):
        clock.advance(2)
        mine = await store.keep_run(mine, LEASE)
    assert _actions(proxy) == {"GetItem": 10, "PutItem": 8, "TransactWriteItems": 2}
    clock.advance(29.999)
    assert await store.claim_run("other", LEASE) is None
    clock.advance(0.001)
    assert await store.claim_run("other", LEASE)


# On the way


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ProvisionedThroughputExceededException", "state_throttled"),
        ("ExpiredTokenException", "state_expired"),
        ("AccessDeniedException", "state_denied"),
        ("ResourceNotFoundException", "state_missing"),
        ("InternalServerError", "state_unreachable"),
    ],
)
async def test_what_aws_refuses_is_told(
    ministack: MinistackServer, proxy: AwsProxy, name: str, code: str
) -> None:
    patience = timedelta(seconds=0.2)
    async with aws_state(ministack.endpoint.at(proxy.url), patience=patience) as state:
        store = AwsTaskStore(state)
        for action in ("GetItem", "UpdateItem", "Query", "TransactWriteItems", "BatchGetItem"):
            proxy.add(action, Refusal(name), times=100)
        verbs = (
            store.create_run(run("a")),
            store.get_run(RunId("a")),
            store.tasks(),
            store.unknown_runs([RunId("a")]),
            store.latest_runs([TaskId("a"), TaskId("b")]),
        )
        for verb in verbs:
            with pytest.raises(StateError) as caught:
                await verb
            assert caught.value.code == code
        proxy.clear()


async def test_a_read_that_is_slowed_down_is_tried_again(
    store: AwsTaskStore, proxy: AwsProxy
) -> None:
    for number in range(3):
        await store.create_run(run(f"{number}"))
    proxy.add("Query", Refusal("ProvisionedThroughputExceededException"))
    proxy.add("BatchGetItem", Unprocessed(2))
    assert [each.ident for each in (await store.runs()).items] == [*"210"]


async def test_a_write_whose_answer_was_lost_is_known_as_ones_own(
    store: AwsTaskStore, proxy: AwsProxy
) -> None:
    async def losing(action: str = "TransactWriteItems") -> AwsTaskStore:
        proxy.add(action, Reset(carried_out=True))
        return store

    await (await losing()).create_task(task("a"))
    assert (await (await losing()).update_task(task("a"))).version == 2
    assert await (await losing()).plan_task(TaskId("a"), None, CREATED)
    await (await losing()).create_run(queued("r", of="a"))
    mine = await (await losing()).claim_run("k", LEASE)
    assert mine is not None
    await (await losing()).keep_run(mine, LEASE)
    started = await (await losing("PutItem")).update_run(replace(mine, started_at=CREATED))
    ended = replace(started, state=RunState.FAILED, ended_at=CREATED)
    assert (await (await losing()).update_run(ended)).version == 4
    known = await store.get_run(RunId("r"))
    assert known is not None
    assert await (await losing()).delete_run(known)
    assert await (await losing()).delete_task(TaskId("a"), with_runs=False)


async def test_a_write_that_meets_a_transaction_is_tried_again(
    store: AwsTaskStore, proxy: AwsProxy
) -> None:
    await store.create_run(run("a"))
    proxy.add("PutItem", Refusal("TransactionConflictException"))
    assert (await store.update_run(replace(run("a"), resumed=1))).version == 2
    proxy.add(
        "TransactWriteItems",
        Refusal(
            "TransactionCanceledException",
            message="Transaction cancelled, please refer cancellation reasons for specific reasons"
            " [TransactionConflict, None]",
        ),
    )
    await store.create_run(run("b"))
    assert await store.get_run(RunId("b")) == run("b")


async def test_an_interrupted_deletion_goes_on(store: AwsTaskStore, proxy: AwsProxy) -> None:
    await store.create_task(task("a"))
    await store.update_task(task("a"))
    for number in range(5):
        await store.create_run(run(f"{number}", of="a", state=RunState.FAILED))
    proxy.add("TransactWriteItems", Refusal("AccessDeniedException"), times=100, skip=2)
    with pytest.raises(StateError, match="AccessDenied"):
        await store.delete_task(TaskId("a"), with_runs=True)
    proxy.clear()
    assert await store.get_task(TaskId("a"))
    assert await store.delete_task(TaskId("a"), with_runs=True)
    assert not (await store.runs()).items
    assert not await store.task_versions(TaskId("a"))


async def test_what_no_item_can_hold_is_refused_with_a_sentence(store: AwsTaskStore) -> None:
    await store.create_task(replace(task("a"), spec={"exclude": ["x" * 1_000] * 380}))
    with pytest.raises(StateError, match=r"Task b takes 4\d\d KB.*400 KB") as caught:
        await store.create_task(replace(task("b"), spec={"exclude": ["x" * 1_000] * 420}))
    assert caught.value.code == "state_too_large"
    await store.create_run(run("a"))
    with pytest.raises(StateError, match="Run a takes"):
        await store.update_run(replace(run("a"), summary={"report": "é" * 100_000}))
    assert await store.get_run(RunId("a")) == run("a")
