"""A dry run says what a run would do, and does nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Dth
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy

_KINDS = {
    "ListObjectsV2": "list",
    "HeadObject": "head",
    "GetObject": "get",
    "GetObjectTagging": "tags",
    "PutObject": "put",
    "CopyObject": "put",
    "CreateMultipartUpload": "multipart",
    "UploadPart": "multipart",
    "CompleteMultipartUpload": "multipart",
    "DeleteObject": "delete",
    "DeleteObjects": "delete",
}


@pytest.fixture
def filled(source: Place, destination: Place) -> None:
    source.fill({f"{n:02d}": content_of(str(n), 1000) for n in range(12)})
    source.put("empty")
    source.put_multipart("large", content_of("large", 11 * MIB))
    destination.put("extra", b"only here")


def asked(where: str, proxy: FaultProxy) -> dict[tuple[str, str], int]:
    """Requests by side and kind, but for the one look at each side before the run begins."""
    counted: dict[tuple[str, str], int] = {}
    for seen in proxy.seen:
        if seen.request.query.get("max-keys") != "1":
            kind = (where, _KINDS[seen.operation])
            counted[kind] = counted.get(kind, 0) + 1
    return counted


def told(document: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(each["where"], each["kind"]): each["count"] for each in document["requests"]}


@pytest.mark.usefixtures("filled")
def test_a_dry_run_asks_only_for_listings(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)

    pair.between(source_seen, destination_seen).transfer(
        source, destination, "--mirror", "--dry-run"
    )

    for proxy in (at_source, at_destination):
        assert {seen.operation for seen in proxy.seen} == {"ListObjectsV2"}
    assert destination.keys() == ["extra"]
    assert pair.well("runs").out.startswith("There are no runs yet.")


@pytest.mark.usefixtures("filled")
def test_a_dry_run_foretells_every_request_of_the_run(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    pair = pair.between(source_seen, destination_seen)
    options = ("--mirror", "--max-delete-percent", "100")
    preview = pair.transfer(source, destination, *options, "--dry-run")
    at_source.clear()
    at_destination.clear()

    ended = pair.transfer(source, destination, *options)

    assert told(preview) == asked("source", at_source) | asked("destination", at_destination)
    assert (preview["copies"], preview["deletes"]) == (ended["done"], ended["deleted"])
    assert preview["bytes"] == ended["bytes"] == 12 * 1000 + 11 * MIB


def test_a_dry_run_between_buckets_of_one_server_foretells_copies_on_the_server(
    moto_pair: Dth, moto_source: Place, moto_destination: Place, fault_proxy: ProxyFactory
) -> None:
    moto_source.fill({"a": b"1", "b": b"22"})
    proxy, seen = fault_proxy(moto_source.endpoint)
    moto_pair = moto_pair.between(seen, seen)
    preview = moto_pair.transfer(moto_source, moto_destination, "--dry-run")
    proxy.clear()

    moto_pair.transfer(moto_source, moto_destination)

    both = asked("", proxy)
    assert both == {("", "list"): 2, ("", "head"): 2, ("", "put"): 2}
    assert told(preview) == {
        ("source", "list"): 1,
        ("destination", "list"): 1,
        ("source", "head"): 2,
        ("destination", "put"): 2,
    }
    assert preview["cost"]["egress"] == 0


@pytest.mark.usefixtures("filled")
def test_a_dry_run_is_told_in_words(pair: Dth, source: Place, destination: Place) -> None:
    out = pair.well("transfer", source, destination, "--dry-run").out

    for words in (
        "Dry run: nothing was changed.",
        "14 objects, 11.5 MB",
        "14 new, 0 changed",
        "1 extra",
        "list",
        "multipart",
        "First keys:",
        "large",
        "No prices are known for other",
        "Requests:",
    ):
        assert words in out


@pytest.mark.usefixtures("filled")
def test_a_price_table_of_the_user_takes_the_place_of_ours(
    pair: Dth, source: Place, destination: Place, tmp_path: Path
) -> None:
    table = tmp_path / "prices.json"
    table.write_text(
        json.dumps(
            {
                "currency": "CHF",
                "providers": {
                    "other": {
                        "as_of": "2026-11",
                        "note": "our own contract",
                        "per_1000": {"list": 1.0, "put": 2.0, "get": 0.5},
                        "egress_per_gb": 0.0,
                    }
                },
            }
        )
    )

    preview = pair.transfer(source, destination, "--dry-run", "--prices", table)

    assert preview["cost"]["currency"] == "CHF"
    assert preview["cost"]["total"] > 0


@pytest.mark.usefixtures("filled")
def test_a_price_table_that_cannot_be_read_is_named(
    pair: Dth, source: Place, destination: Place, tmp_path: Path
) -> None:
    table = tmp_path / "prices.json"
    table.write_text('{"providers": {"aws": {"per_1000": {"list": "much"}, "egress": 0}}}')

    ended = pair.well("transfer", source, destination, "--dry-run", "--prices", table, code=2)

    assert ended.out == ""
    for words in (
        "providers.aws.per_1000.list: Input should be a valid number",
        "providers.aws.egress_per_gb: is missing",
        "providers.aws.egress: there is no such field",
    ):
        assert f"dth: --prices: '{table}', {words}" in ended.err


def test_looking_makes_no_folder(dth: Dth, source: Place, tmp_path: Path) -> None:
    source.put("a", b"1")
    there = tmp_path / "there"
    dth = dth.between(source.endpoint, None)

    preview = dth.transfer(source, f"file://{there}", "--dry-run")
    found = dth.well("verify", source, f"file://{there}", "--json", code=1).json
    doctor = dth.well("doctor", source, f"file://{there}")

    assert (preview["new"], found["new"]) == (1, 1)
    assert "not there yet; a transfer makes it" in doctor.out
    assert not there.exists()
