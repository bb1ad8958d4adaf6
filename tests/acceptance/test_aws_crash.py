"""Crashes, interrupts and faults of a transfer whose state is on AWS: the tests of other states,
anew."""

import pytest

from tests.acceptance import (
    test_crash_interrupts,
    test_crash_loop,
    test_crash_moments,
    test_crash_silence,
    test_fault_answers,
    test_fault_lasting,
)
from tests.acceptance.aws import Aws
from tests.acceptance.command import Dth
from tests.acceptance.places import Place
from tests.acceptance.test_crash_moments import OF_OBJECTS, OF_UPLOADS, Moment
from tests.acceptance.test_fault_lasting import INTERNAL
from tests.conftest import ProxyFactory


@pytest.fixture
def far(dth: Dth, aws: Aws) -> Dth:
    """`dth` with its state on AWS."""
    return aws.used_by(dth)


@pytest.mark.parametrize("moment", [*OF_OBJECTS[::2], *OF_UPLOADS[1:]], ids=str)
def test_the_same_command_ends_what_a_kill_broke_off(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory, moment: Moment
) -> None:
    test_crash_moments.test_the_same_command_ends_what_a_kill_broke_off(
        far, source, destination, fault_proxy, moment
    )


def test_a_killed_worker_is_done_without(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    test_crash_moments.test_a_killed_worker_is_done_without(far, source, destination, fault_proxy)


def test_workers_end_when_the_finder_is_killed(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    test_crash_moments.test_workers_end_when_the_finder_is_killed(
        far, source, destination, fault_proxy
    )


def test_a_mirror_that_is_killed_deletes_no_more_than_it_would_have(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    kill = test_crash_moments.test_a_mirror_that_is_killed_while_it_deletes_deletes_no_more_than_it_would_have  # noqa: E501 - its name
    kill(far, source, destination, fault_proxy, response=True)


@pytest.mark.timeout(240)
def test_a_transfer_survives_any_kill_as_often_as_it_comes(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    test_crash_loop.test_a_transfer_survives_any_kill_as_often_as_it_comes(
        far, source, destination, fault_proxy
    )


def test_a_worker_that_sleeps_through_its_lease_changes_nothing_when_it_wakes(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    test_crash_silence.test_a_worker_that_sleeps_through_its_lease_changes_nothing_when_it_wakes(
        far, source, destination, fault_proxy
    )


def test_ctrl_c_ends_what_is_under_way_and_keeps_uploads_for_the_next_start(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    test_crash_interrupts.test_ctrl_c_ends_what_is_under_way_and_keeps_uploads_for_the_next_start(
        far, source, destination, fault_proxy
    )


def test_a_second_ctrl_c_waits_for_nothing(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    test_crash_interrupts.test_a_second_ctrl_c_waits_for_nothing(
        far, source, destination, fault_proxy
    )


@pytest.mark.timeout(240)
def test_five_of_a_hundred_requests_may_fail_in_any_way(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    test_fault_answers.test_five_of_a_hundred_requests_may_fail_in_any_way(
        far, source, destination, fault_proxy
    )


def test_a_part_that_always_fails_makes_its_object_a_dead_letter_and_nothing_else(
    far: Dth, source: Place, destination: Place, fault_proxy: ProxyFactory
) -> None:
    source.fill(test_fault_lasting.SMALL)
    source.put_multipart("large", test_fault_lasting.LARGE)
    fails = test_fault_lasting.test_a_fault_that_stays_with_one_key_makes_it_a_dead_letter_and_nothing_else  # noqa: E501 - its name
    told = "500 InternalError"
    fails(far, source, destination, fault_proxy, "UploadPart", "large", INTERNAL, "transient", told)
