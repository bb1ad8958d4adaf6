"""The suites of the ports Samples and Logs.

A subclass gives `many_samples` or `many_logs`, several instances over one empty state.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from transferhub.model.history import (
    MOST_LINES,
    MOST_LOG_BYTES,
    THINNINGS,
    HistoryOf,
    LogLevel,
    LogLine,
    OfRun,
    OfTask,
    Point,
    Sample,
)
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.history import Logs, Samples

TASK, OTHER = TaskId("task é"), TaskId("task b")
RUN, NEXT = RunId("run é"), RunId("run b")
START = datetime(2026, 3, 4, 5, 0, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
FIRST, SECOND_THINNING = THINNINGS


def sample(seconds: float, rate: float = 10.0, *, workers: int = 1, done: int = 0) -> Sample:
    return Sample(
        at=START + timedelta(seconds=seconds),
        phase="copying",
        listing=True,
        bytes=done << 40,
        objects=done,
        failures=done + 1,
        deleted=done + 2,
        open=done + 3,
        workers=workers,
        bytes_per_second=rate,
        objects_per_second=rate / 4,
        seconds_left=None if done else 2.5,
    )


def told(point: Point) -> Point:
    """The point with what only its own fields tell taken out of its last sample."""
    last = replace(point.last, workers=0, bytes_per_second=0, objects_per_second=0)
    return replace(point, last=last)


class SamplesSuite:
    """Every test of the port Samples."""

    @pytest.fixture
    def samples(self, many_samples: Sequence[Samples]) -> Samples:
        return many_samples[0]

    async def test_the_newest_sample_of_each_run_comes_back_as_it_was(
        self, samples: Samples
    ) -> None:
        for at in (sample(2, done=3), sample(0, done=9)):
            await samples.add(RUN, TASK, at)
        await samples.add(NEXT, TASK, sample(1))
        found = await samples.latest([RUN, NEXT, RunId("unknown")])
        assert found == {RUN: sample(2, done=3), NEXT: sample(1)}

    async def test_one_moment_of_a_run_is_kept_once(self, many_samples: Sequence[Samples]) -> None:
        await asyncio.gather(*(at.add(RUN, TASK, sample(0, 8)) for at in many_samples))
        [point] = await many_samples[0].series(OfRun(RUN), START, START + SECOND, points=1)
        assert point.bytes_per_second == 8
        assert await many_samples[0].purge(START + DAY) == 1

    async def test_a_series_tells_the_end_the_mean_and_the_peak_of_each_stretch(
        self, samples: Samples
    ) -> None:
        for at, rate, workers in ((0, 4, 1), (2, 8, 3), (4, 6, 2), (30, 1, 1)):
            await samples.add(RUN, TASK, sample(at, rate, workers=workers, done=at))
        points = await samples.series(OfRun(RUN), START, START + 40 * SECOND, points=4)
        assert [(at.at - START, at.last.objects) for at in points] == [
            (0 * SECOND, 4),
            (30 * SECOND, 30),
        ]
        assert points[0].last == sample(4, 6, workers=2, done=4)
        assert (points[0].bytes_per_second, points[0].peak_bytes_per_second) == (6, 8)
        assert (points[0].objects_per_second, points[0].peak_objects_per_second) == (1.5, 2)
        assert (points[0].workers, points[1].workers) == (3, 1)

    async def test_a_series_holds_what_is_from_its_start_to_before_its_end(
        self, samples: Samples
    ) -> None:
        for at in range(5):
            await samples.add(RUN, TASK, sample(at, done=at))
        points = await samples.series(OfRun(RUN), START + SECOND, START + 3 * SECOND, points=9)
        assert [at.last.objects for at in points] == [1, 2]

    @pytest.mark.parametrize("points", [1, 2, 7, 100])
    async def test_a_series_has_no_more_points_than_were_asked_for(
        self, samples: Samples, points: int
    ) -> None:
        for at in range(50):
            await samples.add(RUN, TASK, sample(at, done=at))
        found = await samples.series(OfRun(RUN), START, START + 50 * SECOND, points=points)
        assert len(found) == min(points, 50)
        assert found[-1].last.objects == 49

    async def test_a_task_has_the_samples_of_all_of_its_runs(self, samples: Samples) -> None:
        await samples.add(RUN, TASK, sample(0, done=1))
        await samples.add(NEXT, TASK, sample(5, done=2))
        await samples.add(RunId("another"), OTHER, sample(6, done=3))

        async def objects(of: HistoryOf) -> list[int]:
            points = await samples.series(of, START, START + HOUR, points=3_600)
            return [point.last.objects for point in points]

        assert await objects(OfTask(TASK)) == [1, 2]
        assert await objects(OfRun(NEXT)) == [2]
        assert await objects(OfTask(TaskId("unknown"))) == []

    async def test_runs_of_a_task_may_be_sampled_at_one_moment(self, samples: Samples) -> None:
        await samples.add(RUN, TASK, sample(0, 4))
        await samples.add(NEXT, TASK, sample(0, 8))
        [point] = await samples.series(OfTask(TASK), START, START + SECOND, points=1)
        assert (point.bytes_per_second, point.peak_bytes_per_second) == (6, 8)

    async def test_thinned_samples_tell_the_same_mean_peak_and_end(self, samples: Samples) -> None:
        for at in range(0, 600, 2):
            await samples.add(RUN, TASK, sample(at, at % 14, workers=at % 5, done=at))
        span = (OfRun(RUN), START, START + 600 * SECOND)
        before = [told(point) for point in await samples.series(*span, points=2)]
        now, merged = START + HOUR, 0
        while count := await samples.thin(FIRST, now):
            merged += count
        assert merged == 300
        assert [told(point) for point in await samples.series(*span, points=2)] == before
        assert len(await samples.series(*span, points=600)) == 20

    async def test_a_thinned_sample_weighs_as_much_as_what_it_was_made_of(
        self, samples: Samples
    ) -> None:
        for at, rate in ((0, 1), (2, 1), (4, 4), (31, 10)):
            await samples.add(RUN, TASK, sample(at, rate))
        assert await samples.thin(FIRST, START + HOUR) == 4
        [point] = await samples.series(OfRun(RUN), START, START + HOUR, points=1)
        assert (point.bytes_per_second, point.objects_per_second) == (4, 1)

    async def test_each_run_is_thinned_by_itself(self, samples: Samples) -> None:
        for at in (0, 2, 31):
            await samples.add(RUN, TASK, sample(at, done=at))
            await samples.add(NEXT, TASK, sample(at, done=at + 1))
        assert await samples.thin(FIRST, START + HOUR) == 6
        for run, more in ((RUN, 0), (NEXT, 1)):
            points = await samples.series(OfRun(run), START, START + HOUR, points=3_600)
            assert [at.last.objects for at in points] == [2 + more, 31 + more]

    async def test_what_is_young_is_not_thinned(self, samples: Samples) -> None:
        for at in (0, 2, 40):
            await samples.add(RUN, TASK, sample(at, done=at))
        assert await samples.thin(FIRST, START + 29 * SECOND) == 0
        assert await samples.thin(FIRST, START + 30 * SECOND) == 2
        assert await samples.thin(FIRST, START + 30 * SECOND) == 0

    async def test_what_was_thinned_is_thinned_further(self, samples: Samples) -> None:
        for at in (0, 2, 31, 400):
            await samples.add(RUN, TASK, sample(at, at, done=at))
        now = START + 2 * DAY
        assert await samples.thin(SECOND_THINNING, now) == 0
        assert await samples.thin(FIRST, now) == 3
        assert await samples.thin(FIRST, now) == 1
        assert await samples.thin(SECOND_THINNING, now) == 3
        [first, last] = await samples.series(OfRun(RUN), START, START + HOUR, points=60)
        assert (first.bytes_per_second, first.last.objects, last.last.objects) == (11, 31, 400)

    async def test_two_that_thin_at_once_lose_nothing(
        self, many_samples: Sequence[Samples]
    ) -> None:
        for at in range(0, 300, 2):
            await many_samples[0].add(RUN, TASK, sample(at, at, done=at))
        counts = await asyncio.gather(
            *(at.thin(FIRST, START + HOUR) for at in many_samples for _ in range(2))
        )
        assert sum(counts) == 150
        [point] = await many_samples[0].series(OfRun(RUN), START, START + HOUR, points=1)
        assert (point.bytes_per_second, point.last.objects) == (149, 298)

    async def test_what_is_old_is_purged_at_any_step(self, samples: Samples) -> None:
        for at in (0, 2):
            await samples.add(RUN, TASK, sample(at))
        await samples.thin(FIRST, START + HOUR)
        for at in (100, 200):
            await samples.add(RUN, TASK, sample(at))
        assert await samples.purge(START + 200 * SECOND) == 2
        points = await samples.series(OfRun(RUN), START, START + HOUR, points=60)
        assert [at.last.at for at in points] == [START + 200 * SECOND]

    async def test_what_is_purged_in_steps_is_purged_whole(self, samples: Samples) -> None:
        for days in (0, 1, 5, 9):
            await samples.add(RUN, TASK, sample(days * 86_400))
        purged = 0
        while count := await samples.purge(START + 6 * DAY):
            purged += count
        assert purged == 3
        points = await samples.series(OfRun(RUN), START, START + 10 * DAY, points=10)
        assert [at.last.at for at in points] == [START + 9 * DAY]

    async def test_a_run_is_forgotten(self, samples: Samples) -> None:
        await samples.add(RUN, TASK, sample(0))
        await samples.add(NEXT, TASK, sample(1))
        await samples.forget(RUN)
        assert [*await samples.latest([RUN, NEXT])] == [NEXT]


def line(
    message: str, run: RunId = RUN, *, level: LogLevel = LogLevel.INFO, task: TaskId = TASK
) -> LogLine:
    return LogLine(
        at=START, level=level, action="run_said", message=message, task=task, run=run, worker="w"
    )


async def said(logs: Logs, of: HistoryOf | None = None, **how: Any) -> list[str]:
    of = of or OfRun(RUN)
    page = await logs.page(of, **how)
    return [at.message for at in page.lines]


class LogsSuite:
    """Every test of the port Logs."""

    @pytest.fixture
    def logs(self, many_logs: Sequence[Logs]) -> Logs:
        return many_logs[0]

    async def test_lines_come_back_as_they_were_and_in_their_order(self, logs: Logs) -> None:
        odd = "é\x00\x01😀'%_ \n"
        await logs.append([line(odd, level=LogLevel.ERROR), line("b")])
        page = await logs.page(OfRun(RUN))
        assert [replace(at, number=0) for at in page.lines] == [
            line(odd, level=LogLevel.ERROR),
            line("b"),
        ]
        assert [at.number for at in page.lines] == [1, 2]
        assert (page.more, page.dropped) == (False, 0)

    async def test_half_a_surrogate_pair_becomes_a_question_mark(self, logs: Logs) -> None:
        await logs.append([line("a\ud800b")])
        assert await said(logs) in (["a?b"], ["a\ud800b"])

    async def test_a_log_is_followed_by_its_cursor(self, logs: Logs) -> None:
        page = await logs.page(OfRun(RUN))
        for message in ("a", "b", "c"):
            await logs.append([line(message)])
            page = await logs.page(OfRun(RUN), after=page.last)
            assert [at.message for at in page.lines] == [message]
        assert await said(logs, after=page.last) == []

    async def test_pages_go_back_from_the_end_and_on_from_the_start(self, logs: Logs) -> None:
        await logs.append([line(str(n)) for n in range(5)])
        last = await logs.page(OfRun(RUN), limit=2)
        assert ([at.message for at in last.lines], last.more) == (["3", "4"], True)
        middle = await logs.page(OfRun(RUN), limit=2, before=last.first)
        assert ([at.message for at in middle.lines], middle.more) == (["1", "2"], True)
        first = await logs.page(OfRun(RUN), limit=2, before=middle.first)
        assert ([at.message for at in first.lines], first.more) == (["0"], False)
        again = await logs.page(OfRun(RUN), limit=3, after=0)
        assert ([at.message for at in again.lines], again.more) == (["0", "1", "2"], True)
        assert await said(logs, after=middle.last) == ["3", "4"]

    async def test_levels_and_words_choose_lines(self, logs: Logs) -> None:
        await logs.append(
            [
                line("Bucket A was slow", level=LogLevel.WARNING),
                line("bucket B failed 100%", level=LogLevel.ERROR),
                line("nothing", level=LogLevel.DEBUG),
            ]
        )
        assert len(await said(logs, level=LogLevel.INFO)) == 2
        assert await said(logs, level=LogLevel.ERROR) == ["bucket B failed 100%"]
        assert await said(logs, words="SLOW bucket") == ["Bucket A was slow"]
        assert await said(logs, words="0%") == ["bucket B failed 100%"]
        assert await said(logs, words="run_said nothing") == ["nothing"]
        assert await said(logs, words="_") == await said(logs)
        assert await said(logs, words="slow failed") == []

    async def test_few_lines_among_many_are_found_page_by_page(self, logs: Logs) -> None:
        lines = [line("hay") for _ in range(2_500)]
        for at in (0, 1_200, 2_499):
            lines[at] = line("needle")
        await logs.append(lines)
        page = await logs.page(OfRun(RUN), words="needle", limit=2)
        assert [at.number for at in page.lines] == [1_201, 2_500]
        page = await logs.page(OfRun(RUN), words="needle", limit=2, before=page.first)
        assert ([at.number for at in page.lines], page.more) == ([1], False)

    async def test_a_search_that_looked_far_enough_goes_on_from_there(self, logs: Logs) -> None:
        await logs.append([line("needle"), *(line("hay") for _ in range(6_000))])
        found, before, pages = [], None, 0
        while True:
            page = await logs.page(OfRun(RUN), words="needle", before=before, limit=10)
            found += [at.message for at in page.lines]
            pages, before = pages + 1, page.first
            if not page.more:
                break
        assert (found, pages) == (["needle"], 2)
        ahead = await logs.page(OfRun(RUN), words="nothing", after=0, limit=10)
        assert (ahead.lines, ahead.more) == ([], True)
        assert 4_000 < ahead.last < 6_001

    async def test_a_task_has_the_lines_of_all_of_its_runs(self, logs: Logs) -> None:
        await logs.append([line("a"), line("b", NEXT), line("c", RunId("x"), task=OTHER)])
        await logs.append([line("d")])
        assert await said(logs, OfTask(TASK)) == ["a", "b", "d"]
        assert await said(logs, OfRun(NEXT)) == ["b"]
        assert await said(logs, OfTask(TaskId("unknown"))) == []

    async def test_the_oldest_lines_of_a_full_log_go_and_are_counted(self, logs: Logs) -> None:
        await logs.append([line("kept", NEXT)])
        for start in range(0, MOST_LINES + 1_000, 1_000):
            await logs.append([line(str(n)) for n in range(start, start + 1_000)])
        page = await logs.page(OfRun(RUN), after=0, limit=1)
        [oldest] = page.lines
        assert page.dropped == int(oldest.message)
        assert 1_000 <= page.dropped <= 3_000
        assert await said(logs, limit=1) == [str(MOST_LINES + 999)]
        assert await said(logs, OfRun(NEXT)) == ["kept"]
        assert (await logs.page(OfTask(TASK))).dropped == page.dropped

    async def test_a_log_is_bounded_in_bytes_too(self, logs: Logs) -> None:
        size = MOST_LOG_BYTES // 10
        for n in range(12):
            await logs.append([line(f"{n} " + "x" * size)])
        page = await logs.page(OfRun(RUN), after=0)
        assert sum(at.size for at in page.lines) <= MOST_LOG_BYTES
        assert page.dropped + len(page.lines) == 12
        assert page.lines[-1].message.startswith("11 ")

    async def test_who_follows_misses_no_line_of_many_writers(
        self, many_logs: Sequence[Logs]
    ) -> None:
        async def write(logs: Logs, name: str) -> None:
            for n in range(20):
                await logs.append([line(f"{name} {n}", RunId(f"run {name}"))])

        async def follow(logs: Logs) -> list[str]:
            seen: list[str] = []
            last = 0
            while len(seen) < 60:
                page = await logs.page(OfTask(TASK), after=last)
                seen, last = seen + [at.message for at in page.lines], page.last
            return seen

        *writers, reader = many_logs
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for name, logs in zip("abc", writers, strict=True):
                group.create_task(write(logs, name))
            following = group.create_task(follow(reader))
        assert sorted(following.result()) == sorted(f"{a} {n}" for a in "abc" for n in range(20))

    async def test_logs_whose_last_line_is_old_are_purged(self, logs: Logs) -> None:
        await logs.append([line("old"), line("old too", NEXT)])
        await logs.append([replace(line("new", NEXT), at=START + DAY)])
        assert await logs.purge(START + HOUR) == 1
        assert await said(logs, OfTask(TASK)) == ["old too", "new"]

    async def test_many_old_logs_are_purged_in_steps(self, logs: Logs) -> None:
        await logs.append([line("x", RunId(f"run {n}")) for n in range(45)])
        purged = 0
        while count := await logs.purge(START + HOUR):
            purged += count
        assert purged == 45
        assert await said(logs, OfTask(TASK)) == []

    async def test_a_run_is_forgotten(self, logs: Logs) -> None:
        await logs.append([line("a"), line("b", NEXT)])
        await logs.forget(RUN)
        assert await said(logs, OfTask(TASK)) == ["b"]
        assert (await logs.page(OfRun(RUN))).dropped == 0
