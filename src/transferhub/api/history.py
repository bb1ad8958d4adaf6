"""Answers about what runs did and said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from transferhub.api.reading import (
    Arguments,
    Json,
    given,
    member_of,
    moment,
    number_cursor,
    page_size,
    parsed_moment,
    renamed,
    told,
)
from transferhub.control.history import MOST_POINTS
from transferhub.control.hub import Hub
from transferhub.errors import InputError
from transferhub.model.history import HistoryOf, LogLevel, LogLine, OfRun, OfTask, Point
from transferhub.model.people import Caller
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId

_POINTS = 200
_LINES = 100
_NAMES: Mapping[str, str] = {"limit": "first", "words": "search"}
"""Of arguments that `History` calls otherwise."""


async def series(hub: Hub, arguments: Arguments, caller: Caller) -> list[Json]:
    points = await hub.history.series(
        caller,
        _of(arguments),
        _moment(arguments, "since"),
        _moment(arguments, "until"),
        points=page_size(arguments, "points", default=_POINTS, most=MOST_POINTS),
    )
    return [_told_point(point) for point in points]


async def logs(hub: Hub, arguments: Arguments, caller: Caller) -> Json:
    try:
        page = await hub.history.logs(
            caller,
            _of(arguments),
            level=member_of(LogLevel, given(arguments, "level", "DEBUG")),
            words=given(arguments, "search", ""),
            after=number_cursor(arguments),
            before=number_cursor(arguments, "before"),
            limit=page_size(arguments, default=_LINES),
        )
    except InputError as error:
        raise renamed(error, lambda field: _NAMES.get(field, field)) from error
    return {
        "items": [_told_line(line) for line in page.lines],
        "before": str(page.first),
        "after": str(page.last),
        "more": page.more,
        "dropped": page.dropped,
    }


def _of(arguments: Arguments) -> HistoryOf:
    task, run = arguments.get("task"), arguments.get("run")
    if (task is None) == (run is None):
        raise InputError("task", "give a task or a run, and not both")
    return OfRun(RunId(run)) if run is not None else OfTask(TaskId(str(task)))


def _moment(arguments: Arguments, name: str) -> datetime:
    parsed = parsed_moment(arguments[name])
    assert parsed is not None
    return parsed


def _told_point(point: Point) -> Json:
    return {
        "at": moment(point.at),
        "bytes": point.last.bytes,
        "objects": point.last.objects,
        "failures": point.last.failures,
        "waiting": point.last.open,
        "workers": point.workers,
        "bytesPerSecond": point.bytes_per_second,
        "peakBytesPerSecond": point.peak_bytes_per_second,
        "objectsPerSecond": point.objects_per_second,
        "peakObjectsPerSecond": point.peak_objects_per_second,
    }


def _told_line(line: LogLine) -> Json:
    return {
        "number": line.number,
        "at": moment(line.at),
        "level": told(line.level),
        "action": line.action,
        "message": line.message,
        "task": line.task,
        "run": line.run,
        "worker": line.worker,
    }
