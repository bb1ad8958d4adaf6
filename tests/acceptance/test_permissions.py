import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.acceptance.command import Dth
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
from tests.servers.rules import Request

PAGE = Path(__file__).parents[2] / "docs" / "operations" / "permissions.md"
ROW = re.compile(r"^\| (`.+`) \| .+ \| (.+) \|$", re.MULTILINE)
WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "GetObjectTagging": "s3:GetObjectTagging",
    **dict.fromkeys(WRITES, "s3:PutObject"),
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "DeleteObjects": "s3:DeleteObject",
    "DeleteObject": "s3:DeleteObject",
}


def documented(side: str, *options: str) -> set[str]:
    """The actions that the page's table of this side gives to a run with these options."""
    table = PAGE.read_text().partition(f"\n## {side}\n")[2].partition("\n## ")[0]
    return {
        action
        for actions, needed in ROW.findall(table)
        if "always" in needed or any(f"`{option}`" in needed for option in options)
        for action in re.findall(r"s3:\w+", actions)
    }


def asked(proxy: FaultProxy) -> set[str]:
    return {action for seen in proxy.seen for action in _actions(seen.request)}


def _actions(request: Request) -> Iterator[str]:
    yield ACTIONS[request.operation]
    if "x-amz-tagging" in request.headers:
        yield "s3:PutObjectTagging"


def run(
    pair: Dth, places: Sequence[Place], fault_proxy: ProxyFactory, *options: str
) -> tuple[set[str], set[str]]:
    """The actions that a transfer asks of its source and of its destination."""
    source, destination = places
    at_source, source_seen = fault_proxy(source.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    pair.between(source_seen, destination_seen).transfer(source, destination, *options)
    return asked(at_source), asked(at_destination)


def fill(source: Place, destination: Place) -> None:
    source.put("small", b"small", Tagging="a=b")
    source.put_multipart("large", content_of("large", 11 * MIB))
    destination.put("extra", b"extra")
    destination.put("more", b"extra")


def test_a_plain_run_asks_for_nothing_but_what_is_always_needed(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    fill(source, destination)
    ours, theirs = run(pair, (source, destination), fault_proxy)
    assert ours == documented("Source")
    assert theirs == {"s3:ListBucket", "s3:PutObject"} <= documented("Destination")


def test_tags_and_a_mirror_ask_for_what_the_page_says(
    pair: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    fill(source, destination)
    options = ("--tags", "--mirror", "--max-delete-percent", "100")
    ours, theirs = run(pair, (source, destination), fault_proxy, *options)
    assert ours == documented("Source", "--tags")
    expected = documented("Destination", "--tags", "--mirror")
    assert theirs <= expected
    assert {"s3:DeleteObject", "s3:PutObjectTagging"} <= theirs
    assert {"s3:DeleteObject", "s3:PutObjectTagging"}.isdisjoint(documented("Destination"))
