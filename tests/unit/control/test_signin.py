import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.control.front_door import GOOD, HERE, ROOT, CountingPasswords, FrontDoor
from transferhub.control.passwords import Effort
from transferhub.control.secrets import digest_of, new_secret
from transferhub.errors import SignInError, TooManyError
from transferhub.model.people import Caller, How, Role, Session
from transferhub.state.memory import MemoryPeople


@pytest.fixture
def door() -> FrontDoor:
    return FrontDoor()


async def test_a_user_signs_in_with_a_password(door: FrontDoor) -> None:
    ann = await door.user()
    signed_in = await door.sign_in.with_password("Ann", GOOD, address=HERE)
    assert signed_in.caller == ann
    assert await door.sign_in.with_session(signed_in.secret) == ann
    assert signed_in.secret not in repr(signed_in)
    assert (await door.noted())[0].action == "session.start"


async def test_no_secret_is_kept(door: FrontDoor) -> None:
    await door.user()
    signed_in = await door.sign_in.with_password("ann", GOOD, address=HERE)
    kept = repr([vars(door.people), await door.noted()])
    assert signed_in.secret not in kept
    assert GOOD not in kept
    assert await door.people.get_session(digest_of(signed_in.secret)) is not None


def test_a_secret_is_of_256_random_bits() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert {len(new_secret()) for _ in range(100)} == {43}


async def test_an_unknown_user_costs_what_a_wrong_password_costs(door: FrontDoor) -> None:
    await door.user()
    await door.user("ben")
    await door.accounts.disable_user(ROOT, "ben")
    messages = set()
    for name, password in (("ann", "wrong"), ("nobody", "wrong"), ("ben", GOOD)):
        door.passwords.verified = 0
        with pytest.raises(SignInError) as caught:
            await door.sign_in.with_password(name, password, address=HERE)
        messages.add(caught.value.message)
        assert door.passwords.verified == 1
    assert len(messages) == 1


async def test_a_name_is_locked_from_everywhere_and_longer_each_time(door: FrontDoor) -> None:
    await door.user()
    for number in range(3):
        with pytest.raises(SignInError):
            await door.sign_in.with_password("ann", "wrong", address=f"192.0.2.{number}")
    with pytest.raises(TooManyError) as caught:
        await door.sign_in.with_password("ANN", GOOD, address="198.51.100.1")
    assert caught.value.wait == timedelta(seconds=10)
    door.clock.advance(10)
    with pytest.raises(SignInError):
        await door.sign_in.with_password("ann", "wrong", address=HERE)
    with pytest.raises(TooManyError) as caught:
        await door.sign_in.with_password("ann", GOOD, address=HERE)
    assert caught.value.wait == timedelta(seconds=20)
    door.clock.advance(20)
    await door.sign_in.with_password("ann", GOOD, address=HERE)
    for _ in range(2):
        with pytest.raises(SignInError):
            await door.sign_in.with_password("ann", "wrong", address=HERE)
    await door.sign_in.with_password("ann", GOOD, address=HERE)


async def test_many_guesses_at_once_are_no_way_round_the_lock(door: FrontDoor) -> None:
    await door.user()
    door.passwords.verified = 0
    guesses = (
        door.sign_in.with_password("ann", f"guess {n}", address=f"192.0.2.{n}") for n in range(50)
    )
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert door.passwords.verified == 3
    assert sum(isinstance(result, TooManyError) for result in results) == 47


async def test_an_address_is_locked_whatever_name_it_tries(door: FrontDoor) -> None:
    await door.user()
    for number in range(7):
        with pytest.raises(SignInError):
            await door.sign_in.with_password(f"name{number}", "wrong", address=HERE)
    with pytest.raises(TooManyError):
        await door.sign_in.with_password("ann", GOOD, address=HERE)
    with pytest.raises(TooManyError):
        await door.sign_in.with_link("guess", address=HERE)
    await door.sign_in.with_password("ann", GOOD, address="198.51.100.1")


async def test_an_account_of_ones_own_does_not_free_an_address(door: FrontDoor) -> None:
    await door.user()
    for number in range(7):
        with pytest.raises(SignInError):
            await door.sign_in.with_password(f"name{number}", "wrong", address=HERE)
        door.clock.advance(2)
        if number < 6:
            await door.sign_in.with_password("ann", GOOD, address=HERE)
    with pytest.raises(SignInError):
        await door.sign_in.with_password("other", "wrong", address=HERE)
    with pytest.raises(TooManyError):
        await door.sign_in.with_password("ann", GOOD, address=HERE)


