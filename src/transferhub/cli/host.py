"""What the commands ask of a host. `hosts.local.LocalHost` answers on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from transferhub.engine.progress import Observer, Summary
from transferhub.engine.tuning import Tuning
from transferhub.model.run import Run, Task
from transferhub.model.transfer import (
    Difference,
    FailureGroup,
    RunId,
    ScanCounts,
    Totals,
    TransferRecord,
)

if TYPE_CHECKING:  # pydantic takes longer to load than `dth --help` may
    from transferhub.control.specs import Spec
    from transferhub.hosts.settings import Settings
    from transferhub.plugins.images.plan import Plan
    from transferhub.plugins.images.registry_location import RegistryLocation
    from transferhub.plugins.images.spec import ImagesSpec
    from transferhub.plugins.objects.estimate import Preview
    from transferhub.plugins.objects.spec import Location, ObjectsSpec

Talk = Callable[[str], None]
"""Takes a sentence for the person at the terminal."""


class Verification(Protocol):
    """What comparing two locations found. `differences` are the first ones."""

    @property
    def scan(self) -> ScanCounts: ...
    @property
    def differences(self) -> Sequence[tuple[str, Difference]]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def equal(self) -> bool: ...


class Finding(Protocol):
    """One line of `dth doctor`. `level` is "ok", "warning" or "error", `origin` where the value is
    from."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def advice(self) -> str: ...


class Host(Protocol):
    """Every verb returns when its work is done and raises TransferHubError only. A run is named by
    its id, by the start of it, or by "last". A Ctrl-C ends a transfer with the status CANCELLED."""

    def transfer(
        self, spec: Spec, tuning: Tuning, *, resume: bool = True, verify: bool = False
    ) -> Summary: ...
    def resume(self, run: RunId, tuning: Tuning) -> Summary: ...
    def redrive(
        self, run: RunId, tuning: Tuning, *, code: str = "", key: str = "*"
    ) -> tuple[int, Summary | None]: ...
    def preview(self, spec: ObjectsSpec, prices: Path | None) -> Preview: ...
    def plan_images(self, spec: ImagesSpec) -> Plan: ...
    def verify(self, spec: ObjectsSpec) -> Verification: ...
    def runs(self, limit: int) -> Sequence[tuple[Run, Task]]: ...
    def show(self, run: RunId) -> tuple[Run, Task, Totals]: ...
    def is_worked_on(self, run: RunId) -> bool: ...
    def failures(
        self, run: RunId, *, code: str, key: str, after: str, limit: int
    ) -> Sequence[TransferRecord]: ...
    def failure_groups(self, run: RunId) -> Sequence[FailureGroup]: ...
    def report(self, run: RunId) -> Path: ...
    def doctor(self, locations: Sequence[Location | RegistryLocation]) -> Sequence[Finding]: ...


class OpenHost(Protocol):
    def __call__(self, settings: Settings, *, talk: Talk, observer: Observer | None) -> Host: ...


def open_local(settings: Settings, *, talk: Talk, observer: Observer | None) -> Host:
    """The host of this machine."""
    from transferhub.hosts.local import LocalHost

    return LocalHost(settings, talk=talk, observer=observer)
