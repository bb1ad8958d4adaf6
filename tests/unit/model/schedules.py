"""Schedules for Hypothesis: those that clocks can trip up most."""

from datetime import UTC, datetime, time, timedelta

from hypothesis import strategies as st

from transferhub.model.schedule import (
    CatchUp,
    Cron,
    Every,
    Once,
    Overlap,
    Schedule,
    Window,
    WindowKind,
)

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "UTC")
MINUTES = ("*", "*/7", "*/30", "0", "30", "0,15,45", "5-8")
HOURS = ("*", "*/2", "*/5", "0", "2", "1-3", "1,2,3", "23")
DATES = ("* * *", "*/10 * *", "29 3,10 *", "L * *", "* * sun", "* 3-4,10-11 *", "1 * mon-fri")

CHANGES = (
    datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York forward
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin forward
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe back, by half an hour
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # Lord Howe forward
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin back
    datetime(2026, 11, 1, 6, tzinfo=UTC),  # New York back
)


def spans(most: timedelta) -> st.SearchStrategy[timedelta]:
    return st.integers(0, int(most.total_seconds())).map(lambda seconds: timedelta(seconds=seconds))


def moments() -> st.SearchStrategy[datetime]:
    """Mostly a few hours from a change of clocks, to the microsecond."""
    near = st.builds(
        lambda change, micros: change + timedelta(microseconds=micros),
        st.sampled_from(CHANGES),
        st.integers(-8 * 3600 * 10**6, 8 * 3600 * 10**6) | st.sampled_from([-1, 0, 1]),
    )
    anywhere = st.datetimes(
        datetime(2024, 1, 1),  # noqa: DTZ001 - Hypothesis wants it so
        datetime(2028, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    )
    return near | anywhere


def zones() -> st.SearchStrategy[str]:
    return st.sampled_from(ZONES)


def crons() -> st.SearchStrategy[Cron]:
    parts = (st.sampled_from(values) for values in (MINUTES, HOURS, DATES))
    expressions = st.tuples(*parts).map(" ".join)
    return st.builds(Cron, expression=expressions, zone=zones())


def windows(kind: WindowKind) -> st.SearchStrategy[Window]:
    clock = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
    rate = st.none() | st.integers(1, 10**12) if kind is WindowKind.BANDWIDTH else st.none()
    return st.builds(
        Window,
        kind=st.just(kind),
        start=clock,
        end=clock,
        days=st.frozensets(st.integers(0, 6), min_size=1),
        zone=zones(),
        bandwidth=rate,
    )


def schedules() -> st.SearchStrategy[Schedule]:
    timings = (
        crons()
        | st.builds(Once, at=moments())
        | st.builds(
            Every, interval=st.integers(10, 200_000).map(lambda s: timedelta(seconds=s)),
            anchor=moments(),
        )
    )  # fmt: skip
    policies = st.sampled_from(
        [
            *((overlap, CatchUp.ONE) for overlap in Overlap),
            (Overlap.QUEUE, CatchUp.ALL),
            (Overlap.SKIP, CatchUp.NONE),
        ]
    )
    return st.builds(
        lambda timing, jitter, policy, most, gates, rates: Schedule(
            timing=timing,
            jitter=jitter,
            overlap=policy[0],
            catch_up=policy[1],
            most_caught_up=most,
            windows=(*gates, *rates),
        ),
        timings,
        st.just(timedelta()) | spans(timedelta(hours=3)),
        policies,
        st.integers(1, 100),
        st.lists(windows(WindowKind.RUN), max_size=3),
        st.lists(windows(WindowKind.BANDWIDTH), max_size=2),
    )