class RacingPeople(MemoryPeople):
    """Another one changes the user while a session is made."""

    async def create_session(self, session: Session) -> None:
        user = await self.get_user(session.name)
        assert user is not None
        await self.update_user(replace(user, password="changed"))
        await self.end_sessions(user.name)
        await super().create_session(session)


async def test_no_session_outlives_a_password_that_is_changed_meanwhile() -> None:
    people = RacingPeople()
    door = FrontDoor(people)
    await door.user()
    with pytest.raises(SignInError, match="changed just now"):
        await door.sign_in.with_password("ann", GOOD, address=HERE)
    assert await people.end_sessions("ann") == 0


async def test_a_new_work_factor_is_taken_up_at_sign_in(door: FrontDoor) -> None:
    await door.user()
    slower = CountingPasswords(Effort(passes=2, memory_kib=8, lanes=1))
    await door.with_passwords(slower).with_password("ann", GOOD, address=HERE)
    ann = await door.people.get_user("ann")
    assert ann is not None
    assert "t=2" in ann.password
    await door.with_passwords(slower).with_password("ann", GOOD, address=HERE)


async def test_a_link_works_once(door: FrontDoor) -> None:
    secret = await door.accounts.create_link(ROOT, "first", Role.ADMIN)
    attempts = (door.sign_in.with_link(secret, address=HERE) for _ in range(5))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, SignInError) for result in results) == 4
    [signed_in] = [result for result in results if not isinstance(result, BaseException)]
    expected = Caller(name="first", role=Role.ADMIN, how=How.LINK)
    assert await door.sign_in.with_session(signed_in.secret) == expected


async def test_a_link_expires(door: FrontDoor) -> None:
    secret = await door.accounts.create_link(ROOT, "x", Role.ADMIN, duration=timedelta(minutes=1))
    door.clock.advance(60)
    with pytest.raises(SignInError, match="expired"):
        await door.sign_in.with_link(secret, address=HERE)


async def test_an_idle_session_ends_and_a_used_one_goes_on(door: FrontDoor) -> None:
    await door.user()
    used = await door.sign_in.with_password("ann", GOOD, address=HERE)
    idle = await door.sign_in.with_password("ann", GOOD, address=HERE)
    door.clock.advance(3_000)
    await door.sign_in.with_session(used.secret)
    door.clock.advance(600)
    await door.sign_in.with_session(used.secret)
    with pytest.raises(SignInError, match="session has ended"):
        await door.sign_in.with_session(idle.secret)


async def test_a_session_ends_however_much_it_is_used(door: FrontDoor) -> None:
    await door.user()
    signed_in = await door.sign_in.with_password("ann", GOOD, address=HERE)
    for _ in range(9):
        door.clock.advance(1_999)
        await door.sign_in.with_session(signed_in.secret)
    door.clock.advance(9)
    assert door.clock.now == signed_in.ends_at
    with pytest.raises(SignInError):
        await door.sign_in.with_session(signed_in.secret)


async def test_a_session_is_not_written_at_every_use(door: FrontDoor) -> None:
    await door.user()
    signed_in = await door.sign_in.with_password("ann", GOOD, address=HERE)
    before = await door.people.get_session(digest_of(signed_in.secret))
    door.clock.advance(59)
    await door.sign_in.with_session(signed_in.secret)
    assert await door.people.get_session(digest_of(signed_in.secret)) is before


async def test_a_session_that_signed_out_or_never_was_is_refused(door: FrontDoor) -> None:
    await door.user()
    signed_in = await door.sign_in.with_password("ann", GOOD, address=HERE)
    await door.sign_in.sign_out(signed_in.secret)
    for secret in (signed_in.secret, "", "\udcff"):
        with pytest.raises(SignInError):
            await door.sign_in.with_session(secret)


async def test_a_session_follows_its_user(door: FrontDoor) -> None:
    await door.user()
    signed_in = await door.sign_in.with_password("ann", GOOD, address=HERE)
    await door.accounts.set_role(ROOT, "ann", Role.VIEWER)
    assert (await door.sign_in.with_session(signed_in.secret)).role is Role.VIEWER
    await door.accounts.disable_user(ROOT, "ann")
    with pytest.raises(SignInError):
        await door.sign_in.with_session(signed_in.secret)


async def test_what_has_ended_is_purged(door: FrontDoor) -> None:
    await door.user()
    await door.accounts.create_link(ROOT, "x", Role.ADMIN)
    await door.sign_in.with_password("ann", GOOD, address=HERE)
    with pytest.raises(SignInError):
        await door.sign_in.with_password("ann", "wrong", address=HERE)
    assert await door.sign_in.purge() == 0
    door.clock.advance(86_401)
    assert await door.sign_in.purge() == 4
