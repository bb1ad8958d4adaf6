"""The bill, by examples whose price AWS's pages give."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from benchmarks.aws.bill import Bill, UnpricedError
from benchmarks.aws.prices import ORIGINAL_DOLLARS, Unit, price
from benchmarks.aws.sizes import item_size

DYNAMODB, SQS = "DynamoDB_20120810", "AmazonSQS"
DUE = {
    "IndexName": "due",
    "KeySchema": [{"AttributeName": "of"}, {"AttributeName": "due"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
KEY = {"pk": {"S": "epoch|groups"}, "sk": {"B": "AAAA"}}


@pytest.fixture
def bill() -> Bill:
    bill = Bill()
    schema = [{"AttributeName": "pk"}, {"AttributeName": "sk"}]
    ask(bill, "CreateTable", KeySchema=schema, GlobalSecondaryIndexes=[DUE])
    return bill


def ask(bill: Bill, action: str, answer: Any = None, *, status: int = 200, **asked: Any) -> None:
    bill.note(f"{DYNAMODB}.{action}", {"TableName": "t", **asked}, status, answer or {})


def units(bill: Bill) -> dict[Unit, float]:
    return {unit: count for unit, count in bill.units.items() if count}


def item(size: int, **more: Mapping[str, Any]) -> dict[str, Any]:
    """An item of so many bytes."""
    bare = {**KEY, **more, "b": {"S": ""}}
    return {**bare, "b": {"S": "x" * (size - item_size(bare))}}


def put(bill: Bill, what: Mapping[str, Any], *, status: int = 200) -> None:
    ask(bill, "PutItem", status=status, Item=what)


def transact(bill: Bill, *actions: Mapping[str, Any], status: int = 200) -> None:
    items = [{name: {"TableName": "t", **at[name]} for name in at} for at in actions]
    ask(bill, "TransactWriteItems", status=status, TransactItems=items)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "naïve"}, 6),
        ({"B": "AAAA"}, 3),
        ({"B": "AAA="}, 2),
        ({"B": "AA=="}, 1),
        ({"N": "0"}, 1),
        ({"N": "7"}, 2),
        ({"N": "1700000000000"}, 2),
        ({"N": "123456"}, 4),
        ({"N": "-12.5"}, 4),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": [{"S": "ab"}, {"BOOL": False}]}, 3 + 2 + 3),
        ({"M": {"a": {"S": "b"}}}, 3 + 1 + 2),
        ({"SS": ["ab", "c"]}, 3),
    ],
)
def test_an_attribute_is_its_name_and_its_value(value: Mapping[str, Any], size: int) -> None:
    assert item_size({"name": value}) == len("name") + size


@pytest.mark.parametrize(("size", "count"), [(1, 1), (1024, 1), (1025, 2), (3500, 4)])
def test_a_write_costs_a_unit_for_each_kilobyte_begun(bill: Bill, size: int, count: int) -> None:
    put(bill, item(max(size, 50)))
    assert units(bill) == {Unit.WRITE: count}


def test_the_larger_one_of_the_old_and_the_new_item_counts(bill: Bill) -> None:
    put(bill, item(5000))
    put(bill, item(100))
    put(bill, item(100))
    assert units(bill) == {Unit.WRITE: 5 + 5 + 1}


def test_a_refused_write_costs_what_the_item_that_is_there_would(bill: Bill) -> None:
    put(bill, item(3000), status=400)
    put(bill, item(3000))
    put(bill, item(100), status=400)
    assert units(bill) == {Unit.WRITE: 1 + 3 + 3}
    assert bill.items("t") == [item(3000)]


def test_a_delete_costs_what_it_deletes_and_one_where_there_is_nothing(bill: Bill) -> None:
    put(bill, item(2000))
    ask(bill, "DeleteItem", Key=KEY)
    ask(bill, "DeleteItem", Key=KEY)
    assert units(bill) == {Unit.WRITE: 2 + 2 + 1}
    assert not bill.items("t")


def test_a_transaction_costs_twice_whether_it_is_carried_out_or_not(bill: Bill) -> None:
    transact(bill, {"Put": {"Item": item(1500)}})
    transact(bill, {"Put": {"Item": item(2500)}}, status=400)
    assert units(bill) == {Unit.TRANSACTED: 2 * 2 + 2 * 3}
    assert bill.items("t") == [item(1500)]


def test_an_update_within_a_transaction_is_followed(bill: Bill) -> None:
    update = {
        "Key": KEY,
        "UpdateExpression": "SET expires = :e ADD #n :v, #m :w",
        "ExpressionAttributeNames": {"#n": "n", "#m": "m"},
        "ExpressionAttributeValues": {":e": {"N": "9"}, ":v": {"N": "2"}, ":w": {"N": "-1"}},
    }
    transact(bill, {"Update": update})
    transact(bill, {"Update": update})
    ask(bill, "UpdateItem", Key=KEY, UpdateExpression="REMOVE m")
    assert bill.items("t") == [{**KEY, "expires": {"N": "9"}, "n": {"N": "4"}}]
    assert units(bill) == {Unit.TRANSACTED: 4, Unit.WRITE: 1}


PLACE = {"of": {"S": "fresh"}, "due": {"B": "AAAA"}}


@pytest.mark.parametrize(
    ("after", "writes"),
    [
        pytest.param(item(200, **PLACE), 0, id="nothing that the index has changes"),
        pytest.param(item(100), 1, id="it leaves the index"),
        pytest.param(item(100, **{**PLACE, "due": {"B": "BBBB"}}), 2, id="its key changes"),
    ],
)
def test_an_index_is_written_as_its_entry_changes(
    bill: Bill, after: Mapping[str, Any], writes: int
) -> None:
    put(bill, item(100, **PLACE))
    assert bill.units[Unit.INDEX] == 1
    put(bill, after)
    assert bill.units[Unit.INDEX] == 1 + writes


def test_the_index_writes_of_a_transaction_count_twice(bill: Bill) -> None:
    transact(bill, {"Put": {"Item": item(100, **PLACE)}})
    assert units(bill) == {Unit.TRANSACTED: 2, Unit.INDEX: 2}


@pytest.mark.parametrize(
    ("sizes", "strong", "count"),
    [
        ([], True, 1),
        ([], False, 0.5),
        ([4096], True, 1),
        ([100] * 40, True, 1),
        ([3000] * 3, False, 1.5),
    ],
)
def test_the_items_of_a_query_are_rounded_up_together(
    bill: Bill, sizes: Sequence[int], strong: bool, count: float
) -> None:
    found = {"Items": [item(size) for size in sizes], "ScannedCount": len(sizes)}
    values = {":pk": KEY["pk"]}
    ask(bill, "Query", found, ExpressionAttributeValues=values, ConsistentRead=strong)
    assert units(bill) == {Unit.STRONG if strong else Unit.EVENTUAL: count}


def test_an_index_is_always_read_as_it_may_lag(bill: Bill) -> None:
    found = {"Items": [], "ScannedCount": 0}
    values = {":of": KEY["pk"]}
    ask(bill, "Query", found, IndexName="due", ExpressionAttributeValues=values)
    assert units(bill) == {Unit.EVENTUAL: 0.5}


def test_the_items_of_a_batch_are_rounded_up_each(bill: Bill) -> None:
    keys = [KEY, {**KEY, "sk": {"B": "BBBB"}}, {**KEY, "sk": {"B": "CCCC"}}]
    asked = {"t": {"Keys": keys, "ConsistentRead": True}}
    answer = {"Responses": {"t": [item(100), item(5000)]}}
    ask(bill, "BatchGetItem", answer, RequestItems=asked)
    assert units(bill) == {Unit.STRONG: 1 + 2 + 1}


@pytest.mark.parametrize(("size", "count"), [(100, 1), (6 << 10, 1), (7 << 10, 2)])
def test_ten_messages_are_a_request_for_each_64_kilobytes(
    bill: Bill, size: int, count: int
) -> None:
    entries = [{"Id": str(n), "MessageBody": "x" * size} for n in range(10)]
    bill.note(f"{SQS}.SendMessageBatch", {"Entries": entries}, 200, {})
    assert units(bill) == {Unit.SQS: count}


def test_empty_receives_and_all_other_calls_of_a_queue_are_requests(bill: Bill) -> None:
    bill.note(f"{SQS}.ReceiveMessage", {}, 200, {})
    bill.note(f"{SQS}.DeleteMessageBatch", {"Entries": []}, 200, {})
    assert units(bill) == {Unit.SQS: 2}


def test_what_has_no_rule_is_not_passed_over(bill: Bill) -> None:
    with pytest.raises(UnpricedError, match="Scan has no price"):
        ask(bill, "Scan")
    with pytest.raises(UnpricedError, match="does not show all it read"):
        ask(bill, "Query", {"Items": [], "ScannedCount": 3})
    with pytest.raises(UnpricedError, match="an update that says"):
        ask(bill, "UpdateItem", Key=KEY, UpdateExpression="SET a = b")


def test_prices_are_those_of_a_million() -> None:
    million = 10**6
    assert price(Counter({Unit.WRITE: million})) == pytest.approx(0.625)
    assert price(Counter({Unit.TRANSACTED: million})) == pytest.approx(0.625)
    assert price(Counter({Unit.EVENTUAL: million})) == pytest.approx(0.125)
    assert price({Unit.SQS: million, Unit.STRONG: million}) == pytest.approx(0.525)
    assert pytest.approx(3.31, abs=0.01) == ORIGINAL_DOLLARS * million
