from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferhub.engine.retry import RetryPolicy
from transferhub.errors import (
    DeniedError,
    StoreError,
    ThrottledError,
    TransferHubError,
    TransientError,
)
from transferhub.model.transfer import Difference, Lease, RunId, Transfer, WorkKind

NOW = datetime(2026, 11, 24, tzinfo=UTC)
UNREACHABLE = TransientError("nobody answers", code="unreachable")


def lease(attempt: int = 1, key: str = "key") -> Lease:
    return Lease(
        RunId("run"), 1, 1, WorkKind.TRANSFER, Transfer(key, Difference.NEW), attempt=attempt
    )


def policy(attempts: int = 5) -> RetryPolicy:
    return RetryPolicy(attempts=attempts, random=Random(1))


def test_delays_double_with_each_attempt() -> None:
    delays = []
    for attempt in range(1, 5):
        retry_at = policy().judge(lease(attempt), TransientError("reset"), NOW).retry_at
        assert retry_at is not None
        delays.append((retry_at - NOW).total_seconds())
    assert all(2**n / 2 <= delay <= 2**n for n, delay in enumerate(delays))


@given(attempt=st.integers(1, 10_000), seed=st.integers())
def test_a_delay_is_spread_over_the_upper_half_of_its_ceiling(attempt: int, seed: int) -> None:
    judge = RetryPolicy(attempts=20_000, random=Random(seed)).judge
    retry_at = judge(lease(attempt), TransientError("reset"), NOW).retry_at
    assert retry_at is not None
    ceiling = min(2 ** min(attempt - 1, 9), 60)
    assert ceiling / 2 <= (retry_at - NOW).total_seconds() <= ceiling


@given(seed=st.integers())
def test_an_endpoint_s_trouble_is_waited_for_about_two_seconds(seed: int) -> None:
    judge = RetryPolicy(attempts=5, random=Random(seed)).judge
    retry_at = judge(lease(), ThrottledError("slow down"), NOW).retry_at
    assert retry_at is not None
    assert 1 <= (retry_at - NOW).total_seconds() <= 3


@given(seed=st.integers(), told=st.integers(0, 3_600))
def test_a_server_that_says_how_long_to_wait_is_not_asked_before(seed: int, told: int) -> None:
    error = ThrottledError("slow down")
    error.retry_after = timedelta(seconds=told)
    judging = RetryPolicy(attempts=500, random=Random(seed))
    for _ in range(60):  # the last ones are counted as attempts
        retry_at = judging.judge(lease(), error, NOW).retry_at
        assert retry_at is not None
        assert max(told, 0.5) <= (retry_at - NOW).total_seconds() <= max(told, 3)


def test_nobody_is_waited_for_for_years() -> None:
    error = ThrottledError("slow down")
    error.retry_after = timedelta.max
    assert policy().judge(lease(), error, NOW).retry_at == NOW + timedelta(days=1)


@given(
    error=st.sampled_from([TransientError("reset"), DeniedError("no"), TransferHubError("bug")]),
    attempt=st.integers(1, 9),
    attempts=st.integers(1, 9),
)
def test_only_what_may_pass_is_tried_again_and_only_while_attempts_are_left(
    error: TransferHubError, attempt: int, attempts: int
) -> None:
    failure = policy(attempts).judge(lease(attempt), error, NOW)
    assert failure.counted
    assert (failure.retry_at is not None) == (error.retryable and attempt < attempts)


@pytest.mark.parametrize("error", [TransientError("reset"), StoreError("what"), DeniedError("no")])
def test_the_last_attempt_makes_a_dead_letter(error: TransferHubError) -> None:
    assert policy(attempts=3).judge(lease(3), error, NOW).retry_at is None


def test_what_cannot_change_is_not_tried_again() -> None:
    assert policy().judge(lease(1), DeniedError("no"), NOW).retry_at is None


@pytest.mark.parametrize("error", [ThrottledError("slow down"), UNREACHABLE])
def test_an_endpoint_s_trouble_is_no_attempt(error: TransferHubError) -> None:
    failure = policy().judge(lease(5), error, NOW)
    assert not failure.counted
    assert failure.retry_at is not None


def test_a_server_that_is_away_never_makes_a_dead_letter() -> None:
    judge = policy(attempts=1).judge
    assert all(judge(lease(1), UNREACHABLE, NOW).retry_at is not None for _ in range(1_000))


def test_a_key_that_is_always_throttled_is_a_dead_letter_in_the_end() -> None:
    judge = policy(attempts=1).judge
    ends = [judge(lease(1), ThrottledError("slow down"), NOW).retry_at is None for _ in range(60)]
    assert ends.index(True) == 50


def test_a_dead_letter_starts_afresh_when_it_is_redriven() -> None:
    judging = policy(attempts=1)
    ends = [judging.judge(lease(1), ThrottledError("slow down"), NOW) for _ in range(52)]
    assert [end.retry_at is None for end in ends] == [*[False] * 50, True, False]


def test_a_key_that_has_ended_starts_afresh() -> None:
    judging = policy(attempts=1)
    for _ in range(50):
        judging.judge(lease(1), ThrottledError("slow down"), NOW)
    judging.forget("key")
    assert judging.judge(lease(1), ThrottledError("slow down"), NOW).retry_at is not None
