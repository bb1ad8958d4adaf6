import asyncio
import logging

import pytest

from tests.conformance.store_facts import get, put
from tests.unit.stores.fake_time import FakeTime
from transferhub.errors import DeniedError, NotFoundError, TransientError
from transferhub.stores.faulty import Fault, FaultKind, FaultyStore, ScriptedFaults
from transferhub.stores.logged import LOGGER_NAME, LoggedStore
from transferhub.stores.memory import MemoryServer, MemoryStore
from transferhub.stores.wrapper import StoreCall, Verb


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER_NAME)


def fields(record: logging.LogRecord, *names: str) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in names)


async def test_each_call_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    time = FakeTime()
    memory = MemoryStore("b", server=MemoryServer(endpoint="memory:x"))
    slow = FaultyStore(memory, ScriptedFaults([]), latency=lambda call: time.sleep(2))
    await put(LoggedStore(slow, clock=time.clock), "key")
    [record] = caplog.records
    assert record.levelno == logging.DEBUG
    assert fields(record, "action", "verb", "key", "seconds", "outcome") == (
        "store.put",
        "put",
        "key",
        2.0,
        "ok",
    )
    assert fields(record, "store") == (memory.location,)


async def test_a_failure_is_a_warning_with_its_code(caplog: pytest.LogCaptureFixture) -> None:
    error = DeniedError("no", status=403, request_id="r-1")
    store = LoggedStore(FaultyStore(MemoryStore(), ScriptedFaults([Fault(error=error)])))
    with pytest.raises(DeniedError):
        await store.list("prefix/")
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert fields(record, "action", "key", "outcome", "status", "request_id") == (
        "store.list",
        "prefix/",
        "denied",
        403,
        "r-1",
    )


async def test_a_missing_object_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NotFoundError):
        await LoggedStore(MemoryStore()).head("key")
    [record] = caplog.records
    assert record.levelno == logging.DEBUG
    assert fields(record, "outcome") == ("not_found",)


async def test_the_body_of_a_get_is_a_record_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    memory = MemoryStore()
    await put(memory, "key", b"body")
    plan = ScriptedFaults([Fault(kind=FaultKind.TRUNCATE, skip=1)])
    store = LoggedStore(FaultyStore(memory, plan))
    await get(store, "key")
    with pytest.raises(TransientError):
        await get(store, "key")
    assert [fields(record, "action", "outcome") for record in caplog.records] == [
        ("store.get", "ok"),
        ("store.read", "ok"),
        ("store.get", "ok"),
        ("store.read", "transient"),
    ]


async def test_a_cancelled_call_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def forever(call: StoreCall) -> None:
        await asyncio.Event().wait()

    store = LoggedStore(FaultyStore(MemoryStore(), ScriptedFaults([]), latency=forever))
    task = asyncio.create_task(store.list())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [fields(record, "verb", "outcome") for record in caplog.records] == [
        (Verb.LIST, "cancelled")
    ]


async def test_a_key_cannot_forge_a_line_and_a_body_is_never_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = LoggedStore(MemoryStore())
    await put(store, "a\nCRITICAL forged", b"secret body")
    await get(store, "a\nCRITICAL forged")
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert "secret" not in str([vars(record) for record in caplog.records])
