"""`Prometheus`: a hub in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from transferhub.model.census import Census, Tally, Work
from transferhub.model.clock import Clock, utc_now
from transferhub.model.run import RunState

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
_OTHER = "other"


class Prometheus:
    """All metrics of one server process. Labels have few values: kinds, states, routes that exist,
    and tasks of which a census tells one by one."""

    def __init__(
        self,
        version: str,
        *,
        acts: Callable[[], bool],
        routes: Iterable[str],
        clock: Clock = utc_now,
    ) -> None:
        """Args:
        acts: whether this process is the one that acts as scheduler.
        routes: of which requests are counted by themselves.
        """
        self._registry = CollectorRegistry()
        self._routes = frozenset(routes)
        self._hub = _HubCollector(version, acts, clock)
        self._registry.register(self._hub)
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "dth_http_requests",
            "Requests that this server answered.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._durations = Histogram(
            "dth_http_request_seconds",
            "How long this server took to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._failures = Counter(
            "dth_census_failures",
            "Scrapes for which this server could not ask the state.",
            registry=self._registry,
        )

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Notes a request."""
        place = route if route in self._routes else _OTHER
        verb = method if method in _METHODS else _OTHER
        self._requests.labels(place, verb, str(status)).inc()
        self._durations.labels(place).observe(seconds)

    def text(self, census: Census | None) -> bytes:
        """All of it; without what a census says where the state could not be asked."""
        if census is None:
            self._failures.inc()
        self._hub.census = census
        return generate_latest(self._registry)

    def kinds(self) -> dict[str, str]:
        """Of all metrics of ours: gauge, counter or histogram, by the name in the text."""
        self._hub.census = _EMPTY
        families = [family for family in self._registry.collect() if family.name.startswith("dth_")]
        return {f"{at.name}_total" if at.type == "counter" else at.name: at.type for at in families}


_EMPTY = Census(
    at=datetime.min.replace(tzinfo=UTC),
    tasks={},
    queued=0,
    running=0,
    queued_since=None,
    members={},
    draining=0,
    leases=0,
    events_since=None,
    event_tasks=0,
    work=Work(),
    busiest={},
    tally=Tally(),
)


class _HubCollector:
    def __init__(self, version: str, acts: Callable[[], bool], clock: Clock) -> None:
        self.census: Census | None = None
        self._version = version
        self._acts = acts
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked for when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield _gauge(
            "dth_info", "The version of this server.", ["version"], [((self._version,), 1)]
        )
        yield GaugeMetricFamily(
            "dth_state_up",
            "1 where this server could ask the state.",
            value=int(self.census is not None),
        )
        yield GaugeMetricFamily(
            "dth_scheduler_acting",
            "1 where this server acts as scheduler; of all servers one does.",
            value=int(self._acts()),
        )
        if self.census is not None:
            yield from self._of_census(self.census)

    def _of_census(self, census: Census) -> Iterator[Metric]:
        yield from _of_tasks_and_runs(census, self._age(census.queued_since))
        yield from _of_fleet(census)
        yield from _of_work("dth", "", census.work)
        yield from _of_each_task(census)
        yield GaugeMetricFamily(
            "dth_event_tasks", "Tasks with events that wait.", value=census.event_tasks
        )
        yield GaugeMetricFamily(
            "dth_event_lag_seconds",
            "How long the oldest event has been waiting.",
            value=self._age(census.events_since),
        )
        yield from _of_tally(census)

    def _age(self, since: datetime | None) -> float:
        return max(0.0, (self._clock() - since).total_seconds()) if since else 0.0


def _of_tasks_and_runs(census: Census, waiting: float) -> Iterator[Metric]:
    yield _gauge(
        "dth_tasks",
        "Tasks, by state.",
        ["state"],
        [((state.value,), count) for state, count in census.tasks.items()],
    )
    yield _gauge(
        "dth_runs",
        "Runs under way, by state.",
        ["state"],
        [((RunState.QUEUED.value,), census.queued), ((RunState.RUNNING.value,), census.running)],
    )
    yield GaugeMetricFamily(
        "dth_oldest_queued_run_seconds",
        "How long the run that waits longest has been waiting for a machine.",
        value=waiting,
    )


def _of_fleet(census: Census) -> Iterator[Metric]:
    yield _gauge(
        "dth_members",
        "Processes of the hub that were seen lately, by kind.",
        ["kind"],
        [((kind.value,), count) for kind, count in census.members.items()],
    )
    yield GaugeMetricFamily(
        "dth_members_draining", "Of these, those that take nothing new.", value=census.draining
    )
    yield GaugeMetricFamily(
        "dth_leases", "Transfers that these processes have under way.", value=census.leases
    )


def _of_work(prefix: str, scope: str, work: Work) -> Iterator[Metric]:
    for name, what, value in _figures(work):
        yield GaugeMetricFamily(f"{prefix}_{name}", f"{what}{scope}.", value=value)


def _of_each_task(census: Census) -> Iterator[Metric]:
    for place, (name, what, _) in enumerate(_figures(Work())):
        rows = [((str(task),), _figures(work)[place][2]) for task, work in census.busiest.items()]
        yield _gauge(f"dth_task_{name}", f"{what}, of one task.", ["task"], rows)


def _figures(work: Work) -> list[tuple[str, str, float]]:
    return [
        ("open_transfers", "Transfers of runs under way that wait or are copied", work.open),
        ("dead_letters", "Dead letters of runs under way", work.failures),
        ("bytes_per_second", "How fast runs under way copy", work.bytes_per_second),
        ("objects_per_second", "The same in objects", work.objects_per_second),
    ]


def _of_tally(census: Census) -> Iterator[Metric]:
    tally = census.tally
    for name, what, value in (
        ("copied_bytes", "Bytes of objects that runs copied", tally.bytes),
        ("copied_objects", "Objects that runs copied", tally.objects),
        ("failed_transfers", "Transfers that became dead letters", tally.failures),
    ):
        yield CounterMetricFamily(f"dth_{name}", f"{what}, since this server began.", value=value)
    ended = CounterMetricFamily(
        "dth_runs_ended", "Runs that ended since this server began, by state.", labels=["state"]
    )
    for state in RunState:
        if state not in (RunState.QUEUED, RunState.RUNNING):
            ended.add_metric([state.value], tally.ended.get(state, 0))
    yield ended


def _gauge(
    name: str, what: str, labels: list[str], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family
