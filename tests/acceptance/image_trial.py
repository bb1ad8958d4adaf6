"""`dth images` through proxies that break requests, and the ways in which they do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.command import Dth, Running, report_rows
from tests.acceptance.image_sets import Held, assert_holds, count_tags, push_all
from tests.acceptance.images import PLAIN, Images
from tests.servers.faults import FaultProxy
from tests.servers.rules import (
    Action,
    DropResponse,
    Reset,
    ResetBody,
    Status,
    TruncateBody,
)

UNAVAILABLE = Status(status=503, code="UNAVAILABLE", message="come again")
UNKNOWN = Status(status=500, code="UNKNOWN", message="unknown error")
TOO_MANY = Status(
    status=429, code="TOOMANYREQUESTS", message="slow down", headers=(("Retry-After", "1"),)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Attributes:
    before, after: proxies in front of the source and of the destination.
    """

    images: Images
    before: FaultProxy
    after: FaultProxy

    @property
    def dth(self) -> Dth:
        return self.images.dth

    @property
    def places(self) -> tuple[str, str]:
        """As `dth images` takes them."""
        return (
            f"127.0.0.1:{self.before.port}/{self.images.source.folder}",
            f"127.0.0.1:{self.after.port}/{self.images.destination.folder}",
        )

    def words(self, *words: object) -> tuple[object, ...]:
        chosen = words if "--images" in words else ("--all", *words)
        return ("images", *self.places, *PLAIN, *chosen, "--json")

    def run(self, *words: object, code: int = 0, timeout_s: float = 100) -> Any:
        """The JSON document of a run that must end with this exit code."""
        ended = self.dth(*self.words(*words), timeout_s=timeout_s)
        failures = "" if ended.code == code else self.dth("failures", "last").out
        assert ended.code == code, f"{ended}\n{failures}"
        return ended.json

    def start(self, *words: object) -> Running:
        """For use in a `with`."""
        return self.dth.start(*self.words(*words))

    def redrive(self) -> Any:
        return self.dth.well("redrive", "last", "--json").json

    def push(self, held: Sequence[Held]) -> None:
        push_all(self.images.source, held)

    def assert_copied(self, ended: Any, held: Sequence[Held]) -> None:
        """The run ended well, its numbers agree, and the destination has every image."""
        assert ended["status"] == "succeeded", ended
        assert_balanced(ended)
        assert ended["scanned_source"] == count_tags(held)
        assert_holds(self.images.destination, held)


@contextmanager
def tried(images: Images) -> Iterator[Trial]:
    """With a proxy in front of each registry."""
    with (
        FaultProxy(images.source.registry.url) as before,
        FaultProxy(images.destination.registry.url) as after,
    ):
        yield Trial(images=images, before=before, after=after)


def assert_balanced(ended: Any) -> None:
    """Every image of the run's JSON document is accounted for."""
    assert ended["faults"] == []
    seen = ("same", "new", "changed", "filtered", "archived")
    assert ended["scanned_source"] == sum(ended[name] for name in seen), ended
    ends = ("done", "failed", "vanished", "skipped")
    assert ended["new"] + ended["changed"] == sum(ended[name] for name in ends), ended
    assert ended["waiting"] == 0
    assert len(report_rows(ended["report"])) >= ended["new"] + ended["changed"]


def break_some(proxy: FaultProxy, *, seed: int) -> None:
    """One request in twenty fails: refused, throttled, broken off before, after or amid an
    answer."""
    anywhere: Sequence[Action] = (UNAVAILABLE, UNKNOWN, TOO_MANY, Reset(), DropResponse())
    for number, action in enumerate(anywhere):
        proxy.add(action, probability=0.008, seed=seed + number)
    amid: Sequence[Action] = (ResetBody(200), TruncateBody(300))
    for number, action in enumerate(amid, start=10):
        path = "/(?:blobs|manifests)/"
        proxy.add(action, method="GET", path=path, probability=0.01, seed=seed + number)


def private_files(state: Path) -> list[Path]:
    """What a program of skopeo was given, such as logins."""
    folder = state / "images" / "private"
    return [path for path in folder.rglob("*") if path.is_file()]
