from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.conformance.store_facts import keys, part, put, start
from tests.unit.stores.fake_time import FakeTime
from transferhub.errors import (
    DeniedError,
    NotFoundError,
    StoreError,
    ThrottledError,
    TransientError,
)
from transferhub.stores.faulty import Fault, FaultKind, FaultyStore, ScriptedFaults
from transferhub.stores.memory import MemoryStore
from transferhub.stores.retrying import CONTROL_VERBS, RetryingStore, RetryPolicy
from transferhub.stores.wrapper import Verb

POLICY = RetryPolicy(
    attempts=4, first=timedelta(seconds=1), most=timedelta(seconds=3), within=timedelta(seconds=60)
)


def store_with(
    *faults: Fault,
    time: FakeTime | None = None,
    policy: RetryPolicy = POLICY,
    verbs: frozenset[Verb] = CONTROL_VERBS,
    luck: float = 0.5,
) -> tuple[RetryingStore, FaultyStore]:
    time = time or FakeTime()
    faulty = FaultyStore(MemoryStore(), ScriptedFaults(faults))
    store = RetryingStore(
        faulty,
        verbs=verbs,
        policy=policy,
        sleep=time.sleep,
        luck=lambda: luck,
        clock=time.clock,
    )
    return store, faulty


@pytest.mark.parametrize("error", [TransientError("reset"), ThrottledError("slow down")])
async def test_a_passing_error_is_tried_again(error: StoreError) -> None:
    store, faulty = store_with(Fault(verb=Verb.LIST, error=error, times=3))
    assert (await store.list()).entries == []
    assert len(faulty.calls) == 4


async def test_waits_double_up_to_the_longest() -> None:
    time = FakeTime()
    policy = RetryPolicy(attempts=5, first=timedelta(seconds=1), most=timedelta(seconds=3))
    store, _ = store_with(Fault(times=4), time=time, policy=policy, luck=0.0)
    await store.check()
    assert time.slept == [0.5, 1.0, 1.5, 1.5]


async def test_luck_spreads_a_wait_over_its_upper_half() -> None:
    assert POLICY.wait_seconds(2, 0.0) == 1.0
    assert POLICY.wait_seconds(2, 0.5) == 1.5
    assert POLICY.wait_seconds(1_000_000, 0.0) == 1.5


async def test_the_last_attempt_raises_what_it_met() -> None:
    store, faulty = store_with(Fault(times=10, error=ThrottledError("slow down")))
    with pytest.raises(ThrottledError):
        await store.head("key")
    assert len(faulty.calls) == 4


@pytest.mark.parametrize(
    "error", [ThrottledError("slow down"), TransientError("refused", code="unreachable")]
)
async def test_an_endpoint_is_waited_for_with_patience(error: StoreError) -> None:
    time = FakeTime()
    policy = replace(POLICY, patience=timedelta(minutes=3))
    store, faulty = store_with(
        Fault(verb=Verb.LIST, error=error, times=50), time=time, policy=policy
    )
    assert (await store.list()).entries == []
    assert len(faulty.calls) == 51


async def test_patience_with_an_endpoint_ends() -> None:
    time = FakeTime()
    policy = replace(POLICY, patience=timedelta(minutes=3))
    store, _ = store_with(
        Fault(error=ThrottledError("slow down"), times=500), time=time, policy=policy
    )
    with pytest.raises(ThrottledError):
        await store.list()
    assert 170 < sum(time.slept) <= 180


async def test_a_check_has_no_patience_with_an_endpoint_that_is_not_there() -> None:
    policy = replace(POLICY, patience=timedelta(minutes=3))
    refused = TransientError("refused", code="unreachable")
    store, faulty = store_with(Fault(error=refused, times=500), policy=policy)
    with pytest.raises(TransientError):
        await store.check()
    assert len(faulty.calls) == 4


async def test_a_check_waits_for_an_endpoint_that_asks_to_slow_down() -> None:
    policy = replace(POLICY, patience=timedelta(minutes=3))
    store, faulty = store_with(Fault(error=ThrottledError("slow down"), times=40), policy=policy)
    await store.check()
    assert len(faulty.calls) == 41


