"""The verbs of a table, on both stand-ins; and through a proxy, what those never answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tests.conformance.aws_states import aws_state, connection_to
from tests.servers.aws_faults import AwsProxy, Refusal, Reset, Unprocessed
from tests.servers.endpoint import Endpoint
from tests.servers.ministack import MinistackServer
from transferhub.aws.attributes import Item
from transferhub.aws.client import AwsError, AwsFault
from transferhub.aws.table import (
    ABSENT,
    MOST_ACTIONS,
    PRESENT,
    Action,
    Check,
    Delete,
    Put,
    Table,
    Update,
    When,
)
from transferhub.state.aws.schema import HUB, LEDGER

PATIENCE = timedelta(seconds=20)
HURRY = timedelta(seconds=0.5)
KEY: Item = {"pk": "run", "sk": "one"}


@pytest.fixture
async def table(aws_server: Endpoint) -> AsyncIterator[Table]:
    async with aws_state(aws_server) as connection:
        yield connection.table(HUB)


@asynccontextmanager
async def proxied_table(
    endpoint: Endpoint, patience: timedelta = PATIENCE
) -> AsyncIterator[tuple[AwsProxy, Table]]:
    async with aws_state(endpoint) as state, AwsProxy(endpoint.url) as proxy:
        connection = connection_to(endpoint.at(proxy.url), state.name, patience=patience)
        try:
            yield proxy, connection.table(HUB)
        finally:
            await connection.aclose()


@pytest.fixture
async def proxied(aws_server: Endpoint) -> AsyncIterator[tuple[AwsProxy, Table]]:
    async with proxied_table(aws_server) as proxied:
        yield proxied


@pytest.fixture
async def hurried(aws_server: Endpoint) -> AsyncIterator[tuple[AwsProxy, Table]]:
    """With little patience."""
    async with proxied_table(aws_server, HURRY) as hurried:
        yield hurried


def items(count: int, **fields: object) -> list[Item]:
    return [{"pk": "run", "sk": f"{number:04}", **fields} for number in range(count)]


# Values


async def test_every_kind_of_value_comes_back_as_it_was(aws_server: Endpoint) -> None:
    item = {
        "pk": "run",
        "sk": b"\x00\xff",
        "text": "ü\u2028\U0010ffff",
        "empty": "",
        "whole": -(10**30),
        "half": 0.5,
        "small": 1e-07,
        "yes": True,
        "nothing": None,
        "bytes": bytes(range(256)),
        "list": [1, "a", b"b", {"deep": [None]}],
        "map": {"a": {"b": 1}},
        "set": {"x", "y"},
    }
    async with aws_state(aws_server) as connection:
        table = connection.table(LEDGER)
        assert await table.put(item)
        assert await table.get({"pk": "run", "sk": b"\x00\xff"}) == item


# Single items


async def test_an_item_that_is_not_there_is_none(table: Table) -> None:
    assert await table.get(KEY) is None


async def test_a_put_is_held_by_its_condition(table: Table) -> None:
    assert await table.put({**KEY, "n": 1}, ABSENT)
    assert not await table.put({**KEY, "n": 2}, ABSENT)
    assert await table.put({**KEY, "n": 3}, When("n = :n", {":n": 1}))
    assert await table.get(KEY) == {**KEY, "n": 3}


async def test_an_update_gives_the_item_as_it_is_now(table: Table) -> None:
    change = When("SET #s = :s ADD n :n", {":s": "done", ":n": 2}, {"#s": "state"})
    assert await table.update(KEY, change) == {**KEY, "state": "done", "n": 2}
    assert await table.update(KEY, change) == {**KEY, "state": "done", "n": 4}


async def test_an_update_is_held_by_its_condition(table: Table) -> None:
    assert await table.update(KEY, When("ADD n :n", {":n": 1}), PRESENT) is None
    assert await table.get(KEY) is None


async def test_placeholders_of_change_and_condition_go_together(table: Table) -> None:
    await table.put({**KEY, "version": 1})
    change = When("SET #v = :new", {":new": 2}, {"#v": "version"})
    held = When("#old = :old", {":old": 1}, {"#old": "version"})
    assert await table.update(KEY, change, held) == {**KEY, "version": 2}
    assert await table.update(KEY, change, held) is None


async def test_a_delete_is_held_by_its_condition(table: Table) -> None:
    await table.put({**KEY, "n": 1})
    assert not await table.delete(KEY, When("n = :n", {":n": 2}))
    assert await table.delete(KEY, When("n = :n", {":n": 1}))
    assert await table.delete(KEY)
    assert await table.get(KEY) is None


# Batches


async def test_more_items_than_one_call_takes_are_written_read_and_deleted(table: Table) -> None:
    written = items(230, n=1)
    await table.write(written)
    keys = items(240)
    found = await table.get_many(keys)
    assert sorted(found, key=lambda at: at["sk"]) == written
    await table.write(deletes=keys[:229], puts=[{**KEY, "n": 2}])
    assert sorted(at["sk"] for at in await table.get_many([*keys, KEY])) == ["0229", "one"]


async def test_items_that_stay_unprocessed_are_written_later(
    proxied: tuple[AwsProxy, Table],
) -> None:
    proxy, table = proxied
    proxy.add("BatchWriteItem", Unprocessed(20))
    proxy.add("BatchWriteItem", Unprocessed(7))
    await table.write(items(25))
    assert [len(at.parameters["RequestItems"][table.name]) for at in proxy.seen] == [25, 20, 7]
    assert len(await table.get_many(items(25))) == 25


async def test_keys_that_stay_unprocessed_are_read_later(proxied: tuple[AwsProxy, Table]) -> None:
    proxy, table = proxied
    await table.write(items(30))
    proxy.add("BatchGetItem", Unprocessed(30))
    proxy.add("BatchGetItem", Unprocessed(9))
    found = await table.get_many(items(30))
    assert sorted(at["sk"] for at in found) == [at["sk"] for at in items(30)]
    assert all(
        at.parameters["RequestItems"][table.name]["ConsistentRead"]
        for at in proxy.asked("BatchGetItem")
    )


@pytest.mark.parametrize("action", ["BatchWriteItem", "BatchGetItem"])
async def test_what_stays_unprocessed_for_too_long_is_told(
    hurried: tuple[AwsProxy, Table], action: str
) -> None:
    proxy, table = hurried
    proxy.add(action, Unprocessed(25), times=1000)
    with pytest.raises(AwsError, match="items stay unprocessed") as raised:
        await (table.write if action == "BatchWriteItem" else table.get_many)(items(25))
    assert raised.value.fault is AwsFault.THROTTLED
    assert len(proxy.seen) > 1


# Queries


async def test_a_query_gives_a_partition_page_by_page_in_order(table: Table) -> None:
    await table.write([*items(10), {"pk": "other", "sk": "0003"}])
    which = When("pk = :pk AND sk BETWEEN :a AND :b", {":pk": "run", ":a": "0002", ":b": "0008"})
    pages = [[at["sk"] for at in page] async for page in table.pages(which, limit=3)]
    assert [sk for page in pages for sk in page] == [f"{n:04}" for n in range(2, 9)]
    assert max(map(len, pages)) == 3
    backwards = await table.query(which, descending=True, limit=2)
    assert [at["sk"] for at in backwards.items] == ["0008", "0007"]
    assert backwards.after is not None


async def test_a_filter_leaves_items_out_of_pages(table: Table) -> None:
    await table.write([*items(4, n=1), {"pk": "run", "sk": "x", "n": 2}])
    which, keep = When("pk = :pk", {":pk": "run"}), When("#n = :n", {":n": 2}, {"#n": "n"})
    found = [at["sk"] async for page in table.pages(which, keep=keep, limit=2) for at in page]
    assert found == ["x"]


async def test_an_index_finds_items_by_its_own_keys(table: Table) -> None:
    await table.write([{**at, "by1": "tasks", "at1": f"{9 - n}"} for n, at in enumerate(items(3))])
    await table.put({"pk": "run", "sk": "sparse"})
    found = await table.query(When("by1 = :by", {":by": "tasks"}), index="by1")
    assert [at["sk"] for at in found.items] == ["0002", "0001", "0000"]


# Transactions


async def test_a_transaction_is_carried_out_whole_or_not_at_all(table: Table) -> None:
    await table.write([{**KEY, "n": 1}, {"pk": "run", "sk": "old"}])
    actions: list[Action] = [
        Put({"pk": "run", "sk": "new"}, ABSENT),
        Update(KEY, When("ADD n :one", {":one": 1})),
        Delete({"pk": "run", "sk": "old"}),
    ]
    held = Check({"pk": "run", "sk": "guard"}, PRESENT)
    assert not await table.transact([*actions, held])
    assert await table.get(KEY) == {**KEY, "n": 1}
    await table.put({"pk": "run", "sk": "guard"})
    assert await table.transact([*actions, held])
    assert await table.get(KEY) == {**KEY, "n": 2}
    assert await table.get({"pk": "run", "sk": "old"}) is None
    assert not await table.transact(actions)


async def test_a_transaction_takes_as_many_actions_as_it_says(table: Table) -> None:
    assert await table.transact([Put(item, ABSENT) for item in items(MOST_ACTIONS)])
    assert len(await table.get_many(items(MOST_ACTIONS))) == MOST_ACTIONS


REASONS = ["TransactionConflict", "ThrottlingError"]


def cancelled_by(reason: str) -> Refusal:
    reasons = f"Transaction cancelled, please refer cancellation reasons [None, {reason}]"
    return Refusal("TransactionCanceledException", message=reasons)


@pytest.mark.parametrize("reason", REASONS)
async def test_a_transaction_that_others_hold_up_is_tried_again(
    proxied: tuple[AwsProxy, Table], reason: str
) -> None:
    proxy, table = proxied
    proxy.add("TransactWriteItems", cancelled_by(reason), times=2)
    assert await table.transact([Put({**KEY, "n": 1}, ABSENT)])
    assert len(proxy.seen) == 3


@pytest.mark.parametrize("reason", REASONS)
async def test_a_transaction_that_others_hold_up_for_too_long_is_told(
    hurried: tuple[AwsProxy, Table], reason: str
) -> None:
    proxy, table = hurried
    proxy.add("TransactWriteItems", cancelled_by(reason), times=1000)
    with pytest.raises(AwsError) as raised:
        await table.transact([Put({**KEY, "n": 1})])
    assert raised.value.fault is AwsFault.THROTTLED
    assert len(proxy.seen) > 1


async def test_a_transaction_that_can_never_work_is_refused_at_once(
    proxied: tuple[AwsProxy, Table],
) -> None:
    proxy, table = proxied
    proxy.add("TransactWriteItems", cancelled_by("ValidationError"))
    with pytest.raises(AwsError) as raised:
        await table.transact([Put({**KEY, "n": 1})])
    assert raised.value.fault is AwsFault.REFUSED
    assert len(proxy.seen) == 1


# Answers that are lost


async def test_a_transaction_whose_answer_is_lost_is_carried_out_once(
    ministack: MinistackServer,
) -> None:
    # moto ignores the tokens of transactions.
    sums = {"pk": "run", "sk": "sums"}
    async with proxied_table(ministack.endpoint) as (proxy, table):
        proxy.add("TransactWriteItems", Reset(carried_out=True), times=2)
        assert await table.transact(
            [Put({**KEY, "n": 1}, ABSENT), Update(sums, When("ADD n :n", {":n": 1}))]
        )
        assert await table.get(sums) == {**sums, "n": 1}
    sent = proxy.asked("TransactWriteItems")
    assert len(sent) == 3
    assert len({at.parameters["ClientRequestToken"] for at in sent}) == 1


async def test_a_put_whose_answer_is_lost_knows_its_own_item(
    proxied: tuple[AwsProxy, Table],
) -> None:
    proxy, table = proxied
    proxy.add("PutItem", Reset(carried_out=True))
    assert await table.put({**KEY, "n": 1}, ABSENT)
    proxy.add("PutItem", Reset(carried_out=True))
    assert not await table.put({**KEY, "n": 2}, ABSENT)
    proxy.add("PutItem", Refusal("ThrottlingException"))
    assert not await table.put({**KEY, "n": 1}, ABSENT)


async def test_a_delete_whose_answer_is_lost_knows_that_it_is_done(
    proxied: tuple[AwsProxy, Table],
) -> None:
    proxy, table = proxied
    await table.put(KEY)
    proxy.add("DeleteItem", Reset(carried_out=True))
    assert await table.delete(KEY, PRESENT)
    assert not await table.delete(KEY, PRESENT)
