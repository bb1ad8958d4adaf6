"""`SqlSamples`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from transferhub.model.history import STEPS, HistoryOf, OfRun, Point, Sample, Thinning
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.sampling import THINNED_STEPS, Kept, floor, stretch, thinned
from transferhub.state.sql.codec import from_text, to_text
from transferhub.state.sql.database import Database
from transferhub.state.sql.dialects import Row
from transferhub.state.sql.session import Session
from transferhub.state.values import from_micros, to_micros

_SAMPLE = (
    "at, phase, listing, bytes, objects, failures, deleted, open, workers, bytes_rate, "
    "objects_rate, seconds_left"
)
_PEAKS = "bytes_peak, objects_peak"
_KEPT = f"{_SAMPLE}, {_PEAKS}, run, task, step, weight"
_INSERT = (
    f"INSERT INTO samples ({_KEPT}) VALUES ({', '.join('?' * len(_KEPT.split()))}) "
    "ON CONFLICT (run, at) DO NOTHING"
)
_FEATURES = len(_SAMPLE.split())
_STRETCHES = (
    "SELECT (at - ?) / ? AS place, max(at) AS ending, max(workers) AS most_workers, "
    "sum(bytes_rate * weight) / sum(weight) AS bytes_mean, max(bytes_peak) AS bytes_most, "
    "sum(objects_rate * weight) / sum(weight) AS objects_mean, max(objects_peak) AS objects_most "
    "FROM samples WHERE {column} = ? AND at >= ? AND at < ? GROUP BY 1"
)
_POINT = ", ".join(
    [
        *(f"s.{name}" for name in _SAMPLE.split(", ")),
        *(
            f"b.{name}"
            for name in (
                "place",
                "most_workers",
                "bytes_mean",
                "bytes_most",
                "objects_mean",
                "objects_most",
            )
        ),
    ]
)
_SERIES = (
    f"FROM ({_STRETCHES}) AS b JOIN samples AS s ON s.{{column}} = ? AND s.at = b.ending "
    "ORDER BY b.place"
)
_MICROSECOND = timedelta(microseconds=1)


class SqlSamples:
    """Samples in SQLite or PostgreSQL; each verb is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, run: RunId, task: TaskId, sample: Sample) -> None:
        row = _to_row(Kept.of(run, task, sample))
        await self._database.write(lambda session: session.execute(_INSERT, *row))

    async def latest(self, runs: Sequence[RunId]) -> Mapping[RunId, Sample]:
        def read(session: Session) -> Mapping[RunId, Sample]:
            source = "FROM samples WHERE run = ? ORDER BY at DESC LIMIT 1"
            found = {run: session.fetch(_SAMPLE, source, to_text(run)) for run in runs}
            return {run: _to_sample(rows[0]) for run, rows in found.items() if rows}

        return await self._database.read(read)

    async def series(
        self, of: HistoryOf, since: datetime, until: datetime, *, points: int
    ) -> Sequence[Point]:
        column = "run" if isinstance(of, OfRun) else "task"
        width, start, ident = stretch(since, until, points), to_micros(since), to_text(of[0])
        rows = await self._database.read(
            lambda session: session.fetch(
                _POINT,
                _SERIES.format(column=column),
                start,
                width // _MICROSECOND,
                ident,
                start,
                to_micros(until),
                ident,
            )
        )
        # Two runs of a task may have been sampled in one microsecond.
        return [*{row[_FEATURES]: _to_point(row, since, width) for row in rows}.values()]

    async def thin(self, thinning: Thinning, before: datetime) -> int:
        end = to_micros(floor(before, thinning.coarse))
        fine = thinning.fine // _MICROSECOND

        def thin(session: Session) -> int:
            oldest = _oldest(session, fine, end)
            return 0 if oldest is None else _thin(session, thinning, oldest, end)

        return await self._database.write(thin)

    async def purge(self, before: datetime) -> int:
        end = to_micros(before)
        return await self._database.write(
            lambda session: sum(_purge(session, step // _MICROSECOND, end) for step in STEPS)
        )

    async def forget(self, run: RunId) -> None:
        delete = "DELETE FROM samples WHERE run = ?"
        await self._database.write(lambda session: session.execute(delete, to_text(run)))

    async def aclose(self) -> None:
        await self._database.aclose()


def _oldest(session: Session, step: int, end: int) -> int | None:
    """The moment of the first sample of a step, if it is before the end."""
    source = "FROM samples WHERE step = ? AND at < ? ORDER BY at LIMIT 1"
    rows = session.fetch("at", source, step, end)
    return int(rows[0][0]) if rows else None


def _purge(session: Session, step: int, end: int) -> int:
    """A day of it, so that others may write in between."""
    oldest = _oldest(session, step, end)
    if oldest is None:
        return 0
    end = min(end, oldest + timedelta(days=1) // _MICROSECOND)
    return session.execute("DELETE FROM samples WHERE step = ? AND at < ?", step, end)


def _thin(session: Session, thinning: Thinning, oldest: int, end: int) -> int:
    start = floor(from_micros(oldest), thinning.coarse)
    end = min(end, to_micros(start + THINNED_STEPS * thinning.coarse))
    values = thinning.fine // _MICROSECOND, to_micros(start), end
    chosen = "FROM samples WHERE step = ? AND at >= ? AND at < ?"
    rows = session.fetch(_KEPT, f"{chosen} {session.dialect.lock}", *values)
    session.execute(f"DELETE {chosen}", *values)
    for kept in thinned([_from_row(row) for row in rows], thinning.coarse):
        session.execute(_INSERT, *_to_row(kept))
    return len(rows)


def _to_row(kept: Kept) -> Row:
    sample = kept.sample
    return (
        to_micros(sample.at),
        sample.phase,
        int(sample.listing),
        sample.bytes,
        sample.objects,
        sample.failures,
        sample.deleted,
        sample.open,
        sample.workers,
        float(sample.bytes_per_second),
        float(sample.objects_per_second),
        sample.seconds_left,
        float(kept.peak_bytes_per_second),
        float(kept.peak_objects_per_second),
        to_text(kept.run),
        to_text(kept.task),
        kept.step // _MICROSECOND,
        kept.weight,
    )


def _from_row(row: Row) -> Kept:
    bytes_peak, objects_peak, run, task, step, weight = row[_FEATURES:]
    return Kept(
        run=RunId(from_text(run)),
        task=TaskId(from_text(task)),
        sample=_to_sample(row),
        peak_bytes_per_second=bytes_peak,
        peak_objects_per_second=objects_peak,
        step=step * _MICROSECOND,
        weight=weight,
    )


def _to_sample(row: Row) -> Sample:
    at, phase, listing, size, objects, failures, deleted, waiting, workers, *rates = row[:_FEATURES]
    return Sample(
        at=from_micros(at),
        phase=phase,
        listing=bool(listing),
        bytes=size,
        objects=objects,
        failures=failures,
        deleted=deleted,
        open=waiting,
        workers=workers,
        bytes_per_second=rates[0],
        objects_per_second=rates[1],
        seconds_left=rates[2],
    )


def _to_point(row: Row, since: datetime, width: timedelta) -> Point:
    place, workers, bytes_mean, bytes_most, objects_mean, objects_most = row[_FEATURES:]
    return Point(
        at=since + place * width,
        last=_to_sample(row),
        workers=workers,
        bytes_per_second=bytes_mean,
        peak_bytes_per_second=bytes_most,
        objects_per_second=objects_mean,
        peak_objects_per_second=objects_most,
    )