async def test_a_listing_is_tried_again_for_as_long_as_it_may_take() -> None:
    time = FakeTime()
    policy = replace(POLICY, patience=timedelta(minutes=3))
    store, faulty = store_with(
        Fault(verb=Verb.LIST, error=TransientError("500"), times=20), time=time, policy=policy
    )
    assert (await store.list()).entries == []
    assert len(faulty.calls) == 21
    store, _ = store_with(Fault(error=TransientError("500"), times=500), time=time, policy=policy)
    with pytest.raises(TransientError):
        await store.list()


async def test_no_attempt_starts_after_the_time_is_over() -> None:
    time = FakeTime()
    policy = RetryPolicy(
        attempts=100,
        first=timedelta(seconds=4),
        most=timedelta(seconds=4),
        within=timedelta(seconds=10),
    )
    store, faulty = store_with(Fault(times=100), time=time, policy=policy, luck=0.0)
    with pytest.raises(TransientError):
        await store.head("key")
    assert sum(time.slept) <= 10
    assert len(faulty.calls) == 6


async def test_an_error_that_stays_is_raised_at_once() -> None:
    store, faulty = store_with(Fault(error=DeniedError("no right to list")))
    with pytest.raises(DeniedError):
        await store.list()
    assert len(faulty.calls) == 1


async def test_verbs_that_are_not_its_own_pass_untried() -> None:
    store, faulty = store_with(Fault(verb=Verb.PUT))
    with pytest.raises(TransientError):
        await put(store, "key")
    assert len(faulty.calls) == 1


async def test_any_verb_can_be_its_own() -> None:
    store, faulty = store_with(
        Fault(verb=Verb.PUT), Fault(verb=Verb.GET, times=2), verbs=frozenset(Verb)
    )
    await put(store, "key", b"body")
    async with store.get("key") as reader:
        assert await reader.read() == b"body"
    assert [call.verb for call in faulty.calls] == [Verb.PUT] * 2 + [Verb.GET] * 3


async def test_an_upload_is_not_started_twice() -> None:
    store, _ = store_with(Fault(verb=Verb.CREATE_UPLOAD, kind=FaultKind.AFTER))
    with pytest.raises(TransientError):
        await start(store, "key")
    assert len(await store.list_uploads("key")) == 1


async def test_a_completion_whose_answer_was_lost_ends_in_no_upload() -> None:
    store, _ = store_with(Fault(verb=Verb.COMPLETE_UPLOAD, kind=FaultKind.AFTER))
    upload_id = await start(store, "key")
    one = await part(store, "key", upload_id, 1, b"body")
    with pytest.raises(NotFoundError) as caught:
        await store.complete_upload("key", upload_id, [one])
    assert caught.value.code == "no_upload"
    assert (await store.head("key")).size == 4


class PartlyFailing(MemoryStore):
    """Deletes all but the keys that still have failures left."""

    def __init__(self, failures: dict[str, list[StoreError]]) -> None:
        super().__init__()
        self.failures = failures
        self.asked: list[list[str]] = []

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError]:
        self.asked.append(list(keys))
        failed = {key: self.failures[key].pop(0) for key in keys if self.failures.get(key)}
        await super().delete([key for key in keys if key not in failed])
        return failed


async def test_only_the_keys_of_a_delete_that_may_still_work_are_tried_again() -> None:
    time = FakeTime()
    denied = DeniedError("locked")
    inner = PartlyFailing({"b": [TransientError("x"), ThrottledError("y")], "c": [denied]})
    store = RetryingStore(inner, policy=POLICY, sleep=time.sleep, clock=time.clock)
    for key in "abc":
        await put(store, key)
    assert await store.delete(["a", "b", "c"]) == {"c": denied}
    assert inner.asked == [["a", "b", "c"], ["b"], ["b"]]
    assert await keys(store) == ["c"]


async def test_keys_of_a_delete_that_fail_to_the_end_are_named() -> None:
    time = FakeTime()
    inner = PartlyFailing({"a": [TransientError(str(n)) for n in range(9)]})
    store = RetryingStore(inner, policy=POLICY, sleep=time.sleep, clock=time.clock)
    failed = await store.delete(["a", "b"])
    assert {key: str(error) for key, error in failed.items()} == {"a": "3"}
