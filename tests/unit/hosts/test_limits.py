"""Limits that come and go while a run is under way."""

from dataclasses import replace

import pytest

from transferhub.engine.tuning import Tuning
from transferhub.hosts.limits import Limits


def test_a_live_tuning_can_be_given_rates_later_and_lose_them() -> None:
    tuning = Tuning(live=True)
    limits = Limits(tuning)
    limits.retune(replace(tuning, bandwidth=1_000, requests=2.5))
    assert limits.bandwidth is not None
    assert limits.requests is not None
    assert (limits.bandwidth.rate, limits.requests.rate) == (1_000, 2.5)
    limits.retune(tuning)
    assert (limits.bandwidth.rate, limits.requests.rate) == (None, None)


@pytest.mark.parametrize("name", ["bandwidth", "requests"])
def test_a_run_without_a_rate_pays_for_none(name: str) -> None:
    assert getattr(Limits(Tuning()), name) is None
