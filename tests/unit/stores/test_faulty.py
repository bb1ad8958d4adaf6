import pytest

from tests.conformance.store_facts import get, keys, put
from transferhub.errors import ChangedError, NotFoundError, ThrottledError, TransientError
from transferhub.stores.faulty import (
    Fault,
    FaultKind,
    FaultyStore,
    ScriptedFaults,
    SeededFaults,
    vanish,
)
from transferhub.stores.memory import MemoryStore
from transferhub.stores.wrapper import StoreCall, Verb


def faulty(*faults: Fault) -> FaultyStore:
    return FaultyStore(MemoryStore(), ScriptedFaults(faults))


async def test_a_fault_before_leaves_nothing_done() -> None:
    store = faulty(Fault(verb=Verb.PUT, error=ThrottledError("slow down")))
    with pytest.raises(ThrottledError, match="slow down"):
        await put(store, "key")
    assert await keys(store) == []
    await put(store, "key")
    assert await keys(store) == ["key"]


async def test_a_fault_after_loses_the_answer_only() -> None:
    store = faulty(Fault(verb=Verb.PUT, kind=FaultKind.AFTER))
    with pytest.raises(TransientError):
        await put(store, "key")
    assert await keys(store) == ["key"]


async def test_a_fault_after_a_get_closes_what_was_opened() -> None:
    store = faulty(Fault(verb=Verb.GET, kind=FaultKind.AFTER))
    await put(store, "key", b"body")
    with pytest.raises(TransientError):
        await get(store, "key")
    assert await get(store, "key") == b"body"


async def test_a_truncated_body_gives_no_more_than_it_keeps() -> None:
    store = faulty(Fault(kind=FaultKind.TRUNCATE, keep=3, times=2))
    await put(store, "key", b"0123456789")
    async with store.get("key") as reader:
        assert reader.length == 10
        chunks = reader.chunks()
        assert await anext(chunks) == b"012"
        with pytest.raises(TransientError):
            await anext(chunks)
    with pytest.raises(TransientError):
        await get(store, "key")
    assert await get(store, "key") == b"0123456789"


async def test_a_source_can_change_behind_its_reader() -> None:
    store = faulty(Fault(verb=Verb.GET, kind=FaultKind.CHANGE))
    written = await put(store, "key", b"body")
    with pytest.raises(ChangedError):
        await get(store, "key", if_match=written.etag)
    assert await get(store, "key") == b"body!"


async def test_a_source_can_vanish_behind_its_reader() -> None:
    store = faulty(Fault(verb=Verb.GET, kind=FaultKind.CHANGE, change=vanish))
    await put(store, "key", b"body")
    with pytest.raises(NotFoundError):
        await get(store, "key")


async def test_a_fault_strikes_its_verb_and_key_only() -> None:
    store = faulty(Fault(verb=Verb.HEAD, key="b"))
    for key in "ab":
        await put(store, key)
    await store.head("a")
    assert await get(store, "b") == b"body"
    with pytest.raises(TransientError):
        await store.head("b")


async def test_a_fault_can_let_calls_pass_and_strike_again() -> None:
    plan = ScriptedFaults([Fault(verb=Verb.LIST, skip=1, times=2)])
    store = FaultyStore(MemoryStore(), plan)
    await store.list()
    for _ in range(2):
        assert not plan.spent
        with pytest.raises(TransientError):
            await store.list()
    assert plan.spent
    await store.list()


async def test_an_error_is_raised_anew_each_time() -> None:
    store = faulty(Fault(times=2, error=ThrottledError("slow down", status=503)))
    raised = []
    for _ in range(2):
        with pytest.raises(ThrottledError) as caught:
            await store.check()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert [error.status for error in raised] == [503, 503]


async def outcomes(seed: int) -> list[bool]:
    store = FaultyStore(MemoryStore(), SeededFaults(seed, 0.3))
    found = []
    for _ in range(100):
        try:
            await store.list()
        except TransientError:
            found.append(False)
        else:
            found.append(True)
    return found


async def test_a_seed_gives_the_same_faults_each_time() -> None:
    assert await outcomes(1) == await outcomes(1)
    assert await outcomes(1) != await outcomes(2)
    assert 10 < (await outcomes(1)).count(False) < 60


async def test_calls_are_told_and_can_be_held_up() -> None:
    held: list[StoreCall] = []

    async def latency(call: StoreCall) -> None:
        held.append(call)

    store = FaultyStore(MemoryStore(), ScriptedFaults([]), latency=latency)
    await put(store, "key", b"body")
    await store.delete(["key", "other"])
    assert (
        store.calls
        == held
        == [
            StoreCall(verb=Verb.PUT, key="key", size=4),
            StoreCall(verb=Verb.DELETE, key="key"),
        ]
    )
