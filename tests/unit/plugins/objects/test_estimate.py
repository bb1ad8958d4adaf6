import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.errors import InputError
from transferhub.model.transfer import Difference, ScanCounts
from transferhub.plugins.objects.estimate import (
    FIRST_KEYS,
    FirstKey,
    Preview,
    Rates,
    Work,
    estimate,
)
from transferhub.plugins.objects.location import Provider
from transferhub.plugins.objects.prices import PriceTable, RequestKind, load_prices

PRICES = load_prices()
SCAN = ScanCounts(
    scanned_source=2_500, scanned_destination=10, new=900, changed=100, copy_bytes=10 << 30
)


def preview(work: Work, **values: Any) -> Preview:
    return estimate(work, **{"source": "aws", "destination": "r2", "prices": PRICES, **values})


def counts(found: Preview) -> dict[tuple[str, str], int]:
    return {(request.where, request.kind.value): request.count for request in found.requests}


def test_requests_are_counted_by_kind_and_side() -> None:
    work = Work(
        scan=SCAN, multipart_objects=10, parts=50, deletes=1_001, tagged_objects=7, source_heads=3
    )
    assert counts(preview(work)) == {
        ("source", "list"): 3,
        ("destination", "list"): 1,
        ("source", "head"): 3,
        ("source", "get"): 1_040,
        ("source", "tags"): 7,
        ("destination", "put"): 990,
        ("destination", "multipart"): 70,
        ("destination", "delete"): 2,
    }


def test_lists_that_were_counted_are_taken_as_told() -> None:
    found = preview(Work(scan=SCAN, source_lists=9, destination_lists=0))
    assert found.requests_of(RequestKind.LIST) == 9


def test_the_cost_is_that_of_the_price_table() -> None:
    found = preview(Work(scan=SCAN))
    expected = 3 * 0.005 / 1e3 + 1_000 * 0.0004 / 1e3 + (1_000 + 1) * 0.0045 / 1e3 + 10 * 0.09
    assert found.cost == pytest.approx(expected)
    assert found.egress_cost == pytest.approx(0.9)
    assert (found.currency, found.unpriced) == ("USD", ())
    assert [line.partition(":")[0] for line in found.prices_from] == ["aws", "r2"]


def test_a_server_side_copy_moves_no_byte() -> None:
    found = preview(Work(scan=SCAN, server_copy=True), destination="aws")
    assert found.egress_cost == 0
    assert found.requests_of(RequestKind.GET) == 0
    assert found.requests_of(RequestKind.PUT) == 1_000


def test_a_provider_without_prices_is_named_and_not_free() -> None:
    found = preview(Work(scan=SCAN), source="oss", destination="other")
    assert found.unpriced == ("oss", "other")
    assert found.egress_cost is None
    assert found.cost == 0
    assert {request.cost for request in found.requests} == {None}


@given(
    st.builds(
        ScanCounts,
        scanned_source=st.integers(0, 10**9),
        new=st.integers(0, 10**9),
        copy_bytes=st.integers(0, 10**15),
    )
)
def test_more_work_never_costs_less_or_ends_sooner(scan: ScanCounts) -> None:
    less, more = preview(Work(scan=scan)), preview(Work(scan=scan + SCAN))
    assert more.cost >= less.cost
    assert more.seconds >= less.seconds


def test_the_slowest_rate_decides_how_long_it_takes() -> None:
    work = Work(scan=SCAN)
    slow = Rates(objects_per_second=1e9, bytes_per_second=1 << 30, lists_per_second=1e9)
    assert preview(work, rates=slow).seconds == pytest.approx(10)
    slow = Rates(objects_per_second=10, bytes_per_second=1e15, lists_per_second=1e9)
    assert preview(work, rates=slow).seconds == pytest.approx(100)


def test_only_the_first_keys_are_shown() -> None:
    key = FirstKey(key="a", destination="b/a", size=1, difference=Difference.NEW)
    assert len(preview(Work(scan=SCAN), first_keys=[key] * 50).first_keys) == FIRST_KEYS


def test_the_packaged_prices_are_complete_and_dated() -> None:
    assert set(PRICES.providers) <= {*get_args(Provider), "file"}
    for prices in PRICES.providers.values():
        assert set(prices.per_1000) == set(RequestKind)
        assert prices.as_of
        assert prices.note


def test_a_price_table_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(
        json.dumps(
            {"currency": "EUR", "providers": {"oss": {"per_1000": {"get": 1}, "egress_per_gb": 0}}}
        )
    )
    table = load_prices(str(path))
    found = preview(Work(scan=SCAN), source="oss", destination="oss", prices=table)
    assert found.currency == "EUR"
    assert found.cost == pytest.approx(1.0)
    assert found.unpriced == ("oss",)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"providers": {}, "x": 1}', '"\\ud800'])
def test_what_is_no_price_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        load_prices(str(path))
    assert caught.value.field.startswith("prices")


def test_a_price_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_prices(str(tmp_path / "absent"))


def test_an_empty_price_table_prices_nothing() -> None:
    assert preview(Work(scan=SCAN), prices=PriceTable(providers={})).unpriced == ("aws", "r2")
