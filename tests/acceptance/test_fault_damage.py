"""Bytes that change on their way: what arrives is right, or a dead letter says why."""

import pytest

from tests.acceptance.balance import assert_balanced, assert_moved
from tests.acceptance.command import Dth
from tests.acceptance.places import MIB, Place, content_of
from tests.conftest import ProxyFactory
from tests.servers.faults import FaultProxy
from tests.servers.rules import Action, CorruptByte, CorruptSentByte

FAILURES = 1
AT = 70_000
SMALL, LARGE = content_of("small", 90_000), content_of("large", 12 * MIB)
Proxies = dict[str, FaultProxy]


@pytest.fixture
def filled(source: Place) -> Place:
    source.put("small", SMALL)
    source.put_multipart("large", LARGE)
    return source


@pytest.fixture
def proxies() -> Proxies:
    return {}


@pytest.fixture
def seen(
    dth: Dth, filled: Place, destination: Place, fault_proxy: ProxyFactory, proxies: Proxies
) -> Dth:
    """`dth` whose GETs, PUTs and parts pass a proxy each side."""
    at_source, source_seen = fault_proxy(filled.endpoint)
    at_destination, destination_seen = fault_proxy(destination.endpoint)
    proxies |= {
        "GetObject": at_source,
        "PutObject": at_destination,
        "UploadPart": at_destination,
    }
    return dth.between(source_seen, destination_seen)


@pytest.mark.parametrize(
    ("operation", "key", "action"),
    [
        ("GetObject", "small", CorruptByte(AT)),
        ("PutObject", "small", CorruptSentByte(AT)),
        ("GetObject", "large", CorruptByte(AT)),
        ("UploadPart", "large", CorruptSentByte(AT)),
    ],
)
def test_a_byte_that_flips_once_on_its_way_is_mended(
    seen: Dth,
    filled: Place,
    destination: Place,
    proxies: Proxies,
    operation: str,
    key: str,
    action: Action,
) -> None:
    rule = proxies[operation].add(action, operation=operation, path=f"{key}$", times=1)

    ended = seen.transfer(filled, destination)

    assert rule.hits == 1
    assert_moved(ended, filled, destination)
    assert destination.contents() == {"small": SMALL, "large": LARGE}


@pytest.mark.parametrize(
    ("operation", "key", "actions", "says"),
    [
        ("GetObject", "small", [CorruptByte(AT)], "is damaged"),
        ("PutObject", "small", [CorruptSentByte(AT)], "the bytes did not arrive as they were sent"),
        # Elsewhere each time: what comes twice alike is taken for what the source has.
        ("GetObject", "large", [CorruptByte(at) for at in range(AT, AT + 30)], "is damaged"),
        (
            "UploadPart",
            "large",
            [CorruptSentByte(AT)],
            "the bytes did not arrive as they were sent",
        ),
    ],
)
def test_an_object_whose_bytes_always_flip_is_a_dead_letter_that_says_so(
    seen: Dth,
    filled: Place,
    destination: Place,
    proxies: Proxies,
    operation: str,
    key: str,
    actions: list[Action],
    says: str,
) -> None:
    times = None if len(actions) == 1 else 1
    for action in actions:
        proxies[operation].add(action, operation=operation, path=f"{key}$", times=times)

    ended = seen.transfer(filled, destination, "--attempts", 2, code=FAILURES)

    assert_balanced(ended)
    (row,) = seen.well("failures", "last", "--json").json["failures"]
    assert (row["key"], row["code"]) == (key, "corrupt")
    assert says in row["message"], row["message"]
    kept = {"small": SMALL, "large": LARGE}
    del kept[key]
    assert destination.contents() == kept
    assert destination.uploads() == []
