"""A host that answers from memory, and a way to run `dth` on it."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from transferhub.cli import main
from transferhub.cli.host import Talk
from transferhub.control.specs import Spec
from transferhub.engine.progress import Observer, Phase, Progress, Summary
from transferhub.engine.tuning import Tuning
from transferhub.hosts.settings import Settings
from transferhub.model.run import Run, RunState, Task, TaskId
from transferhub.model.transfer import (
    Action,
    Attempt,
    Difference,
    FailureGroup,
    RunId,
    ScanCounts,
    Tally,
    Totals,
    Transfer,
    TransferRecord,
    TransferState,
)
from transferhub.plugins.images.plan import Plan, make_plan
from transferhub.plugins.images.registry_location import RegistryLocation
from transferhub.plugins.images.spec import ImagesSpec
from transferhub.plugins.objects.estimate import FirstKey, Preview, RequestCount
from transferhub.plugins.objects.location import Location
from transferhub.plugins.objects.prices import RequestKind
from transferhub.plugins.objects.spec import ObjectsSpec

RUN = RunId("20261124-093012-4f1a")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

SCAN = ScanCounts(
    scanned_source=12_000,
    scanned_destination=9_000,
    same=8_500,
    new=3_000,
    changed=400,
    extra=20,
    filtered=70,
    archived=30,
    source_bytes=8_000_000_000,
    copy_bytes=1_900_000_000,
)


def totals(**changes: Any) -> Totals:
    values: dict[str, Any] = {
        "scan": SCAN,
        "shards": 8,
        "shards_done": 5,
        "tallies": {
            (Action.COPY, TransferState.DONE): Tally(2_100, 1_200_000_000),
            (Action.COPY, TransferState.FAILED): Tally(3, 3_000),
            (Action.COPY, TransferState.WAITING): Tally(1_297, 699_997_000),
        },
        "moved_bytes": 1_200_000_000,
        "uploads": 1,
    }
    return Totals(**values | changes)


def progress(**changes: Any) -> Progress:
    values: dict[str, Any] = {
        "run": RUN,
        "phase": Phase.COPYING,
        "listing": True,
        "totals": totals(),
        "seconds": 13.0,
        "bytes_per_second": 48_100_000.0,
        "objects_per_second": 410.0,
        "seconds_left": 42.0,
    }
    return Progress(**values | changes)


def summary(**changes: Any) -> Summary:
    values: dict[str, Any] = {
        "run": RUN,
        "status": RunState.SUCCEEDED,
        "scan": SCAN,
        "done": 3_400,
        "bytes": 1_900_000_000,
        "seconds": 48.0,
        "report": "/state/runs/report.csv.gz",
    }
    return Summary(**values | changes)


def with_failures(**changes: Any) -> Summary:
    values: dict[str, Any] = {
        "status": RunState.COMPLETED_WITH_FAILURES,
        "done": 3_397,
        "failed": 3,
    }
    return summary(**values | changes)


GROUP = FailureGroup(
    "denied", 3, 3_000, "photos/\x1b[2Ja.jpg", "Access to photos/a.jpg was denied."
)
RECORD = TransferRecord(
    transfer=Transfer("photos/\x1b[2Ja.jpg", Difference.NEW, 1_000),
    state=TransferState.FAILED,
    attempts=2,
    moved_bytes=0,
    destination_etag="",
    code="denied",
    message="Access to photos/a.jpg was denied.",
    note="",
    ended_at=NOON,
    history=(
        Attempt(NOON - timedelta(minutes=1), "transient", "The connection was reset."),
        Attempt(NOON, "denied", "Access to photos/a.jpg was denied."),
    ),
)
TASK = Task(
    ident=TaskId("t1"),
    name="photos",
    kind="objects",
    spec={
        "source": {"scheme": "s3", "bucket": "photos", "prefix": "2024/"},
        "destination": {"scheme": "file", "path": "/srv/photos"},
    },
    fingerprint="f",
    created_at=NOON,
    updated_at=NOON,
)
A_RUN = Run(
    ident=RUN,
    task=TASK.ident,
    task_version=1,
    state=RunState.COMPLETED_WITH_FAILURES,
    created_at=NOON,
    started_at=NOON,
    ended_at=NOON + timedelta(seconds=48),
    summary={"done": 3_397, "failed": 3, "report": "/state/runs/report.csv.gz"},
    resumed=1,
)
PREVIEW = Preview(
    scan=SCAN,
    copies=3_400,
    deletes=20,
    bytes=1_900_000_000,
    requests=(
        RequestCount(where="source", kind=RequestKind.LIST, count=12, cost=0.00006),
        RequestCount(where="destination", kind=RequestKind.PUT, count=3_400, cost=None),
    ),
    egress_cost=0.16,
    cost=0.16006,
    currency="USD",
    unpriced=("minio",),
    prices_from=("aws: public list prices (2025-06)",),
    seconds=21.3,
    first_keys=(FirstKey(key="a\nb", destination="x/a\nb", size=1_000, difference=Difference.NEW),),
)


@dataclass(frozen=True)
class FakeVerification:
    scan: ScanCounts
    differences: Sequence[tuple[str, Difference]] = ()
    seconds: float = 3.5
    equal: bool = True


@dataclass(frozen=True)
class FakeFinding:
    name: str
    value: str
    origin: str = ""
    level: str = "ok"
    advice: str = ""


@dataclass
class FakeHost:
    """Answers what it was given and keeps what it was asked."""

    ends: Summary = field(default_factory=summary)
    error: BaseException | None = None
    shows: Sequence[Progress] = ()
    says: Sequence[str] = ()
    redriven: int = 3
    plan: Plan = field(default_factory=lambda: make_plan([]))
    verification: FakeVerification = FakeVerification(SCAN)
    records: Sequence[TransferRecord] = (RECORD,)
    groups: Sequence[FailureGroup] = (GROUP,)
    known: Sequence[tuple[Run, Task]] = ((A_RUN, TASK),)
    findings: Sequence[FakeFinding] = ()
    asked: dict[str, Any] = field(default_factory=dict)
    talk: Talk = print
    observer: Observer | None = None

    def opened(self, settings: Settings, *, talk: Talk, observer: Observer | None) -> "FakeHost":
        self.asked["settings"] = settings
        self.talk, self.observer = talk, observer
        return self

    def _work(self) -> Summary:
        for sentence in self.says:
            self.talk(sentence)
        for moment in self.shows:
            if self.observer is not None:
                self.observer(moment)
        if self.error is not None:
            raise self.error
        return self.ends

    def transfer(
        self, spec: Spec, tuning: Tuning, *, resume: bool = True, verify: bool = False
    ) -> Summary:
        self.asked |= {"spec": spec, "tuning": tuning, "resume": resume, "verify": verify}
        return self._work()

    def resume(self, run: RunId, tuning: Tuning) -> Summary:
        self.asked |= {"run": run, "tuning": tuning}
        return self._work()

    def redrive(
        self, run: RunId, tuning: Tuning, *, code: str = "", key: str = "*"
    ) -> tuple[int, Summary | None]:
        self.asked |= {"run": run, "tuning": tuning, "code": code, "key": key}
        return self.redriven, self._work() if self.redriven else None

    def preview(self, spec: ObjectsSpec, prices: Path | None) -> Preview:
        self.asked |= {"spec": spec, "prices": prices}
        return PREVIEW

    def plan_images(self, spec: ImagesSpec) -> Plan:
        self.asked["spec"] = spec
        return self.plan

    def verify(self, spec: ObjectsSpec) -> FakeVerification:
        self.asked["spec"] = spec
        return self.verification

    def runs(self, limit: int) -> Sequence[tuple[Run, Task]]:
        return self.known[:limit]

    def show(self, run: RunId) -> tuple[Run, Task, Totals]:
        self.asked["run"] = run
        if self.error is not None:
            raise self.error
        return (*self.known[0], totals())

    def is_worked_on(self, run: RunId) -> bool:
        return False

    def failures(
        self, run: RunId, *, code: str, key: str, after: str, limit: int
    ) -> Sequence[TransferRecord]:
        self.asked |= {"code": code, "key": key}
        return [record for record in self.records if record.transfer.key > after][:limit]

    def failure_groups(self, run: RunId) -> Sequence[FailureGroup]:
        return self.groups

    def report(self, run: RunId) -> Path:
        return Path("/state/runs/report.csv.gz")

    def doctor(self, locations: Sequence[Location | RegistryLocation]) -> Sequence[FakeFinding]:
        self.asked["locations"] = locations
        return self.findings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str
    host: FakeHost


def dth(*args: str, host: FakeHost | None = None, terminal: bool = False) -> Result:
    """Runs a command on a fake host."""
    host = host or FakeHost()
    make: Callable[[], io.StringIO] = Terminal if terminal else io.StringIO
    out, err = io.StringIO(), make()
    code = main(args, open_host=host.opened, out=out, err=err)
    return Result(code, out.getvalue(), err.getvalue(), host)
