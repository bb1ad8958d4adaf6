"""Two servers on one database let nobody in twice, and lose no credential."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.control.front_door import GOOD, ROOT, FrontDoor
from transferhub.control.key_ring import KeyFile
from transferhub.control.vault import Credentials
from transferhub.errors import SignInError, TooManyError
from transferhub.model.people import CredentialKind, Role
from transferhub.state.sql.audit import SqlAudit
from transferhub.state.sql.database import Database
from transferhub.state.sql.people import SqlPeople
from transferhub.state.sql.vault import SqlVault


@dataclass(frozen=True, slots=True)
class Hub:
    door: FrontDoor
    credentials: Credentials
    vault: SqlVault


@pytest.fixture
async def hubs(state_url: str, tmp_path: Path) -> AsyncIterator[list[Hub]]:
    async with AsyncExitStack() as opened:
        found = []
        for _ in range(2):
            database = await Database.open(state_url)
            opened.push_async_callback(database.aclose)
            door, vault = FrontDoor(SqlPeople(database), SqlAudit(database)), SqlVault(database)
            ring = KeyFile(tmp_path / "vault.key")
            found.append(Hub(door, Credentials(vault, ring, door.journal, door.clock), vault))
        yield found


async def test_guesses_at_two_servers_are_counted_together(hubs: list[Hub]) -> None:
    await hubs[0].door.user()
    results = await asyncio.gather(
        *(
            hubs[n % 2].door.sign_in.with_password("ann", f"guess {n}", address=f"192.0.2.{n}")
            for n in range(20)
        ),
        return_exceptions=True,
    )
    assert sum(hub.door.passwords.verified for hub in hubs) == 3
    assert sum(isinstance(result, TooManyError) for result in results) == 17


async def test_a_link_is_taken_at_one_server_only(hubs: list[Hub]) -> None:
    for _ in range(5):
        secret = await hubs[0].door.accounts.create_link(ROOT, "first", Role.ADMIN)
        results = await asyncio.gather(
            *(hub.door.sign_in.with_link(secret, address="192.0.2.1") for hub in hubs),
            return_exceptions=True,
        )
        assert sum(isinstance(result, SignInError) for result in results) == 1


async def test_what_one_server_ends_has_ended_at_the_other(hubs: list[Hub]) -> None:
    first, second = (hub.door for hub in hubs)
    await first.user()
    signed_in = await first.sign_in.with_password("ann", GOOD, address="192.0.2.1")
    assert (await second.sign_in.with_session(signed_in.secret)).name == "ann"
    await first.accounts.disable_user(ROOT, "ann")
    with pytest.raises(SignInError):
        await second.sign_in.with_session(signed_in.secret)


async def test_rotations_at_two_servers_beside_writers_lose_nothing(hubs: list[Hub]) -> None:
    names = [f"name{number}" for number in range(30)]

    async def put(number: int, hub: Hub) -> None:
        fields = {"token": f"secret of {names[number]}"}
        await hub.credentials.put(ROOT, names[number], CredentialKind.TOKEN, fields)

    for number in range(15):
        await put(number, hubs[0])
    await asyncio.gather(
        *(hub.credentials.rotate(ROOT) for hub in hubs),
        *(put(number, hubs[number % 2]) for number in range(15, 30)),
    )
    for name in names:
        opened = await hubs[1].credentials.open(name)
        assert opened.fields == {"token": f"secret of {name}"}
    await hubs[0].credentials.reseal()
    assert len({sealed.key_id for sealed in await hubs[0].vault.all()}) == 1
