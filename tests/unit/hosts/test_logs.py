"""Log lines of the processes of a hub."""

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from transferhub.errors import StateError
from transferhub.hosts.hub_settings import LogFormat
from transferhub.hosts.logs import LogBook, LogRules, Mask, logs_written
from transferhub.model.history import LogLine, OfRun, OfTask
from transferhub.model.run import TaskId
from transferhub.model.transfer import RunId
from transferhub.state.memory import MemoryLogs

TASK, RUN = TaskId("task"), RunId("run")
PACKAGE = logging.getLogger("transferhub.some.module")


async def task_of(run: RunId) -> TaskId | None:
    return TASK if run.startswith("run") else None


class Away(MemoryLogs):
    """Logs that cannot be reached for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = True

    async def append(self, lines: Sequence[LogLine]) -> None:
        if self.is_away:
            raise StateError("The state cannot be reached.")
        await super().append(lines)


def written(rules: LogRules, work: Any, mask: Mask | None = None) -> list[str]:
    lines: list[str] = []
    with logs_written(rules, lines.append, mask or Mask()):
        work()
    return lines


@pytest.fixture
def book() -> Iterator[LogBook]:
    book = LogBook(Mask(), task_of, run=RUN, worker="w1", capacity=3)
    PACKAGE.addHandler(book)
    level = PACKAGE.level
    PACKAGE.setLevel(logging.DEBUG)
    yield book
    PACKAGE.setLevel(level)
    PACKAGE.removeHandler(book)


async def kept(logs: MemoryLogs, run: RunId = RUN) -> list[tuple[str, str, str]]:
    page = await logs.page(OfRun(run))
    return [(line.level.value, line.action, line.message) for line in page.lines]


def test_a_json_line_tells_what_happened_and_where() -> None:
    rules = LogRules(format=LogFormat.JSON, level="info", worker="host-1")
    [line] = written(
        rules,
        lambda: PACKAGE.info(
            "took %s\nkeys", 3, extra={"action": "taken", "run": "r1", "count": 3}
        ),
    )
    told = json.loads(line)
    assert "\n" not in line
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "info",
        "action": "taken",
        "worker": "host-1",
        "run": "r1",
        "count": 3,
        "message": "took 3\nkeys",
    }


def test_a_json_line_has_the_traceback_of_an_error() -> None:
    def fail() -> None:
        try:
            raise ValueError("bad")
        except ValueError:
            PACKAGE.exception("it failed", extra={"action": "failed"})

    [line] = written(LogRules(format=LogFormat.JSON), fail)
    told = json.loads(line)
    assert (told["level"], told["message"]) == ("error", "it failed")
    assert "ValueError: bad" in told["error"]


def test_lines_of_other_packages_are_told_from_ours() -> None:
    other = logging.getLogger("other.package")

    def work() -> None:
        other.info("headers")
        other.warning("odd")

    [line] = written(LogRules(format=LogFormat.JSON, level="debug"), work)
    assert json.loads(line)["action"] == "outside"


def test_lines_below_the_level_are_not_written() -> None:
    def work() -> None:
        PACKAGE.info("small", extra={"action": "a"})
        PACKAGE.warning("large", extra={"action": "a"})

    [line] = written(LogRules(level="warning"), work)
    assert line.endswith("WARNING transferhub.some.module: large")


@pytest.mark.parametrize("log_format", LogFormat)
def test_no_secret_is_written(log_format: LogFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTH_SOURCE_SECRET_ACCESS_KEY", 'abc"def\\ghi')
    mask = Mask()
    mask.hide("lent-by-the-hub")

    def work() -> None:
        url = "https://me:pw@h/?X-Amz-Signature=sig&n=1"
        extra = {"action": "a", "detail": 'abc"def\\ghi'}
        PACKAGE.warning("%s lent-by-the-hub %s", 'abc"def\\ghi', url, extra=extra)
        try:
            raise ValueError("lent-by-the-hub")
        except ValueError:
            PACKAGE.exception("failed", extra={"action": "a"})

    text = "\n".join(written(LogRules(format=log_format), work, mask))
    assert "***" in text
    for secret in ("abc", "ghi", "lent-by", "me:pw", "sig"):
        assert secret not in text


async def test_lines_of_a_run_are_kept(book: LogBook) -> None:
    logs = MemoryLogs()
    PACKAGE.warning("one", extra={"action": "a"})
    PACKAGE.debug("too small", extra={"action": "a"})
    PACKAGE.info("other", extra={"action": "b", "run": "run 2", "worker": "w2"})
    await book.write(logs)
    assert await kept(logs) == [("warning", "a", "one")]
    assert await kept(logs, RunId("run 2")) == [("info", "b", "other")]
    assert [line.worker for line in (await logs.page(OfTask(TASK))).lines] == ["w1", "w2"]


async def test_lines_of_no_known_task_are_dropped(book: LogBook) -> None:
    logs = MemoryLogs()
    PACKAGE.info("nobody's", extra={"action": "a", "run": "unknown"})
    PACKAGE.info("ours", extra={"action": "a"})
    await book.write(logs)
    assert [line.message for line in (await logs.page(OfTask(TASK))).lines] == ["ours"]


async def test_lines_that_come_too_fast_are_counted(book: LogBook) -> None:
    logs = MemoryLogs()
    for number in range(8):
        PACKAGE.info("%s", number, extra={"action": "a"})
    await book.write(logs)
    PACKAGE.info("after", extra={"action": "a"})
    await book.write(logs)
    assert [message for _, _, message in await kept(logs)] == [
        "0",
        "1",
        "2",
        "5 lines came too fast to be kept",
        "after",
    ]


async def test_lines_wait_in_their_order_while_the_state_is_away(book: LogBook) -> None:
    logs = Away()
    PACKAGE.info("a", extra={"action": "x"})
    await book.write(logs)
    PACKAGE.info("b", extra={"action": "x"})
    await book.write(logs)
    assert await kept(logs) == []
    logs.is_away = False
    await book.write(logs)
    assert [message for _, _, message in await kept(logs)] == ["a", "b"]


async def test_no_secret_is_kept_and_a_message_is_bounded() -> None:
    mask = Mask()
    mask.hide("lent-by-the-hub")
    book = LogBook(mask, task_of, run=RUN)
    logs = MemoryLogs()
    for text in ("lent-by-the-hub", "x" * 100_000):
        book.handle(logging.makeLogRecord({"msg": text, "levelno": logging.INFO}))
    await book.write(logs)
    first, second = await kept(logs)
    assert first == ("info", "outside", "***")
    assert len(second[2]) == 4_000


async def test_a_line_that_cannot_be_kept_does_not_stop_the_others(book: LogBook) -> None:
    class Broken(MemoryLogs):
        async def append(self, lines: Sequence[LogLine]) -> None:
            if "poison" in [line.message for line in lines]:
                raise ValueError("poison")
            await super().append(lines)

    logs, said = Broken(), iter(["poison", "good", None])

    async def wait(_: float) -> None:
        message = next(said)
        if message is None:
            raise asyncio.CancelledError
        PACKAGE.info("%s", message, extra={"action": "x"})

    with pytest.raises(asyncio.CancelledError):
        await book.keep(logs, wait)
    assert [message for _, _, message in await kept(logs)] == ["good"]


async def test_lines_are_kept_while_the_work_goes_on(book: LogBook) -> None:
    logs, waits = MemoryLogs(), 0

    async def wait(_: float) -> None:
        nonlocal waits
        waits += 1
        if waits > 2:
            raise asyncio.CancelledError
        PACKAGE.info("%s", waits, extra={"action": "x"})

    with pytest.raises(asyncio.CancelledError):
        await book.keep(logs, wait)
    assert [message for _, _, message in await kept(logs)] == ["1", "2"]
