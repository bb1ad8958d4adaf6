"""A hub in the text format of Prometheus, read back by its own parser."""

from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from transferhub.metrics.prometheus import Prometheus
from transferhub.model.census import Census, Tally, Work
from transferhub.model.fleet import MemberKind
from transferhub.model.run import RunState, TaskId, TaskState

NOW = datetime(2026, 5, 6, tzinfo=UTC)
Told = dict[tuple[str, tuple[tuple[str, str], ...]], float]
CENSUS = Census(
    at=NOW,
    tasks={TaskState.ACTIVE: 7, TaskState.PAUSED: 2},
    queued=3,
    running=4,
    queued_since=NOW - timedelta(seconds=90),
    members={MemberKind.SERVER: 2, MemberKind.WORKER: 5},
    draining=1,
    leases=64,
    events_since=NOW - timedelta(seconds=5),
    event_tasks=1,
    work=Work(open=1_000, failures=6, bytes_per_second=2.5, objects_per_second=0.5),
    busiest={TaskId('a"b\\c\n'): Work(open=900), TaskId("other"): Work(open=100, failures=6)},
    tally=Tally(bytes=1 << 60, objects=12, failures=6, ended={RunState.FAILED: 2}),
)


def prometheus() -> Prometheus:
    return Prometheus("1.2", acts=lambda: True, routes=["/graphql"], clock=lambda: NOW)


def told(text: bytes) -> Told:
    return {
        (at.name, tuple(sorted(at.labels.items()))): at.value
        for family in text_string_to_metric_families(text.decode())
        for at in family.samples
    }


def test_a_census_is_told_as_it_is() -> None:
    found = told(prometheus().text(CENSUS))
    assert found["dth_info", (("version", "1.2"),)] == 1
    assert found["dth_state_up", ()] == 1
    assert found["dth_scheduler_acting", ()] == 1
    assert found["dth_tasks", (("state", "paused"),)] == 2
    assert found["dth_runs", (("state", "queued"),)] == 3
    assert found["dth_runs", (("state", "running"),)] == 4
    assert found["dth_oldest_queued_run_seconds", ()] == 90
    assert found["dth_members", (("kind", "worker"),)] == 5
    assert found["dth_members_draining", ()] == 1
    assert found["dth_leases", ()] == 64
    assert found["dth_open_transfers", ()] == 1_000
    assert found["dth_dead_letters", ()] == 6
    assert found["dth_bytes_per_second", ()] == 2.5
    assert found["dth_objects_per_second", ()] == 0.5
    assert found["dth_event_tasks", ()] == 1
    assert found["dth_event_lag_seconds", ()] == 5
    assert found["dth_copied_bytes_total", ()] == 1 << 60
    assert found["dth_copied_objects_total", ()] == 12
    assert found["dth_failed_transfers_total", ()] == 6
    assert found["dth_runs_ended_total", (("state", "failed"),)] == 2
    assert found["dth_runs_ended_total", (("state", "succeeded"),)] == 0


def test_each_task_has_its_own_row_whatever_it_is_called() -> None:
    found = told(prometheus().text(CENSUS))
    assert found["dth_task_open_transfers", (("task", 'a"b\\c\n'),)] == 900
    assert found["dth_task_dead_letters", (("task", "other"),)] == 6


def test_a_state_that_is_away_is_told() -> None:
    watched = prometheus()
    watched.text(CENSUS)
    found = told(watched.text(None))
    assert found["dth_state_up", ()] == 0
    assert found["dth_census_failures_total", ()] == 1
    assert not [name for name, _ in found if name.startswith(("dth_runs", "dth_open"))]
    assert told(watched.text(CENSUS))["dth_state_up", ()] == 1


def test_requests_are_counted_by_routes_that_exist() -> None:
    watched = prometheus()
    watched.answered("/graphql", "POST", 200, 0.03)
    watched.answered("/graphql", "POST", 200, 3)
    for number in range(100):
        watched.answered(f"/guess{number}", f"VERB{number}", 404, 0.001)
    found = told(watched.text(None))
    of_graphql = (("method", "POST"), ("route", "/graphql"), ("status", "200"))
    of_others = (("method", "other"), ("route", "other"), ("status", "404"))
    requests = {labels: n for (name, labels), n in found.items() if name.endswith("requests_total")}
    assert requests == {of_graphql: 2, of_others: 100}
    buckets = "dth_http_request_seconds_bucket"
    assert found[buckets, (("le", "0.05"), ("route", "/graphql"))] == 1
    assert found["dth_http_request_seconds_count", (("route", "/graphql"),)] == 2


def test_the_process_is_told_too() -> None:
    found = told(prometheus().text(None))
    assert found["process_resident_memory_bytes", ()] > 1 << 20
    assert found["process_open_fds", ()] > 2
