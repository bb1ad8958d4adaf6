"""What every run owes, however it went."""

from typing import Any

from tests.acceptance.command import report_rows
from tests.acceptance.places import Place


def assert_balanced(ended: Any) -> None:
    """Every object of the run's JSON document is accounted for."""
    assert ended["faults"] == []
    seen = ("same", "new", "changed", "filtered", "archived")
    assert ended["scanned_source"] == sum(ended[name] for name in seen), ended
    ends = ("done", "failed", "vanished", "skipped")
    assert ended["new"] + ended["changed"] == sum(ended[name] for name in ends), ended
    assert ended["waiting"] == 0
    rows = report_rows(ended["report"])
    assert len(rows) == sum(ended[name] for name in ("new", "changed", "extra", "archived"))


def assert_moved(ended: Any, source: Place, destination: Place) -> None:
    """The run ended well, both sides are equal byte for byte, and no upload is left."""
    assert ended["status"] == "succeeded", ended
    assert_balanced(ended)
    assert destination.uploads() == []
    wanted, found = source.listing(), destination.listing()
    assert found.keys() == wanted.keys()
    # The servers here give the MD5 of the bytes, or the MD5 of the parts' MD5s, as an etag.
    torn = [key for key, listed in wanted.items() if found[key] != listed]
    assert [key for key in torn if source.get(key) != destination.get(key)] == []
